"""Warps letters like a camera and a sign: perspective, slope, slant, arcs, waves.

One map leads from each pixel of the image back to the letters. It is written in closed form,
because solvers of linear equations differ between machines in the last digits.
"""

import math
from dataclasses import dataclass

import numpy as np

from crnn_keras.synth.letters import Letters
from crnn_keras.synth.style import Style

# The widest image, as a multiple of its height.
_MAX_ASPECT = 40
# Pixels of a layer that float32 can count exactly.
_MAX_PIXELS = 2**23


def _warp_corners(width, height, *, style, rng):
    """Moves the corners of the text's box: left top, right top, right bottom, left bottom."""
    corners = [[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]]
    for corner, (dx, dy) in zip(corners, ((1, 1), (-1, 1), (-1, -1), (1, -1)), strict=True):
        corner[0] += dx * rng.random() * style.tilt * min(width, height)
        corner[1] += dy * rng.random() * style.tilt * height
    slant = 0.0
    if rng.random() < 0.4:
        slant = style.slant * (1.4 * rng.random() - 0.4)
    # Most signs are nearly level.
    slope = style.slope * (2 * rng.random() - 1) * rng.random()
    slope = max(min(slope, 0.7 * height / width), -0.7 * height / width)
    for corner in corners:
        x, y = corner
        corner[0] = x + slant * (height - y) - slope * y
        corner[1] = y + slope * x
    return corners


def _draw_margins(height, style, rng):
    """Draws the margins left, top, right and bottom in pixels; below 0 the ink is cut."""
    if rng.random() < style.crop:
        if rng.random() < 0.5:
            return [height * (low + 0.1 * rng.random()) for low in (-0.02, -0.06, -0.02, -0.06)]
        return [height * (0.1 + 0.5 * rng.random()) for _ in range(4)]
    return [height * (0.03 + 0.2 * rng.random()) for _ in range(4)]


def _map_from_square(corners):
    """Returns the projective map from the unit square to four corners (Heckbert 1989)."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
    dx1, dx2, sx = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, sy = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    area = dx1 * dy2 - dx2 * dy1
    g, h = (sx * dy2 - dx2 * sy) / area, (dx1 * sy - sx * dy1) / area
    return (
        (x1 - x0 + g * x1, x3 - x0 + h * x3, x0),
        (y1 - y0 + g * y1, y3 - y0 + h * y3, y0),
        (g, h, 1.0),
    )


def _invert(matrix):
    """Inverts a projective map, up to its scale."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    return (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )


def _draw_curve(width, height, *, style, rng):
    """Draws the rise of an arc or wave as a fraction of the height, and its kind; 0 for a line."""
    if rng.random() >= style.curve:
        return 0.0, 0
    largest = min(0.8, 0.25 * width / height)
    return largest * (0.2 + 0.8 * rng.random()), int(rng.random() * 4)


def _curve_depth(u, kind):
    """Returns how far down a curve is at `u`, 0 to 1: arc, bowl, wave or mirrored wave."""
    u = np.clip(u, 0.0, 1.0)
    if kind < 2:
        bump = 4 * u * (1 - u)
        return 1 - bump if kind == 0 else bump
    in_first_half = u < 0.5
    half = np.where(in_first_half, 2 * u, 2 * u - 1)
    wave = 2 * half * (1 - half)
    return 0.5 + np.where(in_first_half == (kind == 2), wave, -wave)


def _halve(layers):
    """Scales layers to half their size by means of four pixels, so that thin strokes survive."""
    _, height, width = layers.shape
    even = layers[:, : height - height % 2, : width - width % 2]
    rows = even[:, ::2] + even[:, 1::2]
    return (rows[:, :, ::2] + rows[:, :, 1::2]) * np.float32(0.25)


def _sample(layers, x, y):
    """Interpolates layers at positions between pixels; positions outside take the empty edge."""
    count, height, width = layers.shape
    # Faster than `np.clip` on small arrays.
    x = np.minimum(np.maximum(x, 0), width - 1.001)
    y = np.minimum(np.maximum(y, 0), height - 1.001)
    column, row = np.floor(x), np.floor(y)
    x -= column
    y -= row
    # Integers up to 16 million are exact in float32.
    flat, index = layers.reshape(count, -1), (row * np.float32(width) + column).astype(np.intp)
    top, bottom = flat.take(index, 1), flat.take(index + width, 1)
    top += (flat.take(index + 1, 1) - top) * x
    bottom += (flat.take(index + (width + 1), 1) - bottom) * x
    bottom -= top
    bottom *= y
    top += bottom
    return top


@dataclass(frozen=True)
class Warp:
    """The map from each pixel of an image back to the layers of its letters.

    Args:
        x: float32 array `(height, width)`: the column, in the layers as they are halved.
        y: float32 array `(height, width)`: the row.
        halvings: How many times the layers are halved before.
        scale: Scale of the letters, 1 if they are as high as drawn.
    """

    x: np.ndarray
    y: np.ndarray
    halvings: int
    scale: float

    def apply(self, layers: np.ndarray) -> np.ndarray:
        """Warps layers and crops them to the image.

        Args:
            layers: float32 array `(layers, height, width)` of 0 to 255, see `Letters`.

        Returns:
            float32 array `(layers, height, width)` of 0 to 255, in the pixels of the image.
        """
        for _ in range(self.halvings):
            layers = _halve(layers)
        return _sample(layers, self.x, self.y)


def draw_warp(letters: Letters, style: Style, rng: np.random.Generator) -> Warp:
    """Draws how letters are warped and cropped.

    Args:
        letters: `Letters` that `draw_letters` returned.
        style: A `Style`.
        rng: NumPy random generator.

    Returns:
        A `Warp` to an image that is `style.height` pixels high and as wide as the text needs.
    """
    left, top, width, height = letters.box
    rise, kind = _draw_curve(width, height, style=style, rng=rng)
    curved_height = height * (1 + rise)
    corners = _warp_corners(width, curved_height, style=style, rng=rng)
    margins = _draw_margins(height, style, rng)
    low = [min(corner[axis] for corner in corners) - margins[axis] for axis in (0, 1)]
    high = [max(corner[axis] for corner in corners) + margins[axis + 2] for axis in (0, 1)]
    scale = style.height / max(high[1] - low[1], 1.0)
    stretch = scale * (1 + style.squeeze * (2 * rng.random() - 1))
    columns = int((high[0] - low[0]) * stretch + 0.5)
    columns = min(max(columns, 8), _MAX_ASPECT * style.height)
    stretch = columns / (high[0] - low[0])
    corners = [[(x - low[0]) * stretch, (y - low[1]) * scale] for x, y in corners]
    rows_and_columns, halvings = letters.layers.shape[1:], 0
    while (
        scale * 2**halvings < 0.6
        and min(rows_and_columns) > 8
        or math.prod(rows_and_columns) > _MAX_PIXELS
    ):
        rows_and_columns = [side // 2 for side in rows_and_columns]
        halvings += 1
    shrunk = 2**halvings

    (a, b, c), (d, e, f), (g, h, i) = _invert(_map_from_square(corners))
    x = np.arange(columns, dtype=np.float32) + np.float32(0.5)
    y = (np.arange(style.height, dtype=np.float32) + np.float32(0.5))[:, None]
    middle = g * columns / 2 + h * style.height / 2 + i
    depth = (g * x + i) / middle + (h / middle) * y
    # Behind the horizon there is nothing to see.
    depth = middle * np.maximum(depth, 0.05)
    u = ((a * x + c) + b * y) / depth
    v = ((d * x + f) + e * y) / depth
    if rise:
        v = v * (1 + rise) - rise * _curve_depth(u, kind)
    u = (u * width + left) / shrunk - 0.5
    v = (v * height + top) / shrunk - 0.5
    return Warp(u, v, halvings, scale)
