"""Views of a canvas for test-time augmentation: level, turned a little, sheared a little.

A word that runs uphill or leans is read better when it is straightened. Its angle is unknown, so a
model reads several views and keeps the most confident prediction.
"""

from __future__ import annotations

import numpy as np

# Slope and lean of each view, as `transform_view` takes them. Chosen by `iiit5k_train` and
# `svt_train`.
TTA_VIEWS = ((0.0, 0.0), (0.07, 0.0), (-0.07, 0.0), (0.0, 0.2), (0.0, -0.2))
# Numbers of views that are worth their time: one; those that turn too; all.
TTA_COUNTS = (1, 3, 5)


def transform_view(canvases: np.ndarray, slope: float, lean: float) -> np.ndarray:
    """Turns and shears canvases around their middle.

    Args:
        canvases: uint8 array of shape `(batch, height, width, 1)`.
        slope: Rise of a level line to the right, in pixels for each pixel of the width.
        lean: Shift of an upright line to the right, in pixels for each pixel of the height.

    Returns:
        An array of the same shape and type. The edges are repeated outward.

    Example:

    >>> import numpy as np
    >>> line = np.array([[0, 0, 0], [9, 9, 9], [0, 0, 0]], "uint8")
    >>> transform_view(line[None, :, :, None], slope=1, lean=0)[0, :, :, 0]
    array([[0, 0, 9],
           [0, 9, 0],
           [9, 0, 0]], dtype=uint8)
    """
    _, height, width, _ = canvases.shape
    rows = np.arange(height) - (height - 1) / 2
    columns = np.arange(width) - (width - 1) / 2
    moved = canvases[..., 0].astype(np.float32)
    if slope:
        moved = _shift_columns(moved, slope * columns)
    if lean:
        moved = _shift_columns(moved.swapaxes(1, 2), lean * rows).swapaxes(1, 2)
    return np.rint(moved).astype(np.uint8)[..., None]


def _shift_columns(images: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Shifts each column of `(batch, rows, columns)` up by its number of rows, interpolating."""
    rows = np.arange(images.shape[1])[:, None] + shifts
    above = np.floor(rows).astype(int)
    fraction = (rows - above).astype(np.float32)
    last, columns = images.shape[1] - 1, np.arange(images.shape[2])
    upper = images[:, np.clip(above, 0, last), columns]
    lower = images[:, np.clip(above + 1, 0, last), columns]
    return upper * (1 - fraction) + lower * fraction
