"""How far confidences can be trusted, and which predictions to keep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from crnn_keras.evaluation.metrics import wilson_interval
from crnn_keras.model.calibration import check_confidences
from crnn_keras.utils.checks import (
    COUNT,
    FLAG,
    FRACTION,
    Either,
    Number,
    OneOf,
    check_arguments,
)
from crnn_keras.utils.math import ceil_div

# For each prediction whether it is correct: bools, or 0 and 1.
Flags: TypeAlias = Sequence[bool] | np.ndarray
# The fraction of the kept predictions that must be correct: 0.99 is 99 %.
ACCURACY = Number(0, 1, above=True)
# Infinity keeps nothing.
_THRESHOLD = Either(FRACTION, OneOf((math.inf,)))


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """Predictions of similar confidence.

    Args:
        confidence: Their mean confidence, from 0 to 1.
        accuracy: Fraction of them that is correct, from 0 to 1.
        count: Number of predictions.
        interval: 95 % interval of the accuracy (Wilson).
    """

    confidence: float
    accuracy: float
    count: int
    interval: tuple[float, float]


@check_arguments(bins=COUNT)
def reliability_bins(
    confidences: ArrayLike, correct: Flags, *, bins: int = 15
) -> list[ReliabilityBin]:
    """Groups predictions into bins of about equal count, from the least confident to the most.

    Bins of equal width would not do: most confidences of a good model are close to 1, so one bin
    would hold most of the predictions and the others a handful, whose accuracy is chance.

    Args:
        confidences: Floats from 0 to 1, of shape `(n,)`.
        correct: For each, whether the text is correct: bools, or 0 and 1.
        bins: Largest number of bins. Predictions of the same confidence share a bin, so there may
            be fewer. Defaults to `15`.

    Returns:
        List of `ReliabilityBin`s, none of them empty.

    Raises:
        ValueError: See `fit_calibration`; or the number of bins is below 1.

    Reference:
        Nixon et al., 2019, Measuring Calibration in Deep Learning, arXiv 1904.01685.
    """
    confidences, correct = check_confidences(confidences, correct)
    # More bins than predictions are as many as these.
    bins = min(bins, len(correct))
    order = np.argsort(confidences, kind="stable")
    confidences, correct = confidences[order], correct[order]
    ends = ceil_div(len(correct) * np.arange(1, bins + 1), bins)
    # A bin that would end among equal confidences ends after the last of them.
    ends = np.unique(np.searchsorted(confidences, confidences[ends - 1], side="right"))
    made = []
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        count, hits = int(end - start), int(correct[start:end].sum())
        made.append(
            ReliabilityBin(
                confidence=float(confidences[start:end].mean()),
                accuracy=hits / count,
                count=count,
                interval=wilson_interval(hits, count),
            )
        )
    return made


@check_arguments(bins=COUNT)
def expected_calibration_error(confidences: ArrayLike, correct: Flags, *, bins: int = 15) -> float:
    """Computes the ECE: the mean distance between confidence and accuracy.

    The bins have equal counts, see `reliability_bins`. A finite set shows an error above 0 even for
    a perfectly calibrated model, and the larger the more bins there are.

    Args:
        confidences: Floats from 0 to 1, of shape `(n,)`.
        correct: For each, whether the text is correct: bools, or 0 and 1.
        bins: Largest number of bins. Defaults to `15`.

    Returns:
        Float from 0 to 1.

    Raises:
        ValueError: See `reliability_bins`.

    Reference:
        Guo et al., 2017, On Calibration of Modern Neural Networks, arXiv 1706.04599, equation 3,
        with bins of equal width; bins of equal count are Nixon's.
    """
    made = reliability_bins(confidences, correct, bins=bins)
    gaps = [item.count * abs(item.accuracy - item.confidence) for item in made]
    return sum(gaps) / sum(item.count for item in made)


# Arrays have no plain equality.
@dataclass(frozen=True, eq=False, kw_only=True)
class RiskCoverage:
    """Coverage and risk for each threshold, from the highest threshold on.

    Args:
        thresholds: Float array of shape `(points,)`, falling: the confidences that occur.
        coverage: Float array of shape `(points,)`: fraction of the predictions at or above the
            threshold.
        risk: Float array of shape `(points,)`: fraction of these that is wrong.
        area: Area under the risk against the coverage, from 0 to 1; less is better.
    """

    thresholds: np.ndarray
    coverage: np.ndarray
    risk: np.ndarray
    area: float


def risk_coverage(confidences: ArrayLike, correct: Flags) -> RiskCoverage:
    """Computes the error rate of the predictions that are kept, for each threshold.

    Predictions of the same confidence are kept or dropped together: each threshold gives one point.
    The area is a sum of steps: every prediction counts with the risk at its own threshold.

    Args:
        confidences: Floats from 0 to 1, of shape `(n,)`. Raw or calibrated ones differ in the
            thresholds only.
        correct: For each, whether the text is correct: bools, or 0 and 1.

    Returns:
        `RiskCoverage`.

    Raises:
        ValueError: See `fit_calibration`.

    Reference:
        Geifman and El-Yaniv, 2017, Selective Classification for Deep Neural Networks, arXiv
        1705.08500. Geifman, Uziel and El-Yaniv, 2019, arXiv 1805.08206 (the area).
    """
    confidences, correct = check_confidences(confidences, correct)
    thresholds, counts, hits = _count_by_threshold(confidences, correct)
    coverage, risk = counts / len(correct), (counts - hits) / counts
    area = float(np.sum(risk * np.diff(coverage, prepend=0.0)))
    return RiskCoverage(thresholds=thresholds, coverage=coverage, risk=risk, area=area)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The predictions at or above a threshold.

    Args:
        threshold: The least confidence that is kept; infinity keeps nothing.
        coverage: Fraction of all predictions that is kept, from 0 to 1.
        accuracy: Fraction of the kept predictions that is correct; nan if nothing is kept.
        interval: 95 % interval of the accuracy (Wilson); 0 to 1 if nothing is kept.
        count: Number of predictions that are kept.
    """

    threshold: float
    coverage: float
    accuracy: float
    interval: tuple[float, float]
    count: int


@check_arguments(threshold=_THRESHOLD)
def select(confidences: ArrayLike, correct: Flags, threshold: float) -> Selection:
    """Measures what a threshold keeps of a set, and how much of it is correct.

    Args:
        confidences: Floats from 0 to 1, of shape `(n,)`.
        correct: For each, whether the text is correct: bools, or 0 and 1.
        threshold: The least confidence that is kept, on the scale of `confidences`: from 0 to 1, or
            infinity, which keeps nothing.

    Returns:
        `Selection`.

    Raises:
        ValueError: See `fit_calibration`.
    """
    confidences, correct = check_confidences(confidences, correct)
    kept = correct[confidences >= threshold]
    count, hits = len(kept), int(kept.sum())
    return Selection(
        threshold=float(threshold),
        coverage=count / len(correct),
        accuracy=hits / count if count else math.nan,
        interval=wilson_interval(hits, count) if count else (0.0, 1.0),
        count=count,
    )


@check_arguments(accuracy=ACCURACY, cautious=FLAG)
def threshold_for(
    confidences: ArrayLike, correct: Flags, accuracy: float, *, cautious: bool = False
) -> Selection:
    """Finds the threshold that keeps the most predictions with at least a given accuracy.

    It holds for these predictions. On others the accuracy is a little lower, because the threshold
    was chosen by what happened to be correct here. Choose it on one split of the labelled images,
    and measure it by `select` on another.

    Args:
        confidences: Floats from 0 to 1, of shape `(n,)`.
        correct: For each, whether the text is correct: bools, or 0 and 1.
        accuracy: Fraction of the kept predictions that must be correct, above 0, at most 1.
        cautious: Whether the lower end of the accuracy's 95 % interval must reach it too. This
            keeps fewer, and nothing of a set that is too small. No set reaches 1. Defaults to
            `False`.

    Returns:
        `Selection` with the smallest such threshold. If there is none, the threshold is infinite
        and nothing is kept.

    Raises:
        ValueError: See `fit_calibration`; or the accuracy is not above 0 and at most 1.

    Example:

        >>> from crnn_keras.evaluation.confidence import threshold_for
        >>> confidences, correct = [0.9, 0.8, 0.7, 0.6], [True, True, False, True]
        >>> threshold_for(confidences, correct, 0.99).threshold
        0.8
    """
    confidences, correct = check_confidences(confidences, correct)
    points = (column.tolist() for column in _count_by_threshold(confidences, correct))
    for threshold, count, hits in reversed(list(zip(*points, strict=True))):
        reached = wilson_interval(hits, count)[0] if cautious else hits / count
        if reached >= accuracy:
            return select(confidences, correct, threshold)
    return select(confidences, correct, math.inf)


def _count_by_threshold(confidences, correct):
    """Returns the confidences that occur, falling, and for each the counts of kept and correct."""
    order = np.argsort(-confidences, kind="stable")
    ranked = confidences[order]
    last_of_equals = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    return ranked[last_of_equals], last_of_equals + 1, np.cumsum(correct[order])[last_of_equals]
