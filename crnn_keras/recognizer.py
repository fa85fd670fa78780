"""A saved reader put to use: pictures in, readings out."""

import json
import pathlib
import zipfile
from dataclasses import dataclass

import keras
import numpy as np

from crnn_keras import images
from crnn_keras.decode import best_path
from crnn_keras.model import CRNN

# Readers that come with the package.
SHIPPED = {"words": pathlib.Path(__file__).parent / "readers" / "words.keras"}
# A reader is a few tens of megabytes; a file that unpacks to more is no reader.
_MAX_UNPACKED_BYTES = 2**30


@dataclass(frozen=True)
class Reading:
    """What was read from one picture.

    Args:
        text: the text; None if the picture could not be read.
        confidence: from 0 to 1, see `decode.Decoded`; 0 if the picture could not be read.
        source: path of the picture, where its label stands, or its position among those given.
        error: why the picture could not be read; None if it was.
        spans: see `decode.Decoded`.
    """

    text: str | None
    confidence: float
    source: str
    error: str | None = None
    spans: tuple = ()


class Recognizer:
    """Reads pictures with a `CRNN`.

    Args:
        model: a `CRNN`.

    Example:

        >>> recognizer = Recognizer.load("words")
        >>> recognizer.read(["street.png", "door.jpg"])
        [Reading(text='exit', ...), Reading(text='push', ...)]
    """

    def __init__(self, model):
        self.model = model
        self.char_dict = model.char_dict
        self.canvas = model.canvas

    @classmethod
    def load(cls, path):
        """Loads a reader.

        Args:
            path: a `.keras` file that `train` wrote, or the name of a shipped reader (`"words"`).

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
        """The network's output for canvases of one width.

        Args:
            canvases: uint8 array `(batch, height, width, 1)`.

        Returns:
            float32 array `(batch, width / 4, classes)`, not normalised.
        """
        # Few sizes of batches: each size is compiled once on JAX.
        size = 1 << (len(canvases) - 1).bit_length()
        padded = np.concatenate([canvases, np.repeat(canvases[:1], size - len(canvases), axis=0)])
        return self.model.predict_on_batch(padded)[: len(canvases)]

    def read(self, pictures, batch_size=64):
        """Reads pictures of any sizes.

        Args:
            pictures: a folder, whose files are read in the order of their names; or a list of
                paths, bytes of encoded images, Pillow images, uint8 arrays, open files and
                `samples.Sample`s; or one of these.
            batch_size: pictures that go through the network at once.

        Returns:
            List of `Reading`s, one for each picture, in order. A picture that cannot be read
            gives a reading with an error; the others are read all the same. How a picture is
            read does not depend on its neighbours.
        """
        sources, names = _list_pictures(pictures)
        readings, waiting = [None] * len(sources), {width: [] for width in self.canvas.widths}
        for position, (source, name) in enumerate(zip(sources, names, strict=True)):
            try:
                canvas = images.to_canvas(source, self.canvas)
            except images.ImageError as error:
                readings[position] = Reading(None, 0.0, name, error=str(error))
                continue
            queue = waiting[canvas.shape[1]]
            queue.append((position, canvas))
            if len(queue) == batch_size:
                self._read_queue(queue, names, readings)
        for queue in waiting.values():
            self._read_queue(queue, names, readings)
        return readings

    def _read_queue(self, queue, names, readings):
        if not queue:
            return
        logits = self.logits(np.stack([canvas for _, canvas in queue]))
        frames = [logits.shape[1]] * len(queue)
        for (position, _), read in zip(
            queue, best_path(logits, frames, self.char_dict), strict=True
        ):
            name = names[position]
            readings[position] = Reading(read.text, read.confidence, name, spans=read.spans)
        queue.clear()


def _list_pictures(pictures):
    """The pictures as a list, and a name for each."""
    if isinstance(pictures, str | pathlib.Path) and pathlib.Path(pictures).is_dir():
        paths = sorted(p for p in pathlib.Path(pictures).iterdir() if p.is_file())
        return paths, [str(path) for path in paths]
    if not isinstance(pictures, list | tuple):
        pictures = [pictures]
    return pictures, [_name(picture, position) for position, picture in enumerate(pictures)]


def _name(picture, position):
    if isinstance(picture, str | pathlib.Path):
        return str(picture)
    return getattr(picture, "where", f"#{position}")


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
