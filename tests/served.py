"""A real server of `crnn-keras serve` on the loopback, for the tests that ask it."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

from crnn_keras import synth

SECONDS_TO_STOP = 60


class Server:
    """A process that serves a reader.

    Args:
        *options: Further words of the command line.
        model: The model. Defaults to `"words"`.
        environment: Variables of the process. Defaults to none.
    """

    def __init__(self, *options, model="words", environment=None):
        # A file: a pipe that nobody reads would be full some day.
        self._folder = tempfile.TemporaryDirectory()
        self._log = pathlib.Path(self._folder.name, "log")
        code = "from crnn_keras.cli import main; raise SystemExit(main())"
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, "serve", model, "--port", "0", *options],
                env=os.environ | (environment or {}),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        line = self.process.stdout.readline()
        found = re.search(r"http://[\w.]+:(\d+)", line)
        if not found:
            self.process.kill()
            raise AssertionError(f"it does not serve: {line!r} {self.log()}")
        self.port = int(found[1])
        self.line = line
        self.address = f"http://127.0.0.1:{self.port}"

    def stop(self, kind=signal.SIGTERM):
        """Stops the process and returns its exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(kind)
        try:
            return self.process.wait(SECONDS_TO_STOP)
        finally:
            self.process.kill()
            self.process.stdout.close()

    def remove(self):
        """Removes the log."""
        self._folder.cleanup()

    def log(self):
        """Returns what it has logged so far."""
        return self._log.read_text()

    def records(self):
        """Returns the records of the log, each a dict."""
        return [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]


@contextlib.contextmanager
def serving(*options, **arguments):
    """Yields a `Server`; it ends with the context."""
    server = Server(*options, **arguments)
    try:
        yield server
    finally:
        server.stop()
        server.remove()


def draw(words):
    """Returns the encoded images of words."""
    font = next(font for font in synth.bundled_fonts() if font.endswith("DejaVuSans.ttf"))
    return [bytes(image) for image in synth.render_many(words, [font], seed=3)]
