"""What lies behind the letters: paper, gradients, blotches, boards, photographs, edges of signs.

And the bars that stand in front of them.
"""

import functools
import math
import pathlib

import numpy as np
from PIL import Image

from crnn_keras.images import SUFFIXES, ImageError, to_gray

# Photographs are kept at this size in pixels: crops of them are scaled to a few hundred anyway.
_PHOTOGRAPH_PIXELS = 480


def find_photographs(folder):
    """Images of a folder and the folders within, to be backgrounds.

    Args:
        folder: path. Images without text suit best.

    Returns:
        Sorted list of paths.

    Raises:
        ValueError: there is no such folder, or no image in it.
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
def load_photograph(path):
    """Reads a photograph in grey, at most 480 pixels a side; once a process while it is in use.

    Args:
        path: image in any usual format.

    Returns:
        Gray Pillow image.

    Raises:
        ImageError: it cannot be read; the message names it.
    """
    try:
        photograph = to_gray(path)
    except ImageError as error:
        message = str(error)
        known = message if str(path) in message else f"{path}: {message}"
        raise ImageError(f"Photograph for backgrounds: {known}") from None
    scale = _PHOTOGRAPH_PIXELS / max(photograph.size)
    if scale >= 1:
        return photograph
    size = tuple(max(int(side * scale), 1) for side in photograph.size)
    return photograph.resize(size, Image.Resampling.BOX)


def soft_noise(rows, columns, size, rng):
    """Smooth random greys: a grid of them, scaled up.

    Args:
        rows, columns: size of the grid.
        size: tuple of width and height in pixels.
        rng: numpy's Generator.

    Returns:
        Float32 array `(height, width)` of -1 to 1.
    """
    grid = Image.fromarray(rng.integers(0, 256, (rows, columns), np.uint8))
    grown = grid.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(grown, np.float32) * np.float32(1 / 127.5) - np.float32(1)


def slant_light(size, rng):
    """A plane that rises or falls in any direction.

    Args:
        size: tuple of width and height in pixels.
        rng: numpy's Generator.

    Returns:
        Float32 array `(height, width)` of -1 to 1.
    """
    across, down = 2 * rng.random() - 1, 2 * rng.random() - 1
    share = max(abs(across) + abs(down), 0.1)
    ramps = [(2 * np.arange(side) + 1) / side - 1 for side in size]
    plane = across / share * ramps[0] + down / share * ramps[1][:, None]
    return plane.astype(np.float32)


def _blotches(size, rng):
    width, height = size
    sort = int(rng.random() * 4)
    grids = (
        (4, max(width // 8, 2)),
        (max(height // 3, 2), max(width // 3, 2)),
        (2, max(width // 3, 2)),
        (max(height // 3, 2), 2),
    )
    return soft_noise(*grids[sort], size, rng)


def _boards(size, rng):
    """Boards, bricks, shutters: stripes of two greys, -1 to 1, most of them level."""
    width, height = size
    level = rng.random() < 0.7
    period = (0.08 + 0.3 * rng.random()) * height
    share, start = 0.15 + 0.5 * rng.random(), rng.random()
    slope = 0.15 * (2 * rng.random() - 1) * rng.random()
    along, across = np.arange(width), np.arange(height)[:, None]
    place = across + slope * along if level else along + slope * across
    inside = (place / period + start) % 1.0 < share
    return np.where(inside, np.float32(1), np.float32(-1))


def _corner(size, rng):
    """Something that ends behind the text, as a roof against the sky: -1 on one side, else 1."""
    plane = slant_light(size, rng)
    return np.where(plane > np.float32(1.2 * rng.random() - 0.6), np.float32(1), np.float32(-1))


# What is drawn where there is no photograph, up to which share of the backgrounds.
_BACKGROUNDS = ((0.4, slant_light), (0.75, _blotches), (0.9, _boards), (1.0, _corner))


def add_bar(image, rng):
    """Puts a bar in front of the text: thin at any slope, or upright and up to a letter's stroke.

    Args:
        image: float32 array `(height, width)` of greys; it is changed.
        rng: numpy's Generator.
    """
    height, width = image.shape
    upright = rng.random() < 0.5
    thickness = (0.03 + (0.15 if upright else 0.05) * rng.random()) * height
    slope = (0.2 if upright else 0.8) * (2 * rng.random() - 1)
    along, across = np.arange(width), np.arange(height)[:, None]
    if upright:
        place = along + slope * across - rng.random() * width
    else:
        place = across + slope * along - rng.random() * height
    image[np.abs(place) < thickness / 2] = 255 * rng.random()


def _photograph(size, photographs, rng):
    """A random piece of a random photograph, as deviations of about -1 to 1."""
    photograph = load_photograph(photographs[int(rng.random() * len(photographs))])
    part = 0.1 + 0.9 * min(rng.random(), rng.random())
    width = max(part * photograph.width, 1.0)
    height = max(min(width * size[1] / size[0] * (0.7 + 0.6 * rng.random()), photograph.height), 1)
    left = rng.random() * (photograph.width - width)
    top = rng.random() * (photograph.height - height)
    box = (left, top, left + width, top + height)
    piece = np.asarray(photograph.resize(size, Image.Resampling.BILINEAR, box))
    # Sums in whole numbers: those of floats depend on the order.
    count, total = piece.size, int(piece.sum(dtype=np.int64))
    square = int(np.square(piece, dtype=np.int64).sum())
    spread = max(math.sqrt(max(count * square - total * total, 0)) / count, 4.0)
    return (piece - np.float32(total / count)) * np.float32(0.5 / spread)


def _add_panel(paper, rng):
    """A sign's edge or frame along one or more sides of the image."""
    height, width = paper.shape
    value, line = np.float32(255 * rng.random()), rng.random() < 0.5
    slope = 0.1 * (2 * rng.random() - 1)
    for side in range(4):
        if rng.random() >= 0.4:
            continue
        thickness = (0.03 + 0.07 * rng.random()) * height
        tilt = slope * min(height, width) / max(height, width) if side < 2 else slope
        along = np.arange(width) if side < 2 else np.arange(height)[:, None]
        away = np.arange(height)[:, None] if side < 2 else np.arange(width)
        distance = (away if side % 2 == 0 else away[::-1]) + tilt * along
        inside = distance < thickness
        if line:
            inside &= distance > thickness - 2.5
        paper[inside] = value
    return paper


def make_paper(size, level, span, style, photographs, rng):
    """Draws the background.

    Args:
        size: tuple of width and height in pixels.
        level: grey of the paper, 0 to 255.
        span: difference of ink and paper in grey levels. What is on the paper has less, so that
            the text can be read.
        style: a `Style`.
        photographs: list of paths of photographs; may be empty.
        rng: numpy's Generator.

    Returns:
        Float32 array `(height, width)`; some greys may lie outside 0 to 255.
    """
    paper = np.full((size[1], size[0]), level, np.float32)
    if rng.random() < style.background:
        amount = np.float32(min(5 + 60 * rng.random(), (0.3 + 0.2 * rng.random()) * span))
        if photographs and rng.random() < style.photographs:
            paper += _photograph(size, photographs, rng) * amount
        else:
            sort = rng.random()
            draw = next(draw for until, draw in _BACKGROUNDS if sort < until)
            paper += draw(size, rng) * amount
    if rng.random() < style.panel:
        paper = _add_panel(paper, rng)
    return paper
