"""Preparation on this machine: all cores, continued where it was stopped, damage repaired."""

from __future__ import annotations

import contextlib
import functools
import os
import pathlib
import shutil
from collections.abc import Callable, Mapping

from crnn_keras.data.build.lists import SKIPPED, check_split_name
from crnn_keras.data.build.notes import (
    OTHER_BYTES,
    SPECIFICATION,
    are_notes,
    make_notes,
    notes_name,
    repair_error,
    sidecar_of,
    write_skipped,
)
from crnn_keras.data.build.replaced import announce_replacement, records_in
from crnn_keras.data.build.shards import make_shard
from crnn_keras.data.build.specification import Specification
from crnn_keras.data.issues import issue_line
from crnn_keras.data.records.record_set import find_bad_shards
from crnn_keras.data.records.shard import explain_bad_shard
from crnn_keras.data.records.sidecar import (
    SIDECAR,
    RecordError,
    check_no_other_files,
    other_files,
    read_sidecar,
    shard_name,
)
from crnn_keras.data.records.splits import check_stands_alone, write_splits
from crnn_keras.utils import files
from crnn_keras.utils.checks import COUNT, check_arguments
from crnn_keras.utils.cores import count_cores
from crnn_keras.utils.locks import lock
from crnn_keras.utils.parallel import parallel_map
from crnn_keras.utils.progress import ProgressLine

# A process takes a second or two to start.
_ROWS_WORTH_A_PROCESS = 1000
_WHAT = "the records"


@check_arguments(processes=COUNT.or_none())
def prepare(
    specification: Specification, folder: str | os.PathLike, *, processes: int | None = None
) -> dict:
    """Writes the set of a specification: only shards that are missing or damaged.

    Shards are made in `<folder>.part`; the set takes its name when all are there. A preparation
    that was stopped or killed continues, and ends with the bytes of one that was not. If the set is
    there already, every shard is read, and those that are missing or damaged are made again; the
    listed images are read too, since others under the same names would need other lists.

    Args:
        specification: a `Specification`.
        folder: path of the set's folder. A set of another specification there is replaced, and a
            printed line says so.
        processes: int, how many processes work; the bytes do not depend on it. Defaults to `None`:
            as many as there are cores.

    Returns:
        The sidecar's content, a dict: `records`, `skipped` (a count; the rows are named in the
        set's `skipped.tsv`), `shards`, ...

    Raises:
        ValueError: no row is usable, or `folder` holds something else than a set.
        RecordError: a listed image is another one than when it was listed; the set was written by
            an older crnn_keras; or `folder` lies among sets that were prepared together.
        LockedError: another preparation writes there.
        ChildProcessError: a process was killed, often because the memory was full.
        OSError: the disk is full, and the like. After these two errors the shards that were made
            stay, and the next call continues from them.
    """
    folder = pathlib.Path(folder)
    # A folder beside cannot be named after "." and "..".
    folder = folder.resolve() if folder.name in ("", "..") else folder
    with lock(folder, _WHAT):
        files.restore_folder(folder)
        if not _is_set_of(folder, specification):
            check_stands_alone(folder)
        content, place = make_set(specification, folder, processes=processes)
        if place != folder:
            announce_replacement(folder)
            _publish(place, folder)
    return content


def prepare_together(
    folder: pathlib.Path, makers: Mapping[str, Callable[[pathlib.Path], tuple[dict, pathlib.Path]]]
) -> dict[str, dict]:
    """Writes sets that belong together. All others in their folder go.

    All are made before the first takes its name, and `splits.json` is written in between: whoever
    opens a set sees all sets of before, or all of now, or is told that they were half replaced.

    Args:
        folder: folder of the sets. The caller holds its lock.
        makers: dict of `split name: function`, which takes the set's folder, as `make_set` does.

    Returns:
        Dict of `split name: content of the sidecar`, and `replaced` in it: how many records of
        another set were replaced, or 0.

    Raises:
        ValueError, OSError: see `prepare`. The sets of before are untouched then.
    """
    for name in makers:
        check_split_name(name)
    paths = {name: folder / name for name in makers}
    with contextlib.ExitStack() as stack:
        others = _other_sets(folder, list(makers))
        for path in sorted({*paths.values(), *map(_named, others)}):
            # Someone may prepare one set by its specification.
            stack.enter_context(lock(path, _WHAT))
            files.restore_folder(path)
            for left in files.leftovers(path):
                files.remove(left)
        made = {name: makers[name](path) for name, path in paths.items()}
        changed = {name: place for name, (_, place) in made.items() if place != paths[name]}
        replaced = {name: records_in(paths[name]) for name in changed}
        for path in [*(paths[name] for name in changed), *others]:
            announce_replacement(path, is_removed=path in others)
        write_splits(folder, {name: place for name, (_, place) in made.items()})
        for name, place in changed.items():
            _publish(place, paths[name])
        for path in others:
            files.remove(path)
    return {
        name: content | {"replaced": replaced.get(name, 0)} for name, (content, _) in made.items()
    }


def _other_sets(folder, names):
    """Lists the sets in a folder, or what is left of some, that have none of the names."""
    found = []
    for path in sorted(folder.glob("*")):
        is_left = path != _named(path)
        if path.name.startswith(".") or _named(path).name in names:
            continue
        if is_left and not other_files(path) and (path / SPECIFICATION).exists():
            found.append(path)
        elif (path / SIDECAR).exists():
            check_no_other_files(path)
            found.append(path)
    return found


def _named(path):
    """Returns the folder of a set whose preparation was killed before the set took its name."""
    names = (path.name.removesuffix(end) for end in (".part", ".replaced"))
    return path.with_name(next((name for name in names if name != path.name), path.name))


def make_set(
    specification: Specification,
    folder: pathlib.Path,
    *,
    processes: int | None = None,
    are_listed_now: bool = False,
) -> tuple[dict, pathlib.Path]:
    """Makes a set whose folder is locked, or repairs the one that is there.

    Args:
        specification: a `Specification`.
        folder: the set's folder.
        processes: see `prepare`. Defaults to `None`.
        are_listed_now: whether the samples were listed just now, so that their images need not be
            compared. Defaults to `False`.

    Returns:
        Tuple of the sidecar's content and where the set is: in `folder`, or beside it, where it
        waits for its name.

    Raises:
        ValueError, OSError: see `prepare`.
    """
    partial = folder.with_name(folder.name + ".part")
    # An earlier preparation may have been stopped while the set took its name.
    for place in (partial, folder):
        if _is_set_of(place, specification):
            if place == partial:
                check_no_other_files(folder)
            elif not other_files(partial):
                # The set of before, from which a killed preparation took the name; or a start of
                # another specification.
                files.remove(partial)
            content = read_sidecar(place)
            _repair(
                specification, place, content, processes=processes, are_listed_now=are_listed_now
            )
            return content, place
    check_no_other_files(folder)
    _resume_or_start(partial, specification)
    indices = range(len(specification.source))
    missing = [index for index in indices if not _is_done(partial, index, specification.digest)]
    write = functools.partial(_write_shard, digest=specification.digest)
    _run(write, specification, partial, indices=missing, processes=processes)
    with files.atomic(partial / SKIPPED) as skipped:
        skipped.write(issue_line())
        notes = (files.read_json(partial / notes_name(index)) for index in indices)
        content = sidecar_of(specification, [write_skipped(skipped, info) for info in notes])
    if not content["records"]:
        first = files.read_json(partial / notes_name(0))["skipped"][0]
        shutil.rmtree(partial)
        raise ValueError(
            f"None of {specification.source.rows} rows is usable. The first: {' '.join(first[1:])}"
        )
    files.write_json(partial / SIDECAR, content)
    return content, partial


def _resume_or_start(partial, specification):
    """Keeps what an earlier preparation of the same specification left, and nothing else."""
    path = partial / SPECIFICATION
    if path.is_file():
        try:
            earlier = Specification.load(path).digest
        except (ValueError, OSError):
            earlier = None
        if earlier == specification.digest:
            _remove_halves(partial)
            return
    if partial.exists():
        # All of it: a shard of another specification would be taken for one of this.
        shutil.rmtree(partial)
    specification.save(path)


def _remove_halves(folder):
    """Removes the files that a killed preparation left half written: whoever asks has the lock."""
    others = set(other_files(folder))
    for half in folder.glob("*.part"):
        if half.name not in others:
            files.remove(half)


def _is_set_of(folder, specification):
    """Whether the folder holds a set of this specification, all of its shards made."""
    if not (folder / SIDECAR).exists():
        return False
    return read_sidecar(folder).get("specification") == specification.digest


def _is_done(partial, index, digest):
    try:
        notes = files.read_json(partial / notes_name(index))
    except (OSError, ValueError):
        return False
    return are_notes(notes, index, digest) and not explain_bad_shard(
        partial / shard_name(index), notes
    )


def _publish(partial, folder):
    """Gives a set its name. Its sidecar holds all that its shards' notes held."""
    for notes in partial.glob("[0-9]*.json"):
        notes.unlink()
    files.replace_folder(partial, folder)


def _repair(specification, folder, content, *, processes, are_listed_now):
    """Makes the shards of a set again that are missing or damaged."""
    _remove_halves(folder)
    bad = find_bad_shards(folder, content)
    for sentence in bad.values():
        print(sentence, flush=True)
    shards = content["shards"]
    reasons = _run(_repair_shard, specification, folder, indices=list(bad), processes=processes)
    if not are_listed_now:
        sound = [index for index in range(len(shards)) if index not in bad]
        reasons |= _run(
            _find_change,
            specification,
            folder,
            indices=sound,
            processes=processes,
            doing="comparing",
        )
    if failed := {shards[index]["file"]: reason for index, reason in reasons.items() if reason}:
        raise repair_error(folder, failed)


def _write_shard(index, *, config, folder, digest):
    """Makes a shard and writes it, completely or not at all; runs in a process of its own."""
    content, info = make_shard(Specification.from_config(config), index)
    files.write_atomic(folder / info["file"], content)
    files.write_json(folder / notes_name(index), make_notes(info, digest))
    return index, None


def _repair_shard(index, *, config, folder):
    """Makes a shard again if it has the same bytes; returns why it has not, or None."""
    try:
        content, info = make_shard(Specification.from_config(config), index)
    except RecordError as error:
        return index, str(error)
    if info["sha256"] != read_sidecar(folder)["shards"][index]["sha256"]:
        return index, OTHER_BYTES
    files.write_atomic(folder / info["file"], content)
    return index, None


def _find_change(index, *, config, folder):
    """Returns which image of a shard is another one than when it was listed, or None."""
    try:
        return index, Specification.from_config(config).source.first_change(index)
    except RecordError as error:
        return index, str(error)


def _run(work, specification, folder, *, indices, processes, doing="writing"):
    """Works on shards, on several cores if there are enough rows.

    Returns:
        Dict of `index: what work returned for it`.
    """
    source = specification.source
    rows = sum(len(source.shard_rows(index)) for index in indices)
    cores = processes or count_cores()
    processes = min(cores, len(indices), rows // _ROWS_WORTH_A_PROCESS)
    work = functools.partial(work, config=specification.get_config(), folder=folder)
    found, done = {}, 0
    with (
        ProgressLine(rows, f"{doing} {folder.name.removesuffix('.part')}") as line,
        # Closed at once when it is interrupted, not when someone lets go of the traceback.
        contextlib.closing(parallel_map(work, indices, processes=processes)) as results,
    ):
        try:
            for index, result in results:
                found[index] = result
                done += len(source.shard_rows(index))
                line.step(done)
        except ChildProcessError as error:
            raise ChildProcessError(f"{error} What was made stays in {folder}.") from error
    return found
