"""Exports an OpenVINO model: canvases in, logits out, with char dict and canvas inside."""

from __future__ import annotations

import os
import pathlib
import tempfile

from crnn_keras.inference.export.agreement import check_agreement
from crnn_keras.inference.export.onnx import TOLERANCES, export_onnx
from crnn_keras.inference.export.process import find_model
from crnn_keras.utils import files
from crnn_keras.utils.checks import OneOf, check_arguments
from crnn_keras.utils.extras import naming_extras
from crnn_keras.utils.locks import lock

_WEIGHTS = ("float32", "float16")


@check_arguments(weights=OneOf(_WEIGHTS))
@naming_extras("export_openvino")
def export_openvino(
    model_path: str | os.PathLike, path: str | os.PathLike, *, weights: str = "float32"
) -> float:
    """Writes a model as an OpenVINO model, for `OpenVinoRecognizer` and other programs.

    There are two files, the network in `path` and its weights beside it in a `.bin` file. Input,
    output and metadata are those of `export_onnx`; the metadata is in the runtime information under
    `crnn_keras`.

    Args:
        model_path: Path of a `.keras` file, or the name of a shipped model.
        path: File to write; the name ends in `.xml`.
        weights: Type of the stored weights: `"float32"`, or `"float16"`, half the size. The model
            computes in float32 with both. Defaults to `"float32"`.

    Returns:
        The largest difference between the logits of the file and of the ONNX model it is made of,
        on a few canvases of each width.

    Raises:
        ValueError: The name has another end, the file holds no model of crnn_keras, `weights` is
            unknown, or the logits differ by more than 1e-4 (0.1 with `"float16"`).
        ModuleNotFoundError: A package of the extra `export` is missing.
        LockedError: Another process exports to this file. It is an OSError.
        RuntimeError: The export failed; the message ends with what its process printed.

    Example:

        >>> from crnn_keras.inference import export_openvino
        >>> export_openvino("words", "words.xml", weights="float16") < 0.1
        True
    """
    import openvino

    from crnn_keras.inference.metadata import make_metadata
    from crnn_keras.inference.onnx_file import METADATA
    from crnn_keras.inference.onnx_recognizer import OnnxRecognizer
    from crnn_keras.inference.openvino_recognizer import OpenVinoRecognizer

    path = pathlib.Path(path)
    if path.suffix != ".xml":
        raise ValueError(f"{path} does not end in .xml. Expected a name such as model.xml.")
    find_model(model_path)
    with lock(path, "the OpenVINO model"), tempfile.TemporaryDirectory() as folder:
        onnx, made = pathlib.Path(folder, "model.onnx"), pathlib.Path(folder, "model.xml")
        export_onnx(model_path, onnx)
        recognizer = OnnxRecognizer.load(onnx)
        model = openvino.Core().read_model(onnx)
        model.set_rt_info(make_metadata(recognizer), METADATA)
        openvino.save_model(model, made, compress_to_fp16=weights == "float16")
        difference = check_agreement(
            OpenVinoRecognizer(made), recognizer, tolerance=TOLERANCES[weights]
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        # The weights first: a network without them is no model.
        for suffix in (".bin", ".xml"):
            files.write_atomic(path.with_suffix(suffix), made.with_suffix(suffix).read_bytes())
    return difference
