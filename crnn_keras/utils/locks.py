"""Locks of files and folders: two processes that write the same one do not meet."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import platform
import sys
import time
from collections.abc import Iterator

import filelock


class LockedError(OSError):
    """Raised where another process, or this one, writes the same file or folder already."""


@contextlib.contextmanager
def lock(path: str | os.PathLike, what: str, *, wait_seconds: float = 0.0) -> Iterator[None]:
    """Holds the lock of a file or folder while the code inside runs.

    The lock is `.<name>.lock` beside the path. The operating system lets go of it when its process
    ends, however that happens; what a killed process leaves of it means nothing. Reading needs no
    lock.

    Args:
        path: File or folder that is about to be written; it need not exist.
        what: What is written, in a few words for the error: `"the records"`.
        wait_seconds: Seconds to wait for whoever holds it. Defaults to `0`: no waiting.

    Raises:
        LockedError: The lock is held. The message names the process, its host and since when.
        OSError: The folder cannot be written to.

    Example:

        >>> with lock("data/mine/records", "the records"):
        ...     pass
    """
    path = pathlib.Path(os.path.abspath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    own = lock_path(path)
    holder = own.with_name(f"{own.name}.holder")
    # Not reentrant: two calls within one process exclude each other as well.
    held = filelock.FileLock(own, timeout=wait_seconds, thread_local=False)
    try:
        held.acquire()
    except filelock.Timeout:
        raise LockedError(
            f"{path}: {what} cannot be written, because {_describe(holder)} writes there. Wait for "
            "its end, stop it, or give another name."
        ) from None
    try:
        _write_holder(holder)
        yield
    finally:
        # While it is held: whoever waits takes no lock whose file was removed. Windows removes no
        # open file; there it stays.
        for left in (holder, own):
            with contextlib.suppress(OSError):
                left.unlink()
        held.release()


def lock_path(path: str | os.PathLike) -> pathlib.Path:
    """Returns the path of the lock of a file or folder.

    Args:
        path: The file or folder.
    """
    path = pathlib.Path(path)
    return path.with_name(f".{path.name}.lock")


def _write_holder(path):
    holder = {
        "pid": os.getpid(),
        "host": platform.node(),
        "command": " ".join([os.path.basename(sys.argv[0]), *sys.argv[1:]])[:200],
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    path.write_text(json.dumps(holder), encoding="utf-8", errors="backslashreplace")


def _describe(path):
    """Describes the process that holds a lock; its file may be missing or half written."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return "process {pid} on {host} (since {since}: {command})".format(**holder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "another process"
