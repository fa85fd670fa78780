"""LMDB as clovaai's benchmark, PARSeq and their kin keep it.

The entries are `num-samples`, `image-%09d` and `label-%09d`, counted from 1.
"""

import pathlib

from crnn_keras.data.labels import file_name
from crnn_keras.data.labels.lmdb_folder import FILE, image_key, open_lmdb
from crnn_keras.data.labels.sample import Problem, Sample
from crnn_keras.data.labels.source import check_label_of

# After so many rows without an entry, num-samples is not believed.
_MISSING = 1000


def rows(source):
    """Reads an LMDB; or, of a folder of folders, all LMDBs in it, in order.

    Args:
        source: a `Source`, whose path is a folder.

    Yields:
        `Sample`s and `Problem`s.

    Raises:
        ValueError: no LMDB, or a damaged one.
    """
    folders = lmdb_folders(source.path)
    if not folders:
        raise ValueError(f"{source.path} holds no {FILE}. Expected the folder of an LMDB.")
    if folders != [source.path]:
        names = ", ".join(str(folder.relative_to(source.path)) for folder in folders)
        source.notes.append(f"LMDBs read: {names}")
    for folder in folders:
        yield from _rows(folder)


def lmdb_folders(folder):
    """Folders that hold an LMDB.

    Args:
        folder: where to begin.

    Returns:
        List of paths, sorted.
    """
    walked = file_name.walk(folder)
    return [pathlib.Path(here) for here, entries in walked if FILE in {e.name for e in entries}]


def _rows(folder):
    db, missing = open_lmdb(folder), 0
    for number in range(1, len(db) + 1):
        key = image_key(number)
        where = f"{folder}, {key}"
        try:
            label = db.label(number).strip()
            if not db.holds(key):
                raise ValueError(f"{folder}, {key}: there is no such entry.")
        except ValueError as error:
            reason = f"{str(error).rstrip('.')}. Write the LMDB anew, or leave this row out."
            missing += 1
            if missing == _MISSING:
                reason = (
                    f"num-samples says {len(db)}, but the last {_MISSING} entries are missing or "
                    "damaged: the rest is not looked for. Write the LMDB anew."
                )
            yield Problem("entry missing or damaged", where, reason)
            if missing == _MISSING:
                return
            continue
        missing = 0
        yield check_label_of(where, key, label) or Sample(str(folder), label, where, key)
