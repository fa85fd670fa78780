"""What the package logs and prints, as plain lines that any terminal can show."""

import io
import logging
import re
from typing import TextIO

# Control characters (those of C1 too), line separators, marks that turn the direction of the text
# around them, and halves of characters, which file names outside UTF-8 have.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class _Lines(logging.Formatter):
    """Formats a record as its message, whose names of files cannot command a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(printable, super().format(record).split("\n")))


def printable(text: object) -> str:
    """Escapes what a terminal would obey rather than show.

    A path or a label of a stranger may hold line breaks and escape sequences that move the cursor,
    recolor the screen or turn the direction of the line.

    Args:
        text: A path, a label or anything else to print on one line.

    Returns:
        The text with such characters as Python writes them in a literal.

    Example:

        >>> printable("a\\x1b[31m\\nb.png")
        'a\\\\x1b[31m\\\\nb.png'
    """
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def escape_unknown_characters(stream: TextIO | None) -> None:
    """Makes a stream write characters that its encoding lacks as escapes, instead of raising.

    The encoding of a pipe is cp1252 on Windows and ASCII with `LC_ALL=C`; labels are of any script.

    Args:
        stream: Text stream. One that is no file is left as it is.
    """
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def show_log(stream: TextIO) -> None:
    """Writes what the package logs to a stream, one plain line each.

    A library leaves that to the program that uses it; notebooks and the command line are programs.

    Args:
        stream: Text stream. It replaces the one of an earlier call.
    """
    escape_unknown_characters(stream)
    logger = logging.getLogger("crnn_keras")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Lines("%(message)s"))
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
