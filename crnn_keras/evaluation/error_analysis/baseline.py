"""The baseline of a text: how far it rises and how far it bends, from the grey levels alone.

The tops and feet of letters are edges between bright and dark. Summed along the line on which they
lie, they add up to a few large numbers; along any other line they blur. So of many lines the true
one has the largest sum of squares. Ink need not be told from paper, and no letter need be found.

Reference:
    Postl, 1986, Detection of Linear Oblique Structures and Skew Scan in Digitized Documents (for
    straight lines; arcs are added here).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

_HEIGHT = 32
# Columns are summed in this many bands: within a band, even the steepest line stays on its row.
_BANDS = 16
# Candidate lines: rise from the left end to the right, and depth of the arc, in pixels.
_RISES = np.arange(-16, 17, 2)
_BENDS = np.arange(-14, 15, 2)


def _make_lines():
    """Returns rise, bend and, for each band, the shift in rows of all candidate lines."""
    rises, bends = (grid.ravel() for grid in np.meshgrid(_RISES, _BENDS, indexing="ij"))
    across = (np.arange(_BANDS) + 0.5) / _BANDS
    arc = 4 * across * (1 - across) - 2 / 3
    down = np.rint(-rises[:, None] * (across - 0.5) - bends[:, None] * arc).astype(int)
    return rises, bends, down


_LINE_RISES, _LINE_BENDS, _DOWN = _make_lines()
_MARGIN = int(np.abs(_DOWN).max())
_ROWS = np.arange(-_MARGIN, _HEIGHT + _MARGIN) + 2 * _MARGIN
# For each line, band and row: the index into the flat array of the bands with their margins.
_INDICES = _DOWN[:, :, None] + _ROWS + np.arange(_BANDS)[:, None] * (_HEIGHT + 4 * _MARGIN)


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The line along which a text runs.

    Args:
        rise: How far the best straight line climbs from the left end to the right, as a fraction of
            the image's height; negative if it falls.
        rise_gain: How much sharper the tops and feet of the letters are along that line than along
            a level one; 1 if a level line is the best.
        bend: How far the middle of the best arc lies above its ends, as a fraction of the image's
            height; negative if it sags.
        bend_gain: How much sharper they are along the arc than along the straight line.
    """

    rise: float
    rise_gain: float
    bend: float
    bend_gain: float


def find_baseline(gray: Image.Image) -> Baseline:
    """Finds the line along which the tops and feet of letters lie.

    One or two letters are not enough: a slanted stroke looks like a slanted line.

    Args:
        gray: Gray Pillow image.

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
    profiles = padded.take(_INDICES).sum(1)
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
