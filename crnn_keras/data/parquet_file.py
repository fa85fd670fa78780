"""Parquet files of labelled images, as Hugging Face's `datasets` writes them.

An image is a struct of `bytes` and `path`, or bytes, or a path. Needs `crnn_keras[parquet]`.

Reference:
    https://huggingface.co/docs/hub/datasets-image
"""

from __future__ import annotations

import bisect
import collections
import itertools
import os
import pathlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from crnn_keras.utils import trusted
from crnn_keras.utils.extras import naming_extras
from crnn_keras.utils.limits import MAX_IMAGE_BYTES

# States of an image in `Contents.images`.
NO_BYTES, READABLE, TOO_LARGE = range(3)
# Rows and bytes that are decoded at a time: so much memory is taken, and more only if one image is
# larger.
_BATCH_ROWS, _BATCH_BYTES = 256, 1 << 24
# Address space to inspect a file in: pyarrow takes a third of it for itself.
_MAX_BYTES = 2**31
# Files, and places in a file, that are kept open. Whoever reads one image after the other needs one
# place, however large the row groups are.
_MAX_OPEN, _MAX_PLACES = 8, 4
_KEY = re.compile(r"(.+)\[([0-9]{1,18})\]", re.S)
# Open files by their real paths: `(process, stamp of the file, _Reader)`.
_OPEN: collections.OrderedDict = collections.OrderedDict()
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Contents:
    """Describes what a parquet file holds, as found by reading it once.

    Args:
        num_rows: int, its rows.
        kinds: dict of each column's kind: `"text"`, `"bytes"`, `"struct"`, or the name of another
            type.
        images: dict of a byte for each row by the column that can hold images: `NO_BYTES`,
            `READABLE` or `TOO_LARGE`.
        with_path: columns of structs that have a `path`.
    """

    num_rows: int
    kinds: dict[str, str]
    images: dict[str, bytes]
    with_path: tuple[str, ...]


def image_key(column: str, row: int) -> str:
    """Returns the name of an image in a parquet file: `"image[12]"`.

    Args:
        column: its column.
        row: int, its row, counted from 0.
    """
    return f"{column}[{row}]"


def split_key(key: str) -> tuple[str, int] | None:
    """Returns the column and the row of an image, or None if a name is not one of `image_key`.

    Args:
        key: name of an image.
    """
    match = _KEY.fullmatch(key)
    return (match[1], int(match[2])) if match else None


def inspect_file(path: str | os.PathLike) -> Contents:
    """Reads a parquet file once, in a process that may die, see `utils.trusted`.

    Args:
        path: the file.

    Returns:
        `Contents`.

    Raises:
        ModuleNotFoundError: pyarrow is not installed.
        ValueError: the file is missing, no parquet file, damaged, or has two columns of one name.
    """
    _import_pyarrow()
    return trusted.read_once_isolated(_read_all, pathlib.Path(path), max_bytes=_MAX_BYTES)


def iter_rows(path: str | os.PathLike, *columns: tuple[str, ...]) -> Iterator[tuple]:
    """Reads columns of a parquet file that `inspect_file` has read, a few rows at a time.

    Args:
        path: the file.
        *columns: tuples of a column's name, and of a field's if the column is a struct of which
            only that is read.

    Yields:
        Tuples of the columns' values. Text that is not UTF-8 is bytes.

    Raises:
        ValueError: the file cannot be read.
    """
    with _Reader(path) as reader:
        for group in range(reader.num_groups):
            for batch in reader.batches(group, [".".join(names) for names in columns]):
                found = [_column(batch, *names) for names in columns]
                yield from zip(*(map(_plain, column) for column in found), strict=True)


def read_image(path: str | os.PathLike, key: str) -> bytes:
    """Reads an image; the file stays open for the next one.

    Reading in the order of the rows is fast. For a row before the last one, its row group is
    decoded from its start.

    Args:
        path: the file.
        key: see `image_key`.

    Returns:
        Bytes, as they are encoded.

    Raises:
        ModuleNotFoundError: pyarrow is not installed.
        ValueError: there is no such image, or the file is damaged.
    """
    column, row = split_key(key)
    states = inspect_file(path).images.get(column, b"")
    if row >= len(states) or states[row] == NO_BYTES:
        raise ValueError(f"{path}, {key}: there is no such image.")
    if states[row] == TOO_LARGE:
        raise ValueError(f"{path}, {key}: the image has over {MAX_IMAGE_BYTES >> 20} MB.")
    return _open(path).image(column, row)


def _import_pyarrow() -> ModuleType:
    with naming_extras("a parquet file"):
        import pyarrow.parquet
    return pyarrow


def _column(batch, name, field=None):
    return batch.column(name).field(field) if field else batch.column(name)


def _plain(value: Any) -> Any:
    try:
        return value.as_py()
    except UnicodeDecodeError:
        return value.as_buffer().to_pybytes()


class _Reader:
    """Holds an open parquet file, and the places in it that were read last."""

    def __init__(self, path):
        self.path, self._arrow = path, _import_pyarrow()
        with self._explain():
            # Pages are read one by one: a row group may be larger than the memory.
            self._file = self._arrow.parquet.ParquetFile(
                str(path), pre_buffer=False, buffer_size=1 << 16, arrow_extensions_enabled=False
            )
            self.schema, metadata = self._file.schema_arrow, self._file.metadata
            self.num_groups, self.num_rows = metadata.num_row_groups, metadata.num_rows
            groups = [metadata.row_group(group) for group in range(self.num_groups)]
        self._sizes = [(max(group.num_rows, 0), group.total_byte_size) for group in groups]
        self._starts = list(itertools.accumulate((rows for rows, _ in self._sizes), initial=0))
        self._places = collections.deque(maxlen=_MAX_PLACES)
        self._lock = threading.Lock()

    def __enter__(self):
        return self

    def __exit__(self, *caught):
        self.close()

    def close(self):
        self._places.clear()
        self._file.close()

    def _explain(self):
        return _Explained(self.path, self._arrow)

    def rows_of(self, group):
        return self._sizes[group][0]

    def batches(self, group, columns):
        rows, size = self._sizes[group]
        rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES * rows // max(size, 1)))
        with self._explain():
            yield from self._file.iter_batches(
                rows, row_groups=[group], columns=columns, use_threads=False
            )

    def image(self, column, row):
        group = bisect.bisect_right(self._starts, row) - 1
        row -= self._starts[group]
        with self._lock:
            known = [
                place
                for place in self._places
                if place.name == (column, group) and place.start <= row
            ]
            if known:
                place = max(known, key=lambda place: place.start)
            else:
                place = _Place(self, column, group)
                self._places.append(place)
            value = place.value(row)
        return value if isinstance(value, bytes) else value["bytes"]


class _Explained:
    """Context that turns an error of pyarrow into a ValueError that names the file."""

    def __init__(self, path, arrow):
        self._path, self._arrow = path, arrow

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        # What it raises for damaged files: also of NumPy's and Python's own kinds.
        damage = (self._arrow.ArrowException, OSError, ValueError, TypeError, MemoryError)
        if isinstance(error, damage):
            shown = str(error).splitlines()[0][:200] if str(error) else kind.__name__
            raise ValueError(
                f"{self._path} cannot be read as a parquet file: {shown.rstrip('.')}. Copy or "
                "download it again."
            ) from None


class _Place:
    """Holds the rows of a column that were decoded last, and goes on to the next."""

    def __init__(self, reader, column, group):
        self.name, self.start = (column, group), 0
        self._column, self._batches = column, reader.batches(group, [column])
        self._values = None

    def value(self, row):
        while self._values is None or row >= self.start + len(self._values):
            self.start += 0 if self._values is None else len(self._values)
            self._values = next(self._batches).column(self._column)
        return self._values[row - self.start].as_py()


def _open(path):
    real, process = os.path.realpath(path), os.getpid()
    with _LOCK:
        owner, stamp, reader = _OPEN.pop(real, (None, None, None))
        # A replaced file, and one of the process that this one was forked from, are opened again.
        if (owner, stamp) != (process, trusted.stamp(real)):
            stamp, reader = trusted.stamp(real), _Reader(path)
        _OPEN[real] = process, stamp, reader
        # Another thread may read from it: it is closed when that lets go of it.
        while len(_OPEN) > _MAX_OPEN:
            _OPEN.popitem(last=False)
        return reader


def _read_all(path):
    """Decodes the columns that can hold images or labels, as `_Reader` does."""
    with _Reader(path) as reader:
        names = reader.schema.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{path} has several columns of the name {twice[0]!r}. Rename them.")
        kinds = {field.name: _kind(field.type) for field in reader.schema}
        images = {name: bytearray() for name, kind in kinds.items() if kind in ("bytes", "struct")}
        used = [*images, *(name for name, kind in kinds.items() if kind == "text")]
        for group in range(reader.num_groups if used else 0):
            rows = 0
            for batch in reader.batches(group, used):
                rows += len(batch)
                for name in used:
                    column = batch.column(name)
                    column.validate(full=kinds[name] != "text")
                    if name in images:
                        column = column.field("bytes") if kinds[name] == "struct" else column
                        images[name] += bytes(map(_state, column))
            if rows != reader.rows_of(group):
                raise ValueError(
                    f"{path}, row group {group}, has {rows} rows instead of the "
                    f"{reader.rows_of(group)} that are announced. Copy or download it again."
                )
        with_path = [name for name in images if _has_path(reader.schema.field(name).type)]
        return Contents(
            reader.num_rows, kinds, {n: bytes(s) for n, s in images.items()}, tuple(with_path)
        )


def _state(value):
    if not value.is_valid:
        return NO_BYTES
    return TOO_LARGE if value.as_buffer().size > MAX_IMAGE_BYTES else READABLE


def _kind(arrow_type):
    types = _import_pyarrow().types
    if types.is_dictionary(arrow_type):
        return _kind(arrow_type.value_type) if _is_text(arrow_type.value_type) else str(arrow_type)
    if types.is_struct(arrow_type):
        index = arrow_type.get_field_index("bytes")
        return "struct" if index >= 0 and _is_bytes(arrow_type.field(index).type) else "other"
    if _is_bytes(arrow_type):
        return "bytes"
    return "text" if _is_text(arrow_type) else str(arrow_type)[:40]


def _is_bytes(arrow_type):
    types = _import_pyarrow().types
    return types.is_binary(arrow_type) or types.is_large_binary(arrow_type)


def _is_text(arrow_type):
    types = _import_pyarrow().types
    return types.is_string(arrow_type) or types.is_large_string(arrow_type)


def _has_path(arrow_type):
    types = _import_pyarrow().types
    index = arrow_type.get_field_index("path") if types.is_struct(arrow_type) else -1
    return index >= 0 and _is_text(arrow_type.field(index).type)


def _new_lock():
    # Another thread may have held the lock when the process was forked.
    global _LOCK
    _LOCK = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)
