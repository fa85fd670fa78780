"""The line of a text: how far it rises and how far it bends, from the grey levels alone.

The tops and feet of the letters are edges between bright and dark. Summed along the line on which
they lie they add up to a few large numbers, along any other line they blur: among many lines the
right one has the largest sum of squares. No ink need be told from paper, and no letter found.

Reference:
    Postl, 1986, Detection of Linear Oblique Structures and Skew Scan in Digitized Documents (for
    straight lines; arcs are added here).
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

_HEIGHT = 32
# Columns are summed in so many bands: within one, even the steepest line stays on its row.
_BANDS = 16
# Lines that are tried: rise from the left end to the right, and depth of the arc, in pixels.
_RISES = np.arange(-16, 17, 2)
_BENDS = np.arange(-14, 15, 2)


def _make_lines():
    rises, bends = (grid.ravel() for grid in np.meshgrid(_RISES, _BENDS, indexing="ij"))
    across = (np.arange(_BANDS) + 0.5) / _BANDS
    arc = 4 * across * (1 - across) - 2 / 3
    down = np.rint(-rises[:, None] * (across - 0.5) - bends[:, None] * arc).astype(int)
    return rises, bends, down


_LINE_RISES, _LINE_BENDS, _DOWN = _make_lines()
_MARGIN = int(np.abs(_DOWN).max())
_ROWS = np.arange(-_MARGIN, _HEIGHT + _MARGIN) + 2 * _MARGIN
# For each line, band and row, which number of the bands with their margins lies there.
_PLACES = _DOWN[:, :, None] + _ROWS + np.arange(_BANDS)[:, None] * (_HEIGHT + 4 * _MARGIN)


@dataclass(frozen=True)
class Baseline:
    """The line along which a text runs.

    Args:
        rise: how far the best straight line climbs from the left end to the right, as a share of
            the image's height; below 0 it falls.
        rise_gain: how much more sharply the letters' tops and feet show along that line than along
            a level one; 1 if a level line is the best.
        bend: how far the best arc's middle lies above its ends, as a share of the image's
            height; below 0 it sags.
        bend_gain: how much more sharply they show along the arc than along the straight line.
    """

    rise: float
    rise_gain: float
    bend: float
    bend_gain: float


def find_baseline(gray):
    """Looks for the line along which the tops and feet of letters lie.

    Of one or two letters nothing can be said: a slanted stroke looks like a slanted line.

    Args:
        gray: gray Pillow image.

    Returns:
        `Baseline`, in steps of a sixteenth of the height.
    """
    width = max(round(gray.width * _HEIGHT / gray.height), _BANDS)
    pixels = np.asarray(gray.resize((width, _HEIGHT), Image.Resampling.BILINEAR), float)
    edges = np.zeros_like(pixels)
    edges[1:-1] = pixels[2:] - pixels[:-2]
    ends = np.linspace(0, width, _BANDS + 1).round().astype(int)
    bands = np.add.reduceat(edges, ends[:-1], axis=1).T
    padded = np.pad(bands, ((0, 0), (2 * _MARGIN, 2 * _MARGIN)))
    profiles = padded.take(_PLACES).sum(1)
    # A flat image has no edges: all lines are equal, and the level one comes first.
    strength = (profiles**2).sum(1) + 1e-9
    straight = np.flatnonzero(_LINE_BENDS == 0)
    level = straight[_LINE_RISES[straight] == 0][0]
    line = max([level, *straight], key=strength.__getitem__)
    arc = max([line, *range(len(strength))], key=strength.__getitem__)
    return Baseline(
        rise=float(_LINE_RISES[line] / _HEIGHT),
        rise_gain=float(strength[line] / strength[level]),
        bend=float(_LINE_BENDS[arc] / _HEIGHT),
        bend_gain=float(strength[arc] / strength[line]),
    )
