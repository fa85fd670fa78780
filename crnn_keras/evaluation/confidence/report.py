"""A calibration learnt from one half of a labelled set and tried on the other."""

from dataclasses import dataclass

import numpy as np

from crnn_keras.evaluation.confidence.labelled import calibrate, right_texts
from crnn_keras.evaluation.confidence.measure import (
    expected_calibration_error,
    reliability_bins,
    risk_coverage,
    select,
    threshold_for,
)
from crnn_keras.model.calibration import Calibration


# Arrays have no plain equality.
@dataclass(frozen=True, eq=False)
class CalibrationReport:
    """What a calibration is worth on readings that it was not learnt from.

    Args:
        calibration: the `Calibration`, learnt from the first half.
        confidences: dict of `name: float array (n,)`, of the second half: `"raw"`,
            `"calibrated"` by this calibration and, if the reader has a calibration, its `"own"`.
        right: bool array `(n,)`: which of the second half are right.
        learnt: tuple of calibrated confidences and of what is right in the first half.
    """

    calibration: Calibration
    confidences: dict
    right: np.ndarray
    learnt: tuple

    def __str__(self):
        errors = ", ".join(f"{name} {error:.2%}" for name, error in self.ece().items())
        return f"ECE on {len(self.right):,} readings: {errors}"

    def ece(self):
        """Dict of `name: expected calibration error`, from 0 to 1."""
        return {
            name: expected_calibration_error(confidences, self.right)
            for name, confidences in self.confidences.items()
        }

    def reliability(self):
        """Dict of `name: (reliability bins, confidences)`, as `plots.reliability` takes it."""
        return {
            name: (reliability_bins(confidences, self.right), confidences)
            for name, confidences in self.confidences.items()
        }

    def risk_coverage(self):
        """`RiskCoverage` of the calibrated confidences; the raw ones have the same order."""
        return risk_coverage(self.confidences["calibrated"], self.right)

    def keep(self, accuracy):
        """What is kept of the second half by the threshold that the first half asks for.

        Args:
            accuracy: share of the kept readings that must be right in the first half, above 0, up
                to 1.

        Returns:
            `Selection` of the second half: its accuracy is what such a threshold is worth.

        Raises:
            ValueError: the accuracy is not above 0 and up to 1.
        """
        threshold = threshold_for(*self.learnt, accuracy).threshold
        return select(self.confidences["calibrated"], self.right, threshold)


def evaluate_calibration(readings, targets, protocol="exact", seed=0):
    """Calibrates with one half of a reader's readings and measures on the other.

    Images that could not be read have no confidence and are left out.

    Args:
        readings: list of `Prediction`s of labelled images that the reader did not learn
            from; a few hundred.
        targets: their labels, in the same order.
        protocol: see `calibrate`.
        seed: of the halves.

    Returns:
        `CalibrationReport`.

    Raises:
        ValueError: the lists differ in length, fewer than two images could be read, or the
            protocol is unknown.

    Example:

        >>> trial = evaluate_calibration(recognizer.read(images), targets)
        >>> print(trial)
        ECE on 800 readings: raw 4.21%, calibrated 1.30%
        >>> trial.keep(0.99).coverage
        0.62
    """
    right = np.array(right_texts(readings, targets, protocol))
    readable = [number for number, reading in enumerate(readings) if reading.error is None]
    if len(readable) < 2:
        raise ValueError(
            f"Only {len(readable)} of {len(readings):,} images could be read, which make no two "
            "halves. Give some hundreds that the reader can open."
        )
    order = np.random.default_rng(seed).permutation(readable)
    first, second = np.array_split(order, 2)
    calibration = calibrate([readings[i] for i in first], [targets[i] for i in first], protocol)
    raw = np.array([reading.raw_confidence for reading in readings])
    own = np.array([reading.confidence for reading in readings])
    calibrated = calibration.apply(raw)
    confidences = {"raw": raw[second], "calibrated": calibrated[second]}
    if (own != raw).any():
        confidences["own"] = own[second]
    return CalibrationReport(
        calibration, confidences, right[second], (calibrated[first], right[first])
    )
