"""Exports one ONNX file: canvases in, logits out, with char dict, canvas and calibration inside."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING

import numpy as np

from crnn_keras.inference.export.process import export_in_process, find_model
from crnn_keras.utils import files
from crnn_keras.utils.checks import OneOf, check_arguments
from crnn_keras.utils.locks import lock

if TYPE_CHECKING:
    from crnn_keras.inference.base import BaseRecognizer
    from crnn_keras.model.crnn import CRNN

# Later ones were measured and are no faster on ONNX Runtime; older runtimes take this one.
OPSET = 15
# How far the two models' logits may be apart. In float32 it is a thousandth of what changes a
# prediction, otherwise what rounding to 11 and to 8 bits adds up to.
TOLERANCES = {"float32": 1e-4, "float16": 0.1, "int8": 1.0}


@check_arguments(weights=OneOf(tuple(TOLERANCES)))
def export_onnx(
    model_path: str | os.PathLike, path: str | os.PathLike, *, weights: str = "float32"
) -> float:
    """Writes a model as one ONNX file, for `OnnxRecognizer` and for other runtimes.

    Its input `canvases` is uint8 of shape `(batch, canvas height, width, 1)`, for any batch and, in
    the canvas mode `"keep"`, for any width. Its output `logits` is float32 of shape
    `(batch, width / 4, num_classes)`. The metadata under `crnn_keras` is JSON with the char dict,
    the canvas and, if there are, calibration and language model. The file is compared with the
    model before it appears under its name. A model in mixed precision is exported, and compared, in
    float32.

    Args:
        model_path: Path of a `.keras` file, or the name of a shipped model.
        path: File to write. An earlier file of this name is replaced only when the new one is
            complete.
        weights: Type of the stored weights: `"float32"`; `"float16"`, half the size; or `"int8"`,
            a quarter of the size, with a scale for each unit. The file computes in float32 and is
            equally fast with each. Defaults to `"float32"`.

    Returns:
        The largest difference between the logits of the file and of the model, on a few canvases
        of each width.

    Raises:
        ValueError: The file holds no model of crnn_keras, `weights` is unknown, or the logits
            differ by more than 1e-4 (0.1 with `"float16"`, 1.0 with `"int8"`).
        ModuleNotFoundError: A package of the extra `export` is missing.
        LockedError: Another process exports to this file. It is an OSError.
        RuntimeError: The export failed; the message ends with what its process printed.

    Example:

        >>> from crnn_keras import export_onnx
        >>> export_onnx("words", "words.onnx") < 1e-4
        True
    """
    find_model(model_path)
    with lock(path, "the ONNX file"):
        return float(export_in_process("onnx", model_path, path, weights))


def write_onnx(model_path: str, path: str, weights: str) -> float:
    """Writes an ONNX file; see `export_onnx`, which runs it in its process."""
    import keras
    import onnx
    import tf2onnx  # noqa: F401

    from crnn_keras.inference import onnx_recognizer
    from crnn_keras.inference.export import onnx_graph
    from crnn_keras.inference.recognizer import Recognizer

    recognizer = Recognizer(_to_float32(Recognizer.load(model_path).model))
    canvas = recognizer.canvas
    width = canvas.widths[0] if len(canvas.widths) == 1 else None
    shape = (None, canvas.height, width, 1)
    signature = [keras.InputSpec(shape=shape, dtype="uint8", name=onnx_recognizer.INPUT)]
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.exported")
    options = {"input_signature": signature, "opset_version": OPSET, "verbose": False}
    try:
        recognizer.model.export(temporary, format="onnx", **options)
        exported = onnx.load(temporary)
    finally:
        temporary.unlink(missing_ok=True)
    onnx_graph.rename_io(exported.graph, onnx_recognizer.OUTPUT)
    onnx_graph.shrink_weights(exported.graph, weights)
    entry = exported.metadata_props.add()
    entry.key, entry.value = (
        onnx_recognizer.METADATA,
        onnx_recognizer.make_metadata(recognizer),
    )
    onnx.checker.check_model(exported)
    content = exported.SerializeToString()
    difference = _largest_difference(recognizer, onnx_recognizer.OnnxRecognizer(content, str(path)))
    if not difference <= TOLERANCES[weights]:
        raise ValueError(
            f"The logits of {path} would differ from those of {model_path} by {difference:.1e}, "
            f"allowed are {TOLERANCES[weights]:.0e}: nothing was written. Please report this with "
            "the model."
        )
    files.write_atomic(path, content)
    return difference


def _to_float32(model: CRNN) -> CRNN:
    """Returns a model with the same weights that computes in float32, as tf2onnx requires."""
    if model.dtype_policy.name == "float32":
        return model
    plain = type(model).from_config({**model.get_config(), "precision": "float32"})
    plain.set_weights(model.get_weights())
    return plain


def _largest_difference(recognizer: BaseRecognizer, exported: BaseRecognizer) -> float:
    """Compares logits on noise and on strokes, for each width of the canvas."""
    random = np.random.default_rng(0)
    height = recognizer.canvas.height
    largest = 0.0
    for width in recognizer.canvas.widths:
        noise = random.integers(0, 256, (4, height, width, 1))
        strokes = np.where(random.random((3, height, width // 4, 1)) < 0.3, 30, 220).repeat(4, 2)
        canvases = np.concatenate([noise, strokes]).astype(np.uint8)
        logits, expected = exported.predict_logits(canvases), recognizer.predict_logits(canvases)
        difference = float(np.abs(logits - expected).max())
        # Not max(): nan must not get lost.
        largest = difference if not difference <= largest else largest
    return largest
