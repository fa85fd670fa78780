"""Preparation on this machine: all cores, continued where it was stopped, mended where it broke."""

import collections
import os
import pathlib
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from crnn_keras import files
from crnn_keras.prepare.lists import LEFT_OUT
from crnn_keras.prepare.shards import make_shard
from crnn_keras.prepare.specification import Specification
from crnn_keras.progress import ProgressLine
from crnn_keras.records.record_set import read_sidecar, refuse_other_files, sidecar, verify
from crnn_keras.records.shard import SIDECAR, RecordError, shard_name, shard_problem
from crnn_keras.samples import Problem, write_problems

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
        The sidecar's content, a dict: `records`, `left_out` (a count; the rows are named in the
        set's `left_out.tsv`), `shards`, ...

    Raises:
        ValueError: no row is usable, or `folder` holds something else than a set.
        RecordError: a shard that was made again differs: its pictures changed since.
        OSError: the disk is full, and the like. What was made stays, to be continued from.
    """
    folder = pathlib.Path(folder)
    refuse_other_files(folder)
    if (folder / SIDECAR).exists():
        content = read_sidecar(folder)
        if content.get("specification") == specification.digest:
            _mend(specification, folder, content, processes)
            return content
    part = folder.with_name(folder.name + ".part")
    _claim(part, specification)
    missing = [n for n in range(len(specification.source)) if not _is_done(part, n)]
    for number, info in _make(specification, part, missing, processes):
        files.write_json(part / _info_name(number), info)
    infos = [files.read_json(part / _info_name(n)) for n in range(len(specification.source))]
    content = finish(specification, infos)
    if not content["records"]:
        shutil.rmtree(part)
        raise ValueError(
            f"None of {specification.source.rows} rows is usable. The first: "
            f"{' '.join(infos[0]['left_out'][0][1:])}"
        )
    write_problems(part / LEFT_OUT, left_out_of(infos))
    files.write_json(part / SIDECAR, content)
    for number in range(len(infos)):
        (part / _info_name(number)).unlink()
    files.replace_folder(part, folder)
    return content


def finish(specification, infos):
    """The sidecar of a set whose shards are all made.

    Args:
        specification: a `Specification`.
        infos: list of what `make_shard` told of each shard.

    Returns:
        Dict.
    """
    config = specification.get_config()
    shards = [info | {"left_out": len(info["left_out"])} for info in infos]
    return sidecar(
        shards,
        config["char_dict"],
        config["canvas"],
        specification=specification.digest,
        left_out=sum(shard["left_out"] for shard in shards),
    )


def left_out_of(infos):
    """The rows that no shard holds.

    Args:
        infos: list of what `make_shard` told of each shard.

    Returns:
        List of `samples.Problem`s.
    """
    return [Problem(*row) for info in infos for row in info["left_out"]]


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
    shutil.rmtree(part, ignore_errors=True)
    specification.save(path)


def _is_done(part, number):
    path = part / _info_name(number)
    return path.is_file() and not shard_problem(part / shard_name(number), files.read_json(path))


def _mend(specification, folder, content, processes):
    bad = verify(folder)
    for sentence in bad.values():
        print(sentence, flush=True)
    for number, info in _make(specification, folder, list(bad), processes):
        if info["sha256"] != content["shards"][number]["sha256"]:
            raise RecordError(
                f"{folder / info['file']} was made again and differs from what {SIDECAR} says: "
                "its pictures changed since. Remove the folder and prepare again."
            )


def _write_shard(config, folder, number):
    """Makes a shard and writes it, whole or not at all; runs in a process of its own."""
    content, info = make_shard(Specification.from_config(config), number)
    files.write_atomic(folder / info["file"], content)
    return number, info


def _make(specification, folder, numbers, processes):
    """Makes shards, on several cores where it pays, and yields `(number, info)` when done."""
    source, config = specification.source, specification.get_config()
    rows = sum(len(source.shard_rows(number)) for number in numbers)
    processes = min(processes or os.cpu_count(), len(numbers), rows // _ROWS_WORTH_A_PROCESS)
    with ProgressLine(rows, f"writing {folder.name.removesuffix('.part')}") as line:
        done = 0
        for number, info in _work(config, folder, numbers, processes):
            yield number, info
            done += len(source.shard_rows(number))
            line.step(done)


def _work(config, folder, numbers, processes):
    if processes <= 1:
        for number in numbers:
            yield _write_shard(config, folder, number)
        return
    # Spawned, not forked: a fork would copy TensorFlow's threads in an unusable state.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting = collections.deque()
        try:
            for number in numbers:
                waiting.append(pool.submit(_write_shard, config, folder, number))
                if len(waiting) > 2 * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
