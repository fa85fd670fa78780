"""A calibration fitted to one half of a labelled set and measured on the other half."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crnn_keras.evaluation.confidence.labelled import are_correct, calibrate
from crnn_keras.evaluation.confidence.measure import (
    ACCURACY,
    ReliabilityBin,
    RiskCoverage,
    Selection,
    expected_calibration_error,
    reliability_bins,
    risk_coverage,
    select,
    threshold_for,
)
from crnn_keras.model.calibration import Calibration
from crnn_keras.utils.checks import SEED, check_arguments

if TYPE_CHECKING:
    from crnn_keras.inference.base import Prediction


# Arrays have no plain equality.
@dataclass(frozen=True, eq=False, kw_only=True)
class CalibrationReport:
    """What a calibration is worth on predictions that it was not fitted to.

    Args:
        calibration: The `Calibration`, fitted to the first half.
        confidences: Dict of `name: float array of shape (n,)` for the second half: `"raw"`,
            `"calibrated"` by this calibration and, if the recognizer has a calibration, its
            `"own"`.
        correct: Bool array of shape `(n,)`: which predictions of the second half are correct.
        first_half: Tuple of the calibrated confidences and the flags `correct` of the first half.
    """

    calibration: Calibration
    confidences: dict[str, np.ndarray]
    correct: np.ndarray
    first_half: tuple[np.ndarray, np.ndarray]

    def __str__(self) -> str:
        errors = ", ".join(f"{name} {error:.2%}" for name, error in self.ece().items())
        return f"ECE on {len(self.correct):,} predictions: {errors}"

    def ece(self) -> dict[str, float]:
        """Computes the expected calibration error of each kind of confidence, from 0 to 1."""
        return {
            name: expected_calibration_error(confidences, self.correct)
            for name, confidences in self.confidences.items()
        }

    def reliability(self) -> dict[str, tuple[list[ReliabilityBin], np.ndarray]]:
        """Returns `name: (reliability bins, confidences)`, as `plots.reliability` takes it."""
        return {
            name: (reliability_bins(confidences, self.correct), confidences)
            for name, confidences in self.confidences.items()
        }

    def risk_coverage(self) -> RiskCoverage:
        """Computes risk and coverage by calibrated confidence; the raw one has the same order."""
        return risk_coverage(self.confidences["calibrated"], self.correct)

    @check_arguments(accuracy=ACCURACY)
    def keep(self, accuracy: float) -> Selection:
        """Applies to the second half the threshold that the first half gives.

        Args:
            accuracy: Fraction of the kept predictions that must be correct in the first half, above
                0, at most 1.

        Returns:
            `Selection` of the second half: its accuracy is what such a threshold is worth.

        Raises:
            ValueError: The accuracy is not above 0 and at most 1.
        """
        threshold = threshold_for(*self.first_half, accuracy).threshold
        return select(self.confidences["calibrated"], self.correct, threshold)


@check_arguments(seed=SEED)
def evaluate_calibration(
    predictions: Sequence[Prediction],
    targets: Sequence[str],
    *,
    protocol: str = "exact",
    seed: int = 0,
) -> CalibrationReport:
    """Calibrates with one half of the predictions and measures on the other half.

    Images that could not be loaded have no confidence and are skipped.

    Args:
        predictions: `Prediction`s for labelled images that the model did not learn from; some
            hundreds.
        targets: Their labels, in the same order.
        protocol: See `calibrate`. Defaults to `"exact"`.
        seed: Seed of the random halves. Defaults to `0`.

    Returns:
        `CalibrationReport`.

    Raises:
        ValueError: The lists differ in length, fewer than two images could be loaded, or the
            protocol is unknown.

    Example:

        >>> from crnn_keras import Prediction
        >>> from crnn_keras.evaluation import evaluate_calibration
        >>> texts = ["cat"] * 90 + ["cut"] * 10
        >>> predictions = [Prediction(t, 0.6, "cat.png", raw_confidence=0.6) for t in texts]
        >>> print(evaluate_calibration(predictions, ["cat"] * 100))
        ECE on 50 predictions: raw 30.00%, calibrated 0.49%
    """
    correct = np.array(are_correct(predictions, targets, protocol=protocol))
    loaded = [i for i, prediction in enumerate(predictions) if prediction.error is None]
    if len(loaded) < 2:
        raise ValueError(
            f"Only {len(loaded)} of {len(predictions):,} images could be loaded, too few for two "
            "halves. Pass predictions for some hundreds of images that can be opened."
        )
    order = np.random.default_rng(seed).permutation(loaded)
    first, second = np.array_split(order, 2)
    calibration = calibrate(
        [predictions[i] for i in first], [targets[i] for i in first], protocol=protocol
    )
    raw = np.array([prediction.raw_confidence for prediction in predictions])
    own = np.array([prediction.confidence for prediction in predictions])
    calibrated = calibration.apply(raw)
    confidences = {"raw": raw[second], "calibrated": calibrated[second]}
    if (own != raw).any():
        confidences["own"] = own[second]
    return CalibrationReport(
        calibration=calibration,
        confidences=confidences,
        correct=correct[second],
        first_half=(calibrated[first], correct[first]),
    )
