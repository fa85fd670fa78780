"""The map from a raw confidence to the chance of being right, and how it is learnt."""

import math
from dataclasses import asdict, dataclass

import numpy as np

# Confidences are float32. One of 1 was rounded from within half of the last step below 1.
EDGE = 2.0**-25
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
        check_range(confidences)
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
        confidences: raw confidences from 0 to 1, `(n,)`, of images that the reader did not learn
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
    confidences, right = checked_readings(confidences, right)
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


def _log_odds(confidences):
    clipped = np.clip(confidences, EDGE, 1 - EDGE)
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


def checked_readings(confidences, right):
    """Both as arrays, of float64 and of bool, if they are what they must be."""
    confidences, right = np.asarray(confidences, np.float64), np.asarray(right)
    if confidences.ndim != 1 or confidences.shape != right.shape or not len(right):
        raise ValueError(
            "Expected one list of confidences and, for each, whether it was right, at least one; "
            f"got shapes {confidences.shape} and {right.shape}."
        )
    check_range(confidences)
    known = np.isin(right, [0, 1])
    if not known.all():
        position = int(np.argmin(known))
        raise ValueError(
            f"Reading #{position} is marked {right[position]!r}. Expected True where the text was "
            "right and False where it was wrong."
        )
    return confidences, right.astype(bool)


def check_range(confidences):
    """Refuses an array with a confidence that is not from 0 to 1."""
    valid = (confidences >= 0) & (confidences <= 1)
    if not valid.all():
        position = int(np.argmin(valid))
        raise ValueError(
            f"Confidence #{position} is {confidences.ravel()[position]}. Expected one from 0 to 1."
        )
