"""Progress of long work by tqdm: a bar where a person watches, a plain line a minute elsewhere.

Both tell how long the work will take, as soon as there is a basis for it.
"""

from __future__ import annotations

import html
import os
import sys
from collections.abc import Iterable, Sized
from typing import Any

from tqdm import tqdm

from crnn_keras.utils.checks import NOT_NEGATIVE, check_arguments

# Environment variable: where it is set, there are lines instead of bars.
HEADLESS = "CRNN_KERAS_HEADLESS"
_LINE = "{desc}: {n_fmt} of {total_fmt}, {elapsed_s:.0f} s{postfix}{left}"
_BAR = "{n_fmt} / {total_fmt}, {elapsed}{left}{postfix}"
_TERMINAL_BAR = "{desc}: {percentage:3.0f}%|{bar}| " + _BAR
# Seconds of work from which the rest can be estimated.
BASIS_SECONDS = 5.0


@check_arguments(seconds=NOT_NEGATIVE)
def format_duration(seconds: float) -> str:
    """Writes a duration as a person says it.

    Args:
        seconds: Number of seconds.

    Returns:
        Two units at most, such as `"45 s"`, `"3 min 20 s"`, `"1 h 5 min"` or `"50 h"`.

    Example:

        >>> format_duration(200.4)
        '3 min 20 s'
    """
    if round(seconds) < 3600:
        (large, small), units = divmod(round(seconds), 60), ("min", "s")
    else:
        (large, small), units = divmod(round(seconds / 60), 60), ("h", "min")
    parts = [f"{n} {unit}" for n, unit in zip((large, small), units, strict=True) if n]
    return " ".join(parts) or "0 s"


class ProgressLine(tqdm):
    """Shows how far some work is.

    In a notebook and in a terminal it is a bar, which is gone when the work is done. Elsewhere, and
    where the environment variable `CRNN_KERAS_HEADLESS` is set, it is a line a minute: nothing for
    work that takes less. All goes to stderr, but what a notebook shows.

    Args:
        total: int, number of steps.
        label: what is done, in a word or two.
        items: iterable of `total` items, if the line is iterated over. Defaults to `None`.
        seconds: float, time between two lines. Defaults to `60.0`.

    Example:

        >>> with ProgressLine(3, "reading") as line:
        ...     for done in (1, 2, 3):
        ...         line.step(done, "loss 0.5")
    """

    # No thread of tqdm's own: it would print again what takes longer than ten seconds.
    monitor_interval = 0

    def __init__(
        self, total: int, label: str, *, items: Iterable | None = None, seconds: float = 60.0
    ):
        kernel, headless = in_kernel(), bool(os.environ.get(HEADLESS))
        self._handle, self._left = None, ""
        if kernel and not headless:
            options = {"gui": True, "mininterval": 0.5, "bar_format": _BAR}
        elif sys.stderr.isatty() and not kernel and not headless:
            options = {"dynamic_ncols": True, "bar_format": _TERMINAL_BAR}
        else:
            options = {"gui": True, "mininterval": seconds, "delay": seconds, "bar_format": _LINE}
        file = sys.stdout if kernel else sys.stderr
        super().__init__(
            items, desc=label, total=total, leave=False, file=file, miniters=1, **options
        )
        if kernel and not headless:
            from IPython.display import HTML, display

            self._handle = display(HTML(self._html()), display_id=True)

    def step(self, done: int, note: str = "", *, left: str = "") -> None:
        """Reports how many steps are done.

        Args:
            done: int, number of steps done so far.
            note: text to show beside the count. Defaults to `""`.
            left: how long it will take, such as `"20 s left"`. Defaults to `""`: as long as the
                steps so far let expect.
        """
        self._left = left
        self.set_postfix_str(note, refresh=False)
        self.update(done - self.n)

    @property
    def format_dict(self) -> dict[str, Any]:
        """Returns what the formats name; tqdm reads it."""
        facts = super().format_dict
        done, seconds = facts["n"] - facts["initial"], facts["elapsed"]
        left = self._left
        if not left and done and self.total and seconds >= BASIS_SECONDS:
            left = f"{format_duration((self.total - facts['n']) * seconds / done)} left"
        return facts | {"left": f", {left}" if left else ""}

    def display(self, msg: str | None = None, pos: int | None = None) -> bool | None:
        """Shows the present state; called by tqdm when it is time."""
        if self._handle:
            from IPython.display import HTML

            self._handle.update(HTML(self._html()))
        elif self.gui:
            print(self, file=self.fp, flush=True)
        else:
            return super().display(msg, pos)

    def close(self) -> None:
        """Removes a bar."""
        super().close()
        if self._handle:
            from IPython.display import HTML

            self._handle.update(HTML(""))

    def _html(self):
        bar = f"<progress value='{self.n}' max='{self.total}'></progress>"
        return f"{html.escape(self.desc)} {bar} {html.escape(str(self))}"


def progress(items: Sized, label: str) -> ProgressLine:
    """Goes through items and shows how far it is.

    Args:
        items: list or other sized iterable.
        label: what is done, in a word or two.

    Returns:
        Iterable of the items.
    """
    return ProgressLine(len(items), label, items=items)


def in_kernel() -> bool:
    """Returns whether this is a kernel of Jupyter."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
