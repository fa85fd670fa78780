"""Writes labels in the layouts that other tools read: one's own table, pairs, lists, JSON."""

from __future__ import annotations

import os
import pathlib
import urllib.parse
from collections.abc import Iterable

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.label_studio import LOCAL
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import check_row
from crnn_keras.images import SUFFIXES
from crnn_keras.utils import files

_TEXT_SUFFIX = ".gt.txt"


def write_labels(
    samples: Iterable[Sample],
    path: str | os.PathLike,
    *,
    layout: str = "tsv",
    images_folder: str | os.PathLike | None = None,
) -> None:
    """Writes labels so that `read_samples` of that layout gives the same images and texts.

    | layout | what is written |
    |---|---|
    | `tsv` | `images/a.png<tab>text` a line |
    | `pairs` | `images/a.gt.txt` beside each image: tesstrain, kraken, Calamari |
    | `paddleocr` | `images/a.png<tab>text` a line, as PaddleOCR's `rec_gt_train.txt` |
    | `label_studio` | a JSON list of annotated tasks, with `$ocr` and a TextArea `transcription` |

    A file of that name is replaced; each file appears whole or not at all. Label Studio finds the
    images as local files if its document root is the folder that the paths start from.

    Args:
        samples: iterable of `Sample`s whose images are files in `images_folder`.
        path: label file to write; with `pairs`, the folder that holds the images.
        layout: string, one of the above. Defaults to `"tsv"`.
        images_folder: folder that the paths start from; pass the same one to `read_samples`.
            Defaults to `None`: that of the label file.

    Raises:
        ValueError: the layout is unknown; there is no sample; or a sample cannot be written so
            that it is read again as it is. Nothing is written then.

    Example:

    >>> from crnn_keras import read_samples
    >>> found = read_samples("labels.tsv", image_column=0, text_column=1)
    >>> write_labels(found.samples, "rec_gt_train.txt", layout="paddleocr")
    >>> len(read_samples("rec_gt_train.txt").samples)
    200
    """
    if layout not in WRITABLE:
        raise ValueError(f"Layout {layout!r} cannot be written. Expected one of {WRITABLE}.")
    path = pathlib.Path(path)
    if layout == "pairs" and images_folder is not None:
        raise ValueError("Layout pairs writes texts beside the images. Remove images_folder.")
    folder = path if layout == "pairs" else pathlib.Path(images_folder or path.parent)
    rows = []
    for sample in samples:
        name = relative_name(sample.image, folder)
        if reason := _check(sample, name, layout, folder=folder):
            raise ValueError(
                f"{sample.where}: {sample.image!r} cannot be written as {layout}: {reason}"
            )
        rows.append((name, sample.text))
    if not rows:
        raise ValueError(f"{path}: there is no label to write. Expected at least one.")
    if layout in _ONE_EACH:
        _check_one_each(rows, layout)
    _WRITERS[layout](path, rows)


def relative_name(image: str | os.PathLike, folder: str | os.PathLike) -> str:
    """Returns the path of an image as label files have it: from a folder, with slashes.

    Args:
        image: path of the image.
        folder: where the path starts.

    Returns:
        String; it begins with `..` if the image does not lie in the folder.
    """
    try:
        return os.path.relpath(image, folder).replace(os.sep, "/")
    except ValueError:  # Another drive of Windows.
        return f"../{os.path.basename(image)}"


def check_name(name: str) -> str:
    """Checks that a path of an image is read again as it is from a line of a label file.

    Args:
        name: the path, see `relative_name`.

    Returns:
        String: what is wrong with it and how to mend it; empty if nothing is.
    """
    issue = check_row(name, "text", "", folder=".")
    if isinstance(issue, Issue):
        return issue.reason
    if name != name.strip() or name.startswith("\ufeff") or "\t" in name or "\\" in name:
        return f"{name!r} has a tab, a backslash or a space at an end. Rename the file."
    if not name.lower().endswith(SUFFIXES):
        return f"{name!r} has not the suffix of an image: {', '.join(SUFFIXES)}. Rename the file."
    return ""


def _check(sample, name, layout, *, folder):
    """Returns why a sample cannot be written; empty if it can be."""
    text = sample.text
    if sample.key or sample.box or sample.span:
        return "it is part of another file. Write it to a file of its own."
    if name.startswith("../"):
        return f"it does not lie in {folder}. Pass the folder that it lies in."
    if reason := check_name(name):
        return reason
    issue = check_row(name, text, sample.where, folder=folder)
    if isinstance(issue, Issue):
        return issue.reason
    if text != text.strip() or "\ufeff" in text:
        return f"the label {text[:60]!r} has a space at an end, or a mark of the byte order."
    if layout in ("tsv", "paddleocr") and "\t" in text:
        return f"the label {text[:60]!r} has a tab, which ends a column."
    if layout == "paddleocr" and text.startswith('[{"'):
        return f"the label {text[:60]!r} looks like boxes."
    if layout == "pairs" and any(part.startswith((".", "__MACOSX")) for part in name.split("/")):
        return "hidden files are not read in this layout. Rename it."
    return ""


def _check_one_each(rows, layout):
    """Raises a ValueError if two labels would be one in a layout."""
    names = {}
    for name, _ in rows:
        key = os.path.splitext(name)[0] if layout == "pairs" else name
        if key in names:
            raise ValueError(
                f"{names[key]!r} and {name!r} would share one text as {layout}. Write one of them."
            )
        names[key] = name


def _write_lines(path, rows):
    files.write_atomic(path, "".join(f"{name}\t{text}\n" for name, text in rows).encode())


def _write_pairs(path, rows):
    for name, text in rows:
        target = path / f"{os.path.splitext(name)[0]}{_TEXT_SUFFIX}"
        files.write_atomic(target, f"{text}\n".encode())


def _write_tasks(path, rows):
    files.write_json(path, [_make_task(number, *row) for number, row in enumerate(rows, 1)])


def _make_task(number, name, text):
    result = {
        "from_name": "transcription",
        "to_name": "image",
        "type": "textarea",
        "value": {"text": [text]},
    }
    return {
        "id": number,
        "data": {"ocr": LOCAL + urllib.parse.quote(name)},
        "annotations": [{"result": [result], "was_cancelled": False}],
    }


_WRITERS = {
    "tsv": _write_lines,
    "pairs": _write_pairs,
    "paddleocr": _write_lines,
    "label_studio": _write_tasks,
}
WRITABLE = tuple(_WRITERS)
_ONE_EACH = ("pairs", "label_studio")
