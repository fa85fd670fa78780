"""Ctrl-C and SIGTERM, kept until the running step is done and saved."""

from __future__ import annotations

import signal
import threading
from typing import Self


class TrainingStopped(KeyboardInterrupt):
    """A training was stopped by a signal after its state was saved. The message tells where.

    It is a `KeyboardInterrupt`, so that `except Exception` does not take it for a failure.
    """

    def _render_traceback_(self):
        # IPython asks for it: in a notebook the message appears without a traceback.
        return [f"{type(self).__name__}: {self}"]


class StopSignals:
    """Keeps the first Ctrl-C (SIGINT) or SIGTERM. Use it as a context manager.

    A second Ctrl-C interrupts at once, as it would without this class. Signals that the process
    ignores (`nohup`) stay ignored, and the earlier handlers are restored at the end. Outside the
    main thread, where Python delivers no signals, nothing is kept.

    Attributes:
        caught: Name of the signal, such as `"SIGTERM"`. `None` as long as there was none.
    """

    def __init__(self) -> None:
        self.caught: str | None = None
        self._handlers = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                # None: a handler that was not set by Python, and could not be restored.
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._handlers[number] = signal.signal(number, self._keep)
        return self

    def _keep(self, number, _):
        if self.caught and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.caught = self.caught or signal.Signals(number).name

    def __exit__(self, *error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
