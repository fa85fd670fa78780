"""Work on all cores: results in order, few jobs under way, and a prompt end when it is stopped."""

import collections
import contextlib
import os
import signal
import sys
import threading
import types
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process


def in_processes(function, jobs, processes, kept=""):
    """Calls a function for every job, in processes of their own if there are to be several.

    Args:
        function: a function of a module, for it is named to other processes.
        jobs: iterable of tuples of its arguments; a few more are drawn than results are taken,
            so memory does not grow with their number.
        processes: how many processes work; up to 1: this one.
        kept: for the error's message: what remains of the work if a process is killed.

    Yields:
        What the function returns, in the order of the jobs.

    Raises:
        ChildProcessError: a process was killed, often because the memory was full.
    """
    if processes <= 1:
        for job in jobs:
            yield function(*job)
        return
    # Spawned, not forked: a fork would copy TensorFlow's threads in an unusable state.
    spawned = get_context("spawn")
    with ProcessPoolExecutor(processes, spawned, initializer=_live_with_parent) as pool:
        waiting = collections.deque()
        try:
            for job in jobs:
                with _main_hidden():
                    waiting.append(pool.submit(function, *job))
                if len(waiting) > 2 * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise ChildProcessError(
                "A process that worked along was killed, often because the memory was full. "
                f"{kept}Try again, with fewer processes than {processes}."
            ) from error
        except BaseException:
            _stop(pool)
            raise


@contextlib.contextmanager
def _main_hidden():
    """Hides the script that runs: a process spawned meanwhile would run it once more.

    It needs nothing of it; and a script that does not stand below `if __name__ == "__main__":`,
    or that came from a pipe, would end it.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _live_with_parent():
    """Leaves Ctrl-C to the parent, and ends this process when the parent was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_after, args=(parent_process(),), daemon=True).start()


def _end_after(parent):
    parent.join()
    os._exit(1)


def _stop(pool):
    """Ends the processes of a pool now, whatever they are doing."""
    # `ProcessPoolExecutor.terminate_workers` comes with Python 3.14.
    workers = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        worker.terminate()
