"""The sidecar `set.json`, which describes a set of records, and what else may lie beside it."""

from __future__ import annotations

import os
import pathlib
import re

from crnn_keras.utils import files

SIDECAR = "set.json"
_FORMAT, _VERSION = "crnn_keras.records", 2
_KEYS = {"records", "char_dict", "canvas", "shards"}
# Files of a set, and what a preparation that was stopped may leave among them.
_OWN_FILES = re.compile(
    r"([0-9]{5,}\.(tfrecord|json)|(set|specification)\.json|skipped\.tsv|samples\.jsonl)(\.part)?"
)


class RecordError(ValueError):
    """Raised for a set or shard that is missing, damaged or of another version."""


def make_sidecar(shards: list[dict], char_dict: dict, canvas: dict, **more: object) -> dict:
    """Returns the content of a set's `set.json`.

    Args:
        shards: list of what `write_shard` returned.
        char_dict: config of the `CharDict` that the labels were checked against.
        canvas: config of the `Canvas` that the labels were checked against.
        more: further entries, plain data.

    Returns:
        Dict.
    """
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "records": sum(shard["records"] for shard in shards),
        "char_dict": char_dict,
        "canvas": canvas,
        **more,
        "shards": shards,
    }


def read_sidecar(folder: pathlib.Path) -> dict:
    """Reads a set's `set.json`.

    Args:
        folder: path of the set's folder.

    Returns:
        Dict, see `make_sidecar`.

    Raises:
        RecordError: the file is missing, damaged, of another version or of another program.
    """
    path = folder / SIDECAR
    if not path.exists():
        earlier = files.replaced_folder(folder) if folder.name else folder
        hint = f" A run was stopped while it replaced them: rename {earlier} to {folder}, or"
        hint = f"{hint} prepare again." if (earlier / SIDECAR).exists() else ""
        raise RecordError(
            f"{folder} holds no records: {SIDECAR} is missing. Notebook 02 or `crnn-keras prepare` "
            f"writes them.{hint}"
        )
    again = f"Remove {folder} and prepare the records again (notebook 02 or `crnn-keras prepare`)."
    try:
        info = files.read_json(path)
    except ValueError as error:
        raise RecordError(f"{error}. {again}") from None
    if not isinstance(info, dict) or info.get("format") != _FORMAT:
        raise RecordError(f"{path} was not written by crnn_keras.")
    # The first version had no number.
    if (version := info.get("version", 1)) != _VERSION:
        raise RecordError(
            f"{path} has version {version}, but this crnn_keras reads version {_VERSION}. {again}"
        )
    if missing := sorted(_KEYS - info.keys()):
        raise RecordError(f"{path} lacks {missing}. {again}")
    return info


def check_no_other_files(folder: str | os.PathLike) -> None:
    """Stops before a folder that holds something else than records is replaced by records.

    Args:
        folder: path.

    Raises:
        ValueError: the path is a file, or the folder holds files but no set, or more than a set.
    """
    folder = pathlib.Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file. Give a new folder for the records.")
    # What an operating system puts into folders, such as .DS_Store, may be deleted.
    names = [path.name for path in folder.glob("*") if not path.name.startswith(".")]
    others = sorted(name for name in names if not _OWN_FILES.fullmatch(name))
    if names and SIDECAR not in names:
        found = f"files but no {SIDECAR}"
    elif others:
        found = f"a set of records and {others[0]!r}, which does not belong to it"
    else:
        return
    raise ValueError(
        f"{folder} holds {found}: writing records there would delete them. "
        "Give a new folder or remove this one."
    )
