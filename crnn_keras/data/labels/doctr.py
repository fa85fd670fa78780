"""docTR: `labels.json` with `{"img.jpg": "text"}`, its images in `images/` beside it.

Reference:
    https://github.com/mindee/doctr/tree/main/references/recognition
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.jsonl import check_values
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import Source


class _Pairs(list):
    """Holds a JSON object as pairs, so that a key that comes twice is seen."""


def rows(source: Source) -> Iterator[Sample | Issue]:
    """Reads a label file of this layout. The whole file is held in memory.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Issue`s.

    Raises:
        ValueError: the file is not a JSON object.
    """
    pairs = source.read_json(object_pairs_hook=_Pairs)
    if not isinstance(pairs, _Pairs):
        raise ValueError(f'{source.path} is not an object. Expected {{"img.jpg": "text", ...}}.')
    folder, seen = _find_folder(source, pairs), set()
    for name, label in pairs:
        where = f"{source.path}, key {name!r}"
        if isinstance(label, _Pairs | list):
            reason = (
                f"The label of {name!r} is a list or an object. Expected a text. Labels for text "
                "detection hold boxes: crop the words first."
            )
            yield Issue("label is not text", where, reason)
        elif name in seen:
            reason = f"{name!r} comes more than once. Keep the row with the correct label."
            yield Issue("image named twice", where, reason)
        else:
            seen.add(name)
            yield check_values(name, label, where, folder=folder)


def _find_folder(source, pairs):
    """Returns `images/` beside the label file, unless the first image lies beside it itself."""
    below = source.path.parent / "images"
    if source.images_folder or not below.is_dir():
        return source.folder
    first = pairs[0][0] if pairs else ""
    # Of a name that no file can have, `os.path.isfile` is False.
    if os.path.isfile(source.path.parent / first) and not os.path.isfile(below / first):
        return source.folder
    source.notes.append("images in images/")
    return below
