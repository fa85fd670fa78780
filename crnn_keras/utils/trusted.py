"""Files of strangers that a process which may die has read, so that this process may read them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from crnn_keras.utils.limits import MAX_ISOLATED_BYTES, MAX_ISOLATED_SECONDS, MIN_READ_RATE

Result = TypeVar("Result")

# What became of a file, by the function that read it and the file's stamp.
_OUTCOMES: dict[tuple, Any] = {}
_LOCK = threading.Lock()


def stamp(path: str | os.PathLike) -> tuple | None:
    """Returns what tells a file from the one that stood there before; None if there is no file.

    Args:
        path: The file.
    """
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def read_once_isolated(
    function: Callable[..., Result],
    path: str | os.PathLike,
    *arguments: object,
    max_bytes: int = MAX_ISOLATED_BYTES,
) -> Result:
    """Calls a function that reads a file in a process that may die, once for each state of it.

    The result is remembered, and so is a ValueError, until the file changes. Processes of
    `parallel_map` know what this one knew when they started.

    Args:
        function: A function that can be pickled, as its result can.
        path: The file, the function's first argument.
        *arguments: Its other arguments.
        max_bytes: Address space that the process may use. Defaults to 4 GiB.

    Returns:
        What the function returns.

    Raises:
        ValueError: The file is missing, the process died or took too much, or the function raised
            a ValueError. The message names the file.
    """
    # Imported here: `parallel` passes on what this module knows, and `isolation` starts from it.
    from crnn_keras.utils.isolation import IsolatedError, call_isolated

    state = stamp(path)
    if state is None:
        raise ValueError(f"{path} does not exist.")
    key = (function.__module__, function.__qualname__, os.path.realpath(path), state, arguments)
    with _LOCK:
        if key not in _OUTCOMES:
            seconds = MAX_ISOLATED_SECONDS + state[2] / MIN_READ_RATE
            try:
                _OUTCOMES[key] = call_isolated(
                    function, path, *arguments, max_bytes=max_bytes, seconds=seconds
                )
            except IsolatedError as error:
                _OUTCOMES[key] = ValueError(f"{path} {error}.")
            except ValueError as error:
                _OUTCOMES[key] = error
        outcome = _OUTCOMES[key]
    if isinstance(outcome, ValueError):
        raise ValueError(*outcome.args) from None
    return outcome


def known() -> dict[tuple, Any]:
    """Returns what this process knows about files, for the processes that it starts."""
    return dict(_OUTCOMES)


def learn(outcomes: Mapping[tuple, Any]) -> None:
    """Takes over what another process knew.

    Args:
        outcomes: What `known` returned there.
    """
    _OUTCOMES.update(outcomes)


def _new_lock():
    # Another thread may have held the lock when the process was forked.
    global _LOCK
    _LOCK = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)
