"""LMDBs of labelled images, as clovaai's benchmark and PARSeq read and write them.

An LMDB is a folder that holds `data.mdb`, or a file of any name (`subdir=False`).

The entries are `num-samples`, `image-%09d` and `label-%09d`, counted from 1.

Reference:
    https://github.com/clovaai/deep-text-recognition-benchmark, `create_lmdb_dataset.py`
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import threading
from collections.abc import Iterable

import lmdb

from crnn_keras.utils import files, trusted
from crnn_keras.utils.limits import MAX_IMAGE_BYTES, MAX_TEXT_BYTES

FILE = "data.mdb"
_COUNT = b"num-samples"
# Entries written in one transaction.
_CHUNK = 1000
# The two pages that an LMDB begins with, and what stands at the 16th byte of each.
_META_PAGES, _MAGIC_OFFSET, _MAGIC = 2, 16, (b"\xde\xc0\xef\xbe", b"\xbe\xef\xc0\xde")
# LMDB maps the size that its writer asked for, often a terabyte, and reads a little of it.
_MAX_MAPPED_BYTES = 2**46
# After so many missing entries in a row, num-samples is not believed.
MOST_MISSING = 1000
_IMAGE_KEY = re.compile(r"image-([0-9]{9,18})")
# Open LMDBs by the device and the number of their files: `(process, stamp, LmdbFolder)`.
_OPEN = {}
_LOCK = threading.Lock()


def image_key(index: int) -> str:
    """Returns the name of an image's entry.

    Args:
        index: int, the image, counted from 1.

    Returns:
        String such as `"image-000000012"`.
    """
    return f"image-{index:09d}"


def _label_key(index):
    return f"label-{index:09d}"


def find_file(path: str | os.PathLike) -> pathlib.Path:
    """Returns the file of an LMDB.

    Args:
        path: folder that holds `data.mdb`, or the file itself.
    """
    path = pathlib.Path(path)
    return path / FILE if path.is_dir() else path


def is_lmdb(path: str | os.PathLike) -> bool:
    """Tells whether a file begins as an LMDB does, whatever its name.

    Args:
        path: the file.
    """
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(_MAGIC_OFFSET + 4)[_MAGIC_OFFSET:] in _MAGIC


class LmdbFolder:
    """Reads an LMDB. Nothing is locked or changed, so it may lie on a read-only disk.

    liblmdb trusts the pages of a file: a damaged one can end the process. So all entries are read
    once in a process of their own, see `utils.trusted`, and only those are read here.

    Use `open_lmdb` to open one: a process can open an LMDB only once.

    Args:
        folder: folder that holds `data.mdb`, or a file that is an LMDB.

    Raises:
        ValueError: there is no LMDB, or it is damaged, cut short or without a usable
            `num-samples`.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = pathlib.Path(folder)
        if not find_file(folder).is_file():
            raise ValueError(f"{self.folder} holds no {FILE}. Expected the folder of an LMDB.")
        self._length, self._readable = trusted.read_once_isolated(
            _read_all, find_file(folder), max_bytes=_MAX_MAPPED_BYTES
        )
        self._env = _open(find_file(folder))

    def __len__(self):
        return self._length

    def _get(self, key, read, *, max_bytes):
        """Returns an entry's content, passed through `read`."""
        try:
            with self._env.begin(buffers=True) as transaction:
                found = transaction.get(key.encode())
                if found is None:
                    raise ValueError(f"{self.folder}, {key}: there is no such entry.")
                if len(found) > max_bytes:
                    raise ValueError(
                        f"{self.folder}, {key}: the entry has {len(found):,} bytes. Expected at "
                        f"most {max_bytes:,}."
                    )
                return read(found)
        except lmdb.Error as error:
            raise ValueError(f"{self.folder}, {key}: {error}.") from None

    def _get_image(self, key, read):
        match = _IMAGE_KEY.fullmatch(key)
        if not match or int(match[1]) > self._readable:
            raise ValueError(f"{self.folder}, {key}: there is no such entry.")
        return self._get(key, read, max_bytes=MAX_IMAGE_BYTES)

    def check_image(self, key: str) -> None:
        """Raises an error if an image has no entry; the image itself is not read.

        Args:
            key: name of the entry, see `image_key`.

        Raises:
            ValueError: there is no such entry, or it is damaged or too large.
        """
        self._get_image(key, len)

    def image(self, key: str) -> bytes:
        """Returns an encoded image.

        Args:
            key: name of the entry, see `image_key`.

        Returns:
            Bytes.

        Raises:
            ValueError: there is no such entry, or it is damaged or too large.
        """
        return self._get_image(key, bytes)

    def label(self, index: int) -> str:
        """Returns the label of an image.

        Args:
            index: int, the image, from 1 to `len(self)`.

        Returns:
            String.

        Raises:
            ValueError: the entry is missing, damaged, too large or not UTF-8.
        """
        key = _label_key(index)
        label = self._get(key, bytes, max_bytes=MAX_TEXT_BYTES)
        try:
            return label.decode()
        except UnicodeDecodeError:
            raise ValueError(f"{self.folder}, {key}: {label[:40]!r} is not UTF-8.") from None

    def close(self) -> None:
        """Closes the LMDB."""
        self._env.close()


def _read_all(path: pathlib.Path) -> tuple[int, int]:
    """Reads all entries of an LMDB as `LmdbFolder` does. A damaged file can end the process.

    Args:
        path: its file.

    Returns:
        Tuple of `num-samples` and the last image that was looked for: no entry is looked for after
        `MOST_MISSING` images in a row that have no image or no label.

    Raises:
        ValueError: see `LmdbFolder`.
    """
    with contextlib.closing(_open(path)) as env:
        _check_length(env, path)
        length = _count(env, path)
        missing = index = 0
        transaction = env.begin(buffers=True)
        while index < length and missing < MOST_MISSING:
            index += 1
            is_there = True
            for key in (_label_key(index), image_key(index)):
                try:
                    found = transaction.get(key.encode())
                except lmdb.Error:
                    found = None
                    # It is of no use after an error.
                    transaction.abort()
                    transaction = env.begin(buffers=True)
                is_there &= found is not None
                if found:
                    # Bytes in one piece lie in the file if both their ends do.
                    _ = found[0], found[-1]
            missing = 0 if is_there else missing + 1
        transaction.abort()
        return length, index


def _open(path):
    try:
        is_folder = path.name == FILE
        return lmdb.open(
            str(path.parent if is_folder else path),
            subdir=is_folder,
            readonly=True,
            lock=False,
            readahead=False,
        )
    except lmdb.Error as error:
        raise ValueError(f"{path} cannot be read as an LMDB: {error}") from None


def _check_length(env, path):
    """Raises an error if the file is cut short.

    Only pages that are certainly in use are counted, because a complete file may lack pages that
    were freed. So a file that lacks only a few pages is not detected here: reading them ends the
    process.
    """
    stat = env.stat()
    pages = sum(stat[kind] for kind in ("branch_pages", "leaf_pages", "overflow_pages"))
    found, needed = path.stat().st_size, (pages + _META_PAGES) * stat["psize"]
    if found < needed:
        raise ValueError(
            f"{path} is cut short: it has {found} bytes, of at least {needed}. Copy or download it "
            "again."
        )


def _count(env, path):
    try:
        with env.begin() as transaction:
            count = transaction.get(_COUNT)
    except lmdb.Error as error:
        raise ValueError(f"{path}, num-samples: {error}.") from None
    # More than 18 digits cannot be a length.
    if count is None or not count.isdigit() or len(count) > 18:
        shown = count if count is None else count[:40]
        raise ValueError(
            f"{path} has no usable 'num-samples' but {shown!r}. Expected an LMDB as clovaai's "
            "create_lmdb_dataset.py writes it."
        )
    return int(count)


def open_lmdb(folder: str | os.PathLike) -> LmdbFolder:
    """Opens an LMDB, or returns the one that this process has open.

    LMDB cannot open a file twice in a process, and an open one must not be used after a fork.
    So a forked process closes the LMDB that it inherited and opens it again; the same happens
    when the file was replaced.

    Args:
        folder: folder that holds `data.mdb`, or a file that is an LMDB.

    Returns:
        `LmdbFolder`.

    Raises:
        ValueError: see `LmdbFolder`.
    """
    with _LOCK:
        stamp = _stamp(folder)
        process, known, db = _OPEN.get(stamp and stamp[:2], (None, None, None))
        if (process, known) != (os.getpid(), stamp) or stamp is None:
            for file, (_, known, db) in list(_OPEN.items()):
                if known != _stamp(db.folder) or file == (stamp and stamp[:2]):
                    db.close()
                    del _OPEN[file]
            # Messages show the path that was asked for first.
            db = LmdbFolder(folder)
            _OPEN[stamp[:2]] = os.getpid(), stamp, db
        return db


def _stamp(folder):
    """Returns the stamp of an LMDB's file; images are read often, so it asks the disk once."""
    return trusted.stamp(os.path.join(folder, FILE)) or trusted.stamp(folder)


def _new_lock():
    # Another thread may have held the lock when the process was forked.
    global _LOCK
    _LOCK = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)


def write_lmdb(folder: str | os.PathLike, pairs: Iterable[tuple[bytes, str]]) -> int:
    """Writes an LMDB that clovaai's benchmark, PARSeq and `read_samples` can read.

    The folder appears under its name only when it is complete.

    Args:
        folder: folder to make; it must not exist.
        pairs: iterable of `(encoded image, label)`; about a thousand are held in memory at a time.

    Returns:
        Number of pairs written.

    Raises:
        ValueError: the folder exists, or there are no pairs.

    Example:

    >>> from crnn_keras import read_samples
    >>> samples = read_samples("labels.tsv").samples
    >>> write_lmdb("words_lmdb", ((sample.read(), sample.text) for sample in samples))
    200
    """
    folder = pathlib.Path(folder)
    if folder.exists():
        raise ValueError(f"{folder} exists already. Remove it or choose another folder.")
    with files.new_folder(folder) as new:
        # An upper bound of the size: the file grows as it is filled.
        env = lmdb.open(str(new), map_size=1 << 40, sync=False, writemap=False)
        # Closed after an error too: a process can open a folder only once.
        with contextlib.closing(env):
            count, waiting = 0, {}
            for encoded, label in pairs:
                count += 1
                waiting[image_key(count).encode()] = encoded
                waiting[_label_key(count).encode()] = label.encode()
                if len(waiting) >= 2 * _CHUNK:
                    _put(env, waiting)
            if not count:
                raise ValueError(f"There are no images to write to {folder}.")
            _put(env, waiting | {_COUNT: str(count).encode()})
            env.sync(True)
        (new / "lock.mdb").unlink()
    return count


def _put(env, entries):
    with env.begin(write=True) as transaction:
        for key, value in entries.items():
            transaction.put(key, value)
    entries.clear()
