"""The bytes of an image that is no file: in a tar, a database, or a box of a larger image."""

from __future__ import annotations

import io
import os
import tarfile

from crnn_keras.data import parquet_file
from crnn_keras.data.lmdb_folder import open_lmdb
from crnn_keras.images import ImageError, to_gray
from crnn_keras.utils.limits import MAX_IMAGE_BYTES


def from_span(path: str | os.PathLike, key: str, span: tuple[int, int]) -> bytes:
    """Reads an image of a tar, at the place that was recorded when the tar was listed.

    Args:
        path: the tar.
        key: string, name of the image in it.
        span: `(offset, size)` of its bytes.

    Returns:
        Bytes.

    Raises:
        ImageError: the tar does not exist or cannot be read, or another file stands there now.
    """
    offset, size = span
    header = offset - tarfile.BLOCKSIZE
    if header < 0 or not 0 <= size <= MAX_IMAGE_BYTES:
        raise ImageError(f"{path}, {key}: no image of a tar lies at {span}")
    # Opening a pipe would wait forever.
    if not os.path.isfile(path):
        fact = "is not a file" if os.path.exists(path) else "does not exist"
        raise ImageError(f"{path} {fact}. Expected a tar")
    try:
        with open(path, "rb") as file:
            file.seek(header)
            content = file.read(tarfile.BLOCKSIZE + size)
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}, {key}, cannot be read: {error}") from None
    try:
        member = tarfile.TarInfo.frombuf(content[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        member = None
    # Long names, and those that are not ASCII, may stand elsewhere.
    is_short = key.isascii() and len(key) < tarfile.LENGTH_NAME
    if (
        member is None
        or member.size != size
        or len(content) != tarfile.BLOCKSIZE + size
        or (is_short and member.name != key)
    ):
        raise ImageError(
            f"{path}, {key}: the tar was changed after its labels were read. Read them again"
        )
    return content[tarfile.BLOCKSIZE :]


def from_entry(path: str | os.PathLike, key: str) -> bytes:
    """Reads an image of an LMDB or a parquet file, which stays open for the next image.

    Args:
        path: folder that holds `data.mdb`, an LMDB of one file, or a parquet file.
        key: string, name of the entry: `"image-000000012"`, or `"image[12]"` of a parquet file.

    Returns:
        Bytes.

    Raises:
        ImageError: there is no such entry or file.
    """
    try:
        if parquet_file.split_key(key):
            return parquet_file.read_image(path, key)
        return open_lmdb(path).image(key)
    except (OSError, ValueError) as error:
        raise ImageError(str(error).rstrip(".")) from None


def crop(path: str | os.PathLike, box: tuple[int, int, int, int]) -> bytes:
    """Crops a word out of a larger image; the box is clipped at the image's edges.

    Args:
        path: the larger image.
        box: `(left, top, width, height)` in pixels of the image as it is shown: upright.

    Returns:
        Bytes of the crop, encoded as a gray PNG.

    Raises:
        ImageError: the image cannot be read, or the box lies outside it.
    """
    left, top, width, height = box
    page = to_gray(path)
    right, bottom = min(left + width, page.width), min(top + height, page.height)
    left, top = max(left, 0), max(top, 0)
    if left >= right or top >= bottom:
        raise ImageError(
            f"{path} has {page.width} x {page.height} pixels, and none of them lie in the "
            f"box {box} of left, top, width, height. Correct the box or remove the row"
        )
    buffer = io.BytesIO()
    page.crop((left, top, right, bottom)).save(buffer, "PNG")
    return buffer.getvalue()
