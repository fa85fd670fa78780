"""`POST /read`: images of a form, with options, to texts.

curl -F image=@word.png -F boxes=true http://127.0.0.1:8000/read
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from crnn_keras.inference.base import Prediction
from crnn_keras.serving.errors import RequestError
from crnn_keras.serving.form import parse_form
from crnn_keras.serving.images import READ, TOO_LARGE
from crnn_keras.serving.service import Service

_FIELDS = ("allow", "pattern", "alternatives", "boxes")
_FLAGS = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False, "": False}
_MULTIPART = "multipart/form-data"


def make_router(service: Service) -> APIRouter:
    """Makes the route.

    Args:
        service: The `Service` that reads.
    """
    router = APIRouter(tags=["Read"])

    @router.post(
        "/read",
        summary="Reads images of a form",
        description=_DESCRIPTION,
        openapi_extra=_OPENAPI,
        responses=_RESPONSES,
    )
    async def read(request: Request) -> JSONResponse:
        files, fields = parse_form(
            request.headers.get("Content-Type", ""),
            await request.body(),
            fields=_FIELDS,
            # One more, so that the error can say how many there may be.
            most_files=service.limits.images + 1,
        )
        options = await service.make_options(
            allow=fields.get("allow"),
            pattern=fields.get("pattern"),
            alternatives=_parse_count(fields.get("alternatives", "0")),
        )
        has_boxes = _parse_flag(fields.get("boxes", "false"))
        outcomes = await service.read(
            [content for _, content in files], options, facts=request.scope["facts"]
        )
        content: dict[str, Any] = {
            "model": service.name,
            "results": [
                {"file": name}
                | make_row(outcome.prediction, alternatives=options.alternatives, boxes=has_boxes)
                for (name, _), outcome in zip(files, outcomes, strict=True)
            ],
        }
        kinds = {outcome.kind for outcome in outcomes}
        if READ in kinds:
            return JSONResponse(content)
        content["error"] = outcomes[0].prediction.error
        return JSONResponse(content, 413 if kinds == {TOO_LARGE} else 422)

    return router


def make_row(prediction: Prediction, *, alternatives: int, boxes: bool) -> dict[str, Any]:
    """Makes what is answered of an image.

    Args:
        prediction: Its `Prediction`.
        alternatives: How many of the likeliest texts were asked for.
        boxes: Whether the boxes of the characters were.
    """
    row: dict[str, Any] = {
        "text": prediction.text,
        "confidence": round(prediction.confidence, 6),
        "error": prediction.error,
    }
    if alternatives:
        row["alternatives"] = [
            {"text": text, "confidence": round(chance, 6)}
            for text, chance in prediction.alternatives
        ]
    if boxes:
        row["boxes"] = [
            {name: round(v, 4) if isinstance(v, float) else v for name, v in box._asdict().items()}
            for box in prediction.boxes
        ]
    return row


def _parse_count(text):
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise RequestError(400, f"alternatives is {text!r:.40}. Expected a whole number.")
    return int(text)


def _parse_flag(text):
    if text.lower() not in _FLAGS:
        raise RequestError(400, f"boxes is {text!r:.40}. Expected true or false.")
    return _FLAGS[text.lower()]


_DESCRIPTION = (
    "Each file is an image of one word or line. An image that cannot be read has an `error` in its "
    "place; the others are read all the same. If none could be read, the status is 422, or 413 if "
    "all are too large."
)
_RESULT = {
    "type": "object",
    "properties": {
        "file": {"type": "string"},
        "text": {"type": ["string", "null"]},
        "confidence": {"type": "number"},
        "error": {"type": ["string", "null"]},
        "alternatives": {"type": "array", "items": {"type": "object"}},
        "boxes": {"type": "array", "items": {"type": "object"}},
    },
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A result for each image, in order",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "model": {"type": "string"},
                        "results": {"type": "array", "items": _RESULT},
                    },
                }
            }
        },
    },
    400: {"description": "The form or an option cannot be used"},
    413: {"description": "Too many images or bytes, or all images are too large"},
    422: {"description": "None of the images can be read"},
    429: {"description": "Too many images wait; Retry-After says for how long"},
}
_OPENAPI = {
    "requestBody": {
        "required": True,
        "content": {
            _MULTIPART: {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {
                        "image": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "encoded images: png, jpeg, webp, bmp, gif or tiff",
                        },
                        "allow": {
                            "type": "string",
                            "description": "characters that a text may have, such as 0123456789",
                        },
                        "pattern": {
                            "type": "string",
                            "description": "regular expression that each whole text matches",
                        },
                        "alternatives": {
                            "type": "integer",
                            "default": 0,
                            "description": "how many of the likeliest texts to list",
                        },
                        "boxes": {
                            "type": "boolean",
                            "default": False,
                            "description": "whether to list the box of each character",
                        },
                    },
                }
            }
        },
    }
}
