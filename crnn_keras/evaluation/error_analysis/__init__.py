"""Where a reader's errors come from: images and readings sorted into kinds, each measured.

| file | takes | gives |
|---|---|---|
| `baseline` | a gray image | how far the line of the text rises and bends |
| `facts` | a gray image | `ImageFacts`: contrast, sharpness, ink, line |
| `confusables` | a label and a reading | whether they differ in look-alikes alone |
| `kinds` | facts, label and reading | the kinds, each with its bound |
| `split` | a report or a reader, images | `ErrorAnalysis`: the table and examples |
"""

from crnn_keras.evaluation.error_analysis.categorize import (
    ErrorAnalysis,
    analyze_errors,
    categorize_errors,
)
from crnn_keras.evaluation.error_analysis.facts import ImageFacts, measure_image
from crnn_keras.evaluation.error_analysis.kinds import KINDS, Kind

__all__ = [
    "KINDS",
    "ErrorAnalysis",
    "Kind",
    "ImageFacts",
    "measure_image",
    "categorize_errors",
    "analyze_errors",
]
