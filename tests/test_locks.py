"""Locks: one writer at a time, named; free again however its process ends."""

import signal
import subprocess
import sys
import time

import pytest

from crnn_keras.utils.locks import LockedError, lock

HOLD = "import sys, time; from crnn_keras.utils.locks import lock\n"
HOLD += "with lock(sys.argv[1], 'the set'): print('held', flush=True); time.sleep(60)"


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "set")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_second_is_refused_and_told_who_holds_the_lock(tmp_path, holder):
    message = rf"set: the set .* process {holder.pid} on "
    with pytest.raises(LockedError, match=message), lock(tmp_path / "set", "the set"):
        pass


def test_other_paths_and_other_spellings(tmp_path, holder):
    with lock(tmp_path / "set2", "the set"):
        pass
    with pytest.raises(LockedError), lock(tmp_path / "x" / ".." / "set", "the set"):
        pass


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_of_a_killed_process_is_free(tmp_path, holder, sign):
    holder.send_signal(sign)
    holder.wait()
    with lock(tmp_path / "set", "the set"):
        pass


def test_waiting_ends_when_the_other_lets_go(tmp_path, holder):
    started = time.monotonic()
    with pytest.raises(LockedError), lock(tmp_path / "set", "the set", wait_seconds=0.3):
        pass
    assert time.monotonic() - started >= 0.3
    holder.kill()
    with lock(tmp_path / "set", "the set", wait_seconds=10):
        pass


def test_a_thread_of_this_process_is_refused_too_and_an_error_frees_the_lock(tmp_path):
    with pytest.raises(ZeroDivisionError), lock(tmp_path / "set", "the set"):
        with pytest.raises(LockedError), lock(tmp_path / "set", "the set"):
            pass
        raise ZeroDivisionError
    with lock(tmp_path / "set", "the set"):
        pass
    assert list(tmp_path.iterdir()) == []
