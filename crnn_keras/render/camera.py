"""What light and camera do to a picture: uneven light, blur, lost resolution, noise, specks."""

import functools

import numpy as np
from PIL import Image, ImageFilter

from crnn_keras.render.paper import slant_light

# A prime number of pixels, lest rows of large pictures repeat.
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


def _smear(picture, rng):
    """The mean of the picture and of copies moved by a pixel, two pixels, ..."""
    across, down = _DIRECTIONS[int(rng.random() * 4)]
    steps = 1 + int(rng.random() * 3)
    height, width = picture.shape
    padded = np.pad(picture, steps, mode="edge")
    total = picture.copy()
    for step in range(1, steps + 1):
        x, y = steps + across * step, steps + down * step
        total += padded[y : y + height, x : x + width]
    return total * np.float32(1 / (steps + 1))


def _blur(picture, radius):
    """A Gaussian blur; small ones by means of neighbours, in a third of Pillow's time."""
    if radius > 1.2:
        blurred = _to_image(picture).filter(ImageFilter.GaussianBlur(radius))
        return np.asarray(blurred, np.float32)
    # Each turn adds a variance of twice the neighbours' weight.
    turns = 1 if radius < 0.7 else 2
    weight = np.float32(radius * radius / 2 / turns)
    picture = picture.copy()
    for _ in range(turns):
        for line in (picture, picture.T):
            inner = line[1:-1]
            inner += weight * (line[:-2] + line[2:] - (inner + inner))
    return picture


def _to_image(picture):
    picture = np.minimum(np.maximum(picture, 0), 255).astype(np.uint8)
    return Image.frombuffer("L", picture.shape[::-1], picture, "raw", "L", 0, 1)


def photograph(picture, span, detail, style, rng):
    """Takes a picture of the scene.

    Args:
        picture: float32 array `(height, width)` of greys.
        span: difference of ink and paper in grey levels; noise has at most a quarter of it.
        detail: size of the letters as a share of the usual, 1 at most: small ones are blurred less.
        style: a `Style`.
        rng: numpy's Generator.

    Returns:
        Gray Pillow image of the same size.
    """
    if rng.random() < style.light:
        strength = np.float32(0.1 + 0.35 * rng.random())
        shade = slant_light(picture.shape[::-1], rng)
        picture = picture * (np.float32(1) + strength * (shade - np.float32(0.5)))
    height, width = picture.shape
    sharp = rng.random() < style.sharp
    if not sharp and rng.random() < style.motion:
        picture = _smear(picture, rng)
    radius = style.blur * rng.random() * detail
    if not sharp and radius > 0.25:
        picture = _blur(picture, radius)
    if rng.random() < style.halo:
        # An unsharp mask, as cameras and picture programs have it.
        strength = np.float32(0.5 + 1.5 * rng.random())
        picture = picture + strength * (picture - _blur(picture, 0.8 + rng.random()))
    if not sharp and rng.random() < style.resolution:
        share = 1 - detail * (0.2 + 0.4 * rng.random())
        # Nobody reads less than ten rows.
        smaller = tuple(max(int(side * share), min(side, 10)) for side in (width, height))
        taken = _to_image(picture).resize(smaller, Image.Resampling.BOX)
        picture = np.asarray(taken, np.float32)
    # Most cameras are better than that.
    deviation = min(style.noise * min(rng.random(), rng.random()), 0.25 * span)
    if deviation > 1:
        picture = picture + noise(picture.shape, deviation, rng)
    image = _to_image(picture)
    if image.size != (width, height):
        way = Image.Resampling.BICUBIC if rng.random() < 0.5 else Image.Resampling.BILINEAR
        image = image.resize((width, height), way)
    if rng.random() < style.salt:
        pixels = np.array(image)
        specks = rng.integers(pixels.size, size=1 + pixels.size // 100)
        pixels.reshape(-1)[specks] = 255 * rng.integers(0, 2, specks.size)
        image = Image.fromarray(pixels)
    return image
