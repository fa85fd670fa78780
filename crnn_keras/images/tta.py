"""More than one look at an image: level, turned a little, leaning a little.

A word that runs uphill or leans is read better when it is put straight. Nobody knows which way it
runs, so the reader tries some and keeps what it is surest of: test-time augmentation.
"""

import numpy as np

# How far the right edge of a canvas is lifted and its upper edge pushed to the right, in pixels for
# each pixel of the width and of the height. Chosen by `iiit5k_train` and `svt_train`.
TTA_VIEWS = ((0.0, 0.0), (0.07, 0.0), (-0.07, 0.0), (0.0, 0.2), (0.0, -0.2))
# So many looks are worth their time: one, those that turn as well, all.
TTA_COUNTS = (1, 3, 5)


def transform_view(canvases, slope, lean):
    """Turns and leans what stands on canvases, around their middle.

    Args:
        canvases: uint8 array `(batch, height, width, 1)`.
        slope: rise of a level line to the right, in pixels a pixel.
        lean: lean of an upright line to the right, in pixels a pixel.

    Returns:
        Array of the same shape and type. What comes in at the edges repeats them.
    """
    _, height, width, _ = canvases.shape
    rows = np.arange(height) - (height - 1) / 2
    columns = np.arange(width) - (width - 1) / 2
    found = canvases[..., 0].astype(np.float32)
    if slope:
        found = _shifted(found, slope * columns)
    if lean:
        found = _shifted(found.swapaxes(1, 2), lean * rows).swapaxes(1, 2)
    return np.rint(found).astype(np.uint8)[..., None]


def _shifted(images, shifts):
    """Each column of `(batch, rows, columns)` taken from so many rows further down, linearly."""
    rows = np.arange(images.shape[1])[:, None] + shifts
    above = np.floor(rows).astype(int)
    part = (rows - above).astype(np.float32)
    last, columns = images.shape[1] - 1, np.arange(images.shape[2])
    upper = images[:, np.clip(above, 0, last), columns]
    lower = images[:, np.clip(above + 1, 0, last), columns]
    return upper * (1 - part) + lower * part
