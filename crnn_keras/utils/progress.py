"""Progress of long work: a bar in a notebook, a plain line a minute elsewhere."""

import os
import time

HEADLESS = "CRNN_KERAS_HEADLESS"


class ProgressLine:
    """Shows how far some work is; use it as a context manager.

    Args:
        total: number of steps.
        label: what is being done, in a word or two.
        seconds: time between two plain lines when there is no notebook.
    """

    def __init__(self, total, label, seconds=60.0):
        self.total = total
        self.label = label
        self.seconds = seconds
        self._done = 0
        self._started = self._shown = time.monotonic()
        self._handle = None

    def __enter__(self):
        if _in_notebook():
            from IPython.display import HTML, display

            self._handle = display(HTML(self._bar()), display_id=True)
        return self

    def step(self, done, note=""):
        """Says that `done` of the steps are done.

        Args:
            done: number of steps done so far.
            note: text to show beside the count.
        """
        self._done = done
        now = time.monotonic()
        if now - self._shown < (0.5 if self._handle else self.seconds):
            return
        self._shown = now
        if self._handle:
            from IPython.display import HTML

            self._handle.update(HTML(self._bar(note)))
        else:
            spent = now - self._started
            print(
                f"{self.label}: {done} of {self.total}, {spent:.0f} s {note}".rstrip(), flush=True
            )

    def _bar(self, note=""):
        return (
            f"{self.label} <progress value='{self._done}' max='{self.total}'></progress> "
            f"{self._done} / {self.total} {note}"
        )

    def __exit__(self, *error):
        if self._handle:
            from IPython.display import HTML

            self._handle.update(HTML(""))


def progress(items, label):
    """Goes through a list and shows how far it is.

    Args:
        items: list or other sized iterable.
        label: what is being done, in a word or two.

    Yields:
        The items.
    """
    with ProgressLine(len(items), label) as line:
        for done, item in enumerate(items, start=1):
            yield item
            line.step(done)


def _in_notebook():
    if os.environ.get(HEADLESS):
        return False
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return hasattr(get_ipython(), "kernel")
