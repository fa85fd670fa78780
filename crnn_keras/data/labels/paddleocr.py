"""PaddleOCR's recognition lists: `train_data/word_001.jpg<tab>text` a line.

Reference:
    https://paddlepaddle.github.io/PaddleOCR/main/en/datasets/ocr_datasets.html
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import Source, check_row, no_image
from crnn_keras.images import SUFFIXES


def rows(source: Source) -> Iterator[Sample | Issue]:
    """Reads a list of this layout. Quotation marks are characters like any other.

    `["a.jpg", "b.jpg"]<tab>text` becomes one sample an image. Paths start from the list's folder,
    or, as in PaddleOCR's own examples, from above it: `train_data/rec/train/word_001.jpg` in a
    list in `train_data/rec`. The first row's image decides.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Issue`s.
    """
    folder = None
    for where, line in source.lines():
        cell, _, label = line.partition("\t")
        if cell.startswith("#") and not cell.strip().lower().endswith(SUFFIXES):
            yield no_image(line, where)
            continue
        if label.lstrip().startswith('[{"'):
            reason = (
                f"The label of {cell!r} holds boxes: this is a list for text detection. Crop the "
                "words first, with PaddleOCR's gen_ocr_train_val_test.py."
            )
            yield Issue("label is not text", where, reason)
            continue
        label = None if "\t" in label.strip() else label.strip()
        names = _split_names(cell.strip())
        if names is None:
            reason = f'{cell[:60]!r} is not a list of paths. Expected ["a.jpg", "b.jpg"].'
            yield Issue("no image", where, reason)
            continue
        folder = folder or _find_folder(source, names[0])
        for name in names:
            yield check_row(name.strip(), label, where, folder=folder)


def _find_folder(source, name):
    """Returns the list's folder; or the one above `train_data` if the paths start with that."""
    if source.images_folder or "\0" in name or os.path.isfile(os.path.join(source.folder, name)):
        return source.folder
    top = name.partition("/")[0]
    for above in source.path.absolute().parents:
        if top and above.name == top and os.path.isfile(above.parent / name):
            source.notes.append(f"paths start from {above.parent}")
            return str(above.parent)
    return source.folder


def _split_names(cell):
    if not cell.startswith("["):
        return [cell]
    try:
        names = json.loads(cell)
    except (ValueError, RecursionError):
        # A path may begin with a bracket.
        return None if cell.endswith("]") else [cell]
    return names if names and all(isinstance(name, str) for name in names) else None
