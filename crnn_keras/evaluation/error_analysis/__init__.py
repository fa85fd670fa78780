"""What errors have in common: images and predictions sorted into categories, each measured.

| file | takes | gives |
|---|---|---|
| `baseline` | a gray image | slope and curvature of the line of text |
| `facts` | a gray image | `ImageFacts`: contrast, sharpness, ink, baseline |
| `confusables` | a label and a text | whether they differ in confusable characters alone |
| `categories` | facts, label and text | the categories, each with its bound |
| `categorize` | a report or a recognizer, images | `ErrorAnalysis`: a table and examples |
"""

from crnn_keras.evaluation.error_analysis.categories import CATEGORIES, ErrorCategory
from crnn_keras.evaluation.error_analysis.categorize import (
    ErrorAnalysis,
    analyze_errors,
    categorize_errors,
)
from crnn_keras.evaluation.error_analysis.facts import ImageFacts, measure_image

__all__ = [
    "CATEGORIES",
    "ErrorAnalysis",
    "ErrorCategory",
    "ImageFacts",
    "analyze_errors",
    "categorize_errors",
    "measure_image",
]
