"""What can be measured of one image of a word."""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from crnn_keras.evaluation.error_analysis.baseline import Baseline, find_baseline

# Pixels across of the windows in which an edge is held against its surroundings: an edge as wide
# as this is a gradient.
_WINDOW = 9
# Share of pixels in %, the steepest of which are taken for the letters' edges.
_STEEP = 98


@dataclass(frozen=True)
class ImageFacts:
    """What was measured of one image.

    Args:
        width: in pixels.
        height: in pixels.
        contrast: grey levels of 255 between the means of the dark and the bright pixels, parted by
            Otsu's threshold.
        two_greys: share of the variance of the grey levels that these two means explain, 0 to 1:
            near 1 for even ink on even paper, less with relief, shadows or clutter.
        ink_share: share of the pixels that is ink, 0 to 1. Paper is what most of the rim is.
        rim_share: share of the outermost pixels that is ink, 0 to 0.5: where letters are cut, or
            neighbours, frames and edges of signs show.
        edge_width: how wide the letters' edges are, in pixels of a canvas: about 1.5 if sharp.
        baseline: the `Baseline`.
    """

    width: int
    height: int
    contrast: float
    two_greys: float
    ink_share: float
    rim_share: float
    edge_width: float
    baseline: Baseline


def measure_image(gray, canvas_height=32):
    """Measures an image of a word.

    Args:
        gray: gray Pillow image, as `images.to_gray` gives.
        canvas_height: height in pixels to which a reader scales it.

    Returns:
        `ImageFacts`.
    """
    pixels = np.asarray(gray)
    contrast, two_greys, threshold = _part_greys(pixels)
    ink, rim = _ink_shares(pixels > threshold)
    scaled = (max(round(gray.width * canvas_height / gray.height), 1), canvas_height)
    canvas = np.asarray(gray.resize(scaled, Image.Resampling.BILINEAR), float)
    return ImageFacts(
        width=gray.width,
        height=gray.height,
        contrast=contrast,
        two_greys=two_greys,
        ink_share=ink,
        rim_share=rim,
        edge_width=_edge_width(canvas),
        baseline=find_baseline(gray),
    )


def _part_greys(pixels):
    """Contrast of Otsu's two classes, the share of the variance between them, and the threshold.

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


def _ink_shares(bright):
    """Share of ink among all pixels, and among the outermost."""
    rim = np.concatenate([bright[0], bright[-1], bright[:, 0], bright[:, -1]]).mean()
    share = bright.mean()
    return (float(share), float(rim)) if rim <= 0.5 else (float(1 - share), float(1 - rim))


def _edge_width(pixels):
    """Local contrast over the slope of the edges, in pixels; 0 of a flat image."""
    slopes = np.hypot(ndimage.sobel(pixels, 0), ndimage.sobel(pixels, 1)) / 8
    steepest = np.percentile(slopes, _STEEP)
    window = (_WINDOW, _WINDOW)
    spans = ndimage.maximum_filter(pixels, window) - ndimage.minimum_filter(pixels, window)
    return float(np.percentile(spans, _STEEP) / steepest) if steepest else 0.0
