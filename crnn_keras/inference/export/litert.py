"""Exports a LiteRT model: one canvas in, logits out, with char dict and canvas inside."""

from __future__ import annotations

import io
import os
import pathlib
import tempfile
import zipfile

from crnn_keras.inference.export.agreement import check_agreement, to_float32
from crnn_keras.inference.export.process import export_in_process, find_model
from crnn_keras.utils import files
from crnn_keras.utils.checks import OneOf, check_arguments
from crnn_keras.utils.locks import lock

# How far the two models' logits may be apart. In int8 LiteRT computes with activations of 8 bits
# too, on a scale that it finds anew for each image.
_TOLERANCES = {"float32": 1e-4, "float16": 0.1, "int8": 5.0}


@check_arguments(weights=OneOf(tuple(_TOLERANCES)))
def export_litert(
    model_path: str | os.PathLike, path: str | os.PathLike, *, weights: str = "float32"
) -> float:
    """Writes a model as a LiteRT (TensorFlow Lite) model, for phones and small computers.

    It has built-in operators only. For each width of the canvas there is a signature, such as
    `width_128`: its input `canvases` is uint8 of shape `(1, canvas height, width, 1)`, and its
    output `logits` is float32 of shape `(1, width / 4, num_classes)`. A zip archive at the end of
    the file, as LiteRT's own tools append one, has the metadata of `export_onnx` in
    `crnn_keras.json`.

    Args:
        model_path: Path of a `.keras` file, or the name of a shipped model.
        path: File to write, such as `words.tflite`. An earlier file of this name is replaced only
            when the new one is complete.
        weights: Type of the stored weights: `"float32"`; `"float16"`, half the size; or `"int8"`,
            a quarter of the size and faster. The model computes in float32 with the first two.
            With `"int8"` it multiplies whole numbers, and its logits are less exact: measure it on
            labelled images, see `compare_exports`. Defaults to `"float32"`.

    Returns:
        The largest difference between the logits of the file and of the model, on a few canvases
        of each width.

    Raises:
        ValueError: The file holds no model of crnn_keras, `weights` is unknown, or the logits
            differ by more than 1e-4 (0.1 with `"float16"`, 5 with `"int8"`).
        ModuleNotFoundError: A package of the extra `export` is missing.
        LockedError: Another process exports to this file. It is an OSError.
        RuntimeError: The export failed; the message ends with what its process printed.

    Example:

        >>> from crnn_keras.inference import export_litert
        >>> export_litert("words", "words.tflite") < 1e-4
        True
    """
    find_model(model_path)
    with lock(path, "the LiteRT model"):
        return float(export_in_process("litert", model_path, path, weights))


def write_litert(model_path: str, path: str, weights: str) -> float:
    """Writes a LiteRT model; see `export_litert`, which runs it in its process."""
    import keras
    import tensorflow as tf

    from crnn_keras.inference.litert_recognizer import (
        METADATA_FILE,
        LiteRTRecognizer,
        name_signature,
    )
    from crnn_keras.inference.metadata import make_metadata
    from crnn_keras.inference.onnx_file import INPUT, OUTPUT
    from crnn_keras.inference.recognizer import Recognizer

    recognizer = Recognizer(to_float32(Recognizer.load(model_path).model))
    model, canvas = recognizer.model, recognizer.canvas

    def predict(canvases):
        return {OUTPUT: model(canvases, training=False)}

    archive = keras.export.ExportArchive()
    archive.track(model)
    names = [name_signature(width) for width in canvas.widths]
    for name, width in zip(names, canvas.widths, strict=True):
        # One canvas: a batch of any size would need operators that LiteRT lacks.
        signature = tf.TensorSpec((1, canvas.height, width, 1), tf.uint8, name=INPUT)
        archive.add_endpoint(name, predict, input_signature=[signature])
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=names)
        if weights != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if weights == "float16":
            converter.target_spec.supported_types = [tf.float16]
        converted = io.BytesIO(converter.convert())
    with zipfile.ZipFile(converted, "a", zipfile.ZIP_DEFLATED) as inside:
        inside.writestr(METADATA_FILE, make_metadata(recognizer))
    content = converted.getvalue()
    exported = LiteRTRecognizer(content, path)
    difference = check_agreement(exported, recognizer, tolerance=_TOLERANCES[weights])
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    files.write_atomic(path, content)
    return difference
