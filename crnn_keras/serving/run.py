"""A server on a socket, until it is stopped."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Collection

import uvicorn

from crnn_keras.serving.app import make_app
from crnn_keras.serving.connection import make_protocol
from crnn_keras.serving.guard import LOOPBACK_NAMES, is_loopback
from crnn_keras.serving.service import Service
from crnn_keras.utils.checks import Number, check_arguments

_BACKLOG = 1_024
_KEEP_ALIVE_SECONDS = 30
# What waits is read first; whoever stops a server often waits for 30 seconds.
_STOP_SECONDS = 25


@check_arguments(port=Number(0, 65_535, is_whole=True))
def serve(
    service: Service,
    *,
    host: str = "127.0.0.1",
    port: int = 8_000,
    hosts: Collection[str] = (),
    token: str | None = None,
    when_ready: Callable[[str], None] | None = None,
) -> None:
    """Serves until SIGTERM or Ctrl-C: then what was sent is read and answered, and it returns.

    Args:
        service: The `Service` that reads. It is closed at the end.
        host: Address to listen on. Defaults to the loopback.
        port: Port; 0 for a free one. Defaults to `8000`.
        hosts: Further names that a request may call the server by. Defaults to `()`: on the
            loopback its names, on another address any.
        token: What a request must show. Defaults to `None`: nothing.
        when_ready: Is called with the address once requests are taken. Defaults to `None`.

    Raises:
        OSError: The address cannot be listened on.
        ValueError: The port is out of range.
    """
    try:
        listener = _listen(host, port)
    except OSError as error:
        service.close()
        raise OSError(f"Cannot listen on {host}, port {port}: {error.strerror or error}") from None
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listener.getsockname()[1]}"
    is_bounded = is_loopback(host) or hosts
    app = make_app(
        service,
        hosts={*LOOPBACK_NAMES, host, *hosts} if is_bounded else None,
        token=token,
        when_ready=(lambda: when_ready(address)) if when_ready else None,
    )
    config = uvicorn.Config(
        app,
        http=make_protocol(service.limits),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=service.limits.connections,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    with listener, _signals_left_to_uvicorn():
        uvicorn.Server(config).run(sockets=[listener])


def _listen(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


@contextlib.contextmanager
def _signals_left_to_uvicorn():
    """Lets the process live on when uvicorn has stopped and raises its signal again."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, lambda *_: None) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)
