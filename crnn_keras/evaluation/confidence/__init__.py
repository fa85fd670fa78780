"""Confidence as a probability: calibrated, measured, and used to keep the reliable predictions.

The raw confidence of a prediction is the probability of all paths that spell its text. Of 100
predictions with a raw confidence of 60 %, more or fewer than 60 may be correct. Labelled images
that the model did not learn from show how many: a `Calibration` fitted to them maps the raw
confidence to the chance of being correct.

| file | subject |
|---|---|
| `labelled` | `calibrate`, `threshold_for_predictions`: from predictions and their labels |
| `report` | `evaluate_calibration`: fitted to one half of a set, measured on the other |
| `measure` | calibration error and its bins, risk and coverage, thresholds |

The model itself carries the `Calibration`, see `crnn_keras.model.calibration`. One half of some
hundreds of labelled images calibrates it; the other half gives the threshold above which 99 % of
the predictions are correct:

    recognizer = Recognizer.load("model.keras")
    recognizer.calibration = calibrate(recognizer.read(images[::2]), targets[::2])
    recognizer.save("model.keras")

    predictions = recognizer.read(images[1::2])
    selection = threshold_for_predictions(predictions, targets[1::2], accuracy=0.99)
    print(f"{selection.coverage:.0%} of the predictions reach {selection.threshold:.3f}")
    kept = [p for p in recognizer.read("photos") if p.confidence >= selection.threshold]

`export_onnx` and `export_saved_model` export the calibration too.
"""

from crnn_keras.evaluation.confidence.labelled import calibrate, threshold_for_predictions
from crnn_keras.evaluation.confidence.measure import (
    ReliabilityBin,
    RiskCoverage,
    Selection,
    expected_calibration_error,
    reliability_bins,
    risk_coverage,
    select,
    threshold_for,
)
from crnn_keras.evaluation.confidence.report import CalibrationReport, evaluate_calibration

__all__ = [
    "CalibrationReport",
    "ReliabilityBin",
    "RiskCoverage",
    "Selection",
    "calibrate",
    "evaluate_calibration",
    "expected_calibration_error",
    "reliability_bins",
    "risk_coverage",
    "select",
    "threshold_for",
    "threshold_for_predictions",
]
