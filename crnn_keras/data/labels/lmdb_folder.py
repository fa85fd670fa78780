"""LMDB folders as clovaai's benchmark, PARSeq and their kin keep labelled images.

The entries are `num-samples`, and `image-%09d` and `label-%09d`, counted from 1.

Reference:
    https://github.com/clovaai/deep-text-recognition-benchmark, `create_lmdb_dataset.py`.
"""

import contextlib
import os
import pathlib
import threading

import lmdb

from crnn_keras.utils import files

FILE = "data.mdb"
_COUNT = b"num-samples"
# Entries written in one transaction.
_CHUNK = 1000
# The two pages that an LMDB begins with.
_META_PAGES = 2
# Opened LMDBs, by their real paths: `(process, stamp of the file, LmdbFolder)`.
_OPENED = {}
_LOCK = threading.Lock()


def image_key(number):
    """Name of the image of a row, such as `"image-000000012"`.

    Args:
        number: the row, from 1.

    Returns:
        String.
    """
    return f"image-{number:09d}"


class LmdbFolder:
    """An LMDB opened for reading. Nothing is locked or changed, so it may lie on a read-only disk.

    `open_lmdb` opens it: a process can open a folder only once.

    Args:
        folder: folder that holds `data.mdb`.

    Raises:
        ValueError: there is no such LMDB, it is damaged or cut short, or it has no usable
            `num-samples`.
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        if not (self.folder / FILE).is_file():
            raise ValueError(f"{self.folder} holds no {FILE}. Expected the folder of an LMDB.")
        try:
            self._env = lmdb.open(str(self.folder), readonly=True, lock=False, readahead=False)
        except lmdb.Error as error:
            raise ValueError(f"{self.folder / FILE} cannot be read as an LMDB: {error}") from None
        self._check_length()
        count = self._get(_COUNT)
        # More than 18 digits are no length of anything.
        if count is None or not count.isdigit() or len(count) > 18:
            self.close()
            raise ValueError(
                f"{self.folder / FILE} has no usable 'num-samples' but {count!r}. Expected an "
                "LMDB as clovaai's create_lmdb_dataset.py writes it."
            )
        self._length = int(count)

    def __len__(self):
        return self._length

    def _check_length(self):
        """Refuses a file that ends too early: reading beyond its end would kill the process.

        Counted are the pages that surely are in use. Where it ends a few pages early it is not
        seen: a whole one may lack those that were given up.
        """
        counts = self._env.stat()
        pages = sum(counts[kind] for kind in ("branch_pages", "leaf_pages", "overflow_pages"))
        found = (self.folder / FILE).stat().st_size
        needed = (pages + _META_PAGES) * counts["psize"]
        if found < needed:
            self.close()
            raise ValueError(
                f"{self.folder / FILE} is cut short: it has {found} bytes, of at least {needed}. "
                "Copy or download it anew."
            )

    def _get(self, key, read=bytes):
        try:
            with self._env.begin(buffers=True) as transaction:
                found = transaction.get(key)
                return None if found is None else read(found)
        except lmdb.Error as error:
            raise ValueError(f"{self.folder}, {key.decode()}: {error}.") from None

    def holds(self, key):
        """Whether there is an entry of this name; its content is not read.

        Args:
            key: see `image_key`.

        Returns:
            True or False.
        """
        return bool(self._get(key.encode(), read=lambda found: True))

    def label(self, number):
        """The label of a row.

        Args:
            number: the row, from 1 to `len(self)`.

        Returns:
            String.

        Raises:
            ValueError: the entry is missing or is not UTF-8.
        """
        key = f"label-{number:09d}"
        label = self._get(key.encode())
        if label is None:
            raise ValueError(f"{self.folder}, {key}: there is no such entry.")
        try:
            return label.decode()
        except UnicodeDecodeError:
            raise ValueError(f"{self.folder}, {key}: {label[:40]!r} is not UTF-8.") from None

    def image(self, key):
        """The encoded image of a row.

        Args:
            key: see `image_key`.

        Returns:
            Bytes.

        Raises:
            ValueError: there is no such entry.
        """
        image = self._get(key.encode())
        if image is None:
            raise ValueError(f"{self.folder}, {key}: there is no such entry.")
        return image

    def close(self):
        """Closes the LMDB."""
        self._env.close()


def open_lmdb(folder):
    """Opens an LMDB, or gives the one that was opened before.

    LMDB refuses to open a folder twice in a process, and what is open must not be used across a
    fork: a forked process closes what it inherited and opens it anew. So it is where the file was
    replaced.

    Args:
        folder: folder that holds `data.mdb`.

    Returns:
        `LmdbFolder`.

    Raises:
        ValueError: as `LmdbFolder`.
    """
    path = os.path.realpath(folder)
    with _LOCK:
        process, stamp, db = _OPENED.get(path, (None, None, None))
        if (process, stamp) != (os.getpid(), _stamp(path)):
            if db:
                db.close()
                del _OPENED[path]
            # Under the name that was asked for, for its messages.
            db = LmdbFolder(folder)
            _OPENED[path] = (os.getpid(), _stamp(path), db)
        return db


def _stamp(folder):
    try:
        state = os.stat(os.path.join(folder, FILE))
    except OSError:
        return None
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


def _new_lock():
    # Another thread may have held it while the process was forked.
    global _LOCK
    _LOCK = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)


def write_lmdb(folder, pairs):
    """Writes an LMDB that clovaai's benchmark, PARSeq and their kin read.

    It appears under its name only when it is whole.

    Args:
        folder: folder to make. One that is there already is refused.
        pairs: iterable of `(encoded image in bytes, label)`; held in memory a thousand at a time.

    Returns:
        Number of pairs written.

    Raises:
        ValueError: the folder is there already, or there are no pairs.
    """
    folder = pathlib.Path(folder)
    if folder.exists():
        raise ValueError(f"{folder} is there already. Remove it or name another.")
    with files.new_folder(folder) as part:
        # A size on paper: the file grows as it is filled.
        env = lmdb.open(str(part), map_size=1 << 40, sync=False, writemap=False)
        # Closed after an error too: a process can open a folder only once.
        with contextlib.closing(env):
            count, waiting = 0, {}
            for encoded, label in pairs:
                count += 1
                waiting[image_key(count).encode()] = encoded
                waiting[f"label-{count:09d}".encode()] = label.encode()
                if len(waiting) >= 2 * _CHUNK:
                    _put(env, waiting)
            if not count:
                raise ValueError(f"There are no images to write to {folder}.")
            _put(env, waiting | {_COUNT: str(count).encode()})
            env.sync(True)
        (part / "lock.mdb").unlink()
    return count


def _put(env, entries):
    with env.begin(write=True) as transaction:
        for key, value in entries.items():
            transaction.put(key, value)
    entries.clear()
