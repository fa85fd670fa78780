"""What a preparation writes beside the shards, here and on a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

from crnn_keras.data.build.specification import Specification
from crnn_keras.data.issues import Issue, issue_line
from crnn_keras.data.records.sidecar import SIDECAR, RecordError, check_shard, make_sidecar

SPECIFICATION = "specification.json"


def notes_name(index: int) -> str:
    """Returns the file name of a shard's notes, such as `"00012.json"`."""
    return f"{index:05d}.json"


def make_notes(info: dict, digest: str) -> dict:
    """Returns the notes of a shard, which say whose it is.

    Args:
        info: what `make_shard` returned of the shard.
        digest: digest of the specification that it was made by.

    Returns:
        Dict.
    """
    return info | {"specification": digest}


def are_notes(notes: Any, index: int, digest: str) -> bool:
    """Tells whether plain data are the notes of a shard of a specification.

    Args:
        notes: what was read from a file.
        index: index of the shard.
        digest: digest of the specification. A shard of another one is never collected.
    """
    try:
        check_shard(notes, index)
    except ValueError:
        return False
    skipped = notes.get("skipped")
    return (
        notes.get("specification") == digest
        and isinstance(skipped, list)
        and all(isinstance(row, list) and list(map(type, row)) == [str] * 3 for row in skipped)
    )


def write_skipped(file: BinaryIO, notes: dict) -> dict:
    """Writes the rows that a shard skips to the set's list of them.

    Args:
        file: binary file object.
        notes: notes of the shard.

    Returns:
        The notes, with `skipped` as a count.
    """
    for row in notes["skipped"]:
        file.write(issue_line(Issue(*row)))
    return notes | {"skipped": len(notes["skipped"])}


def sidecar_of(specification: Specification, shards: Iterable[dict]) -> dict:
    """Returns the sidecar's content of a set whose shards are all made.

    Args:
        specification: a `Specification`.
        shards: list of the notes of each shard, `skipped` as a count.

    Returns:
        Dict.
    """
    shards = list(shards)
    config = specification.get_config()
    return make_sidecar(
        shards,
        config["char_dict"],
        config["canvas"],
        specification=specification.digest,
        skipped=sum(shard["skipped"] for shard in shards),
    )


def repair_error(folder: str | os.PathLike, reasons: Mapping[str, str]) -> RecordError:
    """Returns the error of shards that cannot be made again as they were.

    Args:
        folder: folder of the set.
        reasons: dict of `file name of a shard: sentence`, at least one.

    Returns:
        `RecordError`.
    """
    return RecordError(
        f"{folder}: {', '.join(reasons)} cannot be made again as {SIDECAR} says. "
        f"{next(iter(reasons.values()))} Remove the folder and prepare again."
    )


OTHER_BYTES = "The bytes differ: fonts, images or versions of programs are others than before."
