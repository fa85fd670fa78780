"""What the package logs, as plain lines."""

import logging
from typing import TextIO


def show_log(stream: TextIO) -> None:
    """Writes what the package logs to a stream, one plain line each.

    A library leaves that to the program that uses it; notebooks and the command line are programs.

    Args:
        stream: Text stream. It replaces the one of an earlier call.
    """
    logger = logging.getLogger("crnn_keras")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
