"""Degrades rendered images like a camera: uneven light, blur, lost resolution, noise, specks."""

import functools

import numpy as np
from PIL import Image, ImageFilter

from crnn_keras.synth.background import make_gradient
from crnn_keras.synth.style import Style

# A prime number of values, so that the rows of large images do not repeat.
_NOISE_POOL_SIZE = 1_048_573
_DIRECTIONS = ((1, 0), (0, 1), (1, 1), (1, -1))


@functools.lru_cache(maxsize=1)
def _noise_pool():
    """Makes noise of standard deviation 1 once; fresh noise would take a tenth of the time.

    Sums of three bytes are close enough to Gaussian, and logarithms differ between machines.
    """
    drawn = np.random.default_rng(8).integers(0, 256, (3, _NOISE_POOL_SIZE), np.uint8)
    # Sums of three bytes have a mean of 382.5 and a standard deviation of 128.
    return (drawn.sum(axis=0, dtype=np.float32) - np.float32(382.5)) * np.float32(1 / 128)


def make_noise(shape: tuple[int, int], deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Draws noise that is nearly Gaussian.

    Args:
        shape: Tuple of height and width in pixels.
        deviation: Standard deviation in gray levels.
        rng: NumPy random generator.

    Returns:
        float32 array `(height, width)`, at most 3 deviations from 0.
    """
    start = int(rng.random() * _NOISE_POOL_SIZE)
    indices = np.arange(start, start + shape[0] * shape[1]).reshape(shape)
    return _noise_pool().take(indices, mode="wrap") * np.float32(deviation)


def _blur_motion(image, rng):
    """Returns the mean of the image and of copies shifted by one pixel, two pixels, ..."""
    dx, dy = _DIRECTIONS[int(rng.random() * 4)]
    steps = 1 + int(rng.random() * 3)
    height, width = image.shape
    padded = np.pad(image, steps, mode="edge")
    total = image.copy()
    for step in range(1, steps + 1):
        x, y = steps + dx * step, steps + dy * step
        total += padded[y : y + height, x : x + width]
    return total * np.float32(1 / (steps + 1))


def _blur_gaussian(image, radius):
    """Blurs; a small radius by means of neighbours, which takes a third of Pillow's time."""
    if radius > 1.2:
        blurred = _to_image(image).filter(ImageFilter.GaussianBlur(radius))
        return np.asarray(blurred, np.float32)
    # Each round adds a variance of twice the neighbours' weight.
    rounds = 1 if radius < 0.7 else 2
    weight = np.float32(radius * radius / 2 / rounds)
    image = image.copy()
    for _ in range(rounds):
        for lines in (image, image.T):
            inner = lines[1:-1]
            inner += weight * (lines[:-2] + lines[2:] - (inner + inner))
    return image


def _to_image(array):
    array = np.minimum(np.maximum(array, 0), 255).astype(np.uint8)
    return Image.frombuffer("L", array.shape[::-1], array, "raw", "L", 0, 1)


def degrade_image(
    image: np.ndarray, style: Style, rng: np.random.Generator, *, contrast: float, detail: float
) -> Image.Image:
    """Adds what a camera adds: uneven light, blur, lost resolution, noise and specks.

    Args:
        image: float32 array `(height, width)` of grays.
        style: A `Style`.
        rng: NumPy random generator.
        contrast: Difference between ink and background in gray levels. The standard deviation of
            the noise is at most a quarter of it.
        detail: Size of the letters relative to the usual size, at most 1. Small letters are
            blurred less.

    Returns:
        Gray Pillow image of the same size.
    """
    if rng.random() < style.light:
        strength = np.float32(0.1 + 0.35 * rng.random())
        gradient = make_gradient(image.shape[::-1], rng)
        image = image * (np.float32(1) + strength * (gradient - np.float32(0.5)))
    height, width = image.shape
    is_sharp = rng.random() < style.sharp
    if not is_sharp and rng.random() < style.motion:
        image = _blur_motion(image, rng)
    radius = style.blur * rng.random() * detail
    if not is_sharp and radius > 0.25:
        image = _blur_gaussian(image, radius)
    if rng.random() < style.halo:
        # An unsharp mask, as cameras and image editors apply it.
        strength = np.float32(0.5 + 1.5 * rng.random())
        image = image + strength * (image - _blur_gaussian(image, 0.8 + rng.random()))
    if not is_sharp and rng.random() < style.resolution:
        scale = 1 - detail * (0.2 + 0.4 * rng.random())
        # Text of fewer than ten rows cannot be read.
        smaller = tuple(max(int(side * scale), min(side, 10)) for side in (width, height))
        scaled = _to_image(image).resize(smaller, Image.Resampling.BOX)
        image = np.asarray(scaled, np.float32)
    # The smaller of two draws: most cameras have little noise.
    deviation = min(style.noise * min(rng.random(), rng.random()), 0.25 * contrast)
    if deviation > 1:
        image = image + make_noise(image.shape, deviation, rng)
    image = _to_image(image)
    if image.size != (width, height):
        method = Image.Resampling.BICUBIC if rng.random() < 0.5 else Image.Resampling.BILINEAR
        image = image.resize((width, height), method)
    if rng.random() < style.salt:
        pixels = np.array(image)
        specks = rng.integers(pixels.size, size=1 + pixels.size // 100)
        pixels.reshape(-1)[specks] = 255 * rng.integers(0, 2, specks.size)
        image = Image.fromarray(pixels)
    return image
