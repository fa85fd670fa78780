"""Labels of any layout the field uses -> checked samples; rows that cannot be used are named.

| module | subject |
|---|---|
| `read` | `read_samples`; `stream_samples` for label files that do not fit into memory |
| `detect` | the layout of a label file or folder, and the evidence for it |
| `sample` | `Sample`, `LabelledSet`, `check_label` |
| `image_sources` | the bytes of an image that is no file: in a tar, a database, a larger image |
| `source` | what the layouts share: a `Source`, its lines, and checks of the rows |
| `sample_txt`, `tables`, `jsonl`, `file_name`, `pairs` | layouts of one's own labels |
| `parquet`, `webdataset`, `lmdb` | layouts that hold the images too; `shards` of the first two |
| `synth90k`, `iiit5k`, `svt`, `icdar`, `paddleocr`, `doctr`, `mmocr`, `iam` | of data sets |
| `label_studio` | of Label Studio |
| `write` | `write_labels`: tables, pairs, lists and JSON for other tools |
| `lexicon` | lists of words that belong to single images |
| `splits` | `read_splits`, `split_samples`: train, validation and test; `make_folds` |

To add a layout:

1. Write a module with one function, `rows(source)`: it yields one `Sample` or one `Issue` for each
   row. `source.lines()` gives the lines of a text file in its encoding, `check_row` turns a path
   and a label into either. `icdar.py` is a short example.
2. Add the function to `_ROWS` in `read.py`, and a line to the tables of `read_samples`, of this
   docstring and of `docs/guide.md`.
3. Teach `detect.py` what gives the layout away: the name of its file in `_NAMES`, and a line in
   `_detect_text` if the name is not enough.
4. If the layout has a new kind of issue, add what to do about it to `ADVICE` in
   `data/check/kinds.py`.
5. Add an example to `tests/test_labels_layouts.py`: a set that is detected and can be forced, and
   each of its rows that cannot be used.
"""

from crnn_keras.data.labels.lexicon import read_lexicon
from crnn_keras.data.labels.read import LAYOUTS, SampleStream, read_samples, stream_samples
from crnn_keras.data.labels.sample import LabelledSet, Sample, check_label
from crnn_keras.data.labels.splits import assign_split, make_folds, read_splits, split_samples
from crnn_keras.data.labels.write import WRITABLE, write_labels

__all__ = [
    "LAYOUTS",
    "WRITABLE",
    "LabelledSet",
    "Sample",
    "SampleStream",
    "assign_split",
    "check_label",
    "make_folds",
    "read_lexicon",
    "read_samples",
    "read_splits",
    "split_samples",
    "stream_samples",
    "write_labels",
]
