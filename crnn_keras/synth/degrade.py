"""What light and camera do to an image: uneven light, blur, lost resolution, noise, specks."""

import functools

import numpy as np
from PIL import Image, ImageFilter

from crnn_keras.synth.background import slant_light

# A prime number of pixels, lest rows of large images repeat.
_POOL = 1_048_573
_DIRECTIONS = ((1, 0), (0, 1), (1, 1), (1, -1))


@functools.lru_cache(maxsize=1)
def _noise_pool():
    """Noise of deviation 1 to take pieces of: to make it anew would be a tenth of all the work.

    Sums of three bytes are near enough to Gaussian, and logarithms differ between machines.
    """
    drawn = np.random.default_rng(8).integers(0, 256, (3, _POOL), np.uint8)
    # Three bytes have a mean of 382.5 and a standard deviation of 128.
    return (drawn.sum(axis=0, dtype=np.float32) - np.float32(382.5)) * np.float32(1 / 128)


def noise(shape, deviation, rng):
    """Noise of a bell curve.

    Args:
        shape: height and width in pixels.
        deviation: standard deviation in grey levels.
        rng: numpy's Generator.

    Returns:
        Float32 array of that shape, at most 3 deviations from 0.
    """
    start = int(rng.random() * _POOL)
    places = np.arange(start, start + shape[0] * shape[1]).reshape(shape)
    return _noise_pool().take(places, mode="wrap") * np.float32(deviation)


def _smear(image, rng):
    """The mean of the image and of copies moved by a pixel, two pixels, ..."""
    across, down = _DIRECTIONS[int(rng.random() * 4)]
    steps = 1 + int(rng.random() * 3)
    height, width = image.shape
    padded = np.pad(image, steps, mode="edge")
    total = image.copy()
    for step in range(1, steps + 1):
        x, y = steps + across * step, steps + down * step
        total += padded[y : y + height, x : x + width]
    return total * np.float32(1 / (steps + 1))


def _blur(image, radius):
    """A Gaussian blur; small ones by means of neighbours, in a third of Pillow's time."""
    if radius > 1.2:
        blurred = _to_image(image).filter(ImageFilter.GaussianBlur(radius))
        return np.asarray(blurred, np.float32)
    # Each turn adds a variance of twice the neighbours' weight.
    turns = 1 if radius < 0.7 else 2
    weight = np.float32(radius * radius / 2 / turns)
    image = image.copy()
    for _ in range(turns):
        for line in (image, image.T):
            inner = line[1:-1]
            inner += weight * (line[:-2] + line[2:] - (inner + inner))
    return image


def _to_image(image):
    image = np.minimum(np.maximum(image, 0), 255).astype(np.uint8)
    return Image.frombuffer("L", image.shape[::-1], image, "raw", "L", 0, 1)


def photograph(image, span, detail, style, rng):
    """Takes an image of the scene.

    Args:
        image: float32 array `(height, width)` of greys.
        span: difference of ink and paper in grey levels; noise has at most a quarter of it.
        detail: size of the letters as a share of the usual, 1 at most: small ones are blurred less.
        style: a `Style`.
        rng: numpy's Generator.

    Returns:
        Gray Pillow image of the same size.
    """
    if rng.random() < style.light:
        strength = np.float32(0.1 + 0.35 * rng.random())
        shade = slant_light(image.shape[::-1], rng)
        image = image * (np.float32(1) + strength * (shade - np.float32(0.5)))
    height, width = image.shape
    sharp = rng.random() < style.sharp
    if not sharp and rng.random() < style.motion:
        image = _smear(image, rng)
    radius = style.blur * rng.random() * detail
    if not sharp and radius > 0.25:
        image = _blur(image, radius)
    if rng.random() < style.halo:
        # An unsharp mask, as cameras and image programs have it.
        strength = np.float32(0.5 + 1.5 * rng.random())
        image = image + strength * (image - _blur(image, 0.8 + rng.random()))
    if not sharp and rng.random() < style.resolution:
        share = 1 - detail * (0.2 + 0.4 * rng.random())
        # Nobody reads less than ten rows.
        smaller = tuple(max(int(side * share), min(side, 10)) for side in (width, height))
        taken = _to_image(image).resize(smaller, Image.Resampling.BOX)
        image = np.asarray(taken, np.float32)
    # Most cameras are better than that.
    deviation = min(style.noise * min(rng.random(), rng.random()), 0.25 * span)
    if deviation > 1:
        image = image + noise(image.shape, deviation, rng)
    image = _to_image(image)
    if image.size != (width, height):
        way = Image.Resampling.BICUBIC if rng.random() < 0.5 else Image.Resampling.BILINEAR
        image = image.resize((width, height), way)
    if rng.random() < style.salt:
        pixels = np.array(image)
        specks = rng.integers(pixels.size, size=1 + pixels.size // 100)
        pixels.reshape(-1)[specks] = 255 * rng.integers(0, 2, specks.size)
        image = Image.fromarray(pixels)
    return image
