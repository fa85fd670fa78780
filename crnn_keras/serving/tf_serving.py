"""The REST interface of TensorFlow Serving, for clients of a SavedModel of this project.

    curl -d '{"instances": [{"b64": "..."}]}' http://127.0.0.1:8000/v1/models/words:predict

Reference: https://www.tensorflow.org/tfx/serving/api_rest
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from crnn_keras.serving.errors import RequestError
from crnn_keras.serving.images import make_columns
from crnn_keras.serving.service import VERSION, Service
from crnn_keras.serving.tensors import IMAGES, decode_base64, parse_json

_SIGNATURE = "serving_default"
_MODEL = "/v1/models/{name}"
_VERSION = _MODEL + "/versions/{version}"
_DATATYPES = {"text": "DT_STRING", "confidence": "DT_FLOAT", "error": "DT_STRING"}


def make_router(service: Service) -> APIRouter:
    """Makes the routes of the interface.

    Args:
        service: The `Service` that reads.
    """
    router = APIRouter(tags=["TensorFlow Serving's REST"])

    def check(name, version):
        if name != service.name or version != VERSION:
            raise RequestError(
                404,
                f"Servable not found for request: {name!r:.80}, version {version!r:.40}. This "
                f"server has {service.name!r}, version {VERSION}.",
            )

    # Before the status of a model: a name has no colon.
    @router.post(_MODEL + ":predict", summary="Reads images", openapi_extra=_PREDICT)
    @router.post(_VERSION + ":predict", include_in_schema=False)
    async def predict(request: Request, name: str, version: str = VERSION) -> JSONResponse:
        check(name, version)
        content = parse_json(await request.body())
        signature = content.get("signature_name", _SIGNATURE)
        if signature != _SIGNATURE:
            raise RequestError(
                400, f"There is no signature {signature!r:.80}. Expected {_SIGNATURE!r}."
            )
        images, is_by_row = find_images(content)
        outcomes = await service.read(images, facts=request.scope["facts"])
        columns = make_columns(outcomes)
        if not is_by_row:
            return JSONResponse({"outputs": columns})
        rows = zip(*columns.values(), strict=True)
        return JSONResponse({"predictions": [dict(zip(columns, row, strict=True)) for row in rows]})

    @router.get(_MODEL, summary="Tells whether the model takes requests")
    @router.get(_VERSION, include_in_schema=False)
    async def show_status(name: str, version: str = VERSION) -> JSONResponse:
        check(name, version)
        status = {
            "version": VERSION,
            "state": "AVAILABLE" if service.is_ready else "UNLOADING",
            "status": {"error_code": "OK", "error_message": ""},
        }
        return JSONResponse({"model_version_status": [status]})

    @router.get(_MODEL + "/metadata", summary="Names the inputs and outputs of the model")
    @router.get(_VERSION + "/metadata", include_in_schema=False)
    async def show_metadata(name: str, version: str = VERSION) -> JSONResponse:
        check(name, version)
        signature = {
            "inputs": {IMAGES: _tensor(IMAGES, "DT_STRING")},
            "outputs": {name: _tensor(name, kind) for name, kind in _DATATYPES.items()},
            "method_name": "tensorflow/serving/predict",
        }
        return JSONResponse(
            {
                "model_spec": {"name": service.name, "signature_name": "", "version": VERSION},
                "metadata": {"signature_def": {"signature_def": {_SIGNATURE: signature}}},
            }
        )

    return router


def find_images(content: dict[str, object]) -> tuple[list[bytes], bool]:
    """Finds the images of a request to predict.

    Args:
        content: Object of JSON, with `instances` (a row for each image) or `inputs` (a column).

    Returns:
        Tuple of the encoded images, and whether they came as rows.

    Raises:
        RequestError: It is no such request (400).
    """
    if ("instances" in content) == ("inputs" in content):
        raise RequestError(400, "Expected either instances or inputs.")
    is_by_row = "instances" in content
    values = content["instances" if is_by_row else "inputs"]
    if not is_by_row and isinstance(values, dict) and values.keys() == {IMAGES}:
        values = values[IMAGES]
    if isinstance(values, dict) and "b64" in values and not is_by_row:
        values = [values]
    if not isinstance(values, list):
        raise RequestError(400, f'Expected a list of images, each as {{"b64": "..."}}: {_FORMS}.')
    return [_decode(value, place) for place, value in enumerate(values)], is_by_row


def _decode(value, place):
    if isinstance(value, dict) and value.keys() == {IMAGES}:
        value = value[IMAGES]
    if not isinstance(value, dict) or value.keys() != {"b64"}:
        raise RequestError(
            400, f'Image {place} is {value!r:.40}. Expected {{"b64": "..."}}: {_FORMS}.'
        )
    return decode_base64(value["b64"], f"b64 of image {place}")


def _tensor(name, datatype):
    shape = {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    return {"dtype": datatype, "tensor_shape": shape, "name": f"{_SIGNATURE}_{name}:0"}


_FORMS = f'{{"instances": [{{"b64": "..."}}]}} or {{"inputs": {{"{IMAGES}": [{{"b64": "..."}}]}}}}'
_PREDICT = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": {"instances": [{"b64": "an encoded image in base64"}]},
            }
        },
    }
}
