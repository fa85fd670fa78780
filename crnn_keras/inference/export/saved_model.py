"""Exports a SavedModel: image bytes in, text and confidence out."""

from __future__ import annotations

import os
import pathlib

from crnn_keras.inference.export.process import export_in_process


def export_saved_model(
    model_path: str | os.PathLike, folder: str | os.PathLike, *, version: int = 1
) -> pathlib.Path:
    """Writes a SavedModel in the layout of TensorFlow Serving: `folder/version/saved_model.pb`.

    Its signature `serving_default` takes `image_bytes`, a string tensor of shape `(images,)`:
    encoded jpeg, png or bmp images of any sizes. It returns `text`, a string tensor of shape
    `(images,)` in UTF-8, and `confidence`, a float32 tensor of shape `(images,)`, calibrated if the
    model has a calibration. An image is read as by `Recognizer`. A single image that cannot be
    decoded fails the call with InvalidArgument.

    Args:
        model_path: Path of a `.keras` file, or the name of a shipped model.
        folder: Folder of the served model; its name is the model's name.
        version: Version of the model. An existing version is replaced. Defaults to `1`.

    Returns:
        Path of the version's folder.

    Raises:
        ValueError: The file does not exist or holds no model of crnn_keras.
        RuntimeError: The export failed; the message ends with what its process printed.

    Example:

        >>> from crnn_keras import export_saved_model
        >>> export_saved_model("words", "words_model").as_posix()
        'words_model/1'
    """
    return pathlib.Path(export_in_process("saved_model", model_path, folder, version))
