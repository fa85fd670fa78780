"""Labels of any layout of the field in, checked samples out; what cannot be used is named.

| file | holds |
|---|---|
| `sample` | `Sample`, `Problem`, `LabelledSet`: what every layout gives |
| `pictures` | the bytes of a picture: of a file, a box in a larger picture, an LMDB |
| `read` | `read_samples`, and `stream_samples` for label files longer than the memory |
| `recognise` | which layout a file or folder has, and by what that is seen |
| `source` | what the layouts share: lines with numbers, and rows checked |
| `sample_txt`, `tables`, `jsonl`, `file_name` | one layout each, for labels of one's own |
| `synth90k`, `lmdb_layout`, `iiit5k`, `svt`, `icdar`, `paddleocr`, `doctr` | of one data set each |
| `lexicon` | word lists that belong to single pictures |
| `split` | which part of a split a picture belongs to |
| `parts` | a run's sources, split or given apart |
"""

from crnn_keras.samples.file_name import label_from_name
from crnn_keras.samples.lexicon import read_lexicon
from crnn_keras.samples.parts import read_parts
from crnn_keras.samples.read import LAYOUTS, SampleStream, read_samples, stream_samples
from crnn_keras.samples.sample import (
    LabelledSet,
    Problem,
    Sample,
    label_problem,
    problem_line,
    write_problems,
)
from crnn_keras.samples.split import part_of, split_samples

__all__ = [
    "LAYOUTS",
    "LabelledSet",
    "Problem",
    "Sample",
    "SampleStream",
    "label_from_name",
    "label_problem",
    "part_of",
    "problem_line",
    "read_lexicon",
    "read_parts",
    "read_samples",
    "split_samples",
    "stream_samples",
    "write_problems",
]
