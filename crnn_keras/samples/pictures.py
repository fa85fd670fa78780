"""The bytes of a picture, wherever it lies: a file, a part of a larger picture, an LMDB."""

import io
import os
import stat

from crnn_keras import images
from crnn_keras.lmdb_folder import open_lmdb

# A larger file holds no picture of at most `images.MAX_PIXELS`.
_MAX_BYTES = 1 << 28
# What png can hold as it is; the rest becomes RGB.
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


def from_file(path):
    """Reads a picture's file.

    Args:
        path: the file.

    Returns:
        Bytes.

    Raises:
        images.ImageError: there is no such file, it cannot be read, or has over 256 MB.
    """
    try:
        state = os.stat(path)
        # A pipe would be waited for without end.
        if not stat.S_ISREG(state.st_mode):
            raise images.ImageError(f"{path} is no file. Expected a picture")
        if state.st_size > _MAX_BYTES:
            raise images.ImageError(
                f"{path} has over {_MAX_BYTES >> 20} MB. Crop it to one word or line first"
            )
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise images.ImageError(f"{path} does not exist") from None
    except OSError as error:
        raise images.ImageError(f"{path} cannot be read: {error}") from None


def cut(path, box):
    """Cuts a word out of a larger picture, as far as its box lies on it.

    Args:
        path: the larger picture.
        box: `(left, top, width, height)` in pixels.

    Returns:
        Bytes of the part, encoded as png.

    Raises:
        images.ImageError: the picture cannot be read, or nothing of the box lies on it.
    """
    left, top, width, height = box
    with images.open_image(path) as image:
        right, bottom = min(left + width, image.width), min(top + height, image.height)
        left, top = max(left, 0), max(top, 0)
        if left >= right or top >= bottom:
            raise images.ImageError(
                f"{path} has {image.width} x {image.height} pixels, and none of them lie in the "
                f"box {box} of left, top, width, height. Correct the box or remove the row"
            )
        buffer = io.BytesIO()
        try:
            part = image.crop((left, top, right, bottom))
            part = part if part.mode in _PNG_MODES else part.convert("RGB")
            part.save(buffer, "PNG")
        except Exception as error:  # Pillow raises nearly anything at a damaged file.
            raise images.ImageError(f"{path} cannot be decoded: {error}") from None
    return buffer.getvalue()


def from_lmdb(folder, key):
    """Reads a picture out of an LMDB, which stays open for the next one.

    Args:
        folder: folder that holds `data.mdb`.
        key: name of the picture, such as `"image-000000012"`.

    Returns:
        Bytes.

    Raises:
        images.ImageError: there is no such entry or LMDB.
    """
    try:
        return open_lmdb(folder).picture(key)
    except ValueError as error:
        raise images.ImageError(str(error).rstrip(".")) from None
