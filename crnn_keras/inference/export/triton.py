"""Exports a model repository for NVIDIA Triton: image bytes in, text and confidence out."""

from __future__ import annotations

import os
import pathlib
import re
import shutil

from crnn_keras.inference.export.onnx import export_onnx
from crnn_keras.inference.shipped import find_file, shipped_files
from crnn_keras.utils import files
from crnn_keras.utils.checks import COUNT, check_arguments

# What Triton takes for the name of a model, which is that of its folder.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_ADVICE = "Expected the path of a .keras or an .onnx file."

_CONFIG = """\
name: "{name}"
backend: "python"
max_batch_size: 64
input [
  {{ name: "image_bytes" data_type: TYPE_STRING dims: [ 1 ] }}
]
output [
  {{ name: "text" data_type: TYPE_STRING dims: [ 1 ] }},
  {{ name: "confidence" data_type: TYPE_FP32 dims: [ 1 ] }},
  {{ name: "error" data_type: TYPE_STRING dims: [ 1 ] }}
]
dynamic_batching {{ max_queue_delay_microseconds: 5000 }}
instance_group [ {{ kind: KIND_CPU count: {instances} }} ]
"""

_MODEL = '''\
"""Reads images in Triton, on ONNX Runtime: `pip install crnn_keras` where Triton runs."""

import pathlib

import numpy as np
import triton_python_backend_utils as pb_utils

from crnn_keras import OnnxRecognizer
from crnn_keras.serving.images import ImageReader, Options, make_columns
from crnn_keras.serving.limits import Limits

TYPES = {"text": np.object_, "confidence": np.float32, "error": np.object_}


class TritonPythonModel:
    """Reads the images of all requests of a batch at once."""

    def initialize(self, args):
        folder = pathlib.Path(args["model_repository"], args["model_version"])
        recognizer = OnnxRecognizer.load(folder / "model.onnx", cores=1)
        self.reader = ImageReader(recognizer, Limits())

    def execute(self, requests):
        inputs = [
            pb_utils.get_input_tensor_by_name(request, "image_bytes").as_numpy()
            for request in requests
        ]
        images = [bytes(image) for own in inputs for image in own.ravel()]
        # Triton does not say which images came together: each request counts from 0.
        names = [f"image {place}" for own in inputs for place in range(own.size)]
        outcomes = self.reader.read(images, names, Options())
        responses, start = [], 0
        for own in inputs:
            columns = make_columns(outcomes[start : start + own.size])
            start += own.size
            responses.append(pb_utils.InferenceResponse(make_tensors(columns, own.shape)))
        return responses


def make_tensors(columns, shape):
    tensors = []
    for name, values in columns.items():
        if TYPES[name] is np.object_:
            values = [value.encode() for value in values]
        array = np.array(values, TYPES[name]).reshape(shape)
        tensors.append(pb_utils.Tensor(name, array))
    return tensors
'''


@check_arguments(version=COUNT, instances=COUNT)
def export_triton(
    model_path: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    version: int = 1,
    instances: int = 2,
) -> pathlib.Path:
    """Writes a model into a model repository of NVIDIA Triton.

    `folder` has `config.pbtxt`, and for each version `model.py` for Triton's Python backend and
    `model.onnx`. The folder above it is the repository. Triton's Python needs `crnn_keras`, without
    extras.

    The input `image_bytes` is BYTES of shape `[images, 1]`, encoded images of any sizes; the
    outputs of that shape are `text` and `error`, BYTES in UTF-8, and `confidence`, FP32. They are
    those of `crnn-keras serve` and of a SavedModel: an image that cannot be read has an empty text
    and an error, and the others are read.

    Args:
        model_path: Path of a `.keras` or an `.onnx` file, or the name of a shipped model.
        folder: Folder of the model; its name is the model's name.
        version: Version of the model. An existing version is replaced when the new one is
            complete. Defaults to `1`.
        instances: Processes that Triton reads with, one core each. Defaults to `2`.

    Returns:
        Path of the version's folder.

    Raises:
        ValueError: There is no such model, it is damaged, or Triton takes no such name.
        LockedError: Another process exports this version. It is an OSError.
        RuntimeError: A `.keras` file could not be exported to ONNX.

    Example:

        >>> from crnn_keras.inference.export import export_triton
        >>> export_triton("words", "repository/words").as_posix()
        'repository/words/1'
    """
    folder = pathlib.Path(folder)
    if not _NAME.fullmatch(folder.name):
        raise ValueError(
            f"{folder.name!r:.80} is no name of a model for Triton. Expected a folder whose name "
            "has letters of ASCII, digits, and _ . - only, such as repository/words."
        )
    # A shipped model has both files; the .onnx one needs no Keras.
    path = find_file(model_path, shipped_files(".onnx"), advice=_ADVICE)
    final = folder / str(version)
    with files.new_folder(final) as temporary:
        onnx = temporary / "model.onnx"
        if path.suffix == ".keras":
            export_onnx(path, onnx)
        else:
            _check(path)
            shutil.copyfile(path, onnx)
        (temporary / "model.py").write_text(_MODEL, encoding="utf-8")
    config = _CONFIG.format(name=folder.name, instances=instances)
    files.write_atomic(folder / "config.pbtxt", config.encode())
    return final


def _check(path):
    """Raises a ValueError unless a file holds a reader."""
    # Not at the top: a front door that exports needs no ONNX Runtime.
    from crnn_keras.inference.onnx_recognizer import OnnxRecognizer

    OnnxRecognizer.load(path, cores=1)
