"""The bytes of an image in a file, in a box of a larger image, or in an LMDB."""

from __future__ import annotations

import io
import os
import stat

from crnn_keras.data.lmdb_folder import open_lmdb
from crnn_keras.images import ImageError, open_image

# No image of at most `images.MAX_PIXELS` needs a larger file.
_MAX_BYTES = 1 << 28
# PNG can hold these modes; others are converted to RGB.
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


def from_file(path: str | os.PathLike) -> bytes:
    """Reads an image file.

    Args:
        path: the file.

    Returns:
        Bytes.

    Raises:
        ImageError: the file does not exist, cannot be read, or has over 256 MB.
    """
    try:
        state = os.stat(path)
        # Reading a pipe would wait forever.
        if not stat.S_ISREG(state.st_mode):
            raise ImageError(f"{path} is not a file. Expected an image")
        if state.st_size > _MAX_BYTES:
            raise ImageError(
                f"{path} has over {_MAX_BYTES >> 20} MB. Crop it to one word or line first"
            )
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist") from None
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error}") from None


def crop(path: str | os.PathLike, box: tuple[int, int, int, int]) -> bytes:
    """Crops a word out of a larger image; the box is clipped at the image's edges.

    Args:
        path: the larger image.
        box: `(left, top, width, height)` in pixels.

    Returns:
        Bytes of the crop, encoded as PNG.

    Raises:
        ImageError: the image cannot be read, or the box lies outside it.
    """
    left, top, width, height = box
    with open_image(path) as image:
        right, bottom = min(left + width, image.width), min(top + height, image.height)
        left, top = max(left, 0), max(top, 0)
        if left >= right or top >= bottom:
            raise ImageError(
                f"{path} has {image.width} x {image.height} pixels, and none of them lie in the "
                f"box {box} of left, top, width, height. Correct the box or remove the row"
            )
        buffer = io.BytesIO()
        try:
            word = image.crop((left, top, right, bottom))
            word = word if word.mode in _PNG_MODES else word.convert("RGB")
            word.save(buffer, "PNG")
        except Exception as error:  # Pillow raises nearly anything at a damaged file.
            raise ImageError(f"{path} cannot be decoded: {error}") from None
    return buffer.getvalue()


def from_lmdb(folder: str | os.PathLike, key: str) -> bytes:
    """Reads an image of an LMDB, which stays open for the next image.

    Args:
        folder: folder that holds `data.mdb`.
        key: string, name of the entry: `"image-000000012"`.

    Returns:
        Bytes.

    Raises:
        ImageError: there is no such entry or LMDB.
    """
    try:
        return open_lmdb(folder).image(key)
    except ValueError as error:
        raise ImageError(str(error).rstrip(".")) from None
