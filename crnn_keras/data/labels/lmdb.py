"""LMDBs with `num-samples`, `image-%09d`, `label-%09d`: folders or files, or a tree of them."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.file_name import walk
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import Source, check_text
from crnn_keras.data.lmdb_folder import FILE, MOST_MISSING, image_key, is_lmdb, open_lmdb

_SUFFIXES = (".lmdb", ".mdb")


def rows(source: Source) -> Iterator[Sample | Issue]:
    """Reads an LMDB, or all LMDBs below a folder, in the order of their paths.

    An LMDB is a folder that holds `data.mdb`, or a file that ends in `.lmdb` or `.mdb`.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Issue`s.

    Raises:
        ValueError: there is no LMDB, or the only one is damaged.
    """
    found = [source.path] if source.path.is_file() else list(find_lmdbs(source.path))
    if not found:
        raise ValueError(f"{source.path} holds no {FILE}. Expected the folder of an LMDB.")
    if found != [source.path]:
        names = ", ".join(str(path.relative_to(source.path)) for path in found)
        source.notes.append(f"LMDBs read: {names}")
    for path in found:
        try:
            yield from _rows(path)
        except ValueError as error:
            if len(found) == 1:
                raise
            yield Issue("damaged shard", str(path), str(error))


def find_lmdbs(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Looks for LMDBs in a folder and the folders below it, in the order of their paths.

    Args:
        folder: where to begin.

    Yields:
        Folders that hold `data.mdb`, and files that are LMDBs.
    """
    for here, entries in walk(folder):
        names = [entry.name for entry in entries]
        if FILE in names:
            yield pathlib.Path(here)
        for name in names:
            path = pathlib.Path(here, name)
            if name != FILE and name.lower().endswith(_SUFFIXES) and is_lmdb(path):
                yield path


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
            if missing == MOST_MISSING:
                reason = (
                    f"num-samples is {len(db)}, but the last {MOST_MISSING} entries are missing "
                    "or damaged: reading stops here. Write the LMDB again."
                )
            yield Issue("entry missing or damaged", where, reason)
            if missing == MOST_MISSING:
                return
        else:
            missing = 0
            yield check_text(key, label, where) or Sample(str(folder), label, where, key=key)
