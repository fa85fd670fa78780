"""Canvases by TensorFlow ops, for graphs that must read encoded images themselves.

The pixels equal those of `images.to_canvas` to the last bit, as a test checks: gray and resize are
Pillow's integer arithmetic, written with TensorFlow's ops.
"""

from __future__ import annotations

import tensorflow as tf

from crnn_keras.images.canvas import MAX_PIXELS, MAX_SIDE, Canvas
from crnn_keras.utils.math import ceil_div

# Pillow's gray: ITU-R 601 weights as 16-bit integers.
_GRAY = (19595, 38470, 7471)
# Pillow's resize holds its weights as integers with this many bits behind the point.
_RESIZE_BITS = 22


def to_canvas(encoded: tf.Tensor, canvas: Canvas) -> tf.Tensor:
    """Puts an image on its canvas, by TensorFlow ops; the same pixels as `images.to_canvas`.

    Args:
        encoded: Scalar string tensor, the bytes of a jpeg, a png, or a bmp of 8, 24 or 32 bits.
        canvas: A `Canvas`.

    Returns:
        A uint8 tensor of shape `(canvas.height, width, 1)`.

    Raises:
        tf.errors.InvalidArgumentError: If it runs on bytes that are no such image, are truncated or
            have more pixels than `images.to_canvas` reads.
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


def _decode_gray(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes to int32 gray levels of shape `(height, width)`; checks the size in the header."""
    is_jpeg = tf.io.is_jpeg(encoded)
    is_png = tf.strings.substr(encoded, 0, 4) == b"\x89PNG"
    is_bmp = tf.strings.substr(encoded, 0, 2) == b"BM"
    known = tf.debugging.Assert(
        is_jpeg | is_png | is_bmp, ["Expected the bytes of a jpeg, png or bmp image."], name="known"
    )
    with tf.control_dependencies([known]):
        size = tf.case(
            [
                (is_jpeg, lambda: tf.cast(tf.image.extract_jpeg_shape(encoded)[:2], tf.int64)),
                (is_png, lambda: _read_integers(encoded, 16, 2, little_endian=False)),
            ],
            default=lambda: _read_integers(encoded, 18, 2, little_endian=True),
        )
    sides = tf.abs(size)  # the height of a bmp may be negative
    small = tf.debugging.Assert(
        (size[0] > 0) & (sides[0] * sides[1] <= MAX_PIXELS) & (tf.reduce_max(sides) <= MAX_SIDE),
        [f"Expected 1 to {MAX_PIXELS:,} pixels, {MAX_SIDE:,} at most along a side, got", size],
        name="small",
    )
    with tf.control_dependencies([small]):
        # Without INTEGER_ACCURATE, jpeg pixels differ from Pillow's by up to 20 gray levels.
        pixels = tf.case(
            [
                (
                    is_jpeg,
                    lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"),
                ),
                (is_png, lambda: tf.io.decode_png(encoded, channels=3)),
            ],
            default=lambda: _decode_bmp(encoded),
        )
    weighted = tf.cast(pixels, tf.int32) * tf.constant(_GRAY)
    return (tf.reduce_sum(weighted, axis=-1) + 0x8000) // 0x10000


def _decode_bmp(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes a bmp to RGB. Of a palette TensorFlow returns the indices, not the colors."""
    pixels = tf.image.decode_bmp(encoded, channels=3)
    bits = _read_integers(encoded, 28, 1, little_endian=True)[0] % 0x10000

    def look_up_colors():
        start = 14 + _read_integers(encoded, 14, 1, little_endian=True)[0]
        palette = tf.strings.substr(encoded + b"\0" * 1024, tf.cast(start, tf.int32), 1024)
        blue_green_red = tf.reshape(tf.io.decode_raw(palette, tf.uint8), (256, 4))[:, :3]
        return tf.gather(blue_green_red[:, ::-1], tf.cast(pixels[..., 0], tf.int32))

    return tf.cond(bits == 8, look_up_colors, lambda: pixels)


def _read_integers(
    encoded: tf.Tensor, position: int, count: int, *, little_endian: bool
) -> tf.Tensor:
    """Reads 32-bit integers of a header; zeros if the bytes end before."""
    header = tf.strings.substr(encoded + b"\0" * 32, position, 4 * count)
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
