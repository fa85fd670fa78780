"""Confidence that means something: calibrated, measured, and used to keep what is surely right.

A reader's raw confidence is the probability of its best path. Of readings with 60 %, more or fewer
than 60 of 100 may be right. Readings of labelled pictures that the reader did not learn from show
which: a `Calibration` learnt from them turns the raw confidence into the chance of being right.
"""

import math
from dataclasses import asdict, dataclass

import numpy as np

from crnn_keras.evaluate import wilson_interval

# Confidences are float32. One of 1 was rounded from within half of the last step below 1.
_EDGE = 2.0**-25
# Log-odds this close to each other differ by rounding.
_LEAST_SPREAD = 1e-6
# Keeps the order of all readings, and moves none by half a percentage point.
_LEAST_SLOPE = 1e-3
_MOST_STEPS = 100


@dataclass(frozen=True)
class Calibration:
    """Maps a raw confidence to the chance that the whole text is right.

    The chance is `logistic(slope * log-odds(confidence) + offset)`. A larger confidence never
    gives a smaller chance. `Calibration()` changes nothing, to the last bit.

    Args:
        slope: above 0. Below 1: the reader is surer of itself than it should be.
        offset: in nats: the log-odds of being right where the confidence is 50 %.

    Raises:
        ValueError: slope or offset is no finite number, or the slope is not above 0.

    Example:

        >>> float(Calibration(slope=0.5, offset=0.0).apply(0.9))
        0.75

    Reference:
        Platt, 1999, Probabilistic Outputs for Support Vector Machines.
    """

    slope: float = 1.0
    offset: float = 0.0

    def __post_init__(self):
        for name in ("slope", "offset"):
            value = getattr(self, name)
            try:
                number = float(value)
            except (TypeError, ValueError, OverflowError):
                number = math.nan
            if isinstance(value, str | bool) or not math.isfinite(number):
                raise ValueError(f"The {name} of a calibration is {value!r}, no finite number.")
            object.__setattr__(self, name, number)
        if self.slope <= 0:
            raise ValueError(
                f"The slope of a calibration is {self.slope}. Expected one above 0: with another, "
                "a surer reading would not be likelier to be right."
            )

    def apply(self, confidences):
        """The chance of being right.

        Args:
            confidences: raw confidences from 0 to 1: a float, or an array of any shape.

        Returns:
            float64 of the same shape, from 0 to 1.

        Raises:
            ValueError: a confidence is not from 0 to 1.
        """
        confidences = np.asarray(confidences, np.float64)
        _check_range(confidences)
        if self != Calibration():
            confidences = _logistic(self.slope * _log_odds(confidences) + self.offset)
        return confidences[()]

    def get_config(self):
        """Plain dict from which `from_config` makes this calibration again."""
        return asdict(self)

    @classmethod
    def from_config(cls, config):
        """The calibration of a config.

        Args:
            config: dict that `get_config` gave, perhaps by way of JSON.

        Returns:
            `Calibration`.

        Raises:
            ValueError: there is a key too few or too many, or a value does not suit.
        """
        if not isinstance(config, dict) or set(config) != {"slope", "offset"}:
            raise ValueError(
                f"A calibration has a slope and an offset, got {config!r}. "
                "Expected what Calibration.get_config gives."
            )
        return cls(**config)


def fit_calibration(confidences, right):
    """Learns a calibration from readings whose labels are known (Platt scaling).

    The likelihood of what was right is maximised by Newton's method. As Platt advises, `n` right
    readings count as right to `(n + 1) / (n + 2)`, and wrong ones alike. So the result is finite
    also where confidence parts right from wrong without an error.

    Where confidence carries no information (all are the same; all readings are right, or all
    wrong) or points the wrong way, the slope is 0.001, the least allowed: every reading gets
    about the share that is right in the set, and the readings keep their order.

    Args:
        confidences: raw confidences from 0 to 1, `(n,)`, of pictures that the reader did not learn
            from; some hundreds.
        right: for each, whether the whole text was right: bools, or 0 and 1.

    Returns:
        `Calibration`.

    Raises:
        ValueError: there is no reading, the lengths differ, a confidence is not from 0 to 1, or
            `right` holds something else than yes and no.

    Example:

        >>> report = evaluate(labels, texts, confidences, "alphanumeric")
        >>> calibration = fit_calibration(confidences, [not c.distance for c in report.cases])

    Reference:
        Platt, 1999, Probabilistic Outputs for Support Vector Machines. Lin, Lin and Weng, 2007,
        A Note on Platt's Probabilistic Outputs for Support Vector Machines.
    """
    confidences, right = _checked(confidences, right)
    hits, misses = int(right.sum()), int((~right).sum())
    targets = np.where(right, (hits + 1) / (hits + 2), 1 / (misses + 2))
    log_odds = _log_odds(confidences)
    ones = np.ones(len(targets))
    if np.ptp(log_odds) > _LEAST_SPREAD:
        mean, spread = log_odds.mean(), log_odds.std()
        scaled = np.stack([(log_odds - mean) / spread, ones], axis=1)
        tilt, level = _fit_logistic(scaled, 0.0, targets)
        slope = tilt / spread
        if slope > _LEAST_SLOPE:
            return Calibration(slope, level - slope * mean)
    # The loss is convex: with its lowest point out of reach, the lowest allowed is on the border.
    (offset,) = _fit_logistic(ones[:, None], _LEAST_SLOPE * log_odds, targets)
    return Calibration(_LEAST_SLOPE, offset)


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
    confidences, right = _checked(confidences, right)
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
        made.append(ReliabilityBin(mean, hits / count, count, wilson_interval(hits, count)))
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
    confidences, right = _checked(confidences, right)
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
    confidences, right = _checked(confidences, right)
    kept = right[confidences >= threshold]
    count, hits = len(kept), int(kept.sum())
    accuracy = hits / count if count else math.nan
    interval = wilson_interval(hits, count) if count else (0.0, 1.0)
    return Selection(float(threshold), count / len(right), accuracy, interval, count)


def threshold_for(confidences, right, accuracy, cautious=False):
    """The threshold that keeps the most readings, of which at least a given share is right.

    It holds for these readings. On others the share is a little lower, because the threshold was
    chosen by what happened to be right here: use one part of the labelled pictures to choose, and
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
    confidences, right = _checked(confidences, right)
    points = (column.tolist() for column in _by_threshold(confidences, right))
    for threshold, count, hits in reversed(list(zip(*points, strict=True))):
        found = wilson_interval(hits, count)[0] if cautious else hits / count
        if found >= accuracy:
            return select(confidences, right, threshold)
    return select(confidences, right, math.inf)


def _by_threshold(confidences, right):
    """For each confidence that occurs, falling: it, how many readings reach it, how many right."""
    order = np.argsort(-confidences, kind="stable")
    ranked = confidences[order]
    last_of_equals = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    return ranked[last_of_equals], last_of_equals + 1, np.cumsum(right[order])[last_of_equals]


def _log_odds(confidences):
    clipped = np.clip(confidences, _EDGE, 1 - _EDGE)
    return np.log(clipped) - np.log1p(-clipped)


def _logistic(values):
    # Not 1 / (1 + exp(-x)): that overflows where the chance is next to 0.
    return np.exp(-np.logaddexp(0.0, -values))


def _fit_logistic(inputs, base, targets):
    """Weights of `logistic(base + inputs @ weights)` with the least cross-entropy to the targets.

    Args:
        inputs: float array `(n, weights)`.
        base: float, or float array `(n,)`.
        targets: float array `(n,)`, above 0 and below 1.

    Returns:
        float array `(weights,)`.
    """

    def loss(weights):
        values = base + inputs @ weights
        return np.sum(np.logaddexp(0.0, values) - targets * values)

    weights = np.zeros(inputs.shape[1])
    for _ in range(_MOST_STEPS):
        chances = _logistic(base + inputs @ weights)
        gradient = inputs.T @ (chances - targets)
        curvature = inputs.T @ (inputs * (chances * (1 - chances))[:, None])
        # Where all chances are next to 0 or 1 on the way, the curvature alone has no inverse.
        curvature += 1e-9 * len(targets) * np.eye(len(weights))
        step = np.linalg.solve(curvature, gradient)
        # Twice what the step will gain: so near the end, the loss would only show its rounding.
        if gradient @ step < 1e-10:
            return weights - step
        # Far from the end, a whole step may lead uphill.
        while loss(weights - step) > loss(weights):
            step = step / 2
        weights = weights - step
    return weights


def _checked(confidences, right):
    """Both as arrays, of float64 and of bool, if they are what they must be."""
    confidences, right = np.asarray(confidences, np.float64), np.asarray(right)
    if confidences.ndim != 1 or confidences.shape != right.shape or not len(right):
        raise ValueError(
            "Expected one list of confidences and, for each, whether it was right, at least one; "
            f"got shapes {confidences.shape} and {right.shape}."
        )
    _check_range(confidences)
    known = np.isin(right, [0, 1])
    if not known.all():
        position = int(np.argmin(known))
        raise ValueError(
            f"Reading #{position} is marked {right[position]!r}. Expected True where the text was "
            "right and False where it was wrong."
        )
    return confidences, right.astype(bool)


def _check_range(confidences):
    valid = (confidences >= 0) & (confidences <= 1)
    if not valid.all():
        position = int(np.argmin(valid))
        raise ValueError(
            f"Confidence #{position} is {confidences.ravel()[position]}. Expected one from 0 to 1."
        )
