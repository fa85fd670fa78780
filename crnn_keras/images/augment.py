"""Augmentation of canvases by TensorFlow ops: a pure function of the seed and the step.

Random numbers are drawn for a whole batch, of which the canvases may be some rows. So an image is
changed in the same way whichever process trains on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf


def augment_canvases(
    canvases: tf.Tensor,
    seed: int,
    step: tf.Tensor,
    *,
    batch_size: int,
    rows: slice,
    strength: float,
) -> tf.Tensor:
    """Bends, shifts, lights, blurs and roughens each canvas in its own way.

    Args:
        canvases: uint8 tensor `(rows, height, width, 1)`.
        seed: int.
        step: int64 scalar tensor; another step changes the same image in another way.
        batch_size: int, images in the batch that `canvases` are some rows of.
        rows: slice of the batch that `canvases` are.
        strength: float from 0 (the canvases stay as they are) to 1.

    Returns:
        uint8 tensor of the same shape.
    """
    import tensorflow as tf

    height = canvases.shape[1]
    width = tf.cast(tf.shape(canvases)[2], tf.float32)
    key = _key(seed, step)
    draws = tf.random.stateless_uniform([10, batch_size], key)[:, rows]

    def uniform(row, low, high, *, neutral=0.0):
        return neutral + strength * (low - neutral + (high - low) * draws[row])

    # Where in the old canvas each pixel of the new one lies: around the middle, then shifted.
    across, slant = uniform(0, 0.92, 1.08, neutral=1), uniform(1, -0.35, 0.35)
    angle, down = uniform(2, -0.06, 0.06), uniform(3, 0.85, 1.15, neutral=1)
    middle_x, middle_y = width / 2, height / 2
    offset_x = middle_x - across * middle_x - slant * middle_y + uniform(4, -3.0, 3.0)
    offset_y = middle_y - angle * middle_x - down * middle_y + uniform(5, -2.0, 2.0)
    zeros = tf.zeros_like(across)
    bent = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(canvases, tf.float32),
        transforms=tf.stack([across, slant, offset_x, angle, down, offset_y, zeros, zeros], axis=1),
        output_shape=tf.shape(canvases)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
    # Half of the images lose some sharpness: a mix with their own 3 x 3 mean.
    soft = tf.maximum(uniform(6, -0.8, 0.8), 0.0)[:, None, None, None]
    bent = (1 - soft) * bent + soft * tf.nn.avg_pool2d(bent, 3, 1, "SAME")
    contrast = uniform(7, 0.7, 1.25, neutral=1)[:, None, None, None]
    light = uniform(8, -30.0, 30.0)[:, None, None, None]
    shape = [batch_size, *tf.unstack(tf.shape(bent))[1:]]
    grain = tf.random.stateless_normal(shape, key + 1)[rows]
    grain *= tf.maximum(uniform(9, -10.0, 10.0), 0.0)[:, None, None, None]
    lit = (bent - 127.5) * contrast + 127.5 + light + grain
    return tf.cast(tf.clip_by_value(lit, 0.0, 255.0), tf.uint8)


def erase_strips(
    canvases: tf.Tensor,
    seed: int,
    step: tf.Tensor,
    *,
    batch_size: int,
    rows: slice,
    fraction: float,
) -> tf.Tensor:
    """Fills an upright strip, up to an eighth of the width, of some canvases with their mean.

    Args:
        canvases: uint8 tensor `(rows, height, width, 1)`.
        seed: int.
        step: int64 scalar tensor.
        batch_size: int, images in the batch that `canvases` are some rows of.
        rows: slice of the batch that `canvases` are.
        fraction: float from 0 to 1, how many of the canvases lose a strip.

    Returns:
        uint8 tensor of the same shape.
    """
    import tensorflow as tf

    width = tf.cast(tf.shape(canvases)[2], tf.float32)
    draws = tf.random.stateless_uniform([3, batch_size], _key(seed, step) + 2)[:, rows]
    chosen, place, size = tf.unstack(draws)
    reach = tf.where(chosen < fraction, width * (0.02 + 0.1 * size) / 2, 0.0)
    distance = tf.abs(tf.range(width) + 0.5 - (place * width)[:, None])
    strip = (distance < reach[:, None])[:, None, :, None]
    grays = tf.cast(canvases, tf.float32)
    means = tf.reduce_mean(grays, axis=(1, 2, 3), keepdims=True)
    return tf.cast(tf.where(strip, means, grays), tf.uint8)


def _key(seed: int, step: tf.Tensor) -> tf.Tensor:
    """Returns the key of a step's random numbers."""
    import tensorflow as tf

    return tf.stack([tf.cast(seed, tf.int64), step])
