"""Backgrounds of rendered text: gradients, blotches, stripes, edges, photographs, frames, bars."""

import functools
import math
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from crnn_keras.images import SUFFIXES, ImageError, to_gray
from crnn_keras.synth.style import Style

# Photographs are kept at this size in pixels: crops of them are scaled to a few hundred anyway.
_PHOTOGRAPH_PIXELS = 480


def find_photographs(folder: str | os.PathLike) -> list[str]:
    """Finds the images of a folder and its subfolders, for use as backgrounds.

    Args:
        folder: Path. Images without text suit best.

    Returns:
        Sorted list of paths.

    Raises:
        ValueError: The folder does not exist or holds no image.
    """
    found = sorted(
        str(path)
        for path in pathlib.Path(folder).rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file()
    )
    if not found:
        raise ValueError(
            f"{folder} holds no photograph. Expected a folder with {', '.join(SUFFIXES)}."
        )
    return found


@functools.lru_cache(maxsize=512)
def load_photograph(path: str) -> Image.Image:
    """Reads a photograph in gray, scaled down to at most 480 pixels a side.

    The last 512 photographs stay in memory.

    Args:
        path: Image in any usual format.

    Returns:
        Gray Pillow image.

    Raises:
        ImageError: The image cannot be read; the message names it.
    """
    try:
        photograph = to_gray(path)
    except ImageError as error:
        message = str(error)
        located = message if str(path) in message else f"{path}: {message}"
        raise ImageError(f"Photograph for backgrounds: {located}") from None
    scale = _PHOTOGRAPH_PIXELS / max(photograph.size)
    if scale >= 1:
        return photograph
    size = tuple(max(int(side * scale), 1) for side in photograph.size)
    return photograph.resize(size, Image.Resampling.BOX)


def make_blotches(
    grid: tuple[int, int], size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Draws a grid of random grays and scales it up smoothly.

    Args:
        grid: Tuple of rows and columns of the grid.
        size: Tuple of width and height in pixels.
        rng: NumPy random generator.

    Returns:
        float32 array `(height, width)` of -1 to 1.
    """
    grays = Image.fromarray(rng.integers(0, 256, grid, np.uint8))
    scaled = grays.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(scaled, np.float32) * np.float32(1 / 127.5) - np.float32(1)


def make_gradient(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Draws a linear gradient in a random direction.

    Args:
        size: Tuple of width and height in pixels.
        rng: NumPy random generator.

    Returns:
        float32 array `(height, width)` of -1 to 1.
    """
    dx, dy = 2 * rng.random() - 1, 2 * rng.random() - 1
    norm = max(abs(dx) + abs(dy), 0.1)
    ramps = [(2 * np.arange(side) + 1) / side - 1 for side in size]
    plane = dx / norm * ramps[0] + dy / norm * ramps[1][:, None]
    return plane.astype(np.float32)


def _make_blotches(size, rng):
    """Draws blotches that are round, fine, tall or wide."""
    width, height = size
    kind = int(rng.random() * 4)
    grids = (
        (4, max(width // 8, 2)),
        (max(height // 3, 2), max(width // 3, 2)),
        (2, max(width // 3, 2)),
        (max(height // 3, 2), 2),
    )
    return make_blotches(grids[kind], size, rng)


def _make_stripes(size, rng):
    """Draws stripes of -1 and 1, mostly level ones, like boards, bricks and shutters."""
    width, height = size
    is_level = rng.random() < 0.7
    period = (0.08 + 0.3 * rng.random()) * height
    fraction, start = 0.15 + 0.5 * rng.random(), rng.random()
    slope = 0.15 * (2 * rng.random() - 1) * rng.random()
    x, y = np.arange(width), np.arange(height)[:, None]
    position = y + slope * x if is_level else x + slope * y
    inside = (position / period + start) % 1.0 < fraction
    return np.where(inside, np.float32(1), np.float32(-1))


def _make_edge(size, rng):
    """Draws a straight edge behind the text, like a roof against the sky: -1 and 1."""
    plane = make_gradient(size, rng)
    return np.where(plane > np.float32(1.2 * rng.random() - 0.6), np.float32(1), np.float32(-1))


# Pairs of a cumulative probability and what is drawn where there is no photograph.
_TEXTURES = ((0.4, make_gradient), (0.75, _make_blotches), (0.9, _make_stripes), (1.0, _make_edge))


def _crop_photograph(size, photographs, rng):
    """Crops a random piece of a random photograph, scaled to deviations of about -1 to 1."""
    photograph = load_photograph(photographs[int(rng.random() * len(photographs))])
    fraction = 0.1 + 0.9 * min(rng.random(), rng.random())
    width = max(fraction * photograph.width, 1.0)
    height = max(min(width * size[1] / size[0] * (0.7 + 0.6 * rng.random()), photograph.height), 1)
    left = rng.random() * (photograph.width - width)
    top = rng.random() * (photograph.height - height)
    box = (left, top, left + width, top + height)
    crop = np.asarray(photograph.resize(size, Image.Resampling.BILINEAR, box))
    # Integer sums: sums of floats depend on the order of addition.
    count, total = crop.size, int(crop.sum(dtype=np.int64))
    square = int(np.square(crop, dtype=np.int64).sum())
    spread = max(math.sqrt(max(count * square - total * total, 0)) / count, 4.0)
    return (crop - np.float32(total / count)) * np.float32(0.5 / spread)


def _add_panel(background, rng):
    """Draws the edge or the frame of a sign along one or more sides of the image."""
    height, width = background.shape
    value, is_line = np.float32(255 * rng.random()), rng.random() < 0.5
    slope = 0.1 * (2 * rng.random() - 1)
    for side in range(4):
        if rng.random() >= 0.4:
            continue
        thickness = (0.03 + 0.07 * rng.random()) * height
        tilt = slope * min(height, width) / max(height, width) if side < 2 else slope
        along = np.arange(width) if side < 2 else np.arange(height)[:, None]
        across = np.arange(height)[:, None] if side < 2 else np.arange(width)
        distance = (across if side % 2 == 0 else across[::-1]) + tilt * along
        inside = distance < thickness
        if is_line:
            inside &= distance > thickness - 2.5
        background[inside] = value
    return background


def make_background(
    size: tuple[int, int],
    level: float,
    contrast: float,
    *,
    style: Style,
    photographs: Sequence[str],
    rng: np.random.Generator,
) -> np.ndarray:
    """Draws the background of an image.

    Args:
        size: Tuple of width and height in pixels.
        level: Mean gray, 0 to 255.
        contrast: Difference between ink and background in gray levels. The texture of the
            background stays below it, so that the text can be read.
        style: A `Style`.
        photographs: Paths of photographs; may be empty.
        rng: NumPy random generator.

    Returns:
        float32 array `(height, width)`; some grays may lie outside 0 to 255.
    """
    background = np.full((size[1], size[0]), level, np.float32)
    if rng.random() < style.background:
        strength = np.float32(min(5 + 60 * rng.random(), (0.3 + 0.2 * rng.random()) * contrast))
        if photographs and rng.random() < style.photographs:
            background += _crop_photograph(size, photographs, rng) * strength
        else:
            drawn = rng.random()
            make = next(make for until, make in _TEXTURES if drawn < until)
            background += make(size, rng) * strength
    if rng.random() < style.panel:
        background = _add_panel(background, rng)
    return background


def add_bar(image: np.ndarray, rng: np.random.Generator) -> None:
    """Draws a bar in front of the text: a thin one at any slope, or an upright, thicker one.

    Args:
        image: float32 array `(height, width)` of grays; it is changed in place.
        rng: NumPy random generator.
    """
    height, width = image.shape
    is_upright = rng.random() < 0.5
    thickness = (0.03 + (0.15 if is_upright else 0.05) * rng.random()) * height
    slope = (0.2 if is_upright else 0.8) * (2 * rng.random() - 1)
    x, y = np.arange(width), np.arange(height)[:, None]
    if is_upright:
        position = x + slope * y - rng.random() * width
    else:
        position = y + slope * x - rng.random() * height
    image[np.abs(position) < thickness / 2] = 255 * rng.random()
