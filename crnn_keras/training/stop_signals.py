"""Ctrl-C and SIGTERM, kept until the running step is done and saved."""

import signal
import threading


class TrainingStopped(KeyboardInterrupt):
    """A training was stopped by a signal, after its state was saved; the message says where.

    A `KeyboardInterrupt`, so that `except Exception` does not take it for a failure.
    """

    def _render_traceback_(self):
        # Asked for by IPython: in a notebook the message stands alone.
        return [f"{type(self).__name__}: {self}"]


class StopSignals:
    """Keeps the first Ctrl-C (SIGINT) or SIGTERM; use it as a context manager.

    A second Ctrl-C interrupts at once, as it would without this class. Signals that the process
    ignores (`nohup`) stay ignored, and the handlers from before are put back at the end. Outside
    the main thread, where Python gives no signals, nothing is kept.

    Attributes:
        caught: name of the signal, such as `"SIGTERM"`; None as long as there was none.
    """

    def __init__(self):
        self.caught = None
        self._handlers = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                # None: a handler that was not set by Python, and could not be put back.
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._handlers[number] = signal.signal(number, self._keep)
        return self

    def _keep(self, number, _):
        if self.caught and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.caught = self.caught or signal.Signals(number).name

    def __exit__(self, *error):
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
