"""Images of strangers to texts, each with its own error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from crnn_keras.images import Canvas, ImageError, Placement, to_canvas_with_placement
from crnn_keras.images.source import open_image
from crnn_keras.inference.base import OWN, BaseRecognizer, Prediction
from crnn_keras.inference.loading import Window
from crnn_keras.model.decoding import Constraint, LanguageModel, Pattern
from crnn_keras.serving.limits import Limits

READ, UNREADABLE, TOO_LARGE = "read", "unreadable", "too_large"
_ADVICE = "Crop it to one word or line first"


@dataclass(frozen=True)
class Options:
    """How an image is to be read; images with the same options are read together.

    Args:
        pattern: The `Pattern` that its text matches. Defaults to `None`: any text.
        alternatives: How many of the likeliest texts to list. Defaults to `0`.
    """

    pattern: Pattern | None = None
    alternatives: int = 0


class ImageLogits(NamedTuple):
    """What the network gave for an image, or what is wrong with it.

    Args:
        name: Name of the image, for its errors.
        kind: `READ`, `UNREADABLE` or `TOO_LARGE`.
        logits: float32 array of shape `(frames, num_classes)`; None if there is an error.
        placement: The `Placement` on the canvas; None if there is an error.
        error: Reason why the image is not read; None if it is.
    """

    name: str
    kind: str
    logits: np.ndarray | None = None
    placement: Placement | None = None
    error: str | None = None


class Outcome(NamedTuple):
    """What became of an image.

    Args:
        prediction: Its `Prediction`, with a text or an error.
        kind: `READ`, `UNREADABLE` or `TOO_LARGE`.
    """

    prediction: Prediction
    kind: str


def make_columns(outcomes: Sequence[Outcome]) -> dict[str, list[str | float]]:
    """Makes the outputs of all protocols for tensors, by name, as a SavedModel has them.

    Args:
        outcomes: `Outcome`s of images.

    Returns:
        Dict of `text`, `confidence` and `error`, a list each. Of an image that was not read the
        text is empty and the confidence 0; of another, the error is empty.
    """
    predictions = [outcome.prediction for outcome in outcomes]
    return {
        "text": [own.text or "" for own in predictions],
        "confidence": [own.confidence for own in predictions],
        "error": [own.error or "" for own in predictions],
    }


class TooLargeError(ImageError):
    """Error for an image that is larger than a served one may be."""


class ImageReader:
    """Reads encoded images in batches, from any number of threads.

    Args:
        recognizer: A `BaseRecognizer`. One that uses one core is best: each thread then has its
            own.
        limits: The `Limits`.
        language_model: See `BaseRecognizer.read`. Defaults to `"own"`.
    """

    def __init__(
        self,
        recognizer: BaseRecognizer,
        limits: Limits,
        *,
        language_model: LanguageModel | str | None = OWN,
    ) -> None:
        self.recognizer = recognizer
        self._limits = limits
        self._language_model = language_model

    def read(
        self, images: Sequence[bytes], names: Sequence[str], options: Options
    ) -> list[Outcome]:
        """Reads images with the same options.

        Args:
            images: Bytes of encoded images.
            names: Name of each image, for its errors.
            options: The `Options` of all.

        Returns:
            List of an `Outcome` for each. It does not depend on the other images.
        """
        return self.decode(self.predict(images, names), options)

    def predict(self, images: Sequence[bytes], names: Sequence[str]) -> list[ImageLogits]:
        """Runs the network on images.

        Args:
            images: Bytes of encoded images.
            names: Name of each image, for its errors.

        Returns:
            List of an `ImageLogits` for each.
        """
        window, kinds = self._load(images, names)
        found = [
            ImageLogits(name, kind, error=error)
            for name, kind, error in zip(names, kinds, window.errors, strict=True)
        ]
        for positions, canvases in window.batches(max(len(images), 1)):
            logits = self.recognizer.predict_logits(canvases)
            for position, own in zip(positions, logits, strict=True):
                placement = window.placements[position]
                found[position] = found[position]._replace(logits=own, placement=placement)
        return found

    def decode(self, found: Sequence[ImageLogits], options: Options) -> list[Outcome]:
        """Decodes what the network gave for images, with the same options.

        Args:
            found: List of `ImageLogits`.
            options: The `Options` of all.

        Returns:
            List of an `Outcome` for each.
        """
        outcomes = [
            Outcome(Prediction(None, 0.0, own.name, error=own.error), own.kind) for own in found
        ]
        positions_by_frames: dict[int, list[int]] = {}
        for position, own in enumerate(found):
            if own.logits is not None:
                positions_by_frames.setdefault(len(own.logits), []).append(position)
        for positions in positions_by_frames.values():
            group = [found[position] for position in positions]
            predictions = self.recognizer.decode(
                np.stack([own.logits for own in group]),
                [own.name for own in group],
                constraints=[Constraint(pattern=options.pattern)] * len(group),
                language_model=self._language_model,
                alternatives=options.alternatives,
                placements=[own.placement for own in group],
            )
            for position, prediction in zip(positions, predictions, strict=True):
                outcomes[position] = Outcome(prediction, UNREADABLE if prediction.error else READ)
        return outcomes

    def _load(self, images, names):
        """Returns the `Window` of images, and for each what became of it so far."""
        canvases, errors, placements, kinds = [], [], [], []
        for image, name in zip(images, names, strict=True):
            loaded, kind = (None, None, None), READ
            try:
                loaded = (*load_bounded(image, self.recognizer.canvas, self._limits), None)
            except TooLargeError as error:
                loaded, kind = (None, None, f"{name}: {error}"), TOO_LARGE
            except MemoryError:
                raise
            except Exception as error:  # A decoder may raise anything.
                loaded, kind = (None, None, f"{name}: {error}"), UNREADABLE
            for column, value in zip((canvases, placements, errors), loaded, strict=True):
                column.append(value)
            kinds.append(kind)
        return Window(list(names), canvases, errors, placements), kinds


def load_bounded(image: bytes, canvas: Canvas, limits: Limits):
    """Loads an encoded image, unless it is larger than a served one may be.

    Args:
        image: Bytes of the encoded image.
        canvas: The `Canvas` of the recognizer.
        limits: The `Limits`.

    Returns:
        Tuple of its canvas and its `Placement`.

    Raises:
        TooLargeError: It has too many bytes or pixels.
        ImageError: It cannot be read.
    """
    if len(image) > limits.image_bytes:
        raise TooLargeError(
            f"the image has {len(image):,} bytes. Expected at most {limits.image_bytes:,}. "
            f"{_ADVICE}"
        )
    opened = open_image(image)
    if opened.width * opened.height > limits.pixels:
        raise TooLargeError(
            f"the image has {opened.width} x {opened.height} pixels. Expected at most "
            f"{limits.pixels:,} in all. {_ADVICE}"
        )
    return to_canvas_with_placement(opened, canvas)
