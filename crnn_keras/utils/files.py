"""Files that are written atomically, and read with errors that name them."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import itertools
import json
import os
import pathlib
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from typing import Any, BinaryIO, TextIO

from crnn_keras.utils.encodings import AUTO, find_encoding
from crnn_keras.utils.limits import MAX_LINE_CHARACTERS
from crnn_keras.utils.locks import lock

# Characters read at a time where a file may be long.
_CHUNK = 1 << 16
# Of the temporary name of a file: digits, and seconds after which nobody writes it any more.
_DIGITS, _LEFT_SECONDS = 16, 86_400
_TEMPORARY = re.compile(rf"(.+)\.[0-9a-f]{{{_DIGITS}}}\.part", re.DOTALL)


@contextlib.contextmanager
def atomic(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Opens a file for writing bytes that appears under its name only when it is complete.

    The bytes go to a temporary file beside it, whose name no other writer has, are flushed to the
    disk, and the file is renamed. After any error (a full disk too) the temporary file is removed,
    and the earlier file of that name is unchanged. Of two writers at once, the last one wins.

    Args:
        path: File to write; its folder is made.

    Yields:
        A binary file object.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def temporary_path(path: str | os.PathLike) -> pathlib.Path:
    """Returns a name beside a file or folder that is about to be written.

    What writers of that file left under such names when they were killed, a day ago or longer, is
    removed.

    Args:
        path: The file or folder.

    Returns:
        `<path>.<16 digits>.part`; no other writer has the same.
    """
    path = pathlib.Path(path)
    for old in leftovers(path):
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > _LEFT_SECONDS:
                remove(old)
    return path.with_name(f"{path.name}.{secrets.token_hex(_DIGITS // 2)}.part")


def leftovers(path: str | os.PathLike) -> list[pathlib.Path]:
    """Lists what is, or was, being written under temporary names of a file or folder.

    Args:
        path: The file or folder. Whoever holds its lock knows that nobody writes them any more.

    Returns:
        Paths that `temporary_path` returned.
    """
    path = pathlib.Path(path)
    names = os.listdir(path.parent) if path.parent.is_dir() else []
    found = filter(None, map(_TEMPORARY.fullmatch, names))
    return [path.with_name(match[0]) for match in found if match[1] == path.name]


def remove(path: str | os.PathLike) -> None:
    """Removes a file or a folder with all that is in it; nothing happens if there is none.

    Args:
        path: The file or folder. Of a symbolic link, the link is removed.
    """
    path = pathlib.Path(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sync(path: str | os.PathLike) -> None:
    """Flushes a file, or the names in a folder, to the disk.

    A renamed file survives a power failure only if the folder was flushed after the renaming.

    Args:
        path: File or folder.
    """
    # Windows opens no folders; its file system keeps a journal of names instead.
    if os.name == "nt" and os.path.isdir(path):
        return
    descriptor = os.open(path, os.O_RDONLY if os.path.isdir(path) else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: str | os.PathLike, content: bytes) -> None:
    """Writes bytes to a file, atomically.

    Args:
        path: File to write; its folder is made.
        content: Bytes.
    """
    with atomic(path) as file:
        file.write(content)


@contextlib.contextmanager
def new_folder(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Makes a folder that appears under its name only when it is complete.

    It is filled under a temporary name and renamed. Then it replaces the earlier folder of that
    name, which is unchanged after any error. A folder that a killed run left half replaced is
    restored first, and what it left under temporary names is removed. The folder is locked
    meanwhile.

    Args:
        path: Folder to make.

    Yields:
        Path of the folder to fill.

    Raises:
        LockedError: Another process, or this one, makes the same folder.
    """
    path = pathlib.Path(path)
    with lock(path, "the folder"):
        restore_folder(path)
        for left in leftovers(path):
            remove(left)
        temporary = temporary_path(path)
        temporary.mkdir(parents=True)
        try:
            yield temporary
            replace_folder(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def replace_folder(new: str | os.PathLike, folder: str | os.PathLike) -> None:
    """Renames a folder to a name that another may have; that one is removed.

    On Linux the two exchange their names in one step. Elsewhere no folder has the name for a
    moment: a run that is killed then leaves the earlier one as `<folder>.replaced`, see
    `restore_folder`.

    Args:
        new: The folder.
        folder: Its new name, on the same disk.

    Raises:
        OSError: If it cannot be renamed; the earlier folder is restored.
    """
    folder = pathlib.Path(folder)
    old = replaced_folder(folder)
    if folder.exists():
        if _exchange(new, folder):
            remove(new)
            remove(old)
            return
        shutil.rmtree(old, ignore_errors=True)
        os.rename(folder, old)
    try:
        os.rename(new, folder)
    except BaseException:
        restore_folder(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _exchange(first, second):
    """Exchanges the names of two folders in one step; returns whether the system did."""
    try:
        rename = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):  # another system, or an old C library
        return False
    current_folder, exchange = -100, 2
    names = os.fsencode(first), os.fsencode(second)
    return rename(current_folder, names[0], current_folder, names[1], exchange) == 0


def replaced_folder(folder: str | os.PathLike) -> pathlib.Path:
    """Returns where `replace_folder` keeps the folder that it is about to replace.

    Args:
        folder: Name of the folder.

    Returns:
        `<folder>.replaced`; a person's own copy more likely ends in `.old` or `.bak`.
    """
    folder = pathlib.Path(folder)
    return folder.with_name(folder.name + ".replaced")


def restore_folder(folder: str | os.PathLike) -> None:
    """Restores the name of a folder if a run was killed while it replaced that folder.

    Args:
        folder: Name of the folder.
    """
    folder = pathlib.Path(folder)
    if folder.name and not folder.exists() and replaced_folder(folder).is_dir():
        os.rename(replaced_folder(folder), folder)


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Writes plain data as readable JSON, atomically.

    Lone surrogates, which file names outside UTF-8 have, are written as escapes of JSON.

    Args:
        path: File to write; its folder is made.
        content: What `json.dumps` takes.
    """
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    write_atomic(path, text.encode("utf-8", "backslashreplace"))


def read_json(path: str | os.PathLike) -> Any:
    """Reads a JSON file.

    Args:
        path: File to read.

    Returns:
        Plain data.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not JSON, or its brackets are nested too deeply.
    """
    try:
        return json.loads(pathlib.Path(path).read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a JSON file: {error}") from None


def read_text(path: str | os.PathLike, encoding: str = AUTO) -> tuple[str, str]:
    """Reads a text file.

    Line ends of Windows and of old Macs become `\\n`.

    Args:
        path: File to read.
        encoding: Name of its encoding. Defaults to `"auto"`: see `find_encoding`.

    Returns:
        Tuple of the text and the name of its encoding.

    Raises:
        ValueError: If the encoding is unknown, not found, or does not have one of the file's bytes.
    """
    with open_text(path, encoding) as file:
        return file.read(), file.encoding


def open_text(path: str | os.PathLike, encoding: str = AUTO) -> TextIO:
    """Opens a text file to be read in pieces.

    Its encoding is found, or checked, first: the file is read once before, in chunks, so the memory
    does not grow with its length.

    Args:
        path: File to read.
        encoding: See `read_text`. Defaults to `"auto"`.

    Returns:
        A file object, which is a context manager; its `encoding` is the name of the encoding.

    Raises:
        ValueError: See `read_text`.
    """
    return open(path, encoding=find_encoding(path, encoding), newline=None)


def read_lines(path: str | os.PathLike, encoding: str) -> Iterator[tuple[int, str]]:
    """Reads the lines of a text file, of which each is a row of its own.

    A line ends as most lines of the file do: a carriage return is no end of a line where others end
    with a line feed, so no row is cut in two there. Bytes that are not UTF-8 become lone
    surrogates, by which a reader can name the row.

    Args:
        path: File to read.
        encoding: What `find_encoding` returned for it, damage allowed.

    Yields:
        Tuples of the line's number, from 1, and the line without its end.

    Raises:
        ValueError: If a line has over `MAX_LINE_CHARACTERS`.
    """
    errors = "surrogateescape" if encoding == "utf-8-sig" else "strict"
    settings = {"encoding": encoding, "errors": errors}
    with open(path, newline="", **settings) as file:
        end = "\n" if any("\n" in chunk for chunk in iter(lambda: file.read(_CHUNK), "")) else "\r"
    with open(path, newline=end, **settings) as file:
        for number in itertools.count(1):
            line = file.readline(MAX_LINE_CHARACTERS + 1)
            if not line:
                return
            if len(line) > MAX_LINE_CHARACTERS:
                raise ValueError(
                    f"{path}, line {number}: it has over {MAX_LINE_CHARACTERS:,} characters. "
                    "Expected one row a line."
                )
            # Files that were joined have a mark within.
            yield number, line.removesuffix(end).removesuffix("\r").removeprefix("\ufeff")


@contextlib.contextmanager
def prefix_errors(path: str | os.PathLike) -> Iterator[None]:
    """Puts a file's name before the message of any ValueError raised inside.

    Args:
        path: File that the code inside reads.
    """
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


@contextlib.contextmanager
def explain_full_disk(what: str, folder: str | os.PathLike, size: int) -> Iterator[None]:
    """Adds to the error of a full disk what was written, how large it is, and what is free.

    Args:
        what: What is being written, in a word or two.
        folder: Folder that it is written to.
        size: Its size in bytes.

    Raises:
        OSError: If the disk is full. Other errors pass unchanged.
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
            f"disk of {folder} has {free:,} free. What was saved before is untouched. Make room "
            "and try again; a training continues from its newest state",
        ) from error
