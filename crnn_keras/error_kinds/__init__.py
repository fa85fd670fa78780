"""Where a reader's errors come from: pictures and readings sorted into kinds, each measured.

| file | takes | gives |
|---|---|---|
| `baseline` | a gray picture | how far the line of the text rises and bends |
| `facts` | a gray picture | `PictureFacts`: contrast, sharpness, ink, line |
| `twins` | a label and a reading | whether they differ in look-alikes alone |
| `kinds` | facts, label and reading | the kinds, each with its bound |
| `split` | a report or a reader, pictures | `ErrorSplit`: the table and examples |
"""

from crnn_keras.error_kinds.facts import PictureFacts, measure_picture
from crnn_keras.error_kinds.kinds import KINDS, Kind
from crnn_keras.error_kinds.split import ErrorSplit, split_errors, split_errors_of

__all__ = [
    "KINDS",
    "ErrorSplit",
    "Kind",
    "PictureFacts",
    "measure_picture",
    "split_errors",
    "split_errors_of",
]
