"""From a label source of any layout to its samples, collected or one at a time."""

import collections.abc
import pathlib

from crnn_keras.data.labels import (
    doctr,
    file_name,
    icdar,
    iiit5k,
    jsonl,
    lmdb_layout,
    paddleocr,
    sample_txt,
    svt,
    synth90k,
    tables,
)
from crnn_keras.data.labels.detect import detect_layout
from crnn_keras.data.labels.sample import LabelledSet, Sample

_READERS = {
    "sample_txt": sample_txt.rows,
    "tsv": tables.rows,
    "csv": tables.rows,
    "jsonl": jsonl.rows,
    "synth90k": synth90k.rows,
    "lmdb": lmdb_layout.rows,
    "iiit5k": iiit5k.rows,
    "svt": svt.rows,
    "icdar": icdar.rows,
    "paddleocr": paddleocr.rows,
    "doctr": doctr.rows,
    **dict.fromkeys(file_name.LAYOUTS, file_name.rows),
}
LAYOUTS = tuple(_READERS)
_WITH_COLUMNS = ("tsv", "csv", "jsonl")


class SampleStream(collections.abc.Iterator):
    """Iterator of the `Sample`s and `Problem`s of a label source, in its order.

    Args:
        source: a `Source`.

    Attributes:
        layout: the layout it is read in.
        description: how the source was understood, in words.
        lexicons: see `LabelledSet`; filled while the stream goes on.

    Raises:
        ValueError: the source has no rows.
    """

    def __init__(self, source):
        self._source = source
        self._rows = _READERS[source.layout](source)
        # The first row is read now, so that what is wrong with the whole source is said at once.
        self._first = next(self._rows, None)
        if self._first is None:
            raise ValueError(f"{source.path} is empty. Expected at least one labelled image.")
        self.layout = source.layout
        self.description = source.description
        self.lexicons = source.lexicons

    def __next__(self):
        item, self._first = self._first, None
        return next(self._rows) if item is None else item


def stream_samples(source, layout="auto", images_folder=None, columns=None):
    """Reads a label source row by row: memory stays flat however long the label file is.

    Held in memory are only the lexicon of Synth90k, the .mat of IIIT5K, the xml of SVT and the
    json of docTR. The images are not opened.

    Args:
        source: see `read_samples`.
        layout: see `read_samples`.
        images_folder: see `read_samples`.
        columns: see `read_samples`.

    Returns:
        `SampleStream`: an iterator of `Sample`s and `Problem`s.

    Raises:
        ValueError: as `read_samples`; for a row further down while the stream goes on.
    """
    if not str(source):
        raise ValueError("The source is empty. Expected a label file or a folder.")
    source = pathlib.Path(source)
    if not source.is_file() and not source.is_dir():
        raise ValueError(f"{source} does not exist. Expected a label file or a folder.")
    if layout not in ("auto", *LAYOUTS):
        raise ValueError(f"Layout {layout!r} is unknown. Expected 'auto' or one of {LAYOUTS}.")
    seen = detect_layout(source, layout)
    if images_folder and (seen.layout == "lmdb" or seen.layout in file_name.LAYOUTS):
        raise ValueError(
            f"{source}: layout {seen.layout} holds its own images. Leave images_folder out."
        )
    seen.images_folder = pathlib.Path(images_folder) if images_folder else None
    seen.columns = _checked_columns(source, seen.layout, columns)
    return SampleStream(seen)


def read_samples(source, layout="auto", images_folder=None, columns=None):
    """Reads a label file, a folder of images or an LMDB. The images are not opened.

    | layout | a row, or what is looked for |
    |---|---|
    | `sample_txt` | `images/a.png some text`; TRDG's `labels.txt` too |
    | `tsv`, `csv` | with a header, or the path first and the text second |
    | `jsonl` | `{"file_name": "a.png", "text": "word"}` |
    | `synth90k` | `./2425/1/115_Lube_45484.jpg 45484`, and `lexicon.txt` |
    | `lmdb` | `data.mdb` with `num-samples`, `image-%09d`, `label-%09d`; or a tree of them |
    | `iiit5k` | `traindata.mat`, `testdata.mat` |
    | `svt` | xml: words as boxes in larger images |
    | `icdar` | `word_1.png, "text"` |
    | `paddleocr` | `train_data/word_001.jpg<tab>text`, `["a.jpg", "b.jpg"]<tab>text` |
    | `doctr` | `labels.json`: `{"img.jpg": "text"}`, images in `images/` |
    | `file_name` | `226md.png`, `word_12.jpg`, `12_word.jpg`, `373_coley_14845.jpg`, |
    | | one form for all; `file_name/text_number` and its like force it |

    Args:
        source: a label file; a folder with one; a folder of images whose names hold their
            labels; an LMDB or a folder of LMDBs.
        layout: one of `LAYOUTS`, or `"auto"` to look.
        images_folder: folder that the paths in the label file start from. Defaults to the label
            file's own folder.
        columns: image and text column of a csv, tsv or jsonl, such as `("crop", "word")`; or
            their numbers from 0. By numbers there is no header, unless the first row plainly is
            one. Defaults to columns with known names, or else the first and the second.

    Returns:
        `LabelledSet`. Rows with an empty label, no image's path, or a path that leaves
        `images_folder` (absolute, or with `..`) are its problems. Symbolic links in the paths
        are followed.

    Raises:
        ValueError: no such source, an unknown layout, several label files in a folder, a source
            without rows, a damaged one, text in an unknown encoding, or columns that are not
            there.
    """
    stream = stream_samples(source, layout, images_folder, columns)
    found = LabelledSet([], [], stream.description, stream.layout, stream.lexicons)
    for item in stream:
        (found.samples if isinstance(item, Sample) else found.problems).append(item)
    return found


def _checked_columns(source, layout, columns):
    if columns is None:
        return None
    if layout not in _WITH_COLUMNS:
        raise ValueError(
            f"{source}: columns are for csv, tsv and jsonl, but the layout is {layout}. Leave "
            "columns out, or force the layout."
        )
    kinds = str if layout == "jsonl" else str | int
    good = isinstance(columns, list | tuple) and len(columns) == 2 and columns[0] != columns[1]
    for column in columns if good else ():
        good &= isinstance(column, kinds) and not isinstance(column, bool)
        good &= isinstance(column, str) or column >= 0
    if not good:
        raise ValueError(
            f"{source}: columns {columns!r} are not usable. Expected the image's and the text's, "
            'by two names such as ("crop", "word")'
            + ("." if layout == "jsonl" else ", or by two numbers from 0.")
        )
    return tuple(columns)
