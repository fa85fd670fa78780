"""Calls in a process that may die: for C libraries that trust the files which they read."""

from __future__ import annotations

import concurrent.futures
import contextlib
import faulthandler
import multiprocessing
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from multiprocessing.connection import Connection
from typing import TypeVar

from crnn_keras.utils.limits import MAX_ISOLATED_BYTES, MAX_ISOLATED_SECONDS
from crnn_keras.utils.parallel import start_worker

Result = TypeVar("Result")


class IsolatedError(ValueError):
    """Raised where a call ended its process, or took more memory or time than it may."""


def call_isolated(
    function: Callable[..., Result],
    *arguments: object,
    max_bytes: int = MAX_ISOLATED_BYTES,
    seconds: float = MAX_ISOLATED_SECONDS,
) -> Result:
    """Calls a function in a process of its own and returns what it returns.

    A crash of a C library, a decompression bomb or an endless loop ends that process only. It takes
    half a second to start.

    Args:
        function: A function that can be pickled, as its arguments and its result can.
        *arguments: Its arguments.
        max_bytes: Address space that the process may use, on Linux and macOS. Defaults to 4 GiB.
        seconds: Time that the call may take. Defaults to a minute.

    Returns:
        What the function returns.

    Raises:
        IsolatedError: The process died, or the call took too much memory or time. The message
            completes a sentence that begins with the file's name.

    Example:

        >>> call_isolated(sorted, [3, 1, 2])
        [1, 2, 3]
    """
    from loky import ProcessPoolExecutor

    theirs, ours = multiprocessing.Pipe(duplex=False)
    pool = ProcessPoolExecutor(1, initializer=_start_limited, initargs=(theirs, max_bytes))
    try:
        return pool.submit(_call, function, *arguments).result(timeout=seconds)
    except BrokenExecutor:
        raise IsolatedError("ended the process that read it: it is damaged or hostile") from None
    except MemoryError:
        raise IsolatedError(f"needs more than {max_bytes:,} bytes of memory to be read") from None
    except concurrent.futures.TimeoutError:
        raise IsolatedError(f"could not be read within {seconds:g} seconds") from None
    finally:
        ours.close()
        pool.shutdown(wait=True, kill_workers=True)
        theirs.close()


def _start_limited(parent_is_open: Connection, max_bytes: int) -> None:
    start_worker(parent_is_open)
    # Windows has no such limit.
    with contextlib.suppress(ImportError, ValueError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = max_bytes if hard == resource.RLIM_INFINITY else min(max_bytes, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def _call(function, *arguments):
    # The parent reports a crash; a traceback from here, which loky turns on, would only alarm.
    faulthandler.disable()
    return function(*arguments)
