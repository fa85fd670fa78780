"""Files written whole or not at all, and read with errors that name them."""

import contextlib
import errno
import json
import os
import pathlib
import shutil

# Characters read at a time where a file may be long.
_PIECE = 1 << 16


@contextlib.contextmanager
def atomic(path):
    """Opens a file for writing bytes that appears under its name only when it is whole.

    The bytes go to `<path>.part`, are flushed to the disk and renamed; on any error (a full disk
    too) the part is removed and what stood under the name before stands there still.

    Args:
        path: file to write; its folder is made.

    Yields:
        A binary file object.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        sync(path.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def sync(path):
    """Flushes a file, or the names in a folder, to the disk.

    A renamed file outlasts a power cut only when the folder was flushed after the renaming.

    Args:
        path: file or folder.
    """
    # Windows opens no folders; its file system keeps a journal of names instead.
    if os.name == "nt" and os.path.isdir(path):
        return
    number = os.open(path, os.O_RDONLY if os.path.isdir(path) else os.O_RDWR)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def write_atomic(path, content):
    """Writes bytes to a file, whole or not at all.

    Args:
        path: file to write; its folder is made.
        content: bytes.
    """
    with atomic(path) as file:
        file.write(content)


@contextlib.contextmanager
def new_folder(path):
    """Makes a folder that appears under its name only when it is whole.

    It is filled as `<path>.part` and renamed; what stood under the name before is replaced then,
    and stands there still after any error. What a killed run left half replaced is put back first.

    Args:
        path: folder to make.

    Yields:
        Path of the folder to fill.
    """
    path = pathlib.Path(path)
    restore_folder(path)
    part = path.with_name(path.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        replace_folder(part, path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def replace_folder(new, folder):
    """Renames a folder to a name that another may have; that one is removed.

    Between the two renames no folder has the name. A run that is killed there leaves the earlier
    one as `<folder>.replaced`, see `restore_folder`.

    Args:
        new: the folder.
        folder: its name to be, on the same disk.

    Raises:
        OSError: it cannot be renamed; what stood there before stands there still.
    """
    folder = pathlib.Path(folder)
    old = replaced_folder(folder)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.rename(folder, old)
    try:
        os.rename(new, folder)
    except BaseException:
        restore_folder(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def replaced_folder(folder):
    """Where `replace_folder` keeps what it is about to replace.

    Args:
        folder: its name.

    Returns:
        `<folder>.replaced`; a person's own copy would rather end in `.old` or `.bak`.
    """
    folder = pathlib.Path(folder)
    return folder.with_name(folder.name + ".replaced")


def restore_folder(folder):
    """Gives a folder its name back where a run was killed while it was being replaced.

    Args:
        folder: its name.
    """
    folder = pathlib.Path(folder)
    if folder.name and not folder.exists() and replaced_folder(folder).is_dir():
        os.rename(replaced_folder(folder), folder)


def write_json(path, content):
    """Writes plain data as readable JSON, whole or not at all.

    Half a character, as names of files that are no UTF-8 have it, is written as JSON's escape.

    Args:
        path: file to write.
        content: what `json.dumps` takes.
    """
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    write_atomic(path, text.encode("utf-8", "backslashreplace"))


def read_json(path):
    """Reads a JSON file.

    Args:
        path: file to read.

    Returns:
        Plain data.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not JSON.
    """
    try:
        return json.loads(pathlib.Path(path).read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a JSON file: {error}") from None


def read_text(path):
    """Reads a text file in the encodings that label files come in.

    Tried in this order: UTF-16 if it begins with that byte order mark, UTF-8 with or without one,
    GB18030 (which includes GBK and GB2312). Line ends of Windows and of old Macs become `\\n`.

    Args:
        path: file to read.

    Returns:
        Tuple of the text and the name of its encoding.

    Raises:
        ValueError: the file is in none of them.
    """
    with open_text(path) as file:
        return file.read(), file.encoding


def open_text(path, encoding=None):
    """Opens a text file as `read_text` reads it, to be gone through line by line.

    The encoding is found by a first pass over the whole file, a piece at a time: memory stays
    flat however long it is.

    Args:
        path: file to read.
        encoding: the encoding, where it is known from an earlier look.

    Returns:
        File object, a context manager; its `encoding` is the name of the encoding.

    Raises:
        ValueError: the file is in none of the encodings.
    """
    return open(path, encoding=encoding or _encoding(path), newline=None)


def _encoding(path):
    with open(path, "rb") as file:
        utf16 = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
    for encoding in ("utf-16",) if utf16 else ("utf-8-sig", "gb18030"):
        with contextlib.suppress(UnicodeDecodeError), open(path, encoding=encoding) as file:
            if all("\0" not in piece for piece in iter(lambda: file.read(_PIECE), "")):
                return encoding
            break
    raise ValueError(
        f"{path} is not text in UTF-8, UTF-16 or GB18030. Save it as UTF-8, for example with "
        "`iconv -f OLD_ENCODING -t UTF-8`."
    )


@contextlib.contextmanager
def prefix_errors(path):
    """Puts the file's name before the message of any ValueError raised inside.

    Args:
        path: the file that the work inside is about.
    """
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


@contextlib.contextmanager
def explain_full_disk(what, folder, size):
    """Adds to the error of a full disk what was written, how large it is, and what is free.

    Args:
        what: what is being written, in a word or two.
        folder: where it is written.
        size: its size in bytes.

    Raises:
        OSError: the disk is full. Other errors pass unchanged.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free = shutil.disk_usage(folder).free
        raise OSError(
            error.errno,
            f"No space left on the disk or in the quota: {what} takes {size:,} bytes, and the "
            f"disk of {folder} has {free:,} free. What was saved before is untouched: make room "
            "and try again. A training continues after its newest state",
        ) from error
