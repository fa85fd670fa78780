"""All protocols of a server as one ASGI application."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Collection

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from crnn_keras import __version__
from crnn_keras.serving import kserve, pages, read, tf_serving
from crnn_keras.serving.direct import Direct, refuse
from crnn_keras.serving.errors import RequestError
from crnn_keras.serving.guard import LOOPBACK_NAMES, Guard
from crnn_keras.serving.observe import Observe
from crnn_keras.serving.service import Service

_DESCRIPTION = 'Reads images of words and lines. Every error is `{"error": "..."}`.'


def make_app(
    service: Service,
    *,
    hosts: Collection[str] | None = LOOPBACK_NAMES,
    token: str | None = None,
    when_ready: Callable[[], None] | None = None,
) -> FastAPI:
    """Makes the ASGI application of a server.

    Args:
        service: The `Service` that reads. It is closed when the application ends.
        hosts: Names that a request may call the server by; None for any. Defaults to those of the
            loopback.
        token: What a request must show. Defaults to `None`: nothing.
        when_ready: Is called once the application takes requests. Defaults to `None`.

    Returns:
        The application, for uvicorn or another server.

    Example:

        >>> from crnn_keras import OnnxRecognizer
        >>> from crnn_keras.serving import make_app
        >>> from crnn_keras.serving.service import Service
        >>> service = Service(OnnxRecognizer.load("words", cores=1), "words")
        >>> make_app(service).title
        'words'
        >>> service.close()
    """

    @contextlib.asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        service.warm_up()
        if when_ready:
            when_ready()
        yield
        service.close()

    app = FastAPI(
        title=service.name,
        version=__version__,
        description=_DESCRIPTION,
        lifespan=live,
        # These pages would load scripts from elsewhere; `pages` has its own.
        docs_url=None,
        redoc_url=None,
    )
    routers = [own.make_router(service) for own in (read, kserve, tf_serving, pages)]
    for router in routers:
        app.include_router(router)

    @app.get("/metrics", tags=["Operation"], summary="Measurements in Prometheus' format")
    async def show_metrics() -> Response:
        return Response(service.metrics.text(), media_type=service.metrics.content_type)

    @app.exception_handler(RequestError)
    async def refuse_routed(request: Request, error: RequestError) -> JSONResponse:
        return refuse(error)

    @app.exception_handler(HTTPException)
    async def explain(request: Request, error: HTTPException) -> JSONResponse:
        advice = "GET /docs lists what there is."
        return JSONResponse(
            {"error": f"{error.detail}. {advice}"}, error.status_code, error.headers
        )

    @app.exception_handler(Exception)
    async def apologize(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": "The server failed; its log says why."}, 500)

    # The last one is the outermost.
    app.add_middleware(
        Direct, service=service, routes=[route for router in routers for route in router.routes]
    )
    app.add_middleware(Guard, service=service, hosts=hosts, token=token)
    app.add_middleware(Observe, service=service)
    return app
