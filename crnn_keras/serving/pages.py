"""The page to try the server, and the page of its interface: complete without a network."""

from __future__ import annotations

import json
import pathlib
import secrets

from fastapi import APIRouter
from fastapi.responses import Response

from crnn_keras.serving.service import Service

_FOLDER = pathlib.Path(__file__).parent


def make_router(service: Service) -> APIRouter:
    """Makes the routes of the pages.

    Args:
        service: The `Service` that they ask.
    """
    router = APIRouter(include_in_schema=False)
    facts = {
        "name": service.name,
        "images": service.limits.images,
        "alternatives": service.limits.alternatives,
    }

    @router.get("/")
    async def show_page() -> Response:
        return _send_page("page.html", facts)

    @router.get("/docs")
    async def show_docs() -> Response:
        return _send_page("docs.html", facts)

    return router


def _send_page(name, facts):
    nonce = secrets.token_urlsafe(16)
    # In a script element, JSON may hold no tag.
    data = json.dumps(facts).replace("<", "\\u003c")
    page = (_FOLDER / name).read_text(encoding="utf-8")
    page = page.replace("@NONCE@", nonce).replace("@DATA@", data)
    policy = (
        "default-src 'none'; img-src blob: data:; connect-src 'self'; "
        f"style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Response(
        page, headers={"Content-Security-Policy": policy}, media_type="text/html; charset=utf-8"
    )
