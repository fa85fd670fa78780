"""Exports one ONNX file: canvases in, logits out, with char dict, canvas and calibration inside."""

from __future__ import annotations

import os
import pathlib

from crnn_keras.inference.export.agreement import check_agreement, to_float32
from crnn_keras.inference.export.process import export_in_process, find_model
from crnn_keras.utils import files
from crnn_keras.utils.checks import OneOf, check_arguments
from crnn_keras.utils.locks import lock

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

    from crnn_keras.inference.export import onnx_graph
    from crnn_keras.inference.metadata import make_metadata
    from crnn_keras.inference.onnx_file import INPUT, METADATA, OUTPUT
    from crnn_keras.inference.onnx_recognizer import OnnxRecognizer
    from crnn_keras.inference.recognizer import Recognizer

    recognizer = Recognizer(to_float32(Recognizer.load(model_path).model))
    canvas = recognizer.canvas
    width = canvas.widths[0] if len(canvas.widths) == 1 else None
    shape = (None, canvas.height, width, 1)
    signature = [keras.InputSpec(shape=shape, dtype="uint8", name=INPUT)]
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.exported")
    options = {"input_signature": signature, "opset_version": OPSET, "verbose": False}
    try:
        recognizer.model.export(temporary, format="onnx", **options)
        exported = onnx.load(temporary)
    finally:
        temporary.unlink(missing_ok=True)
    onnx_graph.rename_io(exported.graph, OUTPUT)
    onnx_graph.shrink_weights(exported.graph, weights)
    entry = exported.metadata_props.add()
    entry.key, entry.value = METADATA, make_metadata(recognizer)
    onnx.checker.check_model(exported)
    content = exported.SerializeToString()
    difference = check_agreement(
        OnnxRecognizer(content, str(path)), recognizer, tolerance=TOLERANCES[weights]
    )
    files.write_atomic(path, content)
    return difference
