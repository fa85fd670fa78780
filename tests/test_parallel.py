"""Work in several processes and threads: order, memory, errors, and a prompt end."""

import itertools
import operator
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from processes import children_of, is_running

from crnn_keras.utils.parallel import parallel_map, thread_map

IN_PROC = pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="processes are in /proc")


def _double(number):
    return 2 * number


def _double_but_three(number):
    if number == 3:
        raise ValueError("three")
    return 2 * number


def _kill_three(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.fixture(params=["processes", "threads"])
def two_workers(request):
    """Function `(function, jobs)` that works in two processes, or in two threads."""
    if request.param == "processes":
        return lambda function, jobs: parallel_map(function, jobs, processes=2)
    return lambda function, jobs: thread_map(function, jobs, 2)


def test_results_come_in_order(two_workers):
    assert list(two_workers(_double, range(20))) == list(range(0, 40, 2))
    assert list(two_workers(_double, [])) == []


def test_jobs_are_drawn_as_results_are_taken(two_workers):
    drawn = itertools.count()
    results = two_workers(_double, drawn)  # jobs without end
    for index in range(30):
        assert next(results) == 2 * index
    time.sleep(0.3)
    assert next(drawn) <= 30 + 2 * 2
    results.close()


def test_an_error_reaches_the_caller_after_what_came_before(two_workers):
    results = two_workers(_double_but_three, range(10))
    assert [next(results) for _ in range(3)] == [0, 2, 4]
    with pytest.raises(ValueError, match="three"):
        next(results)
    assert list(results) == []


def test_an_error_of_the_jobs_reaches_the_caller(two_workers):
    def jobs():
        yield 1
        raise OSError("the camera is gone")

    with pytest.raises(OSError, match="camera"):
        list(two_workers(_double, jobs()))


def test_one_process_is_this_one():
    assert set(parallel_map(lambda _: os.getpid(), range(3), processes=1)) == {os.getpid()}
    assert os.getpid() not in set(parallel_map(operator.itemgetter(0), _pids(), processes=2))


def _pids():
    return ([_Pid()] for _ in range(3))


class _Pid:
    """Becomes the id of the process that pickles it last."""

    def __reduce__(self):
        return os.getpid, ()


def test_threads_work_at_the_same_time():
    # Each waits for the other: one thread alone would never pass.
    barrier = threading.Barrier(2, timeout=20)

    def double(number):
        barrier.wait()
        return 2 * number

    assert list(thread_map(double, range(8), 2)) == [0, 2, 4, 6, 8, 10, 12, 14]


def test_a_killed_worker_is_named():
    with pytest.raises(ChildProcessError, match="killed.*memory.* 2"):
        list(parallel_map(_kill_three, range(100), processes=2))


@IN_PROC
def test_a_closed_iterator_ends_the_workers_at_once():
    before = set(children_of(os.getpid()))
    results = parallel_map(time.sleep, itertools.chain([0], itertools.repeat(60)), processes=2)
    next(results)
    started = set(children_of(os.getpid())) - before
    workers = {process for process in started if not _is_tracker(process)}
    assert len(workers) == 2
    results.close()
    _assert_ended(workers)


def _is_tracker(process):
    """Whether a process is Python's own, which clears away named memory when its parent ends."""
    with open(f"/proc/{process}/cmdline") as file:
        return "resource_tracker" in file.read()


def _assert_ended(processes):
    limit = time.monotonic() + 10
    while any(map(is_running, processes)) and time.monotonic() < limit:
        time.sleep(0.01)
    assert not any(map(is_running, processes))


SCRIPT = """
import os, time
from crnn_keras.utils.parallel import parallel_map

def nap(seconds):
    time.sleep(seconds)
    return os.getpid()

try:
    for process in parallel_map(nap, [0.1] * 30 + [60] * 9, processes=2):
        print(process, flush=True)
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


@IN_PROC
@pytest.mark.parametrize(
    ("sent", "to_all"),
    [(signal.SIGINT, True), (signal.SIGINT, False), (signal.SIGKILL, False)],
    ids=["Ctrl-C in a terminal", "a kernel's interrupt", "killed"],
)
@pytest.mark.parametrize("how", ["script", "pipe"])
def test_a_stopped_process_ends_its_workers_at_once(tmp_path, sent, to_all, how):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    with open(path) as script:
        process = subprocess.Popen(
            [sys.executable, "-" if how == "pipe" else path],
            stdin=script if how == "pipe" else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # A shell that runs the tests in the background has it ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    workers = set()
    while len(workers) < 2:
        workers.add(int(process.stdout.readline()))
    if to_all:
        os.killpg(process.pid, sent)
    else:
        process.send_signal(sent)
    process.wait(timeout=10)
    _assert_ended(workers)
    if sent == signal.SIGINT:
        assert process.stdout.read().endswith("stopped\n")
        assert process.stderr.read() == ""
