"""Work on all cores: results in order, few jobs in memory, and a prompt end when it is stopped."""

from __future__ import annotations

import collections
import multiprocessing
import os
import signal
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from crnn_keras.utils import trusted
from crnn_keras.utils.cores import count_cores

Job = TypeVar("Job")
Result = TypeVar("Result")


def parallel_map(
    function: Callable[[Job], Result], jobs: Iterable[Job], *, processes: int | None = None
) -> Iterator[Result]:
    """Calls a function for each job, in several processes.

    Ctrl-C is left to this process. When it is stopped, or killed, or the iterator is closed, the
    other processes end at once, whatever they are doing.

    Args:
        function: a function of one argument that can be pickled; its own module is imported in the
            other processes, the script that runs is not.
        jobs: iterable of its arguments. At most `2 * processes + 1` jobs are taken before their
            results are, so memory does not grow with their number.
        processes: int, how many processes work; up to 1, this process does. Defaults to `None`: as
            many as there are cores.

    Yields:
        What the function returns, in the order of the jobs.

    Raises:
        ChildProcessError: a process was killed, often because the memory was full.

    Example:

        >>> list(parallel_map(abs, [-1, 2, -3], processes=2))
        [1, 2, 3]
    """
    processes = count_cores() if processes is None else processes
    if processes <= 1:
        yield from map(function, jobs)
        return
    pool = WorkerPool(processes)
    try:
        yield from _in_order(pool.submit, function, jobs, workers=processes)
        pool.finish()
    except BrokenExecutor as error:
        raise pool.explain() from error
    finally:
        pool.close()


class WorkerPool:
    """Processes that work for the threads of this one.

    Ctrl-C is left to this process. When it is stopped, or killed, or the pool is closed, they end
    at once, whatever they are doing.

    Args:
        processes: int, how many.
        shared: an object that each process gets once, for functions that `call` calls; it can be
            pickled. Defaults to `None`.

    Example:

        >>> import operator
        >>> from crnn_keras.utils.parallel import WorkerPool
        >>> pool = WorkerPool(2, shared=[10, 20, 30])
        >>> pool.call_all(operator.getitem, [2, 0])
        [30, 10]
        >>> pool.close()
    """

    def __init__(self, processes: int, *, shared: object = None):
        # Processes of `concurrent.futures` would import the script that runs once more, or copy the
        # threads of TensorFlow in an unusable state.
        from loky import ProcessPoolExecutor

        self._processes = processes
        theirs, ours = multiprocessing.Pipe(duplex=False)
        self._pool = ProcessPoolExecutor(
            processes, initializer=_start_with, initargs=(theirs, trusted.known(), shared)
        )
        self.close = weakref.finalize(self, _close, self._pool, ours, theirs)

    def submit(self, function: Callable[[Job], Result], job: Job) -> Future:
        """Lets a process call a function; returns the future of its result."""
        return self._pool.submit(function, job)

    def call_all(self, function: Callable[[Any, Job], Result], jobs: Iterable[Job]) -> list[Result]:
        """Lets the processes call a function with the shared object and each job.

        Args:
            function: a function of two arguments that can be pickled.
            jobs: iterable of its second arguments; all are taken at once.

        Returns:
            List of what the function returns, in the order of the jobs.

        Raises:
            ChildProcessError: a process was killed, often because the memory was full.
        """
        try:
            futures = [self.submit(_call_with_shared, (function, job)) for job in jobs]
            return [future.result() for future in futures]
        except BrokenExecutor as error:
            raise self.explain() from error

    def finish(self) -> None:
        """Waits until all that was submitted is done."""
        self._pool.shutdown()

    def explain(self) -> ChildProcessError:
        """Returns the error that says that a process was killed."""
        return ChildProcessError(
            "A worker process was killed, often because the memory was full. Try again, with "
            f"fewer processes than {self._processes}."
        )


def _close(pool, ours, theirs):
    ours.close()
    pool.shutdown(wait=False)
    theirs.close()


def thread_map(
    function: Callable[[Job], Result], jobs: Iterable[Job], threads: int
) -> Iterator[Result]:
    """Calls a function for each job, in several threads of this process.

    Args:
        function: a function of one argument.
        jobs: iterable of its arguments. At most `2 * threads + 1` jobs are taken before their
            results are.
        threads: int, how many threads work.

    Yields:
        What the function returns, in the order of the jobs.
    """
    pool = ThreadPoolExecutor(threads)
    try:
        yield from _in_order(pool.submit, function, jobs, workers=threads)
    finally:
        # Whoever closes the iterator does not wait for the jobs that still run.
        pool.shutdown(wait=False, cancel_futures=True)


def _in_order(submit, function, jobs, *, workers):
    """Yields results in the order of the jobs, of which a few are always waiting for a worker."""
    waiting = collections.deque()
    for job in jobs:
        waiting.append(submit(function, job))
        if len(waiting) > 2 * workers:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


# What the pool of a worker process shares.
_shared: object = None


def _start_with(parent_is_open, outcomes, shared):
    global _shared
    start_worker(parent_is_open)
    trusted.learn(outcomes)
    _shared = shared


def _call_with_shared(job):
    function, argument = job
    return function(_shared, argument)


def start_worker(parent_is_open: Connection) -> None:
    """Leaves Ctrl-C to the parent; ends this process when the parent closes its pipe or dies.

    Args:
        parent_is_open: The receiving end of a pipe; the parent holds the other one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent_is_open,), daemon=True).start()


def _end_with(parent_is_open):
    parent_is_open.poll(None)  # nothing is ever sent: it returns when the other end is closed
    os._exit(1)
