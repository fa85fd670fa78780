"""A set of records: a folder of shards with a sidecar, read at any index."""

from __future__ import annotations

import itertools
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from crnn_keras.data.records.base import BaseRecords
from crnn_keras.data.records.record import Record, from_example
from crnn_keras.data.records.sample_list import first_change, read_sample_list
from crnn_keras.data.records.shard import (
    damaged_record,
    explain_bad_shard,
    index_shard,
    read_payload,
    write_shard,
)
from crnn_keras.data.records.sidecar import (
    SIDECAR,
    RecordError,
    check_no_other_files,
    fingerprint,
    make_sidecar,
    read_sidecar,
    shard_name,
)
from crnn_keras.data.records.splits import check_belongs, check_stands_alone
from crnn_keras.utils import files
from crnn_keras.utils.checks import INTEGER, check_arguments

if TYPE_CHECKING:
    from crnn_keras.char_dict import CharDict
    from crnn_keras.images import Canvas


@check_arguments(per_shard=INTEGER)
def write_records(
    folder: str | os.PathLike,
    records: Iterable[Record],
    *,
    char_dict: CharDict,
    canvas: Canvas,
    per_shard: int = 8192,
) -> dict:
    """Writes a set of records, completely or not at all.

    For much data see `prepare`, which works on all cores and continues where it was stopped.

    Args:
        folder: path of the set's folder. An earlier set there is replaced when the new one is
            complete.
        records: iterable of `Record`s; held in memory one at a time.
        char_dict: the `CharDict` that the labels were checked against.
        canvas: the `Canvas` that the labels were checked against.
        per_shard: int, records in a shard. Defaults to `8192`.

    Returns:
        The sidecar's content, a dict.

    Raises:
        ValueError: there are no records, or `folder` holds something else than a set, or lies
            among sets that were prepared together.
        OSError: the disk is full, and the like. What was in `folder` before stays there.
    """
    folder = pathlib.Path(folder)
    if per_shard < 1:
        raise ValueError(f"{per_shard} records in a shard: expected at least 1.")
    check_no_other_files(folder)
    check_stands_alone(folder)
    checked_against = char_dict.get_config(), canvas.get_config()
    with files.new_folder(folder) as new:
        shards, remaining = [], iter(records)
        while first := list(itertools.islice(remaining, 1)):
            chunk = itertools.chain(first, itertools.islice(remaining, per_shard - 1))
            name = shard_name(len(shards))
            with files.atomic(new / name) as file:
                shards.append(write_shard(file, name, chunk))
        if not shards:
            raise ValueError(f"There are no records to write to {folder}.")
        content = make_sidecar(shards, *checked_against)
        files.write_json(new / SIDECAR, content)
        # What a preparation of this folder left that was stopped.
        files.remove(folder.with_name(f"{folder.name}.part"))
    return content


def verify(folder: str | os.PathLike) -> dict[int, str]:
    """Reads all shards of a set and checks them against their hashes and counts.

    A missing shard does not stop it. Of a manifest its list and every image are checked.

    Args:
        folder: path of the set's folder.

    Returns:
        Dict of `shard index: sentence`, one for each bad shard; empty if there is none. A manifest
        counts as one shard.

    Raises:
        RecordError: there is no set, its sidecar is damaged or mixes shards of several
            specifications, or it does not belong to the sets beside it.
    """
    folder = pathlib.Path(folder)
    info = read_sidecar(folder)
    check_belongs(folder)
    return find_bad_shards(folder, info)


def find_bad_shards(folder: pathlib.Path, info: dict) -> dict[int, str]:
    """Does what `verify` does, whatever lies beside the set.

    Args:
        folder: path of the set's folder.
        info: content of its sidecar.

    Returns:
        See `verify`.
    """
    if "samples" in info:
        reasons = {0: _explain_bad_list(folder, info["samples"])}
    else:
        reasons = {
            index: _explain_bad_shard(folder, shard) for index, shard in enumerate(info["shards"])
        }
    return {index: reason for index, reason in reasons.items() if reason}


def _explain_bad_shard(folder, shard):
    path = folder / shard["file"]
    if reason := explain_bad_shard(path, shard):
        return reason
    try:
        index_shard(path, shard)
    except RecordError as error:
        return str(error)
    return None


def _explain_bad_list(folder, listed):
    path = folder / listed["file"]
    if reason := explain_bad_shard(path, listed):
        return reason
    try:
        samples = read_sample_list(path, listed)
        if changed := first_change(samples):
            return f"{path}: {changed}"
    except RecordError as error:
        return str(error)
    return None


class Records(BaseRecords):
    """Opens a set of shards for reading at any index.

    Args:
        folder: path of a folder that `write_records` or `prepare` wrote.

    Attributes:
        info: dict, content of the sidecar.

    Raises:
        RecordError: there is no set, or a shard is missing, cut short or damaged; or the set does
            not belong to those beside it, see `splits`.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = pathlib.Path(folder)
        self.info = read_sidecar(self.folder)
        check_belongs(self.folder)
        if not self.info["shards"]:
            raise RecordError(f"{self.folder} lists its images. records.open_records opens it.")
        self._paths = [self.folder / shard["file"] for shard in self.info["shards"]]
        payloads = map(index_shard, self._paths, self.info["shards"])
        # Shard, offset and length of each payload.
        self._payloads = np.concatenate(
            [np.insert(rows, 0, shard, axis=1) for shard, rows in enumerate(payloads)]
        )

    @property
    def fingerprint(self) -> str:
        """A hash of the shards' hashes."""
        return fingerprint(self.info)

    def __len__(self) -> int:
        return len(self._payloads)

    @check_arguments(index=INTEGER)
    def payload(self, index: int) -> bytes:
        """Reads the serialised `tf.train.Example` at an index and verifies its checksum.

        Args:
            index: int, from 0 to `len(self) - 1`.

        Returns:
            Bytes.

        Raises:
            RecordError: the record is damaged.
        """
        index = self._check_index(index)
        with open(self._paths[self._payloads[index][0]], "rb") as file:
            return self._payload(file, index)

    def _payload(self, file, index):
        _, offset, length = (int(value) for value in self._payloads[index])
        payload = read_payload(file, offset, length)
        if payload is None:
            raise self._damaged(index)
        return payload

    def _record(self, file, index):
        try:
            return from_example(self._payload(file, index))
        except RecordError:
            raise
        except ValueError as error:
            raise self._damaged(index, reason=str(error)) from None

    def _damaged(self, index, **reason):
        shard, offset, _ = (int(value) for value in self._payloads[index])
        first = int(np.searchsorted(self._payloads[:, 0], shard))
        return damaged_record(self._paths[shard], index - first, offset, **reason)

    def __getitem__(self, index: int) -> Record:
        index = self._check_index(index)
        with open(self._paths[self._payloads[index][0]], "rb") as file:
            return self._record(file, index)

    def __iter__(self) -> Iterator[Record]:
        ends = np.searchsorted(self._payloads[:, 0], np.arange(len(self._paths)), side="right")
        start = 0
        for path, end in zip(self._paths, ends, strict=True):
            with open(path, "rb") as file:
                for index in range(start, end):
                    yield self._record(file, index)
            start = end
