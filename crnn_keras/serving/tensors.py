"""Tensors of the Open Inference Protocol, in JSON and in binary.

A body is JSON, or JSON and then the content of the tensors; then the header
`Inference-Header-Content-Length` says where the JSON ends. Each element of a `BYTES` tensor is its
length in four bytes, little-endian, and its bytes. In JSON, an encoded image is a text in base64.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from crnn_keras.serving.errors import RequestError

IMAGES = "image_bytes"
# Name and datatype of each output, as those of a SavedModel of this project.
OUTPUTS = {"text": "BYTES", "confidence": "FP32", "error": "BYTES"}
_INPUT = f"one input {IMAGES!r} of the datatype 'BYTES' and the shape [images] or [images, 1]"


@dataclass(frozen=True)
class InferRequest:
    """A request to infer.

    Args:
        images: Bytes of the encoded images.
        shape: Shape of the input, and of each output.
        id: What the answer repeats; None if there is none.
        outputs: Names of the outputs to answer with, and whether in binary.
    """

    images: list[bytes]
    shape: list[int]
    id: str | None
    outputs: dict[str, bool]


def parse_request(body: bytes, header_length: int | None) -> InferRequest:
    """Parses the body of a request.

    Args:
        body: The body.
        header_length: Length of its JSON, if tensors follow; otherwise None.

    Raises:
        RequestError: The body is no such request (400); it says where.
    """
    if header_length is not None and not 0 <= header_length <= len(body):
        raise RequestError(
            400,
            f"Inference-Header-Content-Length is {header_length:,}, and the body has "
            f"{len(body):,} bytes. Expected the length of its JSON.",
        )
    end = len(body) if header_length is None else header_length
    content = parse_json(body[:end])
    tensor = _find_input(content)
    shape = _check_shape(tensor.get("shape"))
    size = _parameter(tensor, "binary_data_size", None)
    if size is None:
        images = _decode_data(tensor.get("data"))
        if end < len(body):
            raise RequestError(400, f"{len(body) - end:,} bytes follow, of no tensor.")
    else:
        images = _decode_binary(body[end:], size)
    if len(images) != math.prod(shape):
        raise RequestError(400, f"{IMAGES} has {len(images)} elements, and its shape is {shape}.")
    identifier = content.get("id")
    if identifier is not None and not isinstance(identifier, str):
        raise RequestError(400, f"id is {identifier!r:.80}. Expected a text.")
    return InferRequest(images, shape, identifier, _find_outputs(content))


def parse_json(body: bytes) -> dict[str, Any]:
    """Parses an object of JSON.

    Args:
        body: Its bytes.

    Raises:
        RequestError: It is none (400).
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"The body is no JSON: {error!s:.200}") from None
    if not isinstance(content, dict):
        raise RequestError(400, "The body is no object of JSON.")
    return content


def encode_answer(
    head: dict[str, Any], request: InferRequest, columns: dict[str, Sequence[str | float]]
) -> tuple[bytes, int | None]:
    """Encodes the answer to a request.

    Args:
        head: What stands before the outputs, such as the model's name.
        request: The request.
        columns: The values of each output.

    Returns:
        Tuple of the body, and the length of its JSON if tensors follow; otherwise None.
    """
    outputs, contents = [], []
    for name, is_binary in request.outputs.items():
        output = {"name": name, "datatype": OUTPUTS[name], "shape": request.shape}
        if is_binary:
            contents.append(_encode_binary(columns[name], OUTPUTS[name]))
            output["parameters"] = {"binary_data_size": len(contents[-1])}
        else:
            output["data"] = list(columns[name])
        outputs.append(output)
    if request.id is not None:
        head = head | {"id": request.id}
    text = json.dumps(head | {"outputs": outputs}).encode()
    return b"".join([text, *contents]), len(text) if contents else None


def decode_base64(value: object, where: str) -> bytes:
    """Decodes an image of JSON.

    Args:
        value: A text in base64.
        where: What the error calls it.

    Raises:
        RequestError: It is none (400).
    """
    try:
        if isinstance(value, str):
            return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise RequestError(400, f"{where} is {value!r:.40}. Expected an encoded image in base64.")


def _find_input(content):
    inputs = content.get("inputs")
    is_one = isinstance(inputs, list) and len(inputs) == 1 and isinstance(inputs[0], dict)
    if not is_one or inputs[0].get("name") != IMAGES or inputs[0].get("datatype") != "BYTES":
        names = [
            f"{own.get('name')!r:.40} of {own.get('datatype')!r:.20}"
            for own in (inputs if isinstance(inputs, list) else [])[:3]
            if isinstance(own, dict)
        ]
        raise RequestError(400, f"Got the inputs [{', '.join(names)}]. Expected {_INPUT}.")
    return inputs[0]


def _check_shape(shape):
    is_shape = (
        isinstance(shape, list)
        and len(shape) in (1, 2)
        and all(type(size) is int and size >= 0 for size in shape)
        and shape[1:] in ([], [1])
    )
    if not is_shape:
        raise RequestError(400, f"The shape is {shape!r:.80}. Expected {_INPUT}.")
    return shape


def _decode_data(data):
    if not isinstance(data, list):
        raise RequestError(
            400, f"{IMAGES} has no data. Expected a list of images in base64, or binary data."
        )
    if data and all(isinstance(row, list) and len(row) == 1 for row in data):
        data = [row[0] for row in data]
    return [decode_base64(value, f"{IMAGES}[{place}]") for place, value in enumerate(data)]


def _decode_binary(content, size):
    if type(size) is not int or size != len(content):
        raise RequestError(
            400, f"binary_data_size is {size!r:.40}, and {len(content):,} bytes follow the JSON."
        )
    return list(_split_elements(content))


def _split_elements(content: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(content):
        head = content[start : start + 4]
        length = struct.unpack("<I", head)[0] if len(head) == 4 else None
        start += 4
        if length is None or start + length > len(content):
            raise RequestError(400, f"{IMAGES} is cut short: an element ends after the body.")
        yield content[start : start + length]
        start += length


def _find_outputs(content):
    default = bool(_parameter(content, "binary_data_output", False))
    asked = content.get("outputs") or [{"name": name} for name in OUTPUTS]
    if not isinstance(asked, list) or not all(isinstance(own, dict) for own in asked):
        raise RequestError(400, "outputs is no list of objects.")
    found = {}
    for own in asked:
        name = own.get("name")
        if not isinstance(name, str) or name not in OUTPUTS:
            raise RequestError(
                400, f"There is no output {name!r:.40}. Expected {', '.join(OUTPUTS)}."
            )
        if _parameter(own, "classification", 0):
            raise RequestError(400, "The outputs have no classes to sort (classification).")
        found[name] = bool(_parameter(own, "binary_data", default))
    return found


def _parameter(owner, name, default):
    parameters = owner.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise RequestError(400, "parameters is no object.")
    return parameters.get(name, default)


def _encode_binary(values, datatype):
    if datatype == "FP32":
        return struct.pack(f"<{len(values)}f", *values)
    encoded = [value.encode() for value in values]
    return b"".join(part for own in encoded for part in (struct.pack("<I", len(own)), own))
