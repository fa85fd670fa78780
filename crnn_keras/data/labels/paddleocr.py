"""PaddleOCR's recognition lists: `train_data/word_001.jpg<tab>text` a line.

Reference:
    https://paddlepaddle.github.io/PaddleOCR/main/en/datasets/ocr_datasets.html
"""

import json
import os

from crnn_keras.data.labels.sample import Problem
from crnn_keras.data.labels.source import row


def rows(source):
    """Reads a list of this layout. Quotation marks are characters like any other.

    `["a.jpg", "b.jpg"]<tab>text` gives one sample each. Paths start from the list's folder, or,
    as in PaddleOCR's own examples, from above: `train_data/rec/train/word_001.jpg` of a list in
    `train_data/rec`. The first row's image decides.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Problem`s.
    """
    folder = None
    for number, line in source.lines():
        where = source.where(number)
        name, _, label = line.partition("\t")
        if label.lstrip().startswith('[{"'):
            reason = (
                f"{name!r} has boxes for a label: a list for text detection. Cut the words out "
                "first, with PaddleOCR's gen_ocr_train_val_test.py."
            )
            yield Problem("label is no text", where, reason)
            continue
        label = None if "\t" in label.strip() else label.strip()
        names = _names(name.strip())
        if names is None:
            reason = f'{name[:60]!r} is no list of paths. Expected ["a.jpg", "b.jpg"].'
            yield Problem("no image", where, reason)
            continue
        folder = folder or _folder(source, names[0])
        for one in names:
            yield row(where, folder, one.strip(), label)


def _folder(source, name):
    """The list's folder; or the one above `train_data` where the paths begin with that name."""
    if source.images_folder or "\0" in name or os.path.isfile(os.path.join(source.folder, name)):
        return source.folder
    begin = name.partition("/")[0]
    for above in source.path.absolute().parents:
        if begin and above.name == begin and (above.parent / name).is_file():
            source.notes.append(f"paths start from {above.parent}")
            return str(above.parent)
    return source.folder


def _names(cell):
    if not cell.startswith("["):
        return [cell]
    try:
        names = json.loads(cell)
    except (ValueError, RecursionError):
        # A path may begin with a bracket.
        return None if cell.endswith("]") else [cell]
    return names if names and all(isinstance(name, str) for name in names) else None
