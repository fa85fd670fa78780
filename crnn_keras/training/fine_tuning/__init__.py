"""A trained reader learns the images of a user, and keeps what it knew.

| file | subject |
|---|---|
| `tune` | `fine_tune`: labels in; a reader that was measured out |
| `settings` | `FineTuningSettings`: rates, lengths and fractions |
| `readers` | which shipped reader reads the labels best |
| `load` | a trained model to begin from, with other characters or another canvas |
| `replay` | rendered words of the old task, to replay and to measure what is forgotten |
| `interpolate` | weights between those of the start and the trained ones |
| `result` | figures before and after, and a reading of each image |
| `curve` | how many labelled images give which accuracy, measured into a csv |
"""

from crnn_keras.training.fine_tuning.interpolate import interpolate_weights
from crnn_keras.training.fine_tuning.load import (
    describe_char_dict_change,
    load_for_fine_tuning,
    with_char_dict,
)
from crnn_keras.training.fine_tuning.result import Comparison, FineTuning, Reading
from crnn_keras.training.fine_tuning.settings import FineTuningSettings
from crnn_keras.training.fine_tuning.tune import fine_tune

__all__ = [
    "Comparison",
    "FineTuning",
    "FineTuningSettings",
    "Reading",
    "describe_char_dict_change",
    "fine_tune",
    "interpolate_weights",
    "load_for_fine_tuning",
    "with_char_dict",
]
