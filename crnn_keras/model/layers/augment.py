"""Augmentation on the device that trains."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from crnn_keras.images.augmentation import DRAWS, Augmentation, changes
from crnn_keras.utils.checks import SEED, check_value


class _Seeds(keras.random.SeedGenerator):
    """Seeds that belong to a run's state, but not to the file of a trained reader."""

    def save_own_variables(self, store):
        pass

    def load_own_variables(self, store):
        pass


class Augment(keras.layers.Layer):
    """Changes each canvas in its own way while the model trains, and nothing otherwise.

    It does on the device that trains what `images.augmentation.augment_canvases` does on the CPU,
    with other random numbers. Its seed is part of a run's state, so a run that is continued sees
    what an unbroken one would have seen.

    Args:
        augmentation: An `Augmentation`, or its config.
        seed: Seed of the random numbers. Defaults to `0`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, 1)`: gray levels from 0 to 255.

    Output shape:
        The same as the input shape.

    Example:

        >>> import keras
        >>> from crnn_keras.images.augmentation import Augmentation
        >>> from crnn_keras.model.layers import Augment
        >>> layer = Augment(Augmentation.strong(), seed=1)
        >>> tuple(layer(keras.ops.zeros((2, 32, 100, 1)), training=True).shape)
        (2, 32, 100, 1)
    """

    def __init__(self, augmentation: Augmentation | dict, seed: int = 0, **kwargs: Any):
        # Not by a decorator: Keras reads the names of the arguments from this function.
        check_value("seed", seed, SEED)
        # Gray levels and places need float32 whatever the other layers compute in.
        super().__init__(**{"dtype": "float32", **kwargs})
        if isinstance(augmentation, dict):
            augmentation = Augmentation(**augmentation)
        self.augmentation = augmentation
        self.seed = seed
        self.seeds = _Seeds(seed)

    def call(self, inputs, training=None):
        if not training or self.augmentation.is_neutral:
            return inputs
        images, height, width, _ = ops.shape(inputs)
        draws = keras.random.uniform((DRAWS, images), seed=self.seeds)
        noise = keras.random.normal((images, height, width), seed=self.seeds)
        return change_canvases(inputs, self.augmentation, draws=draws, noise=noise)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = {"augmentation": self.augmentation.get_config(), "seed": self.seed}
        return {**super().get_config(), **config}


def change_canvases(canvases: Any, augmentation: Augmentation, *, draws: Any, noise: Any) -> Any:
    """Changes canvases by Keras' ops, as `images.augmentation.augment_canvases` does by OpenCV.

    Args:
        canvases: Float tensor `(batch, height, width, 1)` of gray levels.
        augmentation: An `Augmentation`.
        draws: Float tensor `(DRAWS, batch)`, uniform from 0 to 1.
        noise: Float tensor `(batch, height, width)`, normal.

    Returns:
        Float tensor of the same shape as the canvases.
    """
    _, height, width, _ = ops.shape(canvases)
    columns = ops.cast(ops.arange(width), "float32")
    rows = ops.cast(ops.arange(height), "float32")
    # A width that a traced function does not know is a tensor of whole numbers.
    wide = width if isinstance(width, int) else ops.cast(width, "float32")
    done = changes(draws, augmentation, height=height, width=wide, ops=ops)

    def line(along_x, along_y, constant):
        place = along_y[:, None] * rows + constant[:, None]
        return place[:, :, None] + (along_x[:, None] * columns)[:, None]

    places = [line(*done.x), line(*done.y)]
    if augmentation.perspective:
        divisor = line(*done.w)
        places = [place / divisor for place in places]
    if augmentation.resolution:
        block = _each(done.block)
        places = [
            ops.where(block > 1, (ops.floor(place / block) + 0.5) * block - 0.5, place)
            for place in places
        ]
    bent = _look_up(canvases[..., 0], *places)
    bent = _mix_with_means(bent, augmentation, done.blur)
    contrast = _each(done.contrast)
    lit = (bent - 127.5) * contrast + 127.5 + _each(done.light) + noise * _each(done.noise)
    return ops.clip(lit, 0.0, 255.0)[..., None]


def _each(values):
    """Returns one number an image so that it is broadcast over rows and columns."""
    return values[:, None, None]


def _look_up(images, x, y):
    """Returns the gray levels at some places, between four pixels; outside, the outermost ones."""
    _, height, width = ops.shape(images)
    flat = ops.reshape(images, (-1, height * width))
    shape = ops.shape(x)

    def split(place, size):
        most = ops.cast(size - 1, "float32")
        place = ops.clip(place, 0.0, most)
        first = ops.floor(place)
        second = ops.minimum(first + 1, most)
        return place - first, ops.cast(first, "int32"), ops.cast(second, "int32")

    right, x0, x1 = split(x, width)
    below, y0, y1 = split(y, height)

    def take(row, column):
        index = ops.reshape(row * width + column, (-1, height * width))
        return ops.reshape(ops.take_along_axis(flat, index, axis=1), shape)

    above = (1 - right) * take(y0, x0) + right * take(y0, x1)
    under = (1 - right) * take(y1, x0) + right * take(y1, x1)
    return (1 - below) * above + below * under


def _mix_with_means(images, augmentation, blur):
    """Returns a mix of the images, their 3 x 3 means and the means of those."""
    if not augmentation.blur:
        return images
    weights = [ops.maximum(1 - blur, 0), 1 - ops.abs(blur - 1), ops.maximum(blur - 1, 0)]
    passes = 1 + (augmentation.strength * augmentation.blur > 1)
    mixed = images * _each(weights[0])
    for weight in weights[1 : 1 + passes]:
        for axis in (1, 2):
            images = _mean_of_three(images, axis)
        mixed = mixed + images * _each(weight)
    return mixed


def _mean_of_three(images, axis):
    """Returns the mean of each pixel and its neighbors along an axis; the edges are repeated."""
    size = ops.shape(images)[axis]
    first, last = [slice(None)] * 3, [slice(None)] * 3
    first[axis], last[axis] = slice(0, 1), slice(size - 1, size)
    padded = ops.concatenate([images[tuple(first)], images, images[tuple(last)]], axis=axis)
    parts = []
    for start in range(3):
        part = [slice(None)] * 3
        part[axis] = slice(start, start + size)
        parts.append(padded[tuple(part)])
    return (parts[0] + parts[1] + parts[2]) / 3
