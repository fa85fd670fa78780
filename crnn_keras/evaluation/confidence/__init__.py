"""Confidence that means something: calibrated, measured, and used to keep what is surely right.

A reader's raw confidence is the probability of all paths that spell its text. Of readings with
60 %, more or fewer than 60 of 100 may be right. Readings of labelled images that the reader did
not learn from show which: a `Calibration` learnt from them turns the raw confidence into the chance
of being right.

| file | subject |
|---|---|
| `labelled` | `calibrate` and `threshold_for_readings`: both from readings and their labels |
| `trial` | `evaluate_calibration`: a calibration from half of a set, measured on the other half |
| `scale` | `Calibration` and `fit_calibration` |
| `measure` | ECE, its bins, risk and coverage, thresholds |
| `checks` | what both refuse |

A reader is calibrated with one half of some hundreds of labelled images that it did not learn
from, and saved; the other half tells which readings to keep so that 99 % of them are right:

    recognizer = Recognizer.load("reader.keras")
    recognizer.calibration = calibrate(recognizer.read(images[::2]), targets[::2])
    save_model(recognizer.model, "reader.keras")

    sure = threshold_for_readings(recognizer.read(images[1::2]), targets[1::2], accuracy=0.99)
    print(f"{sure.coverage:.0%} of the readings reach {sure.threshold:.3f}")
    kept = [r for r in recognizer.read("photos") if r.confidence >= sure.threshold]

`save_model` is `train.save_model`, which replaces a file whole or not at all. Exports carry the
calibration along: `export.export_onnx`, `export.export_saved_model`.
"""

from crnn_keras.evaluation.confidence.labelled import calibrate, threshold_for_readings
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
from crnn_keras.model.calibration import Calibration, fit_calibration

__all__ = [
    "Calibration",
    "ReliabilityBin",
    "RiskCoverage",
    "Selection",
    "CalibrationReport",
    "calibrate",
    "expected_calibration_error",
    "fit_calibration",
    "reliability_bins",
    "risk_coverage",
    "select",
    "threshold_for",
    "threshold_for_readings",
    "evaluate_calibration",
]
