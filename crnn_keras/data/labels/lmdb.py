"""LMDB folders with `num-samples`, `image-%09d` and `label-%09d`; or a tree of such folders."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.file_name import walk
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import Source, check_text
from crnn_keras.data.lmdb_folder import FILE, image_key, open_lmdb

# After so many missing entries in a row, num-samples is not believed.
_MOST_MISSING = 1000


def rows(source: Source) -> Iterator[Sample | Issue]:
    """Reads an LMDB, or all LMDBs below a folder, in the order of their paths.

    Args:
        source: a `Source`; its path is a folder.

    Yields:
        `Sample`s and `Issue`s.

    Raises:
        ValueError: there is no LMDB, or it is damaged.
    """
    folders = [
        pathlib.Path(folder)
        for folder, entries in walk(source.path)
        if any(entry.name == FILE for entry in entries)
    ]
    if not folders:
        raise ValueError(f"{source.path} holds no {FILE}. Expected the folder of an LMDB.")
    if folders != [source.path]:
        names = ", ".join(str(folder.relative_to(source.path)) for folder in folders)
        source.notes.append(f"LMDBs read: {names}")
    for folder in folders:
        yield from _rows(folder)


def _rows(folder):
    db, missing = open_lmdb(folder), 0
    for index in range(1, len(db) + 1):
        key = image_key(index)
        where = f"{folder}, {key}"
        try:
            label = db.label(index).strip()
            db.check_image(key)
        except ValueError as error:
            missing += 1
            reason = f"{str(error).rstrip('.')}. Write the LMDB again, or ignore this row."
            if missing == _MOST_MISSING:
                reason = (
                    f"num-samples is {len(db)}, but the last {_MOST_MISSING} entries are missing "
                    "or damaged: reading stops here. Write the LMDB again."
                )
            yield Issue("entry missing or damaged", where, reason)
            if missing == _MOST_MISSING:
                return
        else:
            missing = 0
            yield check_text(key, label, where) or Sample(str(folder), label, where, key=key)
