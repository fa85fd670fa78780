"""Exports a SavedModel: image bytes in, text and confidence out."""

from __future__ import annotations

import logging
import os
import pathlib

from crnn_keras.inference.export.process import export_in_process, find_model
from crnn_keras.utils import files
from crnn_keras.utils.checks import NATURAL, Number, check_arguments
from crnn_keras.utils.limits import MAX_PIXELS, MAX_SERVED_PIXELS

# What the process of the export prints where it leaves a language model out.
WITHOUT_LANGUAGE_MODEL = "without the language model"

_logger = logging.getLogger(__name__)


@check_arguments(version=NATURAL, max_pixels=Number(1, MAX_PIXELS, is_whole=True))
def export_saved_model(
    model_path: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    version: int = 1,
    max_pixels: int = MAX_SERVED_PIXELS,
) -> pathlib.Path:
    """Writes a SavedModel in the layout of TensorFlow Serving: `folder/version/saved_model.pb`.

    Its signature `serving_default` takes `image_bytes`, a string tensor of shape `(images,)`:
    encoded images of any sizes, each a jpeg, a png, or a bmp of 1, 4, 8, 24 or 32 bits without
    compression. It returns three tensors of shape `(images,)`:

    - `text`, strings in UTF-8;
    - `confidence`, float32, calibrated if the model has a calibration;
    - `error`, strings: empty, or why this image could not be read. Then its text is empty and its
      confidence 0. The other images of the batch are not affected.

    An image is read as by `Recognizer`: upright, on paper where it is transparent. The language
    model of a reader is not used: texts and confidences are those of
    `Recognizer.read(images, language_model=None)`. A line in the log says so.

    Args:
        model_path: Path of a `.keras` file, or the name of a shipped model.
        folder: Folder of the served model; its name is the model's name.
        version: Version of the model. An existing version is replaced in one step when the new one
            is complete. Defaults to `1`.
        max_pixels: Pixels that a served image may have; a larger one is an error. Defaults to
            4,000,000.

    Returns:
        Path of the version's folder.

    Raises:
        ValueError: The file does not exist or holds no model of crnn_keras, or its char dict has a
            visual direction, which needs Python; or an argument is out of range.
        ModuleNotFoundError: A package of the extra `export` is missing.
        LockedError: Another process exports this version. It is an OSError.
        RuntimeError: The export failed; the message ends with what its process printed.

    Example:

        >>> from crnn_keras import export_saved_model
        >>> export_saved_model("words", "words_model").as_posix()
        'words_model/1'
    """
    find_model(model_path)
    final = pathlib.Path(folder) / str(version)
    # TensorFlow Serving takes whole numbers for versions, and no other names.
    with files.new_folder(final) as temporary:
        said = export_in_process("saved_model", model_path, temporary, max_pixels)
    if said == WITHOUT_LANGUAGE_MODEL:
        _logger.warning(
            "%s reads without the language model of %s, as read(images, language_model=None). "
            "Export to ONNX to read with it.",
            final,
            model_path,
        )
    return final
