"""Readers of label sources of any layout: all samples at once, or one at a time."""

from __future__ import annotations

import collections.abc
import os
import pathlib

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels import (
    doctr,
    file_name,
    iam,
    icdar,
    iiit5k,
    jsonl,
    label_studio,
    lmdb,
    mmocr,
    paddleocr,
    pairs,
    parquet,
    sample_txt,
    svt,
    synth90k,
    tables,
    webdataset,
)
from crnn_keras.data.labels.detect import detect_layout
from crnn_keras.data.labels.sample import LabelledSet, Sample
from crnn_keras.data.labels.source import Source
from crnn_keras.utils.checks import Of, check_arguments
from crnn_keras.utils.encodings import AUTO, check_encoding
from crnn_keras.utils.log import printable

_ROWS = {
    "sample_txt": sample_txt.rows,
    "tsv": tables.rows,
    "csv": tables.rows,
    "jsonl": jsonl.rows,
    "synth90k": synth90k.rows,
    "lmdb": lmdb.rows,
    "iiit5k": iiit5k.rows,
    "svt": svt.rows,
    "icdar": icdar.rows,
    "paddleocr": paddleocr.rows,
    "doctr": doctr.rows,
    "mmocr": mmocr.rows,
    "label_studio": label_studio.rows,
    "iam": iam.rows,
    "pairs": pairs.rows,
    "parquet": parquet.rows,
    "webdataset": webdataset.rows,
    **dict.fromkeys(file_name.LAYOUTS, file_name.rows),
}
LAYOUTS = tuple(_ROWS)
_WITH_COLUMNS = ("tsv", "csv", "jsonl", "parquet")
# Of these, columns have no index.
_WITH_NAMES = ("jsonl", "parquet")
_WITHOUT_TEXT = ("lmdb", "iiit5k", "parquet", *file_name.LAYOUTS)
_WITH_IMAGES = ("lmdb", "pairs", "webdataset", *file_name.LAYOUTS)


_PATH = Of((str, os.PathLike), "a path")
_PATH_OR_NONE = Of((str, os.PathLike, type(None)), "a path or None")


class SampleStream(collections.abc.Iterator):
    """Iterates over the `Sample`s and `Issue`s of a label source, in its order.

    Args:
        source: a `Source`.

    Attributes:
        layout: string, the layout that is read.
        description: string, how the source was understood.
        lexicons: see `LabelledSet`; they are filled while the stream is read.

    Raises:
        ValueError: the source has no rows.
    """

    def __init__(self, source: Source):
        self._rows = _ROWS[source.layout](source)
        # The first row is read now, so that an error about the whole source is raised at once.
        self._first = next(self._rows, None)
        if self._first is None:
            raise ValueError(f"{source.path} is empty. Expected at least one labelled image.")
        self.layout: str = source.layout
        self.description: str = source.description
        self.lexicons: dict[str, dict[str, tuple[str, ...]]] = source.lexicons

    def __next__(self) -> Sample | Issue:
        item, self._first = self._first, None
        return next(self._rows) if item is None else item


@check_arguments(path=_PATH, images_folder=_PATH_OR_NONE)
def stream_samples(
    path: str | os.PathLike,
    *,
    layout: str = "auto",
    images_folder: str | os.PathLike | None = None,
    image_column: str | int | None = None,
    text_column: str | int | None = None,
    encoding: str = AUTO,
) -> SampleStream:
    """Reads a label source row by row: memory does not grow with the label file.

    Only the lexicon of Synth90k, the .mat of IIIT5K, the XML of SVT and the JSON of docTR, MMOCR
    and Label Studio are held in memory. The images are not opened.

    Args:
        path: see `read_samples`.
        layout: see `read_samples`.
        images_folder: see `read_samples`.
        image_column: see `read_samples`.
        text_column: see `read_samples`.
        encoding: see `read_samples`.

    Returns:
        `SampleStream`, an iterator of `Sample`s and `Issue`s.

    Raises:
        ValueError: see `read_samples`; for a row further down while the stream is read.
    """
    if not str(path):
        raise ValueError("The path is empty. Expected a label file or a folder.")
    path = pathlib.Path(path)
    # Of a name that no file can have, these are False.
    if not os.path.isfile(path) and not os.path.isdir(path):
        fact = "is neither a file nor a folder" if os.path.exists(path) else "does not exist"
        raise ValueError(f"{printable(path)} {fact}. Expected a label file or a folder.")
    if layout not in ("auto", *LAYOUTS):
        raise ValueError(f"Layout {layout!r} is unknown. Expected 'auto' or one of {LAYOUTS}.")
    check_encoding(encoding)
    source = detect_layout(path, layout, encoding)
    if encoding != AUTO and source.layout in _WITHOUT_TEXT:
        raise ValueError(
            f"{path}: layout {source.layout} has no label file that is text. Remove encoding."
        )
    if images_folder and source.layout in _WITH_IMAGES:
        raise ValueError(
            f"{path}: layout {source.layout} holds its own images. Remove images_folder."
        )
    source.images_folder = pathlib.Path(images_folder) if images_folder else None
    source.columns = _check_columns(source, image_column, text_column)
    return SampleStream(source)


def read_samples(
    path: str | os.PathLike,
    *,
    layout: str = "auto",
    images_folder: str | os.PathLike | None = None,
    image_column: str | int | None = None,
    text_column: str | int | None = None,
    encoding: str = AUTO,
) -> LabelledSet:
    """Reads a label file or a folder or file of labelled images. The images are not opened.

    | layout | a row, or the files |
    |---|---|
    | `sample_txt` | `images/a.png some text`; TRDG's `labels.txt` too |
    | `tsv`, `csv` | with a header, or the path first and the text second |
    | `jsonl` | `{"file_name": "a.png", "text": "word"}` |
    | `synth90k` | `./2425/1/115_Lube_45484.jpg 45484`, and `lexicon.txt` |
    | `lmdb` | `data.mdb`, or a file, with `num-samples`, `image-%09d`, `label-%09d`; or a tree |
    | `iiit5k` | `traindata.mat`, `testdata.mat` |
    | `svt` | XML: words as boxes in larger images |
    | `icdar` | `word_1.png, "text"` |
    | `paddleocr` | `train_data/word_001.jpg<tab>text`, `["a.jpg", "b.jpg"]<tab>text` |
    | `doctr` | `labels.json`: `{"img.jpg": "text"}`, images in `images/` |
    | `mmocr` | `{"data_list": [{"img_path": "a.jpg", "instances": [{"text": "word"}]}]}` |
    | `label_studio` | Label Studio's export as JSON, one text an image, or as JSON-MIN |
    | `iam` | IAM's `words.txt` or `lines.txt`, its images in `words/`, `lines/`, flat or beside |
    | `pairs` | `line_1.png` and `line_1.gt.txt`, or `line_1.txt` |
    | `parquet` | of Hugging Face: a column of images, one of texts; a file or a folder of shards |
    | `webdataset` | a tar of `000001.jpg` and `000001.txt` or `.json`; or a folder of tars |
    | `file_name` | `226md.png`, `word_12.jpg`, `12_word.jpg`, `373_coley_14845.jpg`, |
    | | one form for all; `file_name/text_number` and its like force one |

    Args:
        path: a label file; a folder with one; a folder of images whose names or whose text files
            hold their labels; an LMDB, a parquet file or a tar, or a folder of them.
        layout: string, one of `LAYOUTS`, or `"auto"` to detect it. Defaults to `"auto"`.
        images_folder: folder that the paths in the label file start from. Defaults to `None`:
            the label file's own folder.
        image_column: name of the column or key of a csv, tsv, jsonl or parquet that holds the
            image or its path; or int, the index from 0 of a column of a csv or tsv. Two indices are
            for a table without a header. Defaults to `None`: a column with a known name, or else
            the first.
        text_column: name or index of the column that holds the text; goes with `image_column`.
            Defaults to `None`: a column with a known name, or else the second.
        encoding: string, encoding of a label file that is text, such as `"cp1251"`. Defaults to
            `"auto"`: UTF-8, or UTF-16 by its mark; GB18030 only if it is more likely than other
            old encodings, and the description says so.

    Returns:
        `LabelledSet`. Its issues name the rows with an empty label, without the path of an image,
        or with a path that leaves `images_folder` (absolute, or with `..`). Symbolic links in the
        paths are followed.

    Raises:
        ValueError: there is no such source; the layout is unknown; a folder holds several label
            files; the source has no rows, is damaged or in an unknown encoding; or the columns do
            not exist.

    Example:

    >>> found = read_samples("labels.tsv", image_column=0, text_column=1)
    >>> len(found.samples), len(found.issues), found.layout
    (200, 0, 'tsv')
    """
    stream = stream_samples(
        path,
        layout=layout,
        images_folder=images_folder,
        image_column=image_column,
        text_column=text_column,
        encoding=encoding,
    )
    samples, issues = [], []
    for item in stream:
        (samples if isinstance(item, Sample) else issues).append(item)
    return LabelledSet(
        samples,
        issues,
        description=stream.description,
        layout=stream.layout,
        lexicons=stream.lexicons,
    )


def _check_columns(source, image_column, text_column):
    """Returns the columns that the user named as a tuple, or None if there are none."""
    columns = tuple(None if _is_blank(column) else column for column in (image_column, text_column))
    asked = [column is not None for column in columns]
    if not any(asked):
        return None
    if source.layout not in _WITH_COLUMNS:
        raise ValueError(
            f"{source.path}: image_column and text_column are for {', '.join(_WITH_COLUMNS)}, but "
            f"the layout is {source.layout}. Remove them, or force the layout."
        )
    kinds = str if source.layout in _WITH_NAMES else str | int
    is_usable = all(asked) and image_column != text_column
    for column in columns:
        is_usable &= isinstance(column, kinds) and not isinstance(column, bool)
        is_usable &= isinstance(column, str) or (isinstance(column, int) and column >= 0)
    if not is_usable:
        raise ValueError(
            f"{source.path}: image_column={image_column!r}, text_column={text_column!r} are not "
            "usable. Expected two different names, such as 'crop' and 'word'"
            + ("." if source.layout in _WITH_NAMES else ", or two different indices from 0.")
        )
    return columns


def _is_blank(column):
    return column is None or (isinstance(column, str) and not column.strip())
