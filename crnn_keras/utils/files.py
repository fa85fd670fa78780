"""Files that are written atomically, and read with errors that name them."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pathlib
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from typing import Any, BinaryIO, TextIO

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

    Between the two renames no folder has the name. A run that is killed there leaves the earlier
    one as `<folder>.replaced`, see `restore_folder`.

    Args:
        new: The folder.
        folder: Its new name, on the same disk.

    Raises:
        OSError: If it cannot be renamed; the earlier folder is restored.
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


def read_text(path: str | os.PathLike) -> tuple[str, str]:
    """Reads a text file in one of the usual encodings of label files.

    Tried in this order: UTF-16 if it begins with that byte order mark, UTF-8 with or without one,
    GB18030 (which includes GBK and GB2312). Line ends of Windows and of old Macs become `\\n`.

    Args:
        path: File to read.

    Returns:
        Tuple of the text and the name of its encoding.

    Raises:
        ValueError: If the file is in none of these encodings.
    """
    with open_text(path) as file:
        return file.read(), file.encoding


def open_text(path: str | os.PathLike, encoding: str | None = None) -> TextIO:
    """Opens a text file, in an encoding that `read_text` knows, to be read line by line.

    To find the encoding the file is read once before, in chunks, so the memory does not grow with
    its length.

    Args:
        path: File to read.
        encoding: Encoding, if it is known already. Defaults to `None`: it is found.

    Returns:
        A file object, which is a context manager; its `encoding` is the name of the encoding.

    Raises:
        ValueError: If the file is in none of the encodings.
    """
    return open(path, encoding=encoding or _find_encoding(path), newline=None)


def _find_encoding(path: str | os.PathLike) -> str:
    with open(path, "rb") as file:
        utf16 = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
    for encoding in ("utf-16",) if utf16 else ("utf-8-sig", "gb18030"):
        with contextlib.suppress(UnicodeDecodeError), open(path, encoding=encoding) as file:
            if all("\0" not in chunk for chunk in iter(lambda: file.read(_CHUNK), "")):
                return encoding
            break
    raise ValueError(
        f"{path} is not text in UTF-8, UTF-16 or GB18030. Save it as UTF-8, for example with "
        "`iconv -f OLD_ENCODING -t UTF-8`."
    )


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
