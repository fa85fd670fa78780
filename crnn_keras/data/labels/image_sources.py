"""The bytes of an image, wherever it lies: a file, a part of a larger image, an LMDB."""

import io
import os
import stat

from crnn_keras.data.labels.lmdb_folder import open_lmdb
from crnn_keras.images import ImageError, open_image

# A larger file holds no image of at most `images.MAX_PIXELS`.
_MAX_BYTES = 1 << 28
# What png can hold as it is; the rest becomes RGB.
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


def from_file(path):
    """Reads an image's file.

    Args:
        path: the file.

    Returns:
        Bytes.

    Raises:
        ImageError: there is no such file, it cannot be read, or has over 256 MB.
    """
    try:
        state = os.stat(path)
        # A pipe would be waited for without end.
        if not stat.S_ISREG(state.st_mode):
            raise ImageError(f"{path} is no file. Expected an image")
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


def cut(path, box):
    """Cuts a word out of a larger image, as far as its box lies on it.

    Args:
        path: the larger image.
        box: `(left, top, width, height)` in pixels.

    Returns:
        Bytes of the part, encoded as png.

    Raises:
        ImageError: the image cannot be read, or nothing of the box lies on it.
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
            part = image.crop((left, top, right, bottom))
            part = part if part.mode in _PNG_MODES else part.convert("RGB")
            part.save(buffer, "PNG")
        except Exception as error:  # Pillow raises nearly anything at a damaged file.
            raise ImageError(f"{path} cannot be decoded: {error}") from None
    return buffer.getvalue()


def from_lmdb(folder, key):
    """Reads an image out of an LMDB, which stays open for the next one.

    Args:
        folder: folder that holds `data.mdb`.
        key: name of the image, such as `"image-000000012"`.

    Returns:
        Bytes.

    Raises:
        ImageError: there is no such entry or LMDB.
    """
    try:
        return open_lmdb(folder).image(key)
    except ValueError as error:
        raise ImageError(str(error).rstrip(".")) from None
