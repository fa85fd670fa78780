"""Where each character of a text stands in its image."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import NamedTuple

from crnn_keras.images import PIXELS_PER_FRAME, Placement


class CharacterBox(NamedTuple):
    """Box of one character in the pixels of the image as it is stored.

    Pillow's `Image.open` shows an image so; other viewers turn it first as its EXIF data say.

    Args:
        character: The character.
        left: Left edge in pixels, from 0; a fraction.
        top: Top edge in pixels.
        right: Right edge in pixels.
        bottom: Bottom edge in pixels.
        probability: Largest probability of the character in its frames, from 0 to 1.
    """

    character: str
    left: float
    top: float
    right: float
    bottom: float
    probability: float


def make_boxes(
    text: str, spans: Sequence[tuple[int, int, float]], placement: Placement
) -> tuple[CharacterBox, ...]:
    """Makes the boxes of a text of its runs of frames.

    The center of a character is the middle of its run. Its box reaches to the middle between its
    center and those of its neighbors. The outer edges of the first and the last character mirror
    their inner ones; a lone character reaches to the nearer edge of the image and as far to the
    other side. CTC knows columns only: each box is as high as the image.

    Args:
        text: The text.
        spans: `(first frame, last frame, probability)` of each character, see `Decoded.spans`.
        placement: `Placement` of the image on its canvas.

    Returns:
        Tuple of a `CharacterBox` for each character, in the order of the text. A character that was
        found on the padding of the canvas has a box of no width at the edge of the image.
    """
    order = sorted(range(len(spans)), key=lambda index: spans[index][0])
    centers = [PIXELS_PER_FRAME * (spans[i][0] + spans[i][1] + 1) / 2 for i in order]
    edges = [(left + right) / 2 for left, right in itertools.pairwise(centers)]
    if edges:
        edges = [2 * centers[0] - edges[0], *edges, 2 * centers[-1] - edges[-1]]
    elif centers:
        reach = max(min(centers[0], placement.inner - centers[0]), 0.0)
        edges = [centers[0] - reach, centers[0] + reach]
    boxes = [None] * len(spans)
    for index, columns in zip(order, itertools.pairwise(edges), strict=True):
        box = placement.to_source(columns)
        boxes[index] = CharacterBox(text[index], *box, spans[index][2])
    return tuple(boxes)


@dataclass(frozen=True)
class Alignment:
    """Where a known text stands in an image, and how likely the recognizer takes it.

    Args:
        text: The text as the char dict writes it; as passed if there is an error.
        log_likelihood: CTC log likelihood of the text, in nats: the logarithm of the probability of
            all paths that spell it. Minus infinity if there is an error.
        source: Name of the image, see `Prediction`.
        error: Reason why there is no alignment: the image cannot be loaded, the char dict cannot
            write the text, or the text needs more frames than the image has. Defaults to `None`.
        spans: For each character of `text` `(first frame, last frame, probability)`, see `Aligned`.
            Defaults to `()`.
        placement: `Placement` of the image on its canvas. Defaults to `None`: it was not loaded.
    """

    text: str
    log_likelihood: float
    source: str
    _: KW_ONLY
    error: str | None = None
    spans: tuple[tuple[int, int, float], ...] = ()
    placement: Placement | None = None

    @property
    def probability(self) -> float:
        """Returns the probability of all paths that spell the text, from 0 to 1."""
        return math.exp(self.log_likelihood)

    @property
    def boxes(self) -> tuple[CharacterBox, ...]:
        """Returns the box of each character, see `make_boxes`; none if there is an error."""
        return make_boxes(self.text, self.spans, self.placement) if self.spans else ()
