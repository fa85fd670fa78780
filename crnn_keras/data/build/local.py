"""Preparation on this machine: all cores, continued where it was stopped, mended where it broke."""

import contextlib
import functools
import os
import pathlib
import shutil

from crnn_keras.utils import files
from crnn_keras.data.build.lists import SKIPPED
from crnn_keras.data.build.shards import make_shard
from crnn_keras.data.build.specification import Specification
from crnn_keras.utils.progress import ProgressLine
from crnn_keras.data.records.record_set import read_sidecar, check_no_other_files, sidecar, verify
from crnn_keras.data.records.shard import RecordError, SIDECAR, shard_name, shard_problem
from crnn_keras.data.issues import Issue, issue_line
from crnn_keras.utils.parallel import parallel_map

SPECIFICATION = "specification.json"
# A process takes a second or two to start.
_ROWS_WORTH_A_PROCESS = 1000


def prepare(specification, folder, processes=None):
    """Writes the set of a specification: only what is not there yet, or no longer whole.

    Shards are made in `<folder>.part`; the set takes its name when all are there. A preparation
    that was stopped or killed continues, and ends with the bytes of one that was not. Where the
    set stands already, every shard is read, and those that are missing or damaged are made again.

    Args:
        specification: a `Specification`.
        folder: folder of the set. A set of another specification there is replaced.
        processes: how many processes work; as many as there are cores if None. The bytes do not
            depend on it.

    Returns:
        The sidecar's content, a dict: `records`, `skipped` (a count; the rows are named in the
        set's `skipped.tsv`), `shards`, ...

    Raises:
        ValueError: no row is usable, or `folder` holds something else than a set.
        RecordError: a shard that was made again differs: its images changed since.
        ChildProcessError: a process was killed, often because the memory was full.
        OSError: the disk is full, and the like. After these two, what was made stays, to be
            continued from.
    """
    folder = pathlib.Path(folder)
    # "." and ".." are no names that a folder beside could be called after.
    folder = folder.resolve() if folder.name in ("", "..") else folder
    part = folder.with_name(folder.name + ".part")
    files.restore_folder(folder)
    if _is_set_of(part, specification):
        # An earlier preparation was stopped while the set took its name.
        check_no_other_files(folder)
        _take_name(part, folder)
    if _is_set_of(folder, specification):
        content = read_sidecar(folder)
        _mend(specification, folder, content, processes)
        return content
    check_no_other_files(folder)
    _claim(part, specification)
    numbers = range(len(specification.source))
    missing = [number for number in numbers if not _is_done(part, number)]
    _make(specification, part, missing, processes, with_notes=True)
    with files.atomic(part / SKIPPED) as skipped:
        skipped.write(issue_line())
        shards = [_collect(part, number, skipped) for number in numbers]
    content = finish(specification, shards)
    if not content["records"]:
        first = files.read_json(part / _info_name(0))["skipped"][0]
        shutil.rmtree(part)
        raise ValueError(
            f"None of {specification.source.rows} rows is usable. The first: {' '.join(first[1:])}"
        )
    files.write_json(part / SIDECAR, content)
    _take_name(part, folder)
    return content


def finish(specification, shards):
    """The sidecar of a set whose shards are all made.

    Args:
        specification: a `Specification`.
        shards: list of what `make_shard` told of each shard, `skipped` as a count.

    Returns:
        Dict.
    """
    config = specification.get_config()
    return sidecar(
        shards,
        config["char_dict"],
        config["canvas"],
        specification=specification.digest,
        skipped=sum(shard["skipped"] for shard in shards),
    )


def without_rows(info, skipped):
    """Writes the rows that a shard leaves out to the set's list of them.

    Args:
        info: what `make_shard` told of the shard.
        skipped: binary file object.

    Returns:
        `info`, its `skipped` as a count.
    """
    for row in info["skipped"]:
        skipped.write(issue_line(Issue(*row)))
    return info | {"skipped": len(info["skipped"])}


def _collect(part, number, skipped):
    return without_rows(files.read_json(part / _info_name(number)), skipped)


def _info_name(number):
    return f"{number:05d}.json"


def _claim(part, specification):
    """Keeps what an earlier preparation of the same specification left, and nothing else."""
    path = part / SPECIFICATION
    if path.is_file():
        try:
            earlier = Specification.load(path).digest
        except (ValueError, OSError):
            earlier = None
        if earlier == specification.digest:
            return
    if part.exists():
        # Not in part: what stays of another specification would be taken for this one's.
        shutil.rmtree(part)
    specification.save(path)


def _is_set_of(folder, specification):
    """Whether there is a set of this specification, all of its shards made."""
    if not (folder / SIDECAR).exists():
        return False
    return read_sidecar(folder).get("specification") == specification.digest


def _is_done(part, number):
    path = part / _info_name(number)
    try:
        return not shard_problem(part / shard_name(number), files.read_json(path))
    except (OSError, ValueError, KeyError, TypeError):
        # No notes, or half of them.
        return False


def _take_name(part, folder):
    """Gives a set its name. Its sidecar says all that its shards' notes did."""
    for notes in part.glob("[0-9]*.json"):
        notes.unlink()
    files.replace_folder(part, folder)


def _mend(specification, folder, content, processes):
    bad = verify(folder)
    for sentence in bad.values():
        print(sentence, flush=True)
    made, shards = _make(specification, folder, list(bad), processes), content["shards"]
    changed = [shards[n]["file"] for n, sha256 in made.items() if shards[n]["sha256"] != sha256]
    if changed:
        raise made_differently(folder, changed)


def made_differently(folder, names):
    """The error of shards that were made again and are not the same.

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


def _write_shard(number, *, config, folder, with_notes):
    """Makes a shard and writes it, whole or not at all; runs in a process of its own."""
    content, info = make_shard(Specification.from_config(config), number)
    files.write_atomic(folder / info["file"], content)
    if with_notes:
        files.write_json(folder / _info_name(number), info)
    return number, info


def _make(specification, folder, numbers, processes, with_notes=False):
    """Makes shards, on several cores where it pays, and gives `{number: sha256}`."""
    source, config = specification.source, specification.get_config()
    rows = sum(len(source.shard_rows(number)) for number in numbers)
    processes = min(processes or os.cpu_count(), len(numbers), rows // _ROWS_WORTH_A_PROCESS)
    with ProgressLine(rows, f"writing {folder.name.removesuffix('.part')}") as line:
        made, done = {}, 0
        write = functools.partial(_write_shard, config=config, folder=folder, with_notes=with_notes)
        # Closed at once when it is interrupted, not when someone lets go of the traceback.
        with contextlib.closing(parallel_map(write, numbers, processes=processes)) as work:
            for number, info in work:
                made[number] = info["sha256"]
                done += len(source.shard_rows(number))
                line.step(done)
    return made
