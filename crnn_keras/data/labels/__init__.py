"""Labels of any layout of the field in, checked samples out; what cannot be used is named.

| file | holds |
|---|---|
| `sample` | `Sample`, `Problem`, `LabelledSet`: what every layout gives |
| `images` | the bytes of an image: of a file, a box in a larger image, an LMDB |
| `read` | `read_samples`, and `stream_samples` for label files longer than the memory |
| `detect_layout` | which layout a file or folder has, and by what that is seen |
| `source` | what the layouts share: lines with numbers, and rows checked |
| `sample_txt`, `tables`, `jsonl`, `file_name` | one layout each, for labels of one's own |
| `synth90k`, `lmdb_layout`, `iiit5k`, `svt`, `icdar`, `paddleocr`, `doctr` | of one data set each |
| `lexicon` | word lists that belong to single images |
| `split` | which part of a split an image belongs to |
| `parts` | a run's sources, split or given apart |
"""

from crnn_keras.data.labels.file_name import label_from_name
from crnn_keras.data.labels.lexicon import read_lexicon
from crnn_keras.data.labels.read import LAYOUTS, SampleStream, read_samples, stream_samples
from crnn_keras.data.labels.sample import (
    LabelledSet,
    Problem,
    Sample,
    check_label,
    problem_line,
    write_problems,
)
from crnn_keras.data.labels.split import assign_split, split_samples
from crnn_keras.data.labels.splits import read_splits

__all__ = [
    "LAYOUTS",
    "LabelledSet",
    "Problem",
    "Sample",
    "SampleStream",
    "label_from_name",
    "check_label",
    "assign_split",
    "problem_line",
    "read_lexicon",
    "read_splits",
    "read_samples",
    "split_samples",
    "stream_samples",
    "write_problems",
]
