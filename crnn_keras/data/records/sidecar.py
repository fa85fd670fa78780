"""The sidecar `set.json`, which describes a set of records, and what else may lie beside it."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterable
from typing import Any

from crnn_keras.utils import files
from crnn_keras.utils.checks import COUNT, Number, Of, check_value

SIDECAR = "set.json"
SAMPLES = "samples.jsonl"
_FORMAT, _VERSION = "crnn_keras.records", 2
_KEYS = {"records", "char_dict", "canvas", "shards"}
# Files of a set, and what a preparation that was stopped may leave among them.
_OWN_FILES = re.compile(
    r"([0-9]{5,}\.(tfrecord|json)|(set|specification)\.json|skipped\.tsv|samples\.jsonl)"
    r"((\.[0-9a-f]{16})?\.part)?"
)
# Counts and sizes in bytes: what NumPy holds.
_SIZE = Number(0, 2**63 - 1, is_whole=True)
_OBJECT = Of(dict, "an object")


class RecordError(ValueError):
    """Raised for a set or shard that is missing, damaged or of another version."""


def shard_name(index: int) -> str:
    """Returns the file name of a shard, such as `"00012.tfrecord"`."""
    return f"{index:05d}.tfrecord"


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
        Dict, see `make_sidecar`. Its types are right, its counts add up, and the names of its files
        are those of a set.

    Raises:
        RecordError: the file is missing, damaged, of another version or of another program.
    """
    path = folder / SIDECAR
    if not path.is_file():
        earlier = files.replaced_folder(folder) if folder.name else folder
        hint = f" A run was stopped while it replaced them: rename {earlier} to {folder}, or"
        hint = f"{hint} prepare again." if (earlier / SIDECAR).exists() else ""
        raise RecordError(
            f"{folder} holds no records: {SIDECAR} is missing. Notebook 02 or `crnn-keras prepare` "
            f"writes them.{hint}"
        )
    try:
        info = files.read_json(path)
    except ValueError as error:
        raise RecordError(f"{error}. {_again(folder)}") from None
    return check_sidecar(info, folder)


def check_sidecar(info: Any, folder: str | os.PathLike) -> dict:
    """Checks what `make_sidecar` returned, after it was read from a file.

    Args:
        info: plain data.
        folder: path of the set's folder, or its address on a cluster.

    Returns:
        `info`, see `read_sidecar`.

    Raises:
        RecordError: it is damaged, of another version or of another program.
    """
    path, again = os.path.join(folder, SIDECAR), _again(folder)
    if not isinstance(info, dict) or info.get("format") != _FORMAT:
        raise RecordError(f"{path} was not written by crnn_keras.")
    # The first version had no number.
    if (version := info.get("version", 1)) != _VERSION:
        raise RecordError(
            f"{path} has version {version}, but this crnn_keras reads version {_VERSION}. {again}"
        )
    if missing := sorted(_KEYS - info.keys()):
        raise RecordError(f"{path} lacks {missing}. {again}")
    try:
        _check_content(info)
    except ValueError as error:
        raise RecordError(f"{path} was damaged or changed: {error} {again}") from None
    return info


def _again(folder):
    return f"Remove {folder} and prepare the records again (notebook 02 or `crnn-keras prepare`)."


def fingerprint(info: dict) -> str:
    """Returns a hash that names the content of a set.

    Args:
        info: what `read_sidecar` returned.

    Returns:
        64 hex digits: of the hashes of the shards, or of the list of a manifest.
    """
    if "samples" in info:
        return info["samples"]["sha256"]
    names = ("file", "records", "bytes", "sha256")
    shards = [[shard[name] for name in names] for shard in info["shards"]]
    return hashlib.sha256(json.dumps(shards).encode()).hexdigest()


def join_fingerprints(prints: Iterable[str]) -> str:
    """Returns a hash that names several sets and their order.

    Args:
        prints: `fingerprint`s of the sets.

    Returns:
        64 hex digits.
    """
    return hashlib.sha256(" ".join(prints).encode()).hexdigest()


def check_listed(listed: Any, name: str) -> None:
    """Checks what `write_sample_list` returned, after it was read from a file.

    Args:
        listed: plain data.
        name: name of the list's file.

    Raises:
        ValueError: a name is missing or has another type, or the file is called differently.
    """
    _check_entry(listed, f"the list {name}", {"file": _name(name), "rows": COUNT, "sha256": _HASH})


def check_shard(shard: Any, index: int) -> None:
    """Checks what `write_shard` returned, after it was read from a file.

    Args:
        shard: plain data.
        index: index of the shard.

    Raises:
        ValueError: a name is missing or has another type, or the file is called differently.
    """
    name = shard_name(index)
    rules = {"file": _name(name), "records": _SIZE, "bytes": _SIZE, "sha256": _HASH}
    _check_entry(shard, f"shard {name}", rules)


class _Text:
    """Describes a text that has a form; a rule for `check_value`."""

    def __init__(self, form: re.Pattern, name: str):
        self.form = form
        self.name = name

    def accepts(self, value: object) -> bool:
        return isinstance(value, str) and self.form.fullmatch(value) is not None

    def __str__(self) -> str:
        return self.name


_HASH = _Text(re.compile("[0-9a-f]{64}"), "64 hex digits")


def _name(name):
    """Describes the one name that a file may have: neither twice the same, nor a path."""
    return _Text(re.compile(re.escape(name)), repr(name))


def _check_entry(entry, what, rules):
    check_value(what, entry, _OBJECT)
    if missing := sorted(rules.keys() - entry.keys()):
        raise ValueError(f"{what} lacks {missing}.")
    for name, rule in rules.items():
        check_value(f"{name!r} of {what}", entry[name], rule)


def _check_content(info):
    for name, rule in {
        "records": _SIZE,
        "char_dict": _OBJECT,
        "canvas": _OBJECT,
        "shards": Of(list, "a list"),
    }.items():
        check_value(repr(name), info[name], rule)
    for name, rule in {"skipped": _SIZE, "specification": _HASH}.items():
        if name in info:
            check_value(repr(name), info[name], rule)
    shards = info["shards"]
    if "samples" in info:
        check_listed(info["samples"], SAMPLES)
        if shards:
            raise ValueError("it has both shards and a list of samples.")
        found = info["samples"]["rows"]
    else:
        if not shards:
            raise ValueError("it has neither shards nor a list of samples.")
        for index, shard in enumerate(shards):
            check_shard(shard, index)
        found = sum(shard["records"] for shard in shards)
    if info["records"] != found:
        raise ValueError(f"it says {info['records']:,} records, but its parts have {found:,}.")
    # Shards of an earlier crnn_keras do not say whose they are.
    wanted = info.get("specification")
    others = [shard["file"] for shard in shards if shard.get("specification") != wanted]
    if others and any("specification" in shard for shard in shards):
        raise ValueError(f"{', '.join(others)} is of another specification than the set.")


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
    others = other_files(folder)
    if any(_visible_names(folder)) and not (folder / SIDECAR).exists():
        found = f"files but no {SIDECAR}"
    elif others:
        found = f"a set of records and {others[0]!r}, which does not belong to it"
    else:
        return
    raise ValueError(
        f"{folder} holds {found}: writing records there would delete them. "
        "Give a new folder or remove this one."
    )


def other_files(folder: pathlib.Path) -> list[str]:
    """Lists the names in a folder that no set has, and no preparation leaves."""
    return sorted(name for name in _visible_names(folder) if not _OWN_FILES.fullmatch(name))


def _visible_names(folder):
    # What an operating system puts into folders, such as .DS_Store, may be deleted.
    return [path.name for path in folder.glob("*") if not path.name.startswith(".")]
