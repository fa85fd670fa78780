"""Memory allocation that keeps freed memory for the next step.

A training step frees some hundred megabytes and allocates them again in the next. By default the C
library returns large blocks to the system at once, so every step has them zeroed and mapped again,
page by page: on two cores a third of a step of `small` on TensorFlow, half of some gradients on JAX
(`benchmarks/training.py`).
"""

from __future__ import annotations

import ctypes
import platform

# From malloc.h of the GNU C library.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8


def tune_malloc() -> bool:
    """Makes the C library keep freed memory, until the process ends.

    The process then keeps the largest amount of memory that it has needed. On systems without the
    GNU C library nothing changes.

    Returns:
        Whether the C library was tuned.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    settings = (
        (_M_MMAP_MAX, 0),
        (_M_TRIM_THRESHOLD, 2**31 - 1),
        (_M_TOP_PAD, 64 * 2**20),
        # Arenas of single threads return their memory whatever the threshold is.
        (_M_ARENA_MAX, 1),
    )
    return all([library.mallopt(name, value) for name, value in settings])
