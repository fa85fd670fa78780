"""Freed memory kept for the next step instead of given back to the system.

A training step frees some hundred megabytes and asks for them again at the next. The C library's
default is to give large blocks back at once, so every step has them zeroed and mapped anew, page
by page: on two cores a third of a step of `small` on TensorFlow, half of some gradients on JAX
(`benchmarks/training.py`).
"""

import ctypes
import platform

# From malloc.h of the GNU C library.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8


def tune_malloc():
    """Has the C library keep what is freed, for the rest of the process.

    The process then holds on to the largest amount of memory it has needed. On systems without the
    GNU C library nothing is changed.

    Returns:
        bool: whether it was done.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    settings = (
        (_M_MMAP_MAX, 0),
        (_M_TRIM_THRESHOLD, 2**31 - 1),
        (_M_TOP_PAD, 64 * 2**20),
        # Heaps of single threads are given back whatever the threshold says.
        (_M_ARENA_MAX, 1),
    )
    return all([library.mallopt(name, value) for name, value in settings])
