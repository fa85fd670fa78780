"""docTR: `labels.json` with `{"img.jpg": "text"}`, its images in `images/` beside it.

Reference:
    https://github.com/mindee/doctr/tree/main/references/recognition
"""

import json

from crnn_keras.data.labels.jsonl import text_row
from crnn_keras.data.labels.sample import Problem
from crnn_keras.utils import files


class _Pairs(list):
    """An object of JSON as its pairs, so that a key given twice is seen."""


def rows(source):
    """Reads a label file of this layout. It is held in memory whole.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Problem`s.

    Raises:
        ValueError: the file is no object of JSON.
    """
    text, source.encoding = files.read_text(source.path)
    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source.path} is not JSON: {error}") from None
    if not isinstance(pairs, _Pairs):
        raise ValueError(f'{source.path} is no object. Expected {{"img.jpg": "text", ...}}.')
    folder, seen = _folder(source, pairs), set()
    for name, label in pairs:
        where = f"{source.path}, key {name!r}"
        if isinstance(label, _Pairs | list):
            reason = (
                f"{name!r} has a list or an object for a label. Expected a text; labels for text "
                "detection hold boxes: cut the words out first."
            )
            yield Problem("label is no text", where, reason)
        elif name in seen:
            reason = f"{name!r} is there more than once. Keep the row whose label is right."
            yield Problem("image named twice", where, reason)
        else:
            seen.add(name)
            yield text_row(where, folder, name, label)


def _folder(source, pairs):
    below = source.path.parent / "images"
    if source.images_folder or not below.is_dir():
        return source.folder
    first = pairs[0][0] if pairs else ""
    beside = first and "\0" not in first and (source.path.parent / first).is_file()
    if beside and not (below / first).is_file():
        return source.folder
    source.notes.append("images in images/")
    return below
