"""The map from a raw confidence to the chance of being correct, and how it is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from crnn_keras.utils.checks import Number, check_value
from crnn_keras.utils.extras import naming_extras

# Confidences are float32. A value of 1 was rounded from within half of the last step below 1.
EDGE = 2.0**-25
# Log-odds this close to each other differ by rounding.
_LEAST_SPREAD = 1e-6
# Keeps the order of all predictions, and moves none by half a percentage point.
_LEAST_SLOPE = 1e-3


@dataclass(frozen=True)
class Calibration:
    """Maps a raw confidence to the chance that the whole text is correct.

    The chance is `logistic(slope * log_odds(confidence) + offset)`. A larger confidence never gives
    a smaller chance. `Calibration()` changes nothing, to the last bit.

    Args:
        slope: Above 0. Below 1 the reader is overconfident. Defaults to `1.0`.
        offset: The log-odds of being correct where the confidence is 50 %, in nats. Defaults to
            `0.0`.

    Raises:
        ValueError: Slope or offset is no finite number, or the slope is not above 0.

    Example:

        >>> from crnn_keras import Calibration
        >>> float(Calibration(slope=0.5, offset=0.0).apply(0.9))
        0.75

    Reference:
        Platt, 1999, Probabilistic Outputs for Support Vector Machines.
    """

    slope: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        for name in ("slope", "offset"):
            value = getattr(self, name)
            check_value(f"The {name} of a calibration", value, Number())
            object.__setattr__(self, name, float(value))
        if self.slope <= 0:
            raise ValueError(
                f"The slope of a calibration is {self.slope}. Expected one above 0: with another, "
                "a larger confidence would not mean a larger chance of being correct."
            )

    def apply(self, confidences: ArrayLike) -> np.ndarray | np.float64:
        """Computes the chance of being correct.

        Args:
            confidences: Raw confidences from 0 to 1: a float, or an array of any shape.

        Returns:
            float64 of the same shape, from 0 to 1.

        Raises:
            ValueError: A confidence is not from 0 to 1.
        """
        confidences = np.asarray(confidences, np.float64)
        check_range(confidences)
        if self != Calibration():
            confidences = _logistic(self.slope * _log_odds(confidences) + self.offset)
        return confidences[()]

    def get_config(self) -> dict[str, float]:
        """Returns a plain dict from which `from_config` makes this calibration again."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Calibration:
        """Makes a calibration from its config.

        Args:
            config: Dict that `get_config` gave, perhaps by way of JSON.

        Returns:
            A `Calibration`.

        Raises:
            ValueError: A key is missing or unknown, or a value is not allowed.
        """
        if not isinstance(config, dict) or set(config) != {"slope", "offset"}:
            raise ValueError(
                f"A calibration has a slope and an offset, got {config!r:.200}. "
                "Expected what Calibration.get_config gives."
            )
        return cls(**config)


def fit_calibration(confidences: ArrayLike, correct: Sequence[bool] | np.ndarray) -> Calibration:
    """Fits a calibration to predictions whose labels are known (Platt scaling).

    The likelihood of which texts were correct is maximized. As Platt advises, `n` correct
    predictions count as correct to `(n + 1) / (n + 2)`, and wrong ones alike. So the result is
    finite even where confidence separates correct from wrong without an error.

    Where confidence carries no information (all are the same; all predictions are correct, or all
    are wrong) or points the wrong way, the slope is 0.001, the least allowed: every prediction gets
    about the fraction that is correct in the set, and the predictions keep their order.

    Args:
        confidences: Raw confidences from 0 to 1, of shape `(n,)`, of images that the reader did not
            learn from; some hundreds.
        correct: For each, whether the whole text was correct: bools, or 0 and 1.

    Returns:
        A `Calibration`.

    Raises:
        ValueError: There is no prediction, the lengths differ, a confidence is not from 0 to 1, or
            `correct` holds something else than yes and no.

    Reference:
        Platt, 1999, Probabilistic Outputs for Support Vector Machines. Lin, Lin and Weng, 2007,
        A Note on Platt's Probabilistic Outputs for Support Vector Machines.
    """
    confidences, correct = check_confidences(confidences, correct)
    hits, misses = int(correct.sum()), int((~correct).sum())
    targets = np.where(correct, (hits + 1) / (hits + 2), 1 / (misses + 2))
    log_odds = _log_odds(confidences)
    ones = np.ones(len(targets))
    if np.ptp(log_odds) > _LEAST_SPREAD:
        mean, spread = log_odds.mean(), log_odds.std()
        scaled = np.stack([(log_odds - mean) / spread, ones], axis=1)
        tilt, level = _fit_logistic(scaled, 0.0, targets)
        slope = tilt / spread
        if slope > _LEAST_SLOPE:
            return Calibration(slope, level - slope * mean)
    # The loss is convex: if its minimum is out of reach, the least allowed loss is on the border.
    (offset,) = _fit_logistic(ones[:, None], _LEAST_SLOPE * log_odds, targets)
    return Calibration(_LEAST_SLOPE, offset)


def _log_odds(confidences):
    clipped = np.clip(confidences, EDGE, 1 - EDGE)
    return np.log(clipped) - np.log1p(-clipped)


def _logistic(values):
    # Not 1 / (1 + exp(-x)): that overflows where the chance is close to 0.
    return np.exp(-np.logaddexp(0.0, -values))


def _fit_logistic(inputs, base, targets):
    """Returns the weights of `logistic(base + inputs @ weights)` with the least cross-entropy.

    Args:
        inputs: Float array of shape `(n, weights)`.
        base: Float, or float array of shape `(n,)`.
        targets: Float array of shape `(n,)`, above 0 and below 1.

    Returns:
        Float array of shape `(weights,)`.
    """
    # Imported here: reading needs no optimizer.
    with naming_extras("A calibration"):
        from scipy.optimize import minimize

    count = len(targets)

    def loss(weights):
        values = base + inputs @ weights
        return np.mean(np.logaddexp(0.0, values) - targets * values)

    def gradient(weights):
        return inputs.T @ (_logistic(base + inputs @ weights) - targets) / count

    def curvature(weights):
        chances = _logistic(base + inputs @ weights)
        return inputs.T @ (inputs * (chances * (1 - chances))[:, None]) / count

    found = minimize(
        loss,
        np.zeros(inputs.shape[1]),
        jac=gradient,
        hess=curvature,
        method="trust-exact",
        options={"gtol": 1e-10},
    )
    return found.x


def check_confidences(
    confidences: ArrayLike, correct: Sequence[bool] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns confidences and outcomes as arrays, if they are valid.

    Args:
        confidences: Confidences from 0 to 1, of shape `(n,)`.
        correct: For each, whether the text was correct: bools, or 0 and 1.

    Returns:
        Tuple of a float64 and a bool array of shape `(n,)`.

    Raises:
        ValueError: There is none, the lengths differ, a confidence is not from 0 to 1, or
            `correct` holds something else than yes and no.
    """
    confidences, correct = np.asarray(confidences, np.float64), np.asarray(correct)
    if confidences.ndim != 1 or confidences.shape != correct.shape or not len(correct):
        raise ValueError(
            "Expected one list of confidences and, for each, whether it was correct, at least one; "
            f"got shapes {confidences.shape} and {correct.shape}."
        )
    check_range(confidences)
    known = np.isin(correct, [0, 1])
    if not known.all():
        index = int(np.argmin(known))
        raise ValueError(
            f"Prediction #{index} is marked {correct[index]!r}. Expected True where the text was "
            "correct and False where it was wrong."
        )
    return confidences, correct.astype(bool)


def check_range(confidences: np.ndarray) -> None:
    """Raises a ValueError that names the first confidence that is not from 0 to 1."""
    valid = (confidences >= 0) & (confidences <= 1)
    if not valid.all():
        index = int(np.argmin(valid))
        raise ValueError(
            f"Confidence #{index} is {confidences.ravel()[index]}. Expected one from 0 to 1."
        )
