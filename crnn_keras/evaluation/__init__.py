"""Measures how well a model reads: metrics, errors by category, confidence, figures.

| file | subject |
|---|---|
| `metrics` | `evaluate`: word accuracy, CER, 1-NED, confusions, worst cases |
| `error_analysis` | `categorize_errors`, `analyze_errors`: what the errors have in common |
| `language_model` | `tune_language_model`: how much a language model decides |
| `confidence` | `calibrate`, `threshold_for_predictions`, `evaluate_calibration` |
| `exports` | `compare_exports`: size, speed and accuracy of all export formats |
| `plots` | figures, from plain data |

The names are loaded when they are first used.
"""

from crnn_keras.utils.extras import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    submodules=["plots"],
    submod_attrs={
        "confidence": [
            "CalibrationReport",
            "calibrate",
            "evaluate_calibration",
            "threshold_for_predictions",
        ],
        "error_analysis": ["ErrorAnalysis", "analyze_errors", "categorize_errors"],
        "exports": ["ExportFigures", "compare_exports"],
        "language_model": ["tune_language_model"],
        "metrics": ["Case", "Report", "evaluate"],
    },
)
