"""Progress of long work by tqdm: a bar where a person watches, a plain line a minute elsewhere."""

from __future__ import annotations

import html
import os
import sys
from collections.abc import Iterable, Sized

from tqdm import tqdm

# Environment variable: where it is set, there are lines instead of bars.
HEADLESS = "CRNN_KERAS_HEADLESS"
_LINE = "{desc}: {n_fmt} of {total_fmt}, {elapsed_s:.0f} s{postfix}"
_BAR = "{n_fmt} / {total_fmt} [{elapsed}<{remaining}{postfix}]"


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
        in_kernel, headless = _in_kernel(), bool(os.environ.get(HEADLESS))
        self._handle = None
        if in_kernel and not headless:
            options = {"gui": True, "mininterval": 0.5, "bar_format": _BAR}
        elif sys.stderr.isatty() and not in_kernel and not headless:
            options = {"dynamic_ncols": True}
        else:
            options = {"gui": True, "mininterval": seconds, "delay": seconds, "bar_format": _LINE}
        file = sys.stdout if in_kernel else sys.stderr
        super().__init__(
            items, desc=label, total=total, leave=False, file=file, miniters=1, **options
        )
        if in_kernel and not headless:
            from IPython.display import HTML, display

            self._handle = display(HTML(self._html()), display_id=True)

    def step(self, done: int, note: str = "") -> None:
        """Reports how many steps are done.

        Args:
            done: int, number of steps done so far.
            note: text to show beside the count. Defaults to `""`.
        """
        self.set_postfix_str(note, refresh=False)
        self.update(done - self.n)

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


def _in_kernel():
    """Returns whether this is a kernel of Jupyter."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
