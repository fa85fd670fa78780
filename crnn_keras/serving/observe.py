"""A line in the log and a measurement for each request."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from crnn_keras.serving.service import Service

_logger = logging.getLogger(__name__)

# Of every answer. The pages add their own Content-Security-Policy.
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]
# A connection that was lost before there was an answer.
_NO_ANSWER = 499


class Observe:
    """ASGI middleware, the outermost: it sees all requests, and what was answered.

    Args:
        app: The ASGI application within.
        service: The `Service`, for its metrics.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        start, status, identifier = time.perf_counter(), _NO_ANSWER, secrets.token_hex(8)

        async def send_with_headers(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = (b"x-request-id", identifier.encode())
                message = message | {"headers": [*message["headers"], *_HEADERS, own]}
            await send(message)

        scope["facts"] = {}
        try:
            return await self._app(scope, receive, send_with_headers)
        except Exception:
            status = 500
            raise
        finally:
            seconds = time.perf_counter() - start
            # One of a few: what the client has asked for may be anything.
            route = getattr(scope.get("route"), "path", "none")
            self._service.metrics.count_request(route, status, seconds)
            level = logging.ERROR if status >= 500 and status != 503 else logging.INFO
            if _logger.isEnabledFor(level):
                facts = {
                    "id": identifier,
                    "method": scope["method"] if len(scope["method"]) < 10 else "other",
                    "route": route,
                    "status": status,
                    "ms": round(seconds * 1000, 1),
                    "client": scope["client"][0] if scope.get("client") else None,
                    **scope["facts"],
                }
                _logger.log(level, "request", extra={"facts": facts})
