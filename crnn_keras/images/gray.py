"""Images to gray: upright, on paper, in 8 bits, whatever they are stored as.

`tf_ops` computes the same by TensorFlow ops; a change here is a change there.
"""

from __future__ import annotations

import os

import numpy as np
from PIL import Image

from crnn_keras.images.exif import orientation_of, turn_upright
from crnn_keras.images.source import (
    DAMAGE,
    Encoded,
    ImageError,
    ImageSource,
    check_size,
    label_of,
    open_image,
)

# Visible pixels that are lighter than this on average would be lost on white paper.
LIGHT = 191
# Of a png with 2 or 4 bits Pillow widens the pixels, but not the transparent gray level.
_STEPS = {"L;2": 85, "L;4": 17}


def to_gray(source: ImageSource) -> Image.Image:
    """Reads an image and converts it to gray, as a viewer shows it on paper.

    - It is turned upright as the orientation in its EXIF data says, in a jpeg, png, webp or tiff.
      Damaged EXIF data are ignored. Of several pages or frames the first is read.
    - What is transparent shows the paper: white, or black where white would hide the text, which is
      where the visible pixels (their mean, weighted by alpha) are lighter than 191 of 255. An image
      that is wholly transparent becomes white.
    - 16 bits are scaled to 8. Pixels that are floats or 32-bit integers are taken as 0 to 1, to 255
      or to 65,535, whichever holds them all; otherwise their least becomes black, their largest
      white.

    Args:
        source: Path, bytes of an encoded image, Pillow image, uint8 array of shape
            `(height, width)`, `(height, width, 1)` or `(height, width, 3)` in RGB, or an object
            whose `read()` returns bytes: an open file, a `Sample`.

    Returns:
        A gray Pillow image (mode L).

    Raises:
        ImageError: If the image cannot be read, is truncated, has no pixels or too many.

    Example:

    >>> import numpy as np
    >>> to_gray(np.full((20, 50, 3), 255, "uint8")).size
    (50, 20)
    """
    return to_gray_with_orientation(source)[0]


def to_gray_with_orientation(source: ImageSource) -> tuple[Image.Image, int]:
    """Reads an image as `to_gray` does, and tells how it was turned.

    Args:
        source: See `to_gray`.

    Returns:
        Tuple of the upright gray Pillow image, and the orientation of the image as Pillow opens it,
        1 to 8; 1, as of every array, is upright.

    Raises:
        ImageError: See `to_gray`.
    """
    if isinstance(source, np.ndarray):
        return _array_to_gray(source), 1
    if hasattr(source, "read"):
        source = source.read()
        if not isinstance(source, bytes):
            raise ImageError(f"Expected read() to return bytes, got {type(source).__name__}")
    if isinstance(source, Image.Image):
        image = source
        check_size(image.width, image.height, label_of(source))
    elif isinstance(source, str | os.PathLike | Encoded):
        image = open_image(source)
    else:
        raise ImageError(
            "Expected a path, bytes, a Pillow image, an array or an open file, got "
            f"{type(source).__name__}"
        )
    try:
        # Before the pixels are loaded: then Pillow no longer knows how the file stores them.
        raw_mode = image.tile[0][3] if getattr(image, "tile", None) else None
        image.load()
        orientation = orientation_of(image)
        return turn_upright(_put_on_paper(image, raw_mode), orientation), orientation
    except _NotFinite as error:
        raise ImageError(f"{label_of(source)} {error}") from None
    except DAMAGE as error:
        raise ImageError(f"{label_of(source)} cannot be decoded: {error}") from None


class _NotFinite(Exception):
    pass


def _put_on_paper(image, raw_mode):
    gray, alpha = _split_alpha(image, raw_mode)
    if alpha is None or alpha.getextrema()[0] == 255:
        return gray
    gray, alpha = np.asarray(gray, np.uint16), np.asarray(alpha, np.uint16)
    # 16 bits hold each product, as 255 * 255 + 127 fits.
    visible = gray * alpha
    is_light = visible.sum(dtype=np.int64) > LIGHT * alpha.sum(dtype=np.int64)
    paper = np.uint16(0 if is_light else 255)
    return Image.fromarray(((visible + paper * (255 - alpha) + 127) // 255).astype(np.uint8))


def _split_alpha(image, raw_mode):
    """Returns gray pixels, and how opaque each of them is, or None."""
    if image.mode in ("P", "PA", "RGBa", "La"):
        # Of a palette, each color may be transparent.
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    if image.mode in ("RGBA", "LA"):
        return image.convert("L"), image.getchannel("A")
    if image.mode.startswith("I;16"):
        pixels = np.asarray(image)
        # The upper byte, as libpng and TensorFlow take it.
        gray = Image.fromarray((pixels >> 8).astype(np.uint8))
        return gray, _transparent_color(image, pixels, 1)
    if image.mode == "CMYK":
        return _cmyk_to_gray(image), None
    if image.mode in ("I", "F"):
        return Image.fromarray(_scale(np.asarray(image, np.float64))), None
    alpha = None
    if image.mode in ("L", "RGB"):
        # 16 bits of a color are 8 by now.
        factor = 1 / 256 if raw_mode == "RGB;16B" else _STEPS.get(raw_mode, 1)
        alpha = _transparent_color(image, image, factor)
    gray = image.convert("L")
    if image.mode == "1":
        alpha = _transparent_color(image, gray, 1)
    return gray, alpha


def _transparent_color(image, pixels, factor):
    """Returns the alpha of pixels of which one color is transparent, or None."""
    color = image.info.get("transparency")
    if color is None:
        return None
    pixels = np.asarray(pixels)
    color = (np.ravel(color) * factor).astype(np.int64)
    color = color if pixels.dtype.itemsize > 1 else color & 255
    is_color = (pixels.reshape(*pixels.shape[:2], -1) == color).all(axis=-1)
    return Image.fromarray(np.where(is_color, 0, 255).astype(np.uint8))


def _cmyk_to_gray(image):
    """Converts as TensorFlow converts a jpeg: Pillow's own way differs by a gray level."""
    light = 255 - np.asarray(image).astype(np.uint16)
    # Pillow takes every such jpeg as inverted, the way Adobe writes it.
    if image.format in ("JPEG", "MPO") and "adobe_transform" not in image.info:
        light = 255 - light
    colors = light[..., :3] * light[..., 3:] // 255
    return Image.fromarray(colors.astype(np.uint8)).convert("L")


def _scale(numbers):
    low, high = numbers.min(), numbers.max()
    if not np.isfinite([low, high]).all():
        raise _NotFinite("holds pixels that are no finite numbers")
    if low < 0 or high > 65_535:
        numbers = (numbers - low) / max(high - low, 1e-300) * 255
    elif high <= 1:
        numbers = numbers * 255
    elif high > 255:
        numbers = np.floor(numbers / 256)
    return np.floor(numbers + 0.5).astype(np.uint8)


def _array_to_gray(array):
    array = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if array.dtype != np.uint8 or not (array.ndim == 2 or array.shape[2:] == (3,)):
        raise ImageError(
            f"Expected a uint8 array of shape (height, width), (height, width, 1) or "
            f"(height, width, 3), got {array.dtype} of shape {array.shape}"
        )
    check_size(array.shape[1], array.shape[0], "the array")
    return Image.fromarray(array).convert("L")
