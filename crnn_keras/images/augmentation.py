"""Augmentation: training images changed at random, a pure function of the seed and the step.

`Augmentation` states how much. For each image a row of uniform random numbers is drawn, and
`changes` turns it into what is done. `augment_canvases` does it with NumPy and OpenCV on the CPU;
`model.layers.Augment` does the same with Keras' ops on the device that trains.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import asdict, dataclass, fields, replace
from types import ModuleType
from typing import Any, NamedTuple

import cv2
import numpy as np

from crnn_keras.utils.checks import FRACTION, Number, check_value

_NOISE_VALUES = 2**20
# Threads of OpenCV's own would only wait for work in images this small.
cv2.setNumThreads(1)
_STREAM, _ERASING_STREAM = 10, 11
_RULES = {
    "strength": FRACTION,
    "scale_x": Number(0, 0.5),
    "scale_y": Number(0, 0.5),
    "shear": Number(0, 2),
    "slope": Number(0, 1),
    "shift_x": Number(0, 64),
    "shift_y": Number(0, 64),
    "rotation": Number(0, 45),
    "perspective": Number(0, 0.45),
    "blur": Number(0, 2),
    "resolution": Number(0, 3),
    "contrast": Number(0, 1),
    "brightness": Number(0, 255),
    "noise": Number(0, 255),
    "inversion": FRACTION,
}


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """States how much training images are changed at random.

    Each image is changed in its own way at each step: by random numbers that are evenly likely
    between nothing and the largest change in both directions.

    Args:
        strength: Factor of all changes, from 0 to 1. Defaults to `1.0`.
        scale_x: Largest change of the width, as a fraction. Defaults to `0.08`.
        scale_y: Largest change of the height, as a fraction. Defaults to `0.15`.
        shear: Largest slant, in pixels across for each pixel down. Defaults to `0.35`.
        slope: Largest slope of the line, in pixels down for each pixel across. Defaults to `0.06`.
        shift_x: Largest shift across, in pixels. Defaults to `3.0`.
        shift_y: Largest shift down, in pixels. Defaults to `2.0`.
        rotation: Largest rotation, in degrees. Defaults to `0.0`.
        perspective: Largest change of scale from the middle to an edge, as a fraction. Defaults to
            `0.0`.
        blur: Half of the images are mixed with their mean over 3 x 3 pixels: up to this fraction;
            above 1, with the mean of that. Defaults to `0.8`.
        resolution: Half of the images lose resolution: squares of up to 1 + this many pixels a side
            become one gray level. Defaults to `0.0`.
        contrast: Largest loss of contrast, as a fraction; it grows by up to 5/6 of that. Defaults
            to `0.3`.
        brightness: Largest change of the brightness, in gray levels. Defaults to `30.0`.
        noise: Half of the images get noise of up to this standard deviation, in gray levels.
            Defaults to `10.0`.
        inversion: Fraction of the images whose dark and light are swapped. Defaults to `0.0`.

    Raises:
        ValueError: A number is out of its range.

    Example:

        >>> from crnn_keras.images.augmentation import Augmentation
        >>> Augmentation.strong().rotation
        15.0
    """

    strength: float = 1.0
    scale_x: float = 0.08
    scale_y: float = 0.15
    shear: float = 0.35
    slope: float = 0.06
    shift_x: float = 3.0
    shift_y: float = 2.0
    rotation: float = 0.0
    perspective: float = 0.0
    blur: float = 0.8
    resolution: float = 0.0
    contrast: float = 0.3
    brightness: float = 30.0
    noise: float = 10.0
    inversion: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            check_value(field.name, getattr(self, field.name), _RULES[field.name])

    @classmethod
    def strong(cls, strength: float = 1.0) -> Augmentation:
        """Returns what large sets of words on signs are trained with.

        Args:
            strength: See the class. Defaults to `1.0`.

        Reference:
            Bautista and Atienza, 2022, PARSeq, arXiv 2207.06966, which rotates by up to 15 degrees,
            shears by up to 0.45, inverts, blurs and adds noise.
        """
        return cls(
            strength=strength,
            shear=0.45,
            rotation=15.0,
            perspective=0.15,
            blur=1.6,
            resolution=1.5,
            contrast=0.5,
            noise=20.0,
            inversion=0.1,
        )

    @classmethod
    def of(cls, value: float | Augmentation) -> Augmentation:
        """Returns an `Augmentation`; a number is the strength of the default one."""
        return value if isinstance(value, cls) else cls(strength=float(value))

    def get_config(self) -> dict[str, float]:
        """Returns a plain dict from which `Augmentation(**config)` makes it again."""
        return asdict(self)

    @property
    def is_neutral(self) -> bool:
        """Whether it changes nothing."""
        return not self.strength or self == replace(
            self, **{field.name: 0.0 for field in fields(self) if field.name != "strength"}
        )


class Changes(NamedTuple):
    """What is done to each image of a batch: tensors of one number an image.

    The gray level at `(x, y)` comes from `((a x + b y + c) / w, (d x + e y + f) / w)` of the old
    canvas, with `w = 1 + g (x - width / 2) + h (y - height / 2)`, in pixels from the top left. The
    rows and columns outside repeat the outermost ones.
    """

    x: tuple[Any, Any, Any]
    y: tuple[Any, Any, Any]
    w: tuple[Any, Any, Any]
    block: Any
    blur: Any
    contrast: Any
    light: Any
    noise: Any


# Random numbers that `changes` takes for each image.
DRAWS = 15


def changes(
    draws: Any, augmentation: Augmentation, *, height: int, width: Any, ops: ModuleType = np
) -> Changes:
    """Turns random numbers into what is done to each image.

    Args:
        draws: Float tensor `(DRAWS, images)`, uniform from 0 to 1.
        augmentation: An `Augmentation`.
        height: Height of the canvases in pixels.
        width: Their width in pixels; a number, or a scalar tensor.
        ops: `numpy` or `keras.ops`, whichever has the functions for `draws`. Defaults to `numpy`.

    Returns:
        `Changes`; `x`, `y` and `w` hold `(a, b, c)`, `(d, e, f)` and `(g, h, constant)`.
    """
    given, strength = augmentation, augmentation.strength

    def both(row, most):
        return strength * most * (2 * draws[row] - 1)

    def half(row, most):
        return ops.maximum(both(row, most), 0.0)

    middle_x, middle_y = width / 2, height / 2
    angle = both(10, given.rotation * np.pi / 180)
    cosine, sine = ops.cos(angle), ops.sin(angle)
    across, down = 1 + both(0, given.scale_x), 1 + both(3, given.scale_y)
    slant, slope = both(1, given.shear), both(2, given.slope)
    g, h = both(11, given.perspective) / middle_x, both(12, given.perspective) / middle_y
    constant = 1 - g * middle_x - h * middle_y

    def line(along_x, along_y, middle):
        # The middle stays in the middle, whatever the perspective; then it is shifted.
        return (
            along_x + middle * g,
            along_y + middle * h,
            middle * constant - along_x * middle_x - along_y * middle_y,
        )

    x = line(
        across * cosine + slant * sine,
        slant * cosine - across * sine,
        middle_x + both(4, given.shift_x),
    )
    y = line(
        slope * cosine + down * sine,
        down * cosine - slope * sine,
        middle_y + both(5, given.shift_y),
    )
    sign = ops.where(draws[14] < strength * given.inversion, -1.0, 1.0)
    return Changes(
        x=x,
        y=y,
        w=(g, h, constant),
        block=1 + half(13, given.resolution),
        blur=half(6, given.blur),
        contrast=sign * (1 + strength * given.contrast * (11 / 6 * draws[7] - 1)),
        light=both(8, given.brightness),
        noise=half(9, given.noise),
    )


def augment_canvases(
    canvases: np.ndarray,
    augmentation: Augmentation,
    *,
    seed: int,
    step: int,
    batch_size: int,
    rows: slice | np.ndarray,
) -> np.ndarray:
    """Changes each canvas in its own way, on the CPU.

    Random numbers are drawn for a whole batch, of which the canvases may be some rows. So an image
    is changed in the same way whichever process trains on it.

    Args:
        canvases: uint8 array `(rows, height, width, 1)`.
        augmentation: An `Augmentation`.
        seed: The seed.
        step: Another step changes the same image in another way.
        batch_size: Images in the batch that `canvases` are some rows of.
        rows: The rows of the batch that `canvases` are: a slice, or an array of ints.

    Returns:
        uint8 array of the same shape.
    """
    count, height, width, _ = canvases.shape
    rng = np.random.default_rng([seed, _STREAM, step])
    draws = rng.random((DRAWS, batch_size), dtype=np.float32)[:, rows]
    offsets = rng.integers(_noise(height * width).size, size=batch_size)[rows].tolist()
    done = changes(draws, augmentation, height=height, width=width)
    result = np.empty_like(canvases)
    todo = zip(_make_matrices(done, count), _make_levels(done, count), offsets, strict=True)
    images = zip(canvases[..., 0], result[..., 0], strict=True)
    for (old, new), (matrix, levels, offset) in zip(images, todo, strict=True):
        bent = _bend(old, matrix, levels.block)
        noise = _take_noise(offset, bent.shape) if levels.noise else None
        _light(bent, levels, noise=noise, result=new)
    return result


class _Levels(NamedTuple):
    """What is done to the gray levels of one image.

    Args:
        block: Side of the squares of one gray level, in pixels.
        sharp: Factor of the image.
        once: Factor of its 3 x 3 mean.
        twice: Factor of the mean of that.
        light: Gray levels that are added.
        noise: Standard deviation of the noise in gray levels.
    """

    block: float
    sharp: float
    once: float
    twice: float
    light: float
    noise: float


def _make_levels(done, count):
    """Returns the `_Levels` of each image."""
    blur = done.blur
    columns = (
        done.block,
        done.contrast * np.maximum(1 - blur, 0),
        done.contrast * (1 - np.abs(blur - 1)),
        done.contrast * np.maximum(blur - 1, 0),
        127.5 * (1 - done.contrast) + done.light,
        done.noise,
    )
    return itertools.starmap(_Levels, np.stack(columns, axis=1).tolist())


def _make_matrices(done, count):
    """Returns the map of each image as a matrix, float64 `(images, 3, 3)`."""
    lines = [
        np.stack([np.broadcast_to(c, count) for c in line]) for line in (done.x, done.y, done.w)
    ]
    return np.ascontiguousarray(np.stack(lines).transpose(2, 0, 1), np.float64)


def _bend(canvas, matrix, block):
    """Returns a canvas with each gray level taken from where the matrix says."""
    height, width = canvas.shape
    if block == 1:
        return _warp(canvas, matrix, (width, height))
    # The middle of each square is looked up first, then the nearest of them for each pixel.
    middle = block / 2 - 0.5
    to_middles = np.array([[block, 0, middle], [0, block, middle], [0, 0, 1]])
    to_squares = np.array([[1 / block, 0, -0.5], [0, 1 / block, -0.5], [0, 0, 1]])
    coarse = _warp(canvas, to_middles, (math.ceil(width / block), math.ceil(height / block)))
    return _warp(coarse, to_squares @ matrix, (width, height), interpolation=cv2.INTER_NEAREST)


def _warp(canvas, matrix, size, *, interpolation=cv2.INTER_LINEAR):
    """Returns a canvas of another size; outside the old one lie its outermost gray levels."""
    how = {"flags": interpolation | cv2.WARP_INVERSE_MAP, "borderMode": cv2.BORDER_REPLICATE}
    if matrix[2, 0] or matrix[2, 1]:
        return cv2.warpPerspective(canvas, matrix, size, **how)
    return cv2.warpAffine(canvas, matrix[:2], size, **how)


def _light(bent, levels, *, noise, result):
    """Writes a bent canvas, blurred, lit and with noise, into another one."""
    once = _mean(bent) if levels.once or levels.twice else bent
    mix = (bent, levels.sharp, once, levels.once, levels.light)
    if not levels.twice and noise is None:
        cv2.addWeighted(*mix, dst=result)
        return
    # Gray levels are rounded and clipped once, at the end.
    lit = cv2.addWeighted(*mix, dtype=cv2.CV_32F)
    if levels.twice:
        cv2.scaleAdd(_mean(once).astype(np.float32), levels.twice, lit, dst=lit)
    noise = lit if noise is None else noise
    cv2.addWeighted(lit, 1.0, noise, levels.noise, 0.0, dst=result, dtype=cv2.CV_8U)


def _mean(image):
    return cv2.blur(image, (3, 3), borderType=cv2.BORDER_REPLICATE)


def _take_noise(offset, shape):
    """Returns the stretch of noise of an image; it goes on at the beginning after the end."""
    size = math.prod(shape)
    noise = _noise(size)
    own = noise[offset : offset + size]
    if len(own) < size:
        own = np.concatenate([own, noise[: size - len(own)]])
    return own.reshape(shape)


@functools.lru_cache(maxsize=4)
def _noise(pixels):
    """Returns normal noise, longer than an image; each image takes its own stretch of it."""
    size = max(_NOISE_VALUES, 2 ** (4 * pixels - 1).bit_length())
    return np.random.default_rng(0).standard_normal(size, dtype=np.float32)


def erase_strips(
    canvases: np.ndarray,
    fraction: float,
    *,
    seed: int,
    step: int,
    batch_size: int,
    rows: slice | np.ndarray,
) -> np.ndarray:
    """Fills an upright strip, up to an eighth of the width, of some canvases with their mean.

    Args:
        canvases: uint8 array `(rows, height, width, 1)`.
        fraction: How many of the canvases lose a strip, from 0 to 1.
        seed: See `augment_canvases`; so are `step`, `batch_size` and `rows`.

    Returns:
        uint8 array of the same shape.
    """
    width = canvases.shape[2]
    rng = np.random.default_rng([seed, _ERASING_STREAM, step])
    chosen, place, size = rng.random((3, batch_size), dtype=np.float32)[:, rows]
    middles, reaches = place * width, width * (0.02 + 0.1 * size) / 2
    columns = np.arange(width) + 0.5
    erased = canvases.copy()
    for index in np.flatnonzero(chosen < fraction).tolist():
        strip = np.abs(columns - middles[index]) < reaches[index]
        erased[index, :, strip] = np.mean(canvases[index], dtype=np.float32)
    return erased


@dataclass(frozen=True, kw_only=True)
class Augmenter:
    """Augments rows of batches and erases strips of some, in this process or in another one.

    Args:
        augmentation: An `Augmentation`.
        random_erasing: Fraction of the images that lose a strip.
        seed: The seed.
        batch_size: Images in a batch.
    """

    augmentation: Augmentation
    random_erasing: float
    seed: int
    batch_size: int

    @property
    def is_neutral(self) -> bool:
        """Whether it changes nothing."""
        return self.augmentation.is_neutral and not self.random_erasing

    def __call__(self, canvases: np.ndarray, *, step: int, rows: slice | np.ndarray) -> np.ndarray:
        """Returns changed canvases; for the arguments see `augment_canvases`."""
        drawn = {"seed": self.seed, "step": step, "batch_size": self.batch_size, "rows": rows}
        if not self.augmentation.is_neutral:
            canvases = augment_canvases(canvases, self.augmentation, **drawn)
        if self.random_erasing:
            canvases = erase_strips(canvases, self.random_erasing, **drawn)
        return canvases
