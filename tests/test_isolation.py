"""Calls in a process of their own: a crash, a bomb or a loop costs that process only."""

import os
import signal
import time

import pytest

from crnn_keras.utils.isolation import IsolatedError, call_isolated


def crash():
    os.kill(os.getpid(), signal.SIGSEGV)


def allocate(size):
    return len(bytearray(size))


def raise_value_error():
    raise ValueError("the file is bad")


def test_results_and_errors_come_back():
    assert call_isolated(sorted, [3, 1, 2]) == [1, 2, 3]
    assert call_isolated(os.getpid) != os.getpid()
    with pytest.raises(ValueError, match="the file is bad"):
        call_isolated(raise_value_error)


def test_a_crash_is_an_error(capfd):
    with pytest.raises(IsolatedError, match="ended the process"):
        call_isolated(crash)
    assert capfd.readouterr().err == ""


def test_memory_and_time_are_bounded():
    with pytest.raises(IsolatedError, match="more than 2,147,483,648 bytes"):
        call_isolated(allocate, 2**32, max_bytes=2**31)
    started = time.monotonic()
    with pytest.raises(IsolatedError, match=r"within 0\.5 seconds"):
        call_isolated(time.sleep, 60, seconds=0.5)
    assert time.monotonic() - started < 20
