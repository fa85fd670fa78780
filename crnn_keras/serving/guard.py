"""Who may ask, and how large a request may be.

A browser on the same machine carries requests of any web site here. So a request must name a host
that this server was started for (a site may make its own name lead here: DNS rebinding), and must
not come from another page. A body is received here, whole, within bounds; what is within gets it at
once.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from crnn_keras.serving.errors import RequestError
from crnn_keras.serving.service import Service

HEALTH_PATHS = {"/v2/health/live", "/v2/health/ready"}
# What tells nothing of anybody, for probes and for a browser whose person then enters the token.
OPEN_PATHS = {"/", "/docs", "/openapi.json", *HEALTH_PATHS}
LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}

# A client that is refused sends on for a while before it looks at the answer.
_DRAIN_SECONDS, _DRAIN_BYTES = 1.0, 2**26
_BODILESS = {"GET", "HEAD", "OPTIONS"}


class Guard:
    """ASGI middleware that refuses requests, and receives the bodies of others.

    Args:
        app: The ASGI application within.
        service: The `Service`, for its limits.
        hosts: Names that a request may call this server by, without a port; None for any.
        token: What a request must show as `Authorization: Bearer TOKEN`. None: nothing.
    """

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        service: Service,
        *,
        hosts: Collection[str] | None,
        token: str | None,
    ) -> None:
        self._app = app
        self._service = service
        self._limits = service.limits
        self._hosts = None if hosts is None else {normalize_host(host) for host in hosts}
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, []).append(value)
        body = _Body(self._service)
        is_started = False

        async def send_once(message: dict[str, Any]) -> None:
            nonlocal is_started
            is_started = True
            await send(message)

        try:
            self._check(scope, headers)
            await body.receive(scope, headers, receive)
            async with asyncio.timeout(self._limits.read_seconds):
                await self._app(scope, body.replay(receive), send_once)
        except RequestError as error:
            if not body.is_complete and b"expect" not in headers:
                await _drain(receive)
            await _refuse(send, error)
        except TimeoutError:
            if not is_started:
                seconds = self._limits.read_seconds
                await _refuse(
                    send, RequestError(503, f"No answer within {seconds:g} s. Send fewer images.")
                )
        finally:
            body.release()

    def _check(self, scope, headers):
        """Raises a `RequestError` if the headers of a request are refused."""
        hosts = headers.get(b"host", [])
        if len(hosts) != 1:
            raise RequestError(400, f"Got {len(hosts)} Host headers. Expected one.")
        host = hosts[0].decode("latin-1")
        is_known = self._hosts is None or normalize_host(host) in self._hosts
        # A probe calls a container by its address.
        if not is_known and scope["path"] not in HEALTH_PATHS:
            known = ", ".join(sorted(self._hosts))
            raise RequestError(
                403, f"This server answers to {known}. Start it with --allow-host NAME for others."
            )
        self._check_page(scope, headers, host)
        if self._token is not None and scope["path"] not in OPEN_PATHS:
            given = headers.get(b"authorization", [b""])[0]
            scheme, _, token = given.partition(b" ")
            is_token = hmac.compare_digest(token.strip(), self._token)
            if scheme.lower() != b"bearer" or not is_token:
                raise RequestError(
                    401,
                    "Expected the header Authorization: Bearer TOKEN, with this server's token.",
                    {"WWW-Authenticate": "Bearer"},
                )

    def _check_page(self, scope, headers, host):
        """Raises a `RequestError` if a request comes from a page of another server."""
        origins = [own.decode("latin-1") for own in headers.get(b"origin", [])]
        is_own = all(own.partition("://")[2].lower() == host.lower() for own in origins)
        site = headers.get(b"sec-fetch-site", [b"none"])[0]
        is_link = scope["method"] == "GET" and b"navigate" in headers.get(b"sec-fetch-mode", [])
        if not is_own or (site not in (b"none", b"same-origin") and not is_link):
            raise RequestError(403, "The request comes from a page of another server.")


class _Body:
    """The body of one request."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._limits = service.limits
        self._chunks: list[bytes] = []
        self._held = 0
        self.is_complete = False

    async def receive(self, scope, headers, receive) -> None:
        """Receives all of it, or raises a `RequestError`."""
        encoding = headers.get(b"content-encoding", [b"identity"])[0]
        if encoding.lower() != b"identity":
            raise RequestError(415, "Expected a body without Content-Encoding.")
        length = headers.get(b"content-length", [b"0"])[0]
        if scope["method"] in _BODILESS and length == b"0" and b"transfer-encoding" not in headers:
            self.is_complete = True
            return
        # Digits: the server has checked it.
        if int(length) > self._limits.request_bytes:
            raise self._too_large()
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                await self._receive(receive)
        except TimeoutError:
            seconds = self._limits.body_seconds
            raise RequestError(408, f"The body has not arrived within {seconds:g} s.") from None
        scope["facts"]["bytes"] = self._held

    async def _receive(self, receive):
        while not self.is_complete:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RequestError(400, "The connection was closed within the body.")
            chunk = message.get("body", b"")
            self._held += len(chunk)
            self._service.held_bytes += len(chunk)
            if self._held > self._limits.request_bytes:
                raise self._too_large()
            if self._service.held_bytes > self._limits.held_bytes:
                raise RequestError(
                    429,
                    "Too many bytes are being received. Send these again.",
                    {"Retry-After": "1"},
                )
            self._chunks.append(chunk)
            self.is_complete = not message.get("more_body", False)

    def replay(self, receive):
        """Returns a function that receives the body at once, and then what comes after it."""
        content: bytes | None = b"".join(self._chunks)
        self._chunks.clear()

        async def receive_body() -> dict[str, Any]:
            nonlocal content
            if content is None:
                return await receive()
            message = {"type": "http.request", "body": content, "more_body": False}
            content = None
            return message

        return receive_body

    def release(self) -> None:
        """Gives up its place in memory."""
        self._service.held_bytes -= self._held
        self._held = 0

    def _too_large(self):
        most = self._limits.request_bytes
        return RequestError(413, f"The body has too many bytes. Expected at most {most:,}.")


def normalize_host(host: str) -> str:
    """Returns the name in a Host header, without its port and in lower case.

    Args:
        host: Such as `localhost:8000`, `127.0.0.1`, `[::1]:8000` or `::1`.
    """
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    if host.count(":") == 1:
        host = host.partition(":")[0]
    return host.removesuffix(".")


def is_loopback(host: str) -> bool:
    """Tells whether only this machine can reach an address to listen on."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _refuse(send, error):
    body = json.dumps({"error": error.message}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        # What follows on the connection may be the rest of the body.
        (b"connection", b"close"),
        *((name.lower().encode(), value.encode()) for name, value in error.headers.items()),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _drain(receive):
    """Receives some more of a body: a connection that is closed at once loses the answer."""
    received, is_complete = 0, False
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            while not is_complete and received < _DRAIN_BYTES:
                message = await receive()
                received += len(message.get("body", b""))
                is_complete = not message.get("more_body", False)
    except TimeoutError:
        pass
