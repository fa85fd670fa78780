"""Reads images with a saved Keras model."""

from __future__ import annotations

import json
import os
import pathlib
import zipfile

import keras
import numpy as np

from crnn_keras.inference.base import BaseRecognizer
from crnn_keras.inference.shipped import shipped_files
from crnn_keras.model.calibration import Calibration
from crnn_keras.model.crnn import CRNN
from crnn_keras.model.saving import save_model

SHIPPED = shipped_files(".keras")
# A model takes a few tens of megabytes; a file that unpacks to more is none.
_MAX_UNPACKED_BYTES = 2**30


class Recognizer(BaseRecognizer):
    """Reads images with a `CRNN`; see `BaseRecognizer` for `read` and `stream`.

    Args:
        model: A `CRNN`.

    Example:

        >>> from crnn_keras import Recognizer, render_word
        >>> from crnn_keras.synth import bundled_fonts
        >>> recognizer = Recognizer.load("words")
        >>> (prediction,) = recognizer.read(render_word("exit", bundled_fonts()[0], seed=1))
        >>> prediction.text
        'exit'
    """

    def __init__(self, model: CRNN):
        self.model = model
        super().__init__(model.char_dict, model.canvas, model.calibration)

    @property
    def calibration(self) -> Calibration | None:
        """Returns the calibration of the model. It is saved with the model, see `save`."""
        return self.model.calibration

    @calibration.setter
    def calibration(self, calibration: Calibration | None) -> None:
        self.model.calibration = calibration

    @classmethod
    def load(cls, path: str | os.PathLike) -> Recognizer:
        """Loads a model.

        Args:
            path: A `.keras` file that `train` or `save` wrote, or the name of a shipped model:
                `"words"` (letters and digits, in lower case) or `"ascii"` (capitals and punctuation
                too).

        Returns:
            `Recognizer`.

        Raises:
            ValueError: The file does not exist or holds no model of crnn_keras. Nothing in the
                file is executed.
        """
        path = pathlib.Path(SHIPPED.get(str(path), path))
        _check_file(path)
        try:
            model = keras.models.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises whatever its parts raise on damaged files.
            raise ValueError(f"{path} cannot be loaded, it is damaged: {error}") from error
        return cls(model)

    def save(self, path: str | os.PathLike) -> None:
        """Saves the model with its char dict, its canvas and its calibration.

        Args:
            path: File to write; the name ends in `.keras`. An earlier file of this name is replaced
                only when the new one is complete.

        Raises:
            OSError: The disk is full, or the file cannot be written for another reason.

        Example:

            >>> from crnn_keras import Calibration, Recognizer
            >>> recognizer = Recognizer.load("words")
            >>> recognizer.calibration = Calibration(slope=0.8, offset=-0.1)
            >>> recognizer.save("calibrated.keras")
        """
        save_model(self.model, path)

    def predict_logits(self, canvases: np.ndarray) -> np.ndarray:
        # Few sizes of batches: JAX compiles for each size once.
        size = 1 << (len(canvases) - 1).bit_length()
        padded = np.concatenate([canvases, np.repeat(canvases[:1], size - len(canvases), axis=0)])
        return self.model.predict_on_batch(padded)[: len(canvases)]


def _check_file(path: pathlib.Path) -> None:
    """Raises a ValueError unless a file holds a `CRNN`; reads its config without loading it."""
    if not path.is_file():
        shipped = ", ".join(SHIPPED)
        raise ValueError(f"{path} does not exist. Expected a .keras file or one of: {shipped}.")
    advice = "Expected a file that crnn_keras.train or Recognizer.save wrote."
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > _MAX_UNPACKED_BYTES:
                raise ValueError(f"{path} would unpack to {unpacked:,} bytes. {advice}")
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, OSError, json.JSONDecodeError):
        raise ValueError(f"{path} is not a .keras file, or it is damaged. {advice}") from None
    found = config.get("registered_name")
    expected = keras.saving.get_registered_name(CRNN)
    if found != expected:
        name = config.get("class_name")
        raise ValueError(f"{path} holds a {name} of another program, not a CRNN. {advice}")
