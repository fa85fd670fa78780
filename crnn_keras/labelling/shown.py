"""Images as a browser shows them: upright, in color, on paper, and of a bounded size."""

from __future__ import annotations

import io
import os

from crnn_keras.images import open_image, to_gray
from crnn_keras.images.exif import orientation_of, turn_upright
from crnn_keras.images.source import DAMAGE, ImageError

_LARGEST = (4096, 1024)
_OPAQUE = ("L", "RGB", "YCbCr")


def make_png(path: str | os.PathLike) -> bytes:
    """Encodes an image for the page.

    A browser shows neither tiff nor all bitmaps, and black text on a transparent ground not on a
    dark page. So each image is encoded anew; what is not plain gray or color is shown as the
    reader sees it.

    Args:
        path: The image.

    Returns:
        Bytes of a png of at most 4,096 by 1,024 pixels.

    Raises:
        ImageError: The image cannot be read.
    """
    image = open_image(path)
    try:
        if image.mode in _OPAQUE and "transparency" not in image.info:
            orientation = orientation_of(image)
            shown = turn_upright(image.convert("RGB"), orientation)
        else:
            shown = to_gray(path)
        shown.thumbnail(_LARGEST)
        buffer = io.BytesIO()
        shown.save(buffer, "PNG")
    except ImageError:
        raise
    except DAMAGE as error:
        raise ImageError(f"{path} cannot be decoded: {error}") from None
    return buffer.getvalue()
