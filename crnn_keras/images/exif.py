"""The orientation of an image by its EXIF data: how it must be turned to stand upright.

Phones store images as the sensor sees them and note how the phone was held. `tf_ops` reads the same
bytes by TensorFlow ops; a change here is a change there.
"""

from __future__ import annotations

from PIL import Image

# Segments of a jpeg, or chunks of a png, that are passed in search of EXIF data.
MAX_PARTS = 4_096
# What Pillow calls the way back to upright, by the number of an orientation.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Number of the entry, and the types that its value may have.
TAG = 0x0112
SHORT, LONG = 3, 4


def find_exif(encoded: bytes) -> bytes:
    """Finds the EXIF data of a jpeg (its first such segment) or of a png (its `eXIf` chunk).

    Args:
        encoded: The bytes of an image.

    Returns:
        Bytes; empty if there are none.
    """
    if encoded.startswith(b"\xff\xd8"):
        return _find_in_jpeg(encoded)
    return _find_in_png(encoded) if encoded.startswith(b"\x89PNG") else b""


def _find_in_jpeg(encoded):
    position = 2
    for _ in range(MAX_PARTS):
        start, marker = encoded[position : position + 1], encoded[position + 1 : position + 2]
        # The pixels begin at DA, the file ends at D9.
        if start != b"\xff" or marker in (b"", b"\xda", b"\xd9"):
            break
        if marker == b"\xff":  # a byte that only fills
            position += 1
            continue
        length = int.from_bytes(encoded[position + 2 : position + 4], "big")
        content = encoded[position + 4 : position + 2 + length]
        if marker == b"\xe1" and content.startswith(b"Exif\0\0"):
            return content[6:]
        position += 2 + length
    return b""


def _find_in_png(encoded):
    position = 8
    for _ in range(MAX_PARTS):
        length = int.from_bytes(encoded[position : position + 4], "big")
        name = encoded[position + 4 : position + 8]
        if name == b"eXIf":
            return encoded[position + 8 : position + 8 + length]
        if len(name) < 4:
            break
        position += 12 + length
    return b""


def parse_orientation(exif: bytes) -> int:
    """Reads the orientation in EXIF data.

    Args:
        exif: The data, with or without the name `Exif` before them.

    Returns:
        1 to 8; 1, which is upright, if the data are damaged or say nothing.
    """
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    order = {b"II*\0": "little", b"MM\0*": "big"}.get(exif[:4])
    if order is None:
        return 1

    def integer(position, length):
        return int.from_bytes(exif[position : position + length], order)

    start = integer(4, 4)
    count = min(integer(start, 2), max(len(exif) - start - 2, 0) // 12)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        if integer(entry, 2) == TAG:
            length = {SHORT: 2, LONG: 4}.get(integer(entry + 2, 2), 0)
            found = integer(entry + 8, length)
            return found if found in _TURNS else 1
    return 1


def orientation_of(image: Image.Image) -> int:
    """Reads the orientation of a Pillow image.

    Args:
        image: Pillow image; it need not be loaded. Pillow itself turns a tiff while it loads.

    Returns:
        1 to 8; 1 is upright.
    """
    exif = image.info.get("exif")
    return parse_orientation(exif) if isinstance(exif, bytes) else 1


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Returns the size of an image as it is shown.

    Args:
        image: Pillow image; it need not be loaded.

    Returns:
        Tuple `(width, height)`.
    """
    return image.size[::-1] if orientation_of(image) >= 5 else image.size


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """Turns an image.

    Args:
        image: Pillow image.
        orientation: Its orientation, 1 to 8.

    Returns:
        The upright image.
    """
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def turn_back(
    box: tuple[float, float, float, float], orientation: int, size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """Returns where a box of the upright image lies in the image as it is stored.

    Args:
        box: Tuple `(left, top, right, bottom)` in pixels.
        orientation: Orientation of the stored image, 1 to 8.
        size: Tuple `(width, height)` of the upright image in pixels.

    Returns:
        Tuple `(left, top, right, bottom)` in pixels of the stored image.

    Example:

    >>> turn_back((1, 0, 3, 20), orientation=6, size=(50, 20))
    (0, 47, 20, 49)
    """
    left, top, right, bottom = box
    width, height = size
    if orientation in (2, 3, 6, 7):
        left, right = width - right, width - left
    if orientation in (3, 4, 7, 8):
        top, bottom = height - bottom, height - top
    # Of these the columns are the rows of the stored image.
    return (top, left, bottom, right) if orientation >= 5 else (left, top, right, bottom)
