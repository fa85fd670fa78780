"""A set of records: a folder of shards with a sidecar, read at any index."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from crnn_keras.data.records.base import BaseRecords
from crnn_keras.data.records.record import Record, from_example
from crnn_keras.data.records.shard import (
    damaged_record,
    explain_bad_shard,
    index_shard,
    read_payload,
    shard_name,
    write_shard,
)
from crnn_keras.data.records.sidecar import (
    SIDECAR,
    RecordError,
    check_no_other_files,
    make_sidecar,
    read_sidecar,
)
from crnn_keras.utils import files

if TYPE_CHECKING:
    from crnn_keras.char_dict import CharDict
    from crnn_keras.images import Canvas


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
        ValueError: there are no records, or `folder` holds something else than a set.
        OSError: the disk is full, and the like. What was in `folder` before stays there.
    """
    folder = pathlib.Path(folder)
    if per_shard < 1:
        raise ValueError(f"{per_shard} records in a shard: expected at least 1.")
    check_no_other_files(folder)
    with files.new_folder(folder) as new:
        shards, remaining = [], iter(records)
        while first := list(itertools.islice(remaining, 1)):
            chunk = itertools.chain(first, itertools.islice(remaining, per_shard - 1))
            name = shard_name(len(shards))
            with files.atomic(new / name) as file:
                shards.append(write_shard(file, name, chunk))
        if not shards:
            raise ValueError(f"There are no records to write to {folder}.")
        content = make_sidecar(shards, char_dict.get_config(), canvas.get_config())
        files.write_json(new / SIDECAR, content)
    return content


def verify(folder: str | os.PathLike) -> dict[int, str]:
    """Reads all shards of a set and checks them against their hashes.

    A missing shard does not stop it. Of a manifest the list is checked, not the images.

    Args:
        folder: path of the set's folder.

    Returns:
        Dict of `shard index: sentence`, one for each bad shard; empty if there is none.

    Raises:
        RecordError: there is no set.
    """
    folder = pathlib.Path(folder)
    info = read_sidecar(folder)
    shards = enumerate([info["samples"]] if "samples" in info else info["shards"])
    reasons = {index: explain_bad_shard(folder / shard["file"], shard) for index, shard in shards}
    return {index: reason for index, reason in reasons.items() if reason}


class Records(BaseRecords):
    """Opens a set of shards for reading at any index.

    Args:
        folder: path of a folder that `write_records` or `prepare` wrote.

    Attributes:
        info: dict, content of the sidecar.

    Raises:
        RecordError: there is no set, or a shard is missing, cut short or damaged.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = pathlib.Path(folder)
        self.info = read_sidecar(self.folder)
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
        shards = json.dumps(self.info["shards"], sort_keys=True)
        return hashlib.sha256(shards.encode()).hexdigest()

    def __len__(self) -> int:
        return len(self._payloads)

    def payload(self, index: int) -> bytes:
        """Reads the serialised `tf.train.Example` at an index and verifies its checksum.

        Args:
            index: int, from 0 to `len(self) - 1`.

        Returns:
            Bytes.

        Raises:
            RecordError: the record is damaged.
        """
        with open(self._paths[self._payloads[index][0]], "rb") as file:
            return self._payload(file, index)

    def _payload(self, file, index):
        shard, offset, length = (int(value) for value in self._payloads[index])
        payload = read_payload(file, offset, length)
        if payload is None:
            first = int(np.searchsorted(self._payloads[:, 0], shard))
            raise damaged_record(self._paths[shard], index - first, offset)
        return payload

    def __getitem__(self, index: int) -> Record:
        self._check_index(index)
        return from_example(self.payload(index))

    def __iter__(self) -> Iterator[Record]:
        ends = np.searchsorted(self._payloads[:, 0], np.arange(len(self._paths)), side="right")
        start = 0
        for path, end in zip(self._paths, ends, strict=True):
            with open(path, "rb") as file:
                for index in range(start, end):
                    yield from_example(self._payload(file, index))
            start = end
