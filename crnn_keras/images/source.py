"""Opens images: files, bytes and arrays from anywhere, with errors that name them."""

from __future__ import annotations

import io
import os
import stat
import struct
import threading
import warnings
from typing import Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

from crnn_keras.images.exif import find_exif
from crnn_keras.utils.limits import (
    BYTES_PER_JPEG_SCAN,
    MAX_IMAGE_BYTES,
    MAX_JPEG_SCANS,
    MAX_PIXELS,
    MAX_SIDE,
)

# Those that Pillow knows of the formats below.
SUFFIXES = (
    *(".apng", ".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff"),
    ".webp",
)

# Pillow opens other formats, such as EPS, with external programs: unsafe for files of strangers.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
# What Pillow's decoders raise for damaged files.
DAMAGE = (
    *(OSError, ValueError, SyntaxError, TypeError, IndexError, KeyError, EOFError),
    *(AssertionError, AttributeError, OverflowError, ZeroDivisionError, MemoryError),
    *(RuntimeError, struct.error, Image.DecompressionBombError),
)
# The filters of warnings belong to the whole process, and images are read by several threads. It is
# held while bytes in memory are looked at, never while a file is opened.
_FILTERS = threading.Lock()


class Readable(Protocol):
    """An object that returns the bytes of an encoded image: an open file, a `Sample`."""

    def read(self) -> bytes: ...


Encoded = bytes | bytearray | memoryview
ImageSource = str | os.PathLike | Encoded | Image.Image | np.ndarray | Readable


class ImageError(ValueError):
    """Error for an image that cannot be read; the message says why."""


def label_of(source: object) -> str:
    """Returns what an error calls an image: its path, or `the image`."""
    return str(source) if isinstance(source, str | os.PathLike) else "the image"


def check_size(width: int, height: int, label: str) -> None:
    """Raises an `ImageError` unless an image has a pixel, and no more than the bounds allow.

    Args:
        width: Width in pixels.
        height: Height in pixels.
        label: What the error calls the image.
    """
    if 0 in (width, height) or width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise ImageError(
            f"{label} has {width} x {height} pixels. Expected at least 1 x 1, and at most "
            f"{MAX_PIXELS:,} in all and {MAX_SIDE:,} along a side. Crop it to one word or line "
            "first"
        )


def read_file(path: str | os.PathLike) -> bytes:
    """Reads the bytes of an image file.

    Args:
        path: The file. A symbolic link is followed.

    Returns:
        Bytes.

    Raises:
        ImageError: The file does not exist, cannot be read, or has over 256 MB; or it is none but a
            folder, a pipe, a socket or a device, which is never opened.
    """
    try:
        state = os.stat(path)
        # Reading a pipe would wait forever.
        if not stat.S_ISREG(state.st_mode):
            raise ImageError(f"{path} is {_kind(state.st_mode)}, not a file. Expected an image")
        if state.st_size > MAX_IMAGE_BYTES:
            raise ImageError(
                f"{path} has over {MAX_IMAGE_BYTES >> 20} MB. Crop it to one word or line first"
            )
        with open(path, "rb") as file:
            return file.read(MAX_IMAGE_BYTES)
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist") from None
    except ImageError:
        raise
    except (OSError, ValueError) as error:  # ValueError: no file can have such a name
        raise ImageError(f"{path} cannot be read: {error}") from None


def _kind(mode):
    kinds = (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
    )
    return next((name for holds, name in kinds if holds(mode)), "a device")


def _check_scans(encoded, label):
    """Refuses a jpeg that goes over its pixels thousands of times."""
    most = MAX_JPEG_SCANS + len(encoded) // BYTES_PER_JPEG_SCAN
    if encoded.startswith(b"\xff\xd8") and encoded.count(b"\xff\xda") > most:
        raise ImageError(f"{label} is a jpeg of over {most} scans. Save it as a plain jpeg or png")


def open_image(source: str | os.PathLike | Encoded) -> Image.Image:
    """Reads the header of an image, without its pixels.

    Args:
        source: Path, or bytes of an encoded image.

    Returns:
        A Pillow image that is not loaded yet; its size is that before it is turned upright, see
        `exif.upright_size`. Of several pages or frames it is the first.

    Raises:
        ImageError: If there is no such file, it is not an image, it has more than `MAX_PIXELS`
            pixels in all or `MAX_SIDE` along a side, or it is a jpeg of very many scans.
    """
    label = label_of(source)
    encoded = read_file(source) if isinstance(source, str | os.PathLike) else bytes(source)
    _check_scans(encoded, label)
    try:
        with _FILTERS, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(encoded), formats=_FORMATS)
            if image.format == "BMP" and image.mode == "1" and encoded[28] != 1:
                # Pillow takes black and white in 4 or 8 bits for single bits, unless there seems to
                # be a third color.
                image = Image.open(io.BytesIO(encoded[:46] + b"\3\0\0\0" + encoded[50:]))
    except UnidentifiedImageError:
        raise ImageError(f"{label} is not an image in {', '.join(_FORMATS)}") from None
    except Image.DecompressionBombError:
        # Pillow has a limit of its own, above ours, and does not report width and height.
        raise ImageError(
            f"{label} has over {MAX_PIXELS:,} pixels. Crop it to one word or line first"
        ) from None
    except DAMAGE as error:
        raise ImageError(f"{label} cannot be opened: {error}") from None
    if image.format in ("JPEG", "MPO", "PNG"):
        # Pillow joins the segments of a jpeg, and reads what follows a png's pixels only later.
        image.info["exif"] = find_exif(encoded)
    check_size(image.width, image.height, label)
    return image
