"""Letters bent as a camera and a sign painter bend them: perspective, slope, slant, arcs, waves.

One map leads from each pixel of the image back to the sheet; it is written out in closed form,
as solvers of linear equations differ between machines in their last digits.
"""

import numpy as np

# The widest image, as a multiple of its height.
_WIDEST = 40
# Pixels of a sheet that places in float32 can count.
_LARGEST = 2**23


def _corners(width, height, style, rng):
    """Where the corners of the text's box come to lie: left top, right top, right, left bottom."""
    corners = [[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]]
    for corner, (across, down) in zip(corners, ((1, 1), (-1, 1), (-1, -1), (1, -1)), strict=True):
        corner[0] += across * rng.random() * style.tilt * min(width, height)
        corner[1] += down * rng.random() * style.tilt * height
    lean = 0.0
    if rng.random() < 0.4:
        lean = style.slant * (1.4 * rng.random() - 0.4)
    # Most signs are nearly level.
    slope = style.slope * (2 * rng.random() - 1) * rng.random()
    slope = max(min(slope, 0.7 * height / width), -0.7 * height / width)
    for corner in corners:
        x, y = corner
        corner[0] = x + lean * (height - y) - slope * y
        corner[1] = y + slope * x
    return corners


def _margins(height, style, rng):
    """Space left, top, right and bottom of the text, in pixels; below 0 the crop cuts into it."""
    if rng.random() < style.crop:
        if rng.random() < 0.5:
            return [height * (low + 0.1 * rng.random()) for low in (-0.02, -0.06, -0.02, -0.06)]
        return [height * (0.1 + 0.5 * rng.random()) for _ in range(4)]
    return [height * (0.03 + 0.2 * rng.random()) for _ in range(4)]


def _from_square(corners):
    """Projective map from the unit square to four corners, as nine numbers (Heckbert 1989)."""
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


def _inverse(matrix):
    """Inverse of a projective map, up to its scale."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    return (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )


def _curve(width, height, style, rng):
    """Height of an arc or wave as a share of the text's height, and its sort; 0 for a line."""
    if rng.random() >= style.curve:
        return 0.0, 0
    largest = min(0.8, 0.25 * width / height)
    return largest * (0.2 + 0.8 * rng.random()), int(rng.random() * 4)


def _lift(u, sort):
    """How far down the curve lies at `u` of the width, 0 to 1: arc, bowl, wave, mirrored wave."""
    u = np.clip(u, 0.0, 1.0)
    if sort < 2:
        bump = 4 * u * (1 - u)
        return 1 - bump if sort == 0 else bump
    first = u < 0.5
    half = np.where(first, 2 * u, 2 * u - 1)
    wave = 2 * half * (1 - half)
    return 0.5 + np.where(first == (sort == 2), wave, -wave)


def _halve(layers):
    """The sheet at half its size: a mean of four pixels, lest thin strokes flicker away."""
    _, height, width = layers.shape
    even = layers[:, : height - height % 2, : width - width % 2]
    rows = even[:, ::2] + even[:, 1::2]
    return (rows[:, :, ::2] + rows[:, :, 1::2]) * np.float32(0.25)


def _sample(layers, x, y):
    """Values of the sheet at places between its pixels; nothing outside."""
    count, height, width = layers.shape
    # Quicker than `np.clip` on small arrays.
    x = np.minimum(np.maximum(x, 0), width - 1.001)
    y = np.minimum(np.maximum(y, 0), height - 1.001)
    column, row = np.floor(x), np.floor(y)
    x -= column
    y -= row
    # Whole numbers up to 16 million are exact in float32.
    flat, place = layers.reshape(count, -1), (row * np.float32(width) + column).astype(np.intp)
    top, bottom = flat.take(place, 1), flat.take(place + width, 1)
    top += (flat.take(place + 1, 1) - top) * x
    bottom += (flat.take(place + (width + 1), 1) - bottom) * x
    bottom -= top
    bottom *= y
    top += bottom
    return top


def bend(sheet, style, rng):
    """Bends a sheet of letters and crops it to the image.

    Args:
        sheet: `letters.Sheet`.
        style: a `Style`.
        rng: numpy's Generator.

    Returns:
        Tuple of a float32 array `(layers, style.height, width)` of 0 to 255, whose width is what
        the text needs in pixels; and the scale of the letters, 1 if they are as high as drawn.
    """
    left, top, width, height = sheet.box
    rise, sort = _curve(width, height, style, rng)
    tall = height * (1 + rise)
    corners = _corners(width, tall, style, rng)
    margins = _margins(height, style, rng)
    low = [min(corner[axis] for corner in corners) - margins[axis] for axis in (0, 1)]
    high = [max(corner[axis] for corner in corners) + margins[axis + 2] for axis in (0, 1)]
    scale = style.height / max(high[1] - low[1], 1.0)
    stretch = scale * (1 + style.squeeze * (2 * rng.random() - 1))
    columns = int((high[0] - low[0]) * stretch + 0.5)
    columns = min(max(columns, 8), _WIDEST * style.height)
    stretch = columns / (high[0] - low[0])
    corners = [[(x - low[0]) * stretch, (y - low[1]) * scale] for x, y in corners]
    layers, shrunk = sheet.layers, 1
    while scale * shrunk < 0.6 and min(layers.shape[1:]) > 8 or layers[0].size > _LARGEST:
        layers, shrunk = _halve(layers), 2 * shrunk

    (a, b, c), (d, e, f), (g, h, i) = _inverse(_from_square(corners))
    x = np.arange(columns, dtype=np.float32) + np.float32(0.5)
    y = (np.arange(style.height, dtype=np.float32) + np.float32(0.5))[:, None]
    middle = g * columns / 2 + h * style.height / 2 + i
    depth = (g * x + i) / middle + (h / middle) * y
    # Behind the horizon there is nothing to see.
    depth = middle * np.maximum(depth, 0.05)
    u = ((a * x + c) + b * y) / depth
    v = ((d * x + f) + e * y) / depth
    if rise:
        v = v * (1 + rise) - rise * _lift(u, sort)
    u = (u * width + left) / shrunk - 0.5
    v = (v * height + top) / shrunk - 0.5
    return _sample(layers, u, v), scale
