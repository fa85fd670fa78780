"""What can be measured in an image of a word."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from crnn_keras.evaluation.error_analysis.baseline import Baseline, find_baseline
from crnn_keras.utils.checks import Number, check_arguments
from crnn_keras.utils.limits import MAX_CANVAS_HEIGHT

# Side of the window in pixels in which an edge is compared with its surroundings. An edge of this
# width is a gradient.
_WINDOW = 9
# The steepest pixels from this percentile on are taken as the edges of letters.
_STEEP = 98


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """Measurements of one image.

    Args:
        width: In pixels.
        height: In pixels.
        contrast: Distance in grey levels, of 255, between the means of the dark and of the bright
            pixels, separated by Otsu's threshold.
        two_greys: Fraction of the variance of the grey levels that these two means explain, 0 to 1:
            near 1 for even ink on even paper, less with relief, shadows or clutter.
        ink_fraction: Fraction of the pixels that is ink, 0 to 1. Most of the rim counts as paper.
        rim_fraction: Fraction of the outermost pixels that is ink, 0 to 0.5: cut letters,
            neighbours, frames, edges of signs.
        edge_width: Width of the letters' edges in pixels of a canvas: about 1.5 if sharp.
        baseline: The `Baseline`.
    """

    width: int
    height: int
    contrast: float
    two_greys: float
    ink_fraction: float
    rim_fraction: float
    edge_width: float
    baseline: Baseline


@check_arguments(canvas_height=Number(1, MAX_CANVAS_HEIGHT, is_whole=True))
def measure_image(gray: Image.Image, *, canvas_height: int = 32) -> ImageFacts:
    """Measures an image of a word.

    Args:
        gray: Gray Pillow image, as `to_gray` returns it.
        canvas_height: Height in pixels to which the model scales the image. Defaults to `32`.

    Returns:
        `ImageFacts`.
    """
    pixels = np.asarray(gray)
    contrast, two_greys, threshold = _separate_greys(pixels)
    ink, rim = _ink_fractions(pixels > threshold)
    scaled = (max(round(gray.width * canvas_height / gray.height), 1), canvas_height)
    canvas = np.asarray(gray.resize(scaled, Image.Resampling.BILINEAR), float)
    return ImageFacts(
        width=gray.width,
        height=gray.height,
        contrast=contrast,
        two_greys=two_greys,
        ink_fraction=ink,
        rim_fraction=rim,
        edge_width=_edge_width(canvas),
        baseline=find_baseline(gray),
    )


def _separate_greys(pixels):
    """Returns contrast and explained variance of Otsu's two classes, and the threshold.

    Reference:
        Otsu, 1979, A Threshold Selection Method from Gray-Level Histograms.
    """
    fractions = np.bincount(pixels.ravel(), minlength=256) / pixels.size
    levels = np.arange(256)
    mean = (fractions * levels).sum()
    variance = (fractions * (levels - mean) ** 2).sum()
    if variance == 0:
        return 0.0, 1.0, 255
    below, moment = np.cumsum(fractions), np.cumsum(fractions * levels)
    # Thresholds with pixels on both sides.
    thresholds = np.arange(pixels.min(), pixels.max())
    below, moment = below[thresholds], moment[thresholds]
    gaps = (mean - moment) / (1 - below) - moment / below
    between = below * (1 - below) * gaps**2
    best = between.argmax()
    return float(gaps[best]), float(between[best] / variance), int(thresholds[best])


def _ink_fractions(bright):
    """Returns the fraction of ink among all pixels, and among the outermost."""
    rim = np.concatenate([bright[0], bright[-1], bright[:, 0], bright[:, -1]]).mean()
    fraction = bright.mean()
    if rim <= 0.5:
        return float(fraction), float(rim)
    return float(1 - fraction), float(1 - rim)


def _edge_width(pixels):
    """Returns the local contrast over the slope of the edges, in pixels; 0 for a flat image."""
    slopes = np.hypot(ndimage.sobel(pixels, 0), ndimage.sobel(pixels, 1)) / 8
    steepest = np.percentile(slopes, _STEEP)
    window = (_WINDOW, _WINDOW)
    spans = ndimage.maximum_filter(pixels, window) - ndimage.minimum_filter(pixels, window)
    return float(np.percentile(spans, _STEEP) / steepest) if steepest else 0.0
