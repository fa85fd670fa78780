"""Predictions and their labels give a calibration, and a threshold of confidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from crnn_keras.evaluation.confidence.measure import ACCURACY, Selection, threshold_for
from crnn_keras.evaluation.metrics import evaluate
from crnn_keras.model.calibration import Calibration, fit_calibration
from crnn_keras.utils.checks import FLAG, check_arguments

if TYPE_CHECKING:
    from crnn_keras.inference.base import Prediction


def calibrate(
    predictions: Sequence[Prediction], targets: Sequence[str], *, protocol: str = "exact"
) -> Calibration:
    """Fits a calibration to predictions for labelled images.

    It is fitted to the raw confidences, so the recognizer may have a calibration already.
    Predictions made with a lexicon give a calibration for predictions with it. Images that could
    not be loaded have no confidence and are skipped.

    Args:
        predictions: `Prediction`s for images that the model did not learn from; some hundreds.
        targets: Their labels, in the same order. With the protocol `"exact"`, normalize them by
            `char_dict.normalize`, as the predictions are.
        protocol: When a text is correct, see `evaluate`. Defaults to `"exact"`.

    Returns:
        `Calibration`. A recognizer uses it after `recognizer.calibration = calibration`.

    Raises:
        ValueError: The lists differ in length, no image could be loaded, or the protocol is
            unknown.

    Example:

        >>> from crnn_keras import Prediction, calibrate
        >>> texts = ["cat"] * 90 + ["cut"] * 10
        >>> predictions = [Prediction(t, 0.6, "cat.png", raw_confidence=0.6) for t in texts]
        >>> calibration = calibrate(predictions, ["cat"] * 100)
        >>> round(float(calibration.apply(0.6)), 2)  # 90 of 100 are correct
        0.9
    """
    correct = are_correct(predictions, targets, protocol=protocol)
    pairs = [
        (prediction.raw_confidence, is_correct)
        for prediction, is_correct in zip(predictions, correct, strict=True)
        if prediction.error is None
    ]
    if not pairs:
        raise ValueError(
            f"None of the {len(predictions):,} images could be loaded. The first error: "
            f"{predictions[0].error} Pass predictions for images that can be opened."
        )
    return fit_calibration(*zip(*pairs, strict=True))


@check_arguments(accuracy=ACCURACY, cautious=FLAG)
def threshold_for_predictions(
    predictions: Sequence[Prediction],
    targets: Sequence[str],
    accuracy: float,
    *,
    protocol: str = "exact",
    cautious: bool = False,
) -> Selection:
    """Finds the confidence above which a given fraction of the predictions is correct.

    Images that could not be loaded count as wrong, with a confidence of 0.

    Args:
        predictions: `Prediction`s for images that the model did not learn from and was not
            calibrated with.
        targets: Their labels, in the same order.
        accuracy: Fraction of the kept predictions that must be correct, above 0, at most 1.
        protocol: See `calibrate`. Defaults to `"exact"`.
        cautious: See `threshold_for`. Defaults to `False`.

    Returns:
        `Selection`, see `threshold_for`: `threshold`, and `coverage`, the fraction that is kept.

    Raises:
        ValueError: The lists are empty or differ in length, the accuracy is not above 0 and at most
            1, or the protocol is unknown.

    Example:

        >>> from crnn_keras import Prediction
        >>> from crnn_keras.evaluation import threshold_for_predictions
        >>> pairs = [("cat", 0.9), ("cat", 0.8), ("cut", 0.7), ("cat", 0.6)]
        >>> predictions = [Prediction(text, confidence, "cat.png") for text, confidence in pairs]
        >>> selection = threshold_for_predictions(predictions, ["cat"] * 4, 0.99)
        >>> selection.threshold, selection.coverage
        (0.8, 0.5)
    """
    correct = are_correct(predictions, targets, protocol=protocol)
    confidences = [prediction.confidence for prediction in predictions]
    return threshold_for(confidences, correct, accuracy, cautious=cautious)


def are_correct(
    predictions: Sequence[Prediction], targets: Sequence[str], *, protocol: str
) -> list[bool]:
    """Compares each predicted text with its label.

    Args:
        predictions: `Prediction`s.
        targets: Their labels, in the same order.
        protocol: See `calibrate`.

    Returns:
        List of bools; False for an image that could not be loaded.

    Raises:
        ValueError: The lists are empty or differ in length, or the protocol is unknown.
    """
    texts = [prediction.text for prediction in predictions]
    cases = evaluate(targets, texts, protocol=protocol).cases
    return [
        case.distance == 0 and prediction.error is None
        for case, prediction in zip(cases, predictions, strict=True)
    ]
