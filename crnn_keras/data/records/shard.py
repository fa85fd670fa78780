"""A shard: one TFRecord file of records, whose bytes depend on the records alone."""

from __future__ import annotations

import hashlib
import os
import pathlib
import struct
from collections.abc import Iterable
from typing import BinaryIO

import google_crc32c
import numpy as np

from crnn_keras.data.records.record import Record, to_example
from crnn_keras.data.records.sidecar import SIDECAR, RecordError
from crnn_keras.utils.limits import MAX_RECORD_BYTES

_AGAIN = "Prepare the records again (notebook 02): only bad shards are written again."


def _masked_crc(payload):
    crc = google_crc32c.value(payload)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _frame(payload):
    """Returns a TFRecord frame: length, its checksum, payload, its checksum."""
    length = struct.pack("<Q", len(payload))
    crcs = (struct.pack("<I", _masked_crc(piece)) for piece in (length, payload))
    return length + next(crcs) + payload + next(crcs)


def write_shard(file: BinaryIO, name: str, records: Iterable[Record]) -> dict:
    """Writes records to an open file.

    Args:
        file: binary file object.
        name: the shard's file name, for what is returned.
        records: iterable of `Record`s; held in memory one at a time.

    Returns:
        Dict of `file`, `records` (a count), `bytes` and `sha256`.
    """
    digest, count, size = hashlib.sha256(), 0, 0
    for record in records:
        frame = _frame(to_example(record))
        file.write(frame)
        digest.update(frame)
        count += 1
        size += len(frame)
    return {"file": name, "records": count, "bytes": size, "sha256": digest.hexdigest()}


def explain_bad_shard(path: str | os.PathLike, shard: dict) -> str | None:
    """Reads all of a shard's file and reports whether it is missing or was changed.

    Args:
        path: the shard's file.
        shard: what `write_shard` returned for it.

    Returns:
        A sentence that names the file, or None if it is as it was written.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        return f"{path} is missing. {_AGAIN}"
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != shard["sha256"]:
        return f"{path}: sha256 is {digest}, {SIDECAR} says {shard['sha256']}. {_AGAIN}"
    return None


def index_shard(path: pathlib.Path, shard: dict) -> np.ndarray:
    """Finds the payloads of a shard.

    Args:
        path: the shard's file.
        shard: what `write_shard` returned for it.

    Returns:
        int64 array `(records, 2)`: offset and length of each payload in bytes.

    Raises:
        RecordError: the file is missing, of another size, has another number of records, or a
            frame's length is damaged.
    """
    if not path.is_file():
        raise RecordError(f"{path} is missing. {_AGAIN}")
    size = path.stat().st_size
    if size != shard["bytes"]:
        raise RecordError(
            f"{path} has {size:,} bytes, {SIDECAR} says {shard['bytes']:,}: it was cut short "
            f"or changed. {_AGAIN}"
        )
    rows, offset = [], 0
    with open(path, "rb") as file:
        while offset < size:
            file.seek(offset)
            header = file.read(12)
            if len(header) < 12 or struct.pack("<I", _masked_crc(header[:8])) != header[8:]:
                raise damaged_record(path, len(rows), offset)
            (length,) = struct.unpack("<Q", header[:8])
            # Before anything is read by this length, which may be any number.
            end = offset + 16 + length
            if end > size or length > MAX_RECORD_BYTES:
                reason = f"it claims {length:,} bytes, of at most {min(size, MAX_RECORD_BYTES):,}"
                raise damaged_record(path, len(rows), offset, reason=reason)
            rows.append((offset + 12, length))
            offset = end
    if len(rows) != shard["records"]:
        raise RecordError(
            f"{path} has {len(rows):,} records, {SIDECAR} says {shard['records']:,}: one of them "
            f"was changed. {_AGAIN}"
        )
    return np.array(rows, np.int64).reshape(-1, 2)


def read_payload(file: BinaryIO, offset: int, length: int) -> bytes | None:
    """Reads the payload at an offset and verifies its checksum.

    Args:
        file: binary file object of a shard.
        offset: where the payload begins, in bytes.
        length: its length in bytes.

    Returns:
        Bytes, or None if the checksum is wrong.
    """
    file.seek(offset)
    payload, crc = file.read(length), file.read(4)
    return payload if struct.pack("<I", _masked_crc(payload)) == crc else None


def damaged_record(
    path: pathlib.Path,
    index: int,
    offset: int,
    *,
    reason: str = "the checksum is wrong, so the file was damaged after it was written",
) -> RecordError:
    """Returns the error of a damaged record.

    Args:
        path: the shard's file.
        index: index of the record within the shard, from 0.
        offset: where it begins, in bytes.
        reason: what is wrong with it. Defaults to the checksum.

    Returns:
        `RecordError`.
    """
    return RecordError(f"{path}, record {index}, byte {offset}: {reason}. {_AGAIN}")
