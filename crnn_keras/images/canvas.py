"""Canvases: the one place that decides size and scale of an image, by Pillow.

A canvas is a uint8 array of shape `(height, width, 1)`. Its width depends on the image alone,
never on its neighbors in a batch. `tf_ops` makes the same canvas by TensorFlow ops, for serving;
the two agree to the last bit.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from crnn_keras.images.exif import turn_back
from crnn_keras.images.gray import to_gray_with_orientation
from crnn_keras.images.source import ImageSource
from crnn_keras.utils.checks import COUNT, Number, Of, check_arguments, check_value
from crnn_keras.utils.limits import MAX_CANVAS_HEIGHT, MAX_CANVAS_WIDTH, MAX_CANVAS_WIDTHS
from crnn_keras.utils.math import ceil_div

# Four pixels of the canvas make one frame of the network, which halves the width twice.
PIXELS_PER_FRAME = 4
# Upper bounds; what is below 16 or 8 pixels is refused with a reason of its own.
_HEIGHT = Number(maximum=MAX_CANVAS_HEIGHT, is_whole=True)
_WIDTH = Number(maximum=MAX_CANVAS_WIDTH, is_whole=True)


@dataclass(frozen=True)
class Canvas:
    """Size and mode of the images that a model reads.

    Args:
        mode: `"stretch"`: every image is scaled to `height` x `widths[0]`, as in the paper.
            `"keep"`: it is scaled to `height` with its aspect kept, and padded on the right with
            its last column to the next of `widths`; an image wider than the last is squeezed to
            it. Defaults to `"stretch"`.
        height: Height in pixels, a multiple of 16. Defaults to `32`.
        widths: Allowed widths in pixels, ascending, each a multiple of 4. Defaults to `(100,)`.

    Raises:
        ValueError: If an argument is none of these.

    Example:

    >>> canvas = Canvas("keep", 32, (64, 128))
    >>> canvas.fit(height=48, width=120)
    (80, 128)
    >>> canvas.frames(height=48, width=120)
    32
    """

    mode: str = "stretch"
    height: int = 32
    widths: tuple[int, ...] = (100,)

    def __post_init__(self) -> None:
        check_value("The canvas height", self.height, _HEIGHT)
        check_value("The canvas widths", self.widths, Of((list, tuple, np.ndarray, range)))
        if len(self.widths) > MAX_CANVAS_WIDTHS:
            raise ValueError(
                f"The canvas has {len(self.widths)} widths. Expected at most {MAX_CANVAS_WIDTHS}."
            )
        for value in self.widths:
            check_value("A canvas width", value, _WIDTH)
        # Plain numbers, which JSON takes.
        object.__setattr__(self, "height", int(self.height))
        object.__setattr__(self, "widths", tuple(map(int, self.widths)))
        if self.mode not in ("stretch", "keep"):
            raise ValueError(f"Canvas mode {self.mode!r} is unknown. Expected 'stretch' or 'keep'.")
        if self.height < 16 or self.height % 16:
            raise ValueError(f"Canvas height {self.height} is no multiple of 16 pixels.")
        if not self.widths or list(self.widths) != sorted(set(self.widths)):
            raise ValueError(f"Canvas widths {self.widths} must ascend.")
        if any(width < 8 or width % PIXELS_PER_FRAME for width in self.widths):
            raise ValueError(
                f"Canvas widths {self.widths} must be multiples of {PIXELS_PER_FRAME} pixels, "
                "at least 8."
            )
        if self.mode == "stretch" and len(self.widths) != 1:
            raise ValueError(f"Canvas mode 'stretch' has one width, got {self.widths}.")

    @check_arguments(height=COUNT, width=COUNT)
    def fit(self, height: int, width: int) -> tuple[int, int]:
        """Returns where an image lies on its canvas.

        Args:
            height: Height of the image in pixels.
            width: Width of the image in pixels.

        Returns:
            Tuple `(inner, outer)`: the width in pixels to which the image is scaled, and the width
            of its canvas.
        """
        if self.mode == "stretch":
            return self.widths[0], self.widths[0]
        scaled = max(ceil_div(width * self.height, height), 1)
        inner = min(scaled, self.widths[-1])
        return inner, next(outer for outer in self.widths if outer >= inner)

    def frames(self, height: int, width: int) -> int:
        """Returns the number of frames that the network makes of an image.

        Args:
            height: Height of the image in pixels.
            width: Width of the image in pixels.

        Returns:
            The canvas width divided by 4.
        """
        return self.fit(height, width)[1] // PIXELS_PER_FRAME

    def get_config(self) -> dict[str, Any]:
        """Returns a plain dict from which `Canvas(**config)` makes this canvas again."""
        return {**asdict(self), "widths": list(self.widths)}


class Placement(NamedTuple):
    """Where an image lies on its canvas, and how it was turned to lie there.

    Args:
        width: Width of the upright image in pixels.
        height: Height of the upright image in pixels.
        orientation: Orientation of the image as it is stored, by its EXIF data, 1 to 8.
        inner: Width in pixels of the canvas that the image fills; what is right of it is padding.
    """

    width: int
    height: int
    orientation: int
    inner: int

    def to_source(self, columns: tuple[float, float]) -> tuple[float, float, float, float]:
        """Returns where some columns of the canvas lie in the image as it is stored.

        Pillow's `Image.open` shows an image as it is stored, without the turn of its EXIF data.

        Args:
            columns: Tuple of their left and right edge in pixels of the canvas.

        Returns:
            Tuple `(left, top, right, bottom)` in pixels of the image, from its top to its bottom
            if it is stored upright. What lies on the padding is cut off.

        Example:

        >>> Placement(width=300, height=64, orientation=1, inner=100).to_source((50, 60))
        (150.0, 0.0, 180.0, 64.0)
        """
        left, right = (
            min(max(edge, 0.0), self.inner) / self.inner * self.width for edge in columns
        )
        box = (left, 0.0, right, float(self.height))
        return turn_back(box, self.orientation, (self.width, self.height))


def make_canvas(mode: str = "stretch", width: int = 100, height: int = 32) -> Canvas:
    """Makes a canvas from its largest width.

    Args:
        mode: `"stretch"` or `"keep"`, see `Canvas`. Defaults to `"stretch"`.
        width: Width in pixels; in mode `"keep"` the largest of several, which begin at
            `2 * height`, each half as wide again as the one before: 64, 96, 144, ... Defaults to
            `100`.
        height: Height in pixels. Defaults to `32`.

    Returns:
        A `Canvas`.

    Raises:
        ValueError: If an argument is not as `Canvas` expects it.

    Example:

    >>> make_canvas("keep", 216).widths
    (64, 96, 144, 216)
    """
    # Checked first: for a height of 0 there would be no end of widths.
    Canvas("stretch", height, (width,))
    widths = [width]
    step = 2 * height
    # Each is half as wide again as the one before: at most a third of a canvas is padding.
    while mode == "keep" and step < width:
        widths.insert(-1, step)
        step = step * 3 // 2 // PIXELS_PER_FRAME * PIXELS_PER_FRAME
    return Canvas(mode, height, tuple(widths))


def to_canvas(source: ImageSource, canvas: Canvas) -> np.ndarray:
    """Puts an image on its canvas, by Pillow.

    Args:
        source: Anything that `to_gray` reads.
        canvas: A `Canvas`.

    Returns:
        A uint8 array of shape `(canvas.height, width, 1)`; `width` is one of `canvas.widths`.

    Raises:
        ImageError: As `to_gray`.

    Example:

    >>> import numpy as np
    >>> from crnn_keras import Canvas, to_canvas
    >>> to_canvas(np.zeros((20, 50), "uint8"), Canvas()).shape
    (32, 100, 1)
    """
    return to_canvas_with_placement(source, canvas)[0]


def to_canvas_with_placement(source: ImageSource, canvas: Canvas) -> tuple[np.ndarray, Placement]:
    """Puts an image on its canvas as `to_canvas` does, and tells where it lies there.

    Args:
        source: See `to_canvas`.
        canvas: A `Canvas`.

    Returns:
        Tuple of the array that `to_canvas` returns, and the `Placement` of the image.

    Raises:
        ImageError: As `to_gray`.
    """
    gray, orientation = to_gray_with_orientation(source)
    inner, outer = canvas.fit(gray.height, gray.width)
    # Two steps of one axis each: which axis goes first differs between releases of Pillow.
    across = gray.resize((inner, gray.height), Image.Resampling.BILINEAR)
    pixels = np.asarray(across.resize((inner, canvas.height), Image.Resampling.BILINEAR))
    # By hand: np.pad alone takes as long as both resizes.
    padded = np.empty((canvas.height, outer, 1), np.uint8)
    padded[:, :inner, 0] = pixels
    padded[:, inner:, 0] = pixels[:, -1:]
    return padded, Placement(gray.width, gray.height, orientation, inner)
