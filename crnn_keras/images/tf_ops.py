"""Canvases by TensorFlow ops, for graphs that must read encoded images themselves.

The pixels equal those of `images.to_canvas` to the last bit, as a test checks: orientation, paper,
gray and resize are the same arithmetic of integers, written with TensorFlow's ops.
"""

from __future__ import annotations

import tensorflow as tf

from crnn_keras.images import exif
from crnn_keras.images.canvas import Canvas
from crnn_keras.images.gray import LIGHT
from crnn_keras.utils.limits import BYTES_PER_JPEG_SCAN, MAX_JPEG_SCANS, MAX_PIXELS, MAX_SIDE
from crnn_keras.utils.math import ceil_div

# Pillow's gray: ITU-R 601 weights as 16-bit integers.
_GRAY = (19595, 38470, 7471)
# Pillow's resize holds its weights as integers with this many bits behind the point.
_RESIZE_BITS = 22
# The mask of the upper byte, as a signed integer of 32 bits.
_ALPHA = -0x1000000
_BMP = "a bmp of 1, 4, 8, 24 or 32 bits, without compression"


def to_canvas(encoded: tf.Tensor, canvas: Canvas, *, max_pixels: int = MAX_PIXELS) -> tf.Tensor:
    """Puts an image on its canvas, by TensorFlow ops; the same pixels as `images.to_canvas`.

    Args:
        encoded: Scalar string tensor, the bytes of a jpeg, a png, or a bmp of 1, 4, 8, 24 or 32
            bits without compression.
        canvas: A `Canvas`.
        max_pixels: Pixels that an image may have. Defaults to those that `images.to_canvas` reads.

    Returns:
        A uint8 tensor of shape `(canvas.height, width, 1)`.

    Raises:
        tf.errors.InvalidArgumentError: If it runs on bytes that are no such image, are truncated or
            have too many pixels.
    """
    error = find_error(encoded, max_pixels)
    with tf.control_dependencies([tf.debugging.Assert(error == "", [error], name="known")]):
        return draw(tf.identity(encoded), canvas)


def find_error(encoded: tf.Tensor, max_pixels: int = MAX_PIXELS) -> tf.Tensor:
    """Finds out by its header why an image cannot be read.

    Args:
        encoded: Scalar string tensor, the bytes of an image.
        max_pixels: Pixels that an image may have. Defaults to those that `images.to_canvas` reads.

    Returns:
        Scalar string tensor, empty if nothing is wrong with the header.

    Raises:
        tf.errors.InvalidArgumentError: If it runs on a jpeg whose header is damaged.
    """
    is_jpeg, is_png, is_bmp = _formats(encoded)
    size = tf.case(
        [
            (is_jpeg, lambda: tf.cast(tf.image.extract_jpeg_shape(encoded)[:2], tf.int64)[::-1]),
            (is_png, lambda: _integers(encoded, 16, 2, little_endian=False)),
        ],
        default=lambda: _integers(encoded, 18, 2),
    )
    width, height = size[0], tf.abs(size[1])  # the height of a bmp may be negative
    is_small = (width > 0) & (height > 0) & (width <= MAX_SIDE) & (height <= MAX_SIDE)
    is_small &= width * height <= max_pixels
    found = [tf.strings.as_string(side) for side in (width, height)]
    large = tf.strings.join(
        [
            f"Expected 1 to {max_pixels:,} pixels, {MAX_SIDE:,} at most along a side, got ",
            *(found[0], " x ", found[1], ". Crop the image to one word or line first."),
        ]
    )
    scans = tf.cond(is_jpeg, lambda: tf.size(tf.strings.split(encoded, b"\xff\xda")) - 1, lambda: 0)
    most_scans = MAX_JPEG_SCANS + tf.strings.length(encoded) // BYTES_PER_JPEG_SCAN
    return tf.case(
        [
            (
                ~(is_jpeg | is_png | is_bmp),
                lambda: "Expected the bytes of a jpeg, png or bmp image.",
            ),
            (is_bmp & ~_is_plain_bmp(encoded), lambda: f"Expected {_BMP}."),
            (~is_small, lambda: large),
            (scans > most_scans, lambda: "The jpeg has too many scans. Save it as a plain jpeg."),
        ],
        default=lambda: "",
    )


def draw(encoded: tf.Tensor, canvas: Canvas) -> tf.Tensor:
    """Puts an image on its canvas whose header `find_error` has found to be good.

    Args:
        encoded: Scalar string tensor, the bytes of an image.
        canvas: A `Canvas`.

    Returns:
        A uint8 tensor of shape `(canvas.height, width, 1)`.

    Raises:
        tf.errors.InvalidArgumentError: If it runs on bytes that are damaged or truncated.
    """
    gray = _decode_gray(encoded)
    height, width = tf.shape(gray)[0], tf.shape(gray)[1]
    if canvas.mode == "stretch":
        inner = outer = tf.constant(canvas.widths[0])
    else:
        inner = tf.clip_by_value(ceil_div(width * canvas.height, height), 1, canvas.widths[-1])
        widths = tf.constant(canvas.widths)
        outer = widths[tf.searchsorted(widths, inner[None])[0]]
    pixels = _resize(gray, tf.constant(canvas.height), inner)
    pixels = tf.gather(pixels, tf.minimum(tf.range(outer), inner - 1), axis=1)
    static_width = canvas.widths[0] if len(canvas.widths) == 1 else None
    return tf.ensure_shape(tf.cast(pixels, tf.uint8)[..., None], (canvas.height, static_width, 1))


def _formats(encoded):
    return (
        tf.io.is_jpeg(encoded),
        tf.strings.substr(encoded, 0, 4) == b"\x89PNG",
        tf.strings.substr(encoded, 0, 2) == b"BM",
    )


def _decode_gray(encoded):
    """Decodes to upright int32 gray levels of shape `(height, width)`."""
    is_jpeg, is_png, _ = _formats(encoded)
    # Without INTEGER_ACCURATE, jpeg pixels differ from Pillow's by up to 20 gray levels.
    gray = tf.case(
        [
            (
                is_jpeg,
                lambda: _to_gray(
                    tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
                ),
            ),
            (is_png, lambda: _decode_png(encoded)),
        ],
        default=lambda: _decode_bmp(encoded),
    )
    orientation = _find_orientation(encoded, is_jpeg, is_png)
    return tf.cond(orientation > 1, lambda: _turn_upright(gray, orientation), lambda: gray)


def _to_gray(pixels):
    """Converts RGB as Pillow does: color by color, as a sum over an axis takes thrice as long."""
    red, green, blue = (
        weight * tf.cast(pixels[..., index], tf.int32) for index, weight in enumerate(_GRAY)
    )
    return (red + green + blue + 0x8000) // 0x10000


def _put_on_paper(pixels):
    """Puts RGBA on white or black, see `images.to_gray`."""
    gray, alpha = _to_gray(pixels), tf.cast(pixels[..., 3], tf.int32)
    visible = gray * alpha
    brightness, opacity = (tf.reduce_sum(tf.cast(x, tf.int64)) for x in (visible, alpha))
    paper = tf.where(brightness > LIGHT * opacity, 0, 255)
    return (visible + paper * (255 - alpha) + 127) // 255


def _decode_png(encoded):
    """Decodes a png to gray, on paper where it is transparent."""
    pixels = tf.io.decode_png(encoded, channels=4)
    bits, kind = tf.unstack(_octets(encoded, 24, 2))

    def make_opaque():
        # Of less than 8 bits without transparency, decode_png returns another alpha.
        return tf.concat([pixels[..., :3], tf.ones_like(pixels[..., 3:]) * 255], axis=-1)

    def compare_8_bits():
        # libpng compares all 16 bits of a color with the transparent one; Pillow has only 8 left.
        color = tf.cast(_octets(_find_chunk(encoded, b"tRNS"), 0, 6)[::2], tf.uint8)
        is_color = tf.reduce_all(pixels[..., :3] == color, axis=-1, keepdims=True)
        return tf.concat([pixels[..., :3], 255 * tf.cast(~is_color, tf.uint8)], axis=-1)

    has_chunk = tf.cond(
        (bits < 8) | (bits == 16) & (kind == 2),
        lambda: _contains(encoded, b"tRNS") & (_length(_find_chunk(encoded, b"tRNS")) > 0),
        lambda: tf.constant(False),
    )
    pixels = tf.case(
        [
            ((bits < 8) & ~has_chunk, make_opaque),
            ((bits == 16) & (kind == 2) & has_chunk, compare_8_bits),
        ],
        default=lambda: pixels,
    )
    return _put_on_paper(pixels)


# BMP: TensorFlow's own decoder knows neither palettes nor single bits nor compression.


def _is_plain_bmp(encoded):
    size = _integers(encoded, 14, 1)[0]
    bits, compression = _integers(encoded, 28, 2)[0] % 0x10000, _integers(encoded, 30, 1)[0]
    has_colors = tf.reduce_any(bits == tf.constant([1, 4, 8, 24, 32], tf.int64))
    has_header = tf.reduce_any(size == tf.constant([40, 52, 56, 64, 108, 124], tf.int64))
    # Blue, green, red, and alpha or nothing, in this order.
    is_usual = tf.reduce_all(
        _integers(encoded, 54, 3) == tf.constant([0xFF0000, 0xFF00, 0xFF], tf.int64)
    )
    alpha = _integers(encoded, 66, 1)[0] * tf.cast(size >= 56, tf.int64)
    is_usual &= (bits == 24) | (bits == 32) & ((alpha == 0) | (alpha == _ALPHA))
    return has_header & has_colors & ((compression == 0) | (compression == 3) & is_usual)


def _decode_bmp(encoded):
    """Decodes a bmp to gray."""
    start, header = _integers(encoded, 10, 1)[0] % 2**32, _integers(encoded, 14, 1)[0]
    width, height = tf.unstack(_integers(encoded, 18, 2))
    bits, compression = _integers(encoded, 28, 1)[0] % 0x10000, _integers(encoded, 30, 1)[0]
    colors = _integers(encoded, 46, 1)[0] % 2**32
    most = tf.pow(tf.constant(2, tf.int64), tf.minimum(bits, 8))
    colors = tf.where(colors == 0, most, colors)
    palette_start = 14 + header
    # Some files say that the pixels begin where the palette does.
    palette_size = 4 * colors * tf.cast(bits <= 8, tf.int64)
    start += palette_size * tf.cast(start == palette_start, tf.int64)
    start = tf.where(start == 0, palette_start + palette_size, start)
    rows = tf.abs(height)
    used, stride = ceil_div(width * bits, 8), ceil_div(width * bits, 32) * 4
    size = stride * rows
    content = tf.strings.substr(encoded, _within(encoded, start), tf.cast(size, tf.int32))
    missing = size - _length(content)
    is_whole = tf.debugging.Assert(
        (start > 0) & (missing <= stride - used), ["The bmp is truncated."]
    )
    with tf.control_dependencies([is_whole]):
        octets = tf.pad(tf.io.decode_raw(content, tf.uint8), [[0, missing]])
    octets = tf.reshape(octets, (rows, stride))
    octets = tf.where(height > 0, octets[::-1], octets)

    def look_up_colors():
        shifts = tf.range(8 - bits, -1, -bits)
        indices = tf.bitwise.right_shift(tf.cast(octets, tf.int64)[..., None], shifts) % most
        indices = tf.reshape(indices, (rows, -1))[:, :width]
        palette = tf.strings.substr(encoded, _within(encoded, palette_start), 1024)
        palette = tf.strings.substr(palette + b"\0" * 1024, 0, 1024)
        palette = tf.reshape(tf.io.decode_raw(palette, tf.uint8), (256, 4))
        # Pixels without a color are black.
        is_color = tf.range(256, dtype=tf.int64) < colors
        palette = tf.where(is_color[:, None], palette, tf.zeros_like(palette))
        return tf.gather(_to_gray(palette[:, 2::-1]), indices)

    def take_colors(count):
        pixels = tf.reshape(octets[:, : width * count], (rows, -1, count))
        if count == 3:
            return _to_gray(pixels[..., ::-1])
        has_alpha = (compression == 3) & (header >= 56)
        has_alpha &= _integers(encoded, 66, 1)[0] == _ALPHA
        opaque = tf.ones_like(pixels[..., 3:]) * 255
        pixels = tf.concat(
            [pixels[..., 2::-1], tf.where(has_alpha, pixels[..., 3:], opaque)], axis=-1
        )
        return _put_on_paper(pixels)

    return tf.case(
        [(bits == 24, lambda: take_colors(3)), (bits == 32, lambda: take_colors(4))],
        default=look_up_colors,
    )


# Orientation: the same steps as in `exif`.


def _find_orientation(encoded, is_jpeg, is_png):
    """Returns the orientation that the EXIF data of an image name, 1 to 8."""
    # Nearly no png has such data: a search for the name is faster than a way from chunk to chunk.
    return tf.case(
        [
            (is_jpeg & _contains(encoded, rb"Exif\x00\x00"), lambda: _parse(_find_app1(encoded))),
            (is_png & _contains(encoded, rb"eXIf"), lambda: _parse(_find_chunk(encoded, b"eXIf"))),
        ],
        default=lambda: tf.constant(1, tf.int64),
    )


def _contains(encoded, pattern):
    return tf.strings.regex_full_match(encoded, rb"\C*" + pattern + rb"\C*")


def _find_app1(encoded):
    """Returns the content of the first EXIF segment of a jpeg, or nothing."""

    def step(position, found, is_done):
        head = _octets(encoded, position, 10)
        marker, length = head[1], 256 * head[2] + head[3]
        is_exif = (marker == 0xE1) & (length >= 8)
        is_exif &= tf.strings.substr(encoded, _within(encoded, position + 4), 6) == b"Exif\0\0"
        is_end = (head[0] != 0xFF) | (marker == 0xDA) | (marker == 0xD9)
        is_exif &= ~is_end
        content = tf.strings.substr(
            encoded, _within(encoded, position + 10), tf.cast(tf.maximum(length - 8, 0), tf.int32)
        )
        position += tf.where(marker == 0xFF, tf.constant(1, tf.int64), 2 + length)
        return position, tf.where(is_exif, content, found), is_exif | is_end

    return _walk(step, 2)


def _find_chunk(encoded, name):
    """Returns the content of the first chunk of a name in a png, or nothing."""

    def step(position, found, is_done):
        length = _integers(encoded, position, 1, little_endian=False)[0] % 2**32
        own = tf.strings.substr(encoded, _within(encoded, position + 4), 4)
        content = tf.strings.substr(
            encoded,
            _within(encoded, position + 8),
            tf.cast(tf.minimum(length, 2**31 - 1), tf.int32),
        )
        is_found = own == name
        is_done = is_found | (tf.strings.length(own) < 4)
        return position + 12 + length, tf.where(is_found, content, found), is_done

    return _walk(step, 8)


def _walk(step, position):
    """Goes from part to part of a file until `step` is done."""
    start = (tf.constant(position, tf.int64), tf.constant(b""), tf.constant(False))
    return tf.while_loop(
        lambda position, found, is_done: ~is_done,
        step,
        start,
        parallel_iterations=1,
        maximum_iterations=exif.MAX_PARTS,
    )[1]


def _parse(content):
    """Reads the orientation in EXIF data, as `exif.parse_orientation`."""
    content = tf.strings.regex_replace(content, rb"\A(?:Exif\x00\x00)+", b"")
    order = tf.strings.substr(content, 0, 4)
    is_little, is_big = order == b"II*\0", order == b"MM\0*"

    def integer(octets):
        """Reads unsigned integers from the last axis."""
        powers = [256**power for power in range(octets.shape[-1])]
        # Reversed here: reversed slices of a constant make TensorFlow's optimizer complain.
        weights = tf.where(is_little, *(tf.constant(p, tf.int64) for p in (powers, powers[::-1])))
        return tf.reduce_sum(octets * weights, axis=-1)

    start = integer(_octets(content, 4, 4))
    length = _length(content)
    count = tf.minimum(integer(_octets(content, start, 2)), tf.maximum(length - start - 2, 0) // 12)
    table = tf.strings.substr(content, _within(content, start + 2), tf.cast(12 * count, tf.int32))
    table = tf.cast(tf.reshape(tf.io.decode_raw(table, tf.uint8), (-1, 12)), tf.int64)
    entries = tf.boolean_mask(table, integer(table[:, :2]) == exif.TAG)
    entry = tf.concat([entries, tf.zeros((1, 12), tf.int64)], axis=0)[0]
    kind = integer(entry[2:4])
    value = tf.where(kind == exif.SHORT, integer(entry[8:10]), integer(entry[8:12]))
    is_known = (is_little | is_big) & ((kind == exif.SHORT) | (kind == exif.LONG))
    return tf.where(is_known & (value >= 1) & (value <= 8), value, 1)


def _turn_upright(gray, orientation):
    """Turns gray levels: across the diagonal, then left to right, then upside down."""

    def is_one_of(*values):
        return tf.reduce_any(orientation == tf.constant(values, tf.int64))

    # As floats: oneDNN transposes no integers, and says so in the log.
    gray = tf.cond(
        orientation >= 5,
        lambda: tf.cast(tf.transpose(tf.cast(gray, tf.float32)), tf.int32),
        lambda: gray,
    )
    gray = tf.cond(is_one_of(2, 3, 6, 7), lambda: gray[:, ::-1], lambda: gray)
    return tf.cond(is_one_of(3, 4, 7, 8), lambda: gray[::-1], lambda: gray)


def _length(encoded):
    return tf.cast(tf.strings.length(encoded), tf.int64)


def _within(encoded, position):
    """Returns a position that `tf.strings.substr` takes: at most the end."""
    return tf.cast(tf.minimum(_length(encoded), position), tf.int32)


def _octets(encoded, position, count):
    """Reads bytes as int64; zeros if the string ends before."""
    content = tf.strings.substr(encoded, _within(encoded, position), count) + b"\0" * count
    octets = tf.io.decode_raw(tf.strings.substr(content, 0, count), tf.uint8)
    return tf.ensure_shape(tf.cast(octets, tf.int64), (count,))


def _integers(encoded, position, count, *, little_endian=True):
    """Reads signed 32-bit integers of a header; zeros if the bytes end before."""
    content = tf.strings.substr(encoded, _within(encoded, position), 4 * count) + b"\0" * 32
    header = tf.strings.substr(content, 0, 4 * count)
    integers = tf.io.decode_raw(header, tf.int32, little_endian=little_endian)
    return tf.ensure_shape(tf.cast(integers, tf.int64), (count,))


def _resize(gray: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """Resizes as Pillow's bilinear filter: across, then down, each rounded to whole gray levels."""
    across = _resize_weights(tf.shape(gray)[1], width)
    down = _resize_weights(tf.shape(gray)[0], height)
    half, one = 2.0 ** (_RESIZE_BITS - 1), 2.0**_RESIZE_BITS
    # float64 holds these sums of integers exactly.
    pixels = tf.cast(gray, tf.float64)
    pixels = tf.floor((tf.matmul(pixels, across, transpose_b=True) + half) / one)
    return tf.floor((tf.matmul(down, pixels) + half) / one)


def _resize_weights(size_in: tf.Tensor, size_out: tf.Tensor) -> tf.Tensor:
    """Returns Pillow's triangle filter: a float64 matrix `(size_out, size_in)` of integers."""
    scale = tf.cast(size_in, tf.float64) / tf.cast(size_out, tf.float64)
    support = tf.maximum(scale, 1.0)
    centers = (tf.range(tf.cast(size_out, tf.float64), dtype=tf.float64) + 0.5)[:, None] * scale
    first = tf.floor(tf.maximum(centers - support + 0.5, 0.0))
    last = tf.floor(tf.minimum(centers + support + 0.5, tf.cast(size_in, tf.float64)))
    pixels = tf.range(tf.cast(size_in, tf.float64), dtype=tf.float64)[None, :]
    weights = tf.maximum(1.0 - tf.abs((pixels - centers + 0.5) / support), 0.0)
    weights = tf.where((pixels >= first) & (pixels < last), weights, 0.0)
    weights /= tf.reduce_sum(weights, axis=1, keepdims=True)
    return tf.floor(weights * 2.0**_RESIZE_BITS + 0.5)
