"""LMDB folders of labelled images, as clovaai's benchmark and PARSeq read and write them.

The entries are `num-samples`, `image-%09d` and `label-%09d`, counted from 1.

Reference:
    https://github.com/clovaai/deep-text-recognition-benchmark, `create_lmdb_dataset.py`
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import threading
from collections.abc import Iterable

import lmdb

from crnn_keras.utils import files

FILE = "data.mdb"
_COUNT = b"num-samples"
# Entries written in one transaction.
_CHUNK = 1000
# The two pages that an LMDB begins with.
_META_PAGES = 2
# Open LMDBs by their real paths: `(process, stamp of the file, LmdbFolder)`.
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


class LmdbFolder:
    """Reads an LMDB. Nothing is locked or changed, so it may lie on a read-only disk.

    Use `open_lmdb` to open one: a process can open a folder only once.

    Args:
        folder: folder that holds `data.mdb`.

    Raises:
        ValueError: the folder holds no LMDB, or one that is damaged, cut short or without a
            usable `num-samples`.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = pathlib.Path(folder)
        if not (self.folder / FILE).is_file():
            raise ValueError(f"{self.folder} holds no {FILE}. Expected the folder of an LMDB.")
        try:
            self._env = lmdb.open(str(self.folder), readonly=True, lock=False, readahead=False)
        except lmdb.Error as error:
            raise ValueError(f"{self.folder / FILE} cannot be read as an LMDB: {error}") from None
        try:
            self._check_length()
            self._length = self._count()
        except ValueError:
            self.close()
            raise

    def __len__(self):
        return self._length

    def _check_length(self):
        """Raises an error if the file is cut short: reading past its end would end the process.

        Only pages that are certainly in use are counted, because a complete file may lack pages
        that were freed. So a file that lacks only a few pages is not detected.
        """
        stat = self._env.stat()
        pages = sum(stat[kind] for kind in ("branch_pages", "leaf_pages", "overflow_pages"))
        found = (self.folder / FILE).stat().st_size
        needed = (pages + _META_PAGES) * stat["psize"]
        if found < needed:
            raise ValueError(
                f"{self.folder / FILE} is cut short: it has {found} bytes, of at least {needed}. "
                "Copy or download it again."
            )

    def _count(self):
        count = self._get(_COUNT)
        # More than 18 digits cannot be a length.
        if count is None or not count.isdigit() or len(count) > 18:
            raise ValueError(
                f"{self.folder / FILE} has no usable 'num-samples' but {count!r}. Expected an "
                "LMDB as clovaai's create_lmdb_dataset.py writes it."
            )
        return int(count)

    def _get(self, key, read=bytes):
        """Returns an entry's content, passed through `read`; None if there is no such entry."""
        try:
            with self._env.begin(buffers=True) as transaction:
                found = transaction.get(key)
                return None if found is None else read(found)
        except lmdb.Error as error:
            raise ValueError(f"{self.folder}, {key.decode()}: {error}.") from None

    def _entry(self, key):
        content = self._get(key.encode())
        if content is None:
            raise ValueError(f"{self.folder}, {key}: there is no such entry.")
        return content

    def check_image(self, key: str) -> None:
        """Raises an error if an image has no entry; the image itself is not read.

        Args:
            key: name of the entry, see `image_key`.

        Raises:
            ValueError: there is no such entry, or it is damaged.
        """
        if not self._get(key.encode(), read=lambda found: True):
            raise ValueError(f"{self.folder}, {key}: there is no such entry.")

    def image(self, key: str) -> bytes:
        """Returns an encoded image.

        Args:
            key: name of the entry, see `image_key`.

        Returns:
            Bytes.

        Raises:
            ValueError: there is no such entry, or it is damaged.
        """
        return self._entry(key)

    def label(self, index: int) -> str:
        """Returns the label of an image.

        Args:
            index: int, the image, from 1 to `len(self)`.

        Returns:
            String.

        Raises:
            ValueError: the entry is missing, damaged or not UTF-8.
        """
        key = _label_key(index)
        label = self._entry(key)
        try:
            return label.decode()
        except UnicodeDecodeError:
            raise ValueError(f"{self.folder}, {key}: {label[:40]!r} is not UTF-8.") from None

    def close(self) -> None:
        """Closes the LMDB."""
        self._env.close()


def open_lmdb(folder: str | os.PathLike) -> LmdbFolder:
    """Opens an LMDB, or returns the one that this process has open.

    LMDB cannot open a folder twice in a process, and an open one must not be used after a fork.
    So a forked process closes the LMDB that it inherited and opens it again; the same happens
    when the file was replaced.

    Args:
        folder: folder that holds `data.mdb`.

    Returns:
        `LmdbFolder`.

    Raises:
        ValueError: see `LmdbFolder`.
    """
    path = os.path.realpath(folder)
    with _LOCK:
        process, stamp, db = _OPEN.get(path, (None, None, None))
        if (process, stamp) != (os.getpid(), _stamp(path)):
            if db:
                db.close()
                del _OPEN[path]
            # Messages show the path that was asked for, not the real one.
            db = LmdbFolder(folder)
            _OPEN[path] = (os.getpid(), _stamp(path), db)
        return db


def _stamp(folder):
    try:
        stat = os.stat(os.path.join(folder, FILE))
    except OSError:
        return None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


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
