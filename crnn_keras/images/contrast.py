"""The contrast of an image: whether it shows anything at all."""

from __future__ import annotations

import numpy as np

# Below this many gray levels there is nothing to read. Jpeg leaves up to 3 on even paper; text of
# 10 levels between ink and paper measures 5 and more.
MIN_CONTRAST = 4.0
# Fraction of the pixels, in percent, that dust may cover at either end.
_DUST = 0.5


def measure_contrast(canvas: np.ndarray) -> float:
    """Measures the gray levels between the dark and the light parts of an image.

    Each pixel is first averaged with its neighbors, which evens noise out but not strokes. Then the
    darkest and the lightest 0.5 % are ignored as dust. Below `MIN_CONTRAST` an image shows nothing:
    it is uniform, wholly transparent, or has only the noise of jpeg.

    Args:
        canvas: uint8 array of shape `(height, width)` or `(height, width, 1)`. Take the canvas
            rather than the image: there the strokes of a text have one width.

    Returns:
        Gray levels from 0 to 255.

    Raises:
        ValueError: The array has another type or shape, or no pixels.

    Example:

    >>> import numpy as np
    >>> measure_contrast(np.full((32, 100, 1), 77, "uint8"))
    0.0
    >>> measure_contrast(np.repeat(np.uint8([[30, 200]]), 50, axis=1))
    170.0
    """
    pixels = np.asarray(canvas)
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if pixels.dtype != np.uint8 or pixels.ndim != 2 or not pixels.size:
        raise ValueError(
            "Expected a uint8 array of shape (height, width) or (height, width, 1), got "
            f"{np.asarray(canvas).dtype} of shape {np.shape(canvas)}."
        )
    framed = np.pad(pixels.astype(np.uint16), 1, mode="edge")
    rows = framed[:-2] + framed[1:-1] + framed[2:]
    smooth = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9
    dark, light = np.percentile(smooth, [_DUST, 100 - _DUST])
    return float(light - dark)
