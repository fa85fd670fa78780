"""A saved reader put to use: images in, readings out."""

import json
import pathlib
import zipfile

import keras
import numpy as np

from crnn_keras.inference.base import BaseRecognizer, shipped_files
from crnn_keras.model.crnn import CRNN

SHIPPED = shipped_files(".keras")
# A reader is a few tens of megabytes; a file that unpacks to more is no reader.
_MAX_UNPACKED_BYTES = 2**30


class Recognizer(BaseRecognizer):
    """Reads images with a `CRNN`; see `reading.BaseRecognizer` for `read` and `stream`.

    Args:
        model: a `CRNN`.

    Example:

        >>> recognizer = Recognizer.load("words")
        >>> recognizer.read(["street.png", "door.jpg"])
        [Prediction(text='exit', ...), Prediction(text='push', ...)]
    """

    def __init__(self, model):
        self.model = model
        super().__init__(model.char_dict, model.canvas, model.calibration)

    @property
    def calibration(self):
        """The model's: what is set here is saved with the model, see `train.save_model`."""
        return self.model.calibration

    @calibration.setter
    def calibration(self, calibration):
        self.model.calibration = calibration

    @classmethod
    def load(cls, path):
        """Loads a reader.

        Args:
            path: a `.keras` file that `train` wrote, or the name of a shipped reader: `"words"`
                (letters and digits, in lower case) or `"ascii"` (capitals and marks too).

        Returns:
            `Recognizer`.

        Raises:
            ValueError: there is no such file, or it is not a reader of crnn_keras. Nothing in the
                file is executed.
        """
        path = pathlib.Path(SHIPPED.get(str(path), path))
        _refuse_foreign(path)
        try:
            model = keras.models.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises whatever its parts raise on damaged files.
            raise ValueError(f"{path} cannot be loaded, it is damaged: {error}") from error
        return cls(model)

    def logits(self, canvases):
        # Few sizes of batches: each size is compiled once on JAX.
        size = 1 << (len(canvases) - 1).bit_length()
        padded = np.concatenate([canvases, np.repeat(canvases[:1], size - len(canvases), axis=0)])
        return self.model.predict_on_batch(padded)[: len(canvases)]


def _refuse_foreign(path):
    """Looks into a `.keras` file, without loading it, for what `CRNN` saves."""
    if not path.is_file():
        shipped = ", ".join(SHIPPED)
        raise ValueError(f"{path} does not exist. Expected a .keras file or one of: {shipped}.")
    advice = "Expected a reader that notebook 04 of crnn_keras saved."
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > _MAX_UNPACKED_BYTES:
                raise ValueError(f"{path} would unpack to {unpacked:,} bytes. {advice}")
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, OSError, json.JSONDecodeError):
        raise ValueError(f"{path} is no .keras file, or a damaged one. {advice}") from None
    found = config.get("registered_name")
    expected = keras.saving.get_registered_name(CRNN)
    if found != expected:
        name = config.get("class_name")
        raise ValueError(f"{path} holds a {name} of another program, not a CRNN. {advice}")
