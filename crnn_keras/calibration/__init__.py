"""Confidence that means something: calibrated, measured, and used to keep what is surely right.

A reader's raw confidence is the probability of its best path. Of readings with 60 %, more or fewer
than 60 of 100 may be right. Readings of labelled pictures that the reader did not learn from show
which: a `Calibration` learnt from them turns the raw confidence into the chance of being right.

| file | subject |
|---|---|
| `scale` | `Calibration` and `fit_calibration` |
| `measure` | ECE, its bins, risk and coverage, thresholds |
| `checks` | what both refuse |
"""

from crnn_keras.calibration.measure import (
    ReliabilityBin,
    RiskCoverage,
    Selection,
    expected_calibration_error,
    reliability_bins,
    risk_coverage,
    select,
    threshold_for,
)
from crnn_keras.calibration.scale import Calibration, fit_calibration

__all__ = [
    "Calibration",
    "ReliabilityBin",
    "RiskCoverage",
    "Selection",
    "expected_calibration_error",
    "fit_calibration",
    "reliability_bins",
    "risk_coverage",
    "select",
    "threshold_for",
]
