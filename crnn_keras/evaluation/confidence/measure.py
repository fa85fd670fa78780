"""How far confidences can be trusted, and which readings to keep."""

import math
from dataclasses import dataclass

import numpy as np

from crnn_keras.model.calibration import checked_readings


@dataclass(frozen=True)
class ReliabilityBin:
    """Readings of about the same confidence.

    Args:
        confidence: their mean confidence, from 0 to 1.
        accuracy: share of them that is right, from 0 to 1.
        count: how many they are.
        interval: 95 % interval of the accuracy (Wilson).
    """

    confidence: float
    accuracy: float
    count: int
    interval: tuple


def reliability_bins(confidences, right, bins=15):
    """Readings in bins of about equal number, from the least to the most confident.

    Not of equal width: most confidences of a good reader lie close to 1, so that one bin would
    hold most of the readings and others a handful, whose share right is chance.

    Args:
        confidences: floats from 0 to 1, `(n,)`.
        right: for each, whether the text was right: bools, or 0 and 1.
        bins: how many, at most. Readings of the same confidence share a bin, so there may be
            fewer.

    Returns:
        List of `ReliabilityBin`, none of them empty.

    Raises:
        ValueError: see `fit_calibration`; or there is less than one bin.

    Reference:
        Nixon et al., 2019, Measuring Calibration in Deep Learning, arXiv 1904.01685.
    """
    confidences, right = checked_readings(confidences, right)
    if bins < 1:
        raise ValueError(f"Expected at least 1 bin, got {bins}.")
    order = np.argsort(confidences, kind="stable")
    confidences, right = confidences[order], right[order]
    ends = -(-len(right) * np.arange(1, bins + 1) // bins)
    # A bin that would end among equals ends behind the last of them.
    ends = np.unique(np.searchsorted(confidences, confidences[ends - 1], side="right"))
    made = []
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        count, hits = int(end - start), int(right[start:end].sum())
        mean = float(confidences[start:end].mean())
        made.append(ReliabilityBin(mean, hits / count, count, _interval(hits, count)))
    return made


def expected_calibration_error(confidences, right, bins=15):
    """ECE: how far confidence and share right lie apart, averaged over the readings.

    Bins are of equal number, see `reliability_bins`. A finite set shows an error above 0 even for
    a reader that has none, the more so the more bins.

    Args:
        confidences: floats from 0 to 1, `(n,)`.
        right: for each, whether the text was right: bools, or 0 and 1.
        bins: how many, at most.

    Returns:
        Float from 0 to 1.

    Raises:
        ValueError: see `reliability_bins`.

    Reference:
        Guo et al., 2017, On Calibration of Modern Neural Networks, arXiv 1706.04599, equation 3,
        with bins of equal width; those of equal number are Nixon's.
    """
    made = reliability_bins(confidences, right, bins)
    gaps = [part.count * abs(part.accuracy - part.confidence) for part in made]
    return sum(gaps) / sum(part.count for part in made)


# Arrays have no plain equality.
@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """What is kept and what is wrong in it, for each threshold, from the highest on.

    Args:
        thresholds: float array `(points,)`, falling: the confidences that occur.
        coverage: float array `(points,)`: share of the readings at or above the threshold.
        risk: float array `(points,)`: share of those that is wrong.
        area: area under risk against coverage, from 0 to 1; less is better.
    """

    thresholds: np.ndarray
    coverage: np.ndarray
    risk: np.ndarray
    area: float


def risk_coverage(confidences, right):
    """Error rate of what is left, when only the most confident readings are kept.

    Readings of the same confidence are kept or dropped together: each threshold gives one point.
    The area is a sum of steps: every reading counts with the risk at its own threshold.

    Args:
        confidences: floats from 0 to 1, `(n,)`; raw or calibrated makes no difference but to the
            thresholds.
        right: for each, whether the text was right: bools, or 0 and 1.

    Returns:
        `RiskCoverage`.

    Raises:
        ValueError: see `fit_calibration`.

    Reference:
        Geifman and El-Yaniv, 2017, Selective Classification for Deep Neural Networks, arXiv
        1705.08500. Geifman, Uziel and El-Yaniv, 2019, arXiv 1805.08206 (the area).
    """
    confidences, right = checked_readings(confidences, right)
    thresholds, counts, hits = _by_threshold(confidences, right)
    coverage, risk = counts / len(right), (counts - hits) / counts
    area = float(np.sum(risk * np.diff(coverage, prepend=0.0)))
    return RiskCoverage(thresholds, coverage, risk, area)


@dataclass(frozen=True)
class Selection:
    """The readings at or above a threshold.

    Args:
        threshold: the least confidence that is kept; infinity keeps nothing.
        coverage: share of all readings that is kept, from 0 to 1.
        accuracy: share of the kept readings that is right; not a number if nothing is kept.
        interval: 95 % interval of the accuracy (Wilson); 0 to 1 if nothing is kept.
        count: how many readings are kept.
    """

    threshold: float
    coverage: float
    accuracy: float
    interval: tuple
    count: int


def select(confidences, right, threshold):
    """What a threshold keeps of a set, and how much of it is right.

    Args:
        confidences: floats from 0 to 1, `(n,)`.
        right: for each, whether the text was right: bools, or 0 and 1.
        threshold: the least confidence that is kept, on the scale of `confidences`.

    Returns:
        `Selection`.

    Raises:
        ValueError: see `fit_calibration`.
    """
    confidences, right = checked_readings(confidences, right)
    kept = right[confidences >= threshold]
    count, hits = len(kept), int(kept.sum())
    accuracy = hits / count if count else math.nan
    interval = _interval(hits, count) if count else (0.0, 1.0)
    return Selection(float(threshold), count / len(right), accuracy, interval, count)


def threshold_for(confidences, right, accuracy, cautious=False):
    """The threshold that keeps the most readings, of which at least a given share is right.

    It holds for these readings. On others the share is a little lower, because the threshold was
    chosen by what happened to be right here: use one part of the labelled images to choose, and
    another with `select` to see what it is worth.

    Args:
        confidences: floats from 0 to 1, `(n,)`.
        right: for each, whether the text was right: bools, or 0 and 1.
        accuracy: share of the kept readings that must be right, above 0, up to 1.
        cautious: the lower end of the share's 95 % interval must reach it too: keeps fewer, and
            nothing of a set too small to tell. No set reaches 1.

    Returns:
        `Selection`: with the smallest such threshold; or, if there is none, with an infinite
        threshold that keeps nothing.

    Raises:
        ValueError: see `fit_calibration`; or the accuracy is not above 0 and up to 1.

    Example:

        >>> selection = threshold_for(confidences, right, 0.99)
        >>> sure = [r for r in recognizer.read("photos") if r.confidence >= selection.threshold]
    """
    if not 0 < accuracy <= 1:
        raise ValueError(f"Accuracy {accuracy} must be above 0 and at most 1; 0.99 is 99 %.")
    confidences, right = checked_readings(confidences, right)
    points = (column.tolist() for column in _by_threshold(confidences, right))
    for threshold, count, hits in reversed(list(zip(*points, strict=True))):
        found = _interval(hits, count)[0] if cautious else hits / count
        if found >= accuracy:
            return select(confidences, right, threshold)
    return select(confidences, right, math.inf)


def _interval(hits, count):
    # Not above: an exported reader applies its calibration without the libraries of `evaluate`.
    from crnn_keras.evaluation.metrics import wilson_interval

    return wilson_interval(hits, count)


def _by_threshold(confidences, right):
    """For each confidence that occurs, falling: it, how many readings reach it, how many right."""
    order = np.argsort(-confidences, kind="stable")
    ranked = confidences[order]
    last_of_equals = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    return ranked[last_of_equals], last_of_equals + 1, np.cumsum(right[order])[last_of_equals]
