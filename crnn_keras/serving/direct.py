"""Requests to read, answered without the router.

FastAPI's router tries one route after the other, resolves parameters and keeps stacks of what to
close: more work than a protocol itself has with one image. A server has one model, so the few paths
that read are known before the first request comes.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import JSONResponse

from crnn_keras.serving.errors import RequestError
from crnn_keras.serving.service import VERSION, Service


class Direct:
    """ASGI middleware, the innermost: it answers requests to read, and passes all others on.

    Args:
        app: The ASGI application within.
        service: The `Service` that reads.
        routes: Routes of the application. Those of POST read.
    """

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        service: Service,
        *,
        routes: Iterable[APIRoute],
    ) -> None:
        self._app = app
        values = {"name": service.name, "version": VERSION}
        # The function of each path, with its route for the log.
        self._readers = {
            route.path_format.format_map(values): (
                route,
                functools.partial(
                    route.endpoint, **{name: values[name] for name in route.param_convertors}
                ),
            )
            for route in routes
            if route.methods == {"POST"}
        }

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        """Answers a request."""
        is_sent = scope["type"] == "http" and scope["method"] == "POST"
        found = self._readers.get(scope["path"]) if is_sent else None
        if found is None:
            return await self._app(scope, receive, send)
        scope["route"], read = found
        try:
            response = await read(Request(scope, receive))
        except RequestError as error:
            response = refuse(error)
        await response(scope, receive, send)


def refuse(error: RequestError) -> JSONResponse:
    """Returns the answer to a request that is refused."""
    return JSONResponse({"error": error.message}, error.status, error.headers)
