"""The Open Inference Protocol (KServe v2) over HTTP, as Triton and its clients speak it.

    import tritonclient.http as triton
    client = triton.InferenceServerClient("127.0.0.1:8000")

Reference: https://github.com/kserve/open-inference-protocol, and Triton's extension for binary
tensors.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from crnn_keras import __version__
from crnn_keras.serving.errors import RequestError
from crnn_keras.serving.images import make_columns
from crnn_keras.serving.service import VERSION, Service
from crnn_keras.serving.tensors import IMAGES, OUTPUTS, encode_answer, parse_request

_LENGTH = "Inference-Header-Content-Length"
_MODEL = "/v2/models/{name}"
_VERSION = _MODEL + "/versions/{version}"


def make_router(service: Service) -> APIRouter:
    """Makes the routes of the protocol.

    Args:
        service: The `Service` that reads.
    """
    router = APIRouter(tags=["Open Inference Protocol (KServe v2)"])

    def check(name, version):
        if name != service.name or version != VERSION:
            raise RequestError(
                404,
                f"There is no model {name!r:.80} of version {version!r:.40}. This server has "
                f"{service.name!r}, version {VERSION}.",
            )

    @router.get("/v2", summary="Names the server and its extensions")
    async def describe_server() -> JSONResponse:
        return JSONResponse(
            {
                "name": "crnn_keras",
                "version": __version__,
                "extensions": ["binary_tensor_data"],
            }
        )

    @router.get("/v2/health/live", summary="Answers as long as the process does")
    async def is_live() -> JSONResponse:
        return JSONResponse({"live": True})

    @router.get("/v2/health/ready", summary="Tells whether requests are taken: 200 or 503")
    async def is_ready() -> JSONResponse:
        return JSONResponse({"ready": service.is_ready}, 200 if service.is_ready else 503)

    @router.get(_MODEL + "/ready", summary="Tells whether the model is there and takes requests")
    @router.get(_VERSION + "/ready", include_in_schema=False)
    async def is_model_ready(name: str, version: str = VERSION) -> JSONResponse:
        check(name, version)
        content = {"name": service.name, "ready": service.is_ready}
        return JSONResponse(content, 200 if service.is_ready else 503)

    @router.get(_MODEL, summary="Names the inputs and outputs of the model")
    @router.get(_VERSION, include_in_schema=False)
    async def describe_model(name: str, version: str = VERSION) -> JSONResponse:
        check(name, version)
        return JSONResponse(
            {
                "name": service.name,
                "versions": [VERSION],
                "platform": "onnxruntime_crnn_keras",
                "inputs": [{"name": IMAGES, "datatype": "BYTES", "shape": [-1, 1]}],
                "outputs": [
                    {"name": name, "datatype": datatype, "shape": [-1, 1]}
                    for name, datatype in OUTPUTS.items()
                ],
            }
        )

    @router.post(_MODEL + "/infer", summary="Reads images", openapi_extra=_INFER)
    @router.post(_VERSION + "/infer", include_in_schema=False)
    async def infer(request: Request, name: str, version: str = VERSION) -> Response:
        check(name, version)
        asked = parse_request(await request.body(), _header_length(request))
        outcomes = await service.read(asked.images, facts=request.scope["facts"])
        head = {"model_name": service.name, "model_version": VERSION}
        body, length = encode_answer(head, asked, make_columns(outcomes))
        if length is None:
            return Response(body, media_type="application/json")
        return Response(body, headers={_LENGTH: str(length)}, media_type="application/octet-stream")

    return router


def _header_length(request):
    text = request.headers.get(_LENGTH)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise RequestError(400, f"{_LENGTH} is {text!r:.40}. Expected a number.")
    return int(text)


_INFER = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": {
                    "inputs": [
                        {
                            "name": IMAGES,
                            "datatype": "BYTES",
                            "shape": [1, 1],
                            "data": ["an encoded image in base64"],
                        }
                    ]
                },
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
