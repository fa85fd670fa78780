"""Lines of JSON for what reads logs, without images and texts.

A line has the time, the level, the event and its facts. Facts are numbers, routes and addresses:
never a path or a header as the client sent it, nor what an image shows.
"""

from __future__ import annotations

import datetime
import json
import logging
import sys
import traceback
from typing import TextIO

# Whose records go to the log: this package's, and those of uvicorn about the server itself.
_LOGGERS = ("crnn_keras", "uvicorn")


class JsonFormatter(logging.Formatter):
    """Formats a record as a line of JSON.

    The facts of an event are in `record.facts`. Of an exception there are its type and the lines
    of code that raised it, but not its message, which may hold what a client sent.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line of a record."""
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        # What other libraries say may hold what a client sent.
        is_ours = record.name.partition(".")[0] in _LOGGERS
        content = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": record.getMessage() if is_ours else f"a message of {record.name}",
            **getattr(record, "facts", {}),
        }
        if record.exc_info and record.exc_info[0]:
            kind, _, trace = record.exc_info
            content["exception"] = kind.__name__
            content["raised_at"] = [
                f"{frame.filename}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_tb(trace)
            ]
        return json.dumps(content)


def log_as_json(stream: TextIO | None = None, *, level: str = "info") -> None:
    """Writes what the server logs to a stream.

    Args:
        stream: Text stream. Defaults to `None`: stderr.
        level: Least level: `"info"` has a line for each request, `"warning"` for those that failed
            in the server. Defaults to `"info"`.
    """
    # What no line has need not be found out: it takes as long as the line itself.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.logAsyncioTasks = False
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    # Of other libraries, and of Python itself, there are warnings.
    logging.captureWarnings(True)
    logging.getLogger().handlers = [handler]
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level.upper())
        logger.propagate = False
