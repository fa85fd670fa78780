"""Preparation on this machine: all cores, continued where it was stopped, damage repaired."""

from __future__ import annotations

import contextlib
import functools
import os
import pathlib
import shutil
from collections.abc import Iterable
from typing import BinaryIO

from crnn_keras.data.build.lists import SKIPPED
from crnn_keras.data.build.shards import make_shard
from crnn_keras.data.build.specification import Specification
from crnn_keras.data.issues import Issue, issue_line
from crnn_keras.data.records.record_set import verify
from crnn_keras.data.records.shard import explain_bad_shard, shard_name
from crnn_keras.data.records.sidecar import (
    SIDECAR,
    RecordError,
    check_no_other_files,
    make_sidecar,
    read_sidecar,
)
from crnn_keras.utils import files
from crnn_keras.utils.parallel import parallel_map
from crnn_keras.utils.progress import ProgressLine

SPECIFICATION = "specification.json"
# A process takes a second or two to start.
_ROWS_WORTH_A_PROCESS = 1000


def prepare(
    specification: Specification, folder: str | os.PathLike, *, processes: int | None = None
) -> dict:
    """Writes the set of a specification: only shards that are missing or damaged.

    Shards are made in `<folder>.part`; the set takes its name when all are there. A preparation
    that was stopped or killed continues, and ends with the bytes of one that was not. If the set is
    there already, every shard is read, and those that are missing or damaged are made again.

    Args:
        specification: a `Specification`.
        folder: path of the set's folder. A set of another specification there is replaced.
        processes: int, how many processes work; the bytes do not depend on it. Defaults to `None`:
            as many as there are cores.

    Returns:
        The sidecar's content, a dict: `records`, `skipped` (a count; the rows are named in the
        set's `skipped.tsv`), `shards`, ...

    Raises:
        ValueError: no row is usable, or `folder` holds something else than a set.
        RecordError: a shard that was made again differs, since its images changed; or the set was
            written by an older crnn_keras.
        ChildProcessError: a process was killed, often because the memory was full.
        OSError: the disk is full, and the like. After these two errors the shards that were made
            stay, and the next call continues from them.
    """
    folder = pathlib.Path(folder)
    # A folder beside cannot be named after "." and "..".
    folder = folder.resolve() if folder.name in ("", "..") else folder
    partial = folder.with_name(folder.name + ".part")
    files.restore_folder(folder)
    if _is_set_of(partial, specification):
        # An earlier preparation was stopped while the set took its name.
        check_no_other_files(folder)
        _publish(partial, folder)
    if _is_set_of(folder, specification):
        content = read_sidecar(folder)
        _repair(specification, folder, content, processes=processes)
        return content
    check_no_other_files(folder)
    _resume_or_start(partial, specification)
    indices = range(len(specification.source))
    missing = [index for index in indices if not _is_done(partial, index)]
    _make_shards(specification, partial, missing, processes=processes, with_notes=True)
    with files.atomic(partial / SKIPPED) as skipped:
        skipped.write(issue_line())
        notes = (files.read_json(partial / _notes_name(index)) for index in indices)
        shards = [write_skipped(skipped, info) for info in notes]
    content = sidecar_of(specification, shards)
    if not content["records"]:
        first = files.read_json(partial / _notes_name(0))["skipped"][0]
        shutil.rmtree(partial)
        raise ValueError(
            f"None of {specification.source.rows} rows is usable. The first: {' '.join(first[1:])}"
        )
    files.write_json(partial / SIDECAR, content)
    _publish(partial, folder)
    return content


def sidecar_of(specification: Specification, shards: Iterable[dict]) -> dict:
    """Returns the sidecar's content of a set whose shards are all made.

    Args:
        specification: a `Specification`.
        shards: list of what `make_shard` returned of each shard, `skipped` as a count.

    Returns:
        Dict.
    """
    config = specification.get_config()
    return make_sidecar(
        list(shards),
        config["char_dict"],
        config["canvas"],
        specification=specification.digest,
        skipped=sum(shard["skipped"] for shard in shards),
    )


def write_skipped(file: BinaryIO, info: dict) -> dict:
    """Writes the rows that a shard skips to the set's list of them.

    Args:
        file: binary file object.
        info: what `make_shard` returned of the shard.

    Returns:
        `info`, with `skipped` as a count.
    """
    for row in info["skipped"]:
        file.write(issue_line(Issue(*row)))
    return info | {"skipped": len(info["skipped"])}


def _notes_name(index):
    return f"{index:05d}.json"


def _resume_or_start(partial, specification):
    """Keeps what an earlier preparation of the same specification left, and nothing else."""
    path = partial / SPECIFICATION
    if path.is_file():
        try:
            earlier = Specification.load(path).digest
        except (ValueError, OSError):
            earlier = None
        if earlier == specification.digest:
            return
    if partial.exists():
        # All of it: a shard of another specification would be taken for one of this.
        shutil.rmtree(partial)
    specification.save(path)


def _is_set_of(folder, specification):
    """Whether the folder holds a set of this specification, all of its shards made."""
    if not (folder / SIDECAR).exists():
        return False
    return read_sidecar(folder).get("specification") == specification.digest


def _is_done(partial, index):
    path = partial / _notes_name(index)
    try:
        return not explain_bad_shard(partial / shard_name(index), files.read_json(path))
    except (OSError, ValueError, KeyError, TypeError):
        # No notes, or half of them.
        return False


def _publish(partial, folder):
    """Gives a set its name. Its sidecar holds all that its shards' notes held."""
    for notes in partial.glob("[0-9]*.json"):
        notes.unlink()
    files.replace_folder(partial, folder)


def _repair(specification, folder, content, *, processes):
    """Makes the shards of a set again that are missing or damaged."""
    bad = verify(folder)
    for sentence in bad.values():
        print(sentence, flush=True)
    made = _make_shards(specification, folder, list(bad), processes=processes, with_notes=False)
    shards = [content["shards"][index] for index in made]
    pairs = zip(shards, made.values(), strict=True)
    changed = [shard["file"] for shard, sha256 in pairs if shard["sha256"] != sha256]
    if changed:
        raise mismatch_error(folder, changed)


def mismatch_error(folder: str | os.PathLike, names: list[str]) -> RecordError:
    """Returns the error of shards that were made again and are not the same.

    Args:
        folder: folder of the set.
        names: list of the shards' file names.

    Returns:
        `RecordError`.
    """
    return RecordError(
        f"{folder}: {', '.join(names)} was made again and differs from what {SIDECAR} says: "
        "its images changed since. Remove the folder and prepare again."
    )


def _write_shard(index, *, config, folder, with_notes):
    """Makes a shard and writes it, completely or not at all; runs in a process of its own."""
    content, info = make_shard(Specification.from_config(config), index)
    files.write_atomic(folder / info["file"], content)
    if with_notes:
        files.write_json(folder / _notes_name(index), info)
    return index, info


def _make_shards(specification, folder, indices, *, processes, with_notes):
    """Makes shards, on several cores if there are enough rows; returns `{index: sha256}`."""
    source = specification.source
    rows = sum(len(source.shard_rows(index)) for index in indices)
    cores = processes or os.cpu_count() or 1
    processes = min(cores, len(indices), rows // _ROWS_WORTH_A_PROCESS)
    write = functools.partial(
        _write_shard, config=specification.get_config(), folder=folder, with_notes=with_notes
    )
    made, done = {}, 0
    with (
        ProgressLine(rows, f"writing {folder.name.removesuffix('.part')}") as line,
        # Closed at once when it is interrupted, not when someone lets go of the traceback.
        contextlib.closing(parallel_map(write, indices, processes=processes)) as results,
    ):
        try:
            for index, info in results:
                made[index] = info["sha256"]
                done += len(source.shard_rows(index))
                line.step(done)
        except ChildProcessError as error:
            raise ChildProcessError(f"{error} What was made stays in {folder}.") from error
    return made
