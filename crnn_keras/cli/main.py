"""The parser of `crnn-keras`, and what becomes of errors."""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import sys
from collections.abc import Sequence
from typing import TextIO

from crnn_keras import __version__
from crnn_keras.cli import (
    check,
    doctor,
    evaluate,
    export,
    fine_tune,
    label,
    language_model,
    launch,
    prepare,
    read,
    runs,
    serve,
    train,
    walkthrough,
)
from crnn_keras.cli.common import DONE, INTERRUPTED, UNUSABLE, CommandError, Formatter
from crnn_keras.utils.extras import describe_missing
from crnn_keras.utils.log import escape_unknown_characters, printable, show_log

_COMMANDS = (
    read,
    label,
    check,
    fine_tune,
    prepare,
    train,
    evaluate,
    runs,
    export,
    language_model,
    serve,
    walkthrough,
    launch,
    doctor,
)

# What a user can change, or the machine lacks. Anything else is a mistake of ours.
_EXPECTED = (CommandError, ValueError, OSError, ArithmeticError, MemoryError, ModuleNotFoundError)

_EPILOG = """\
Results go to stdout, progress and errors to stderr.

exit codes:
  0    all was done
  1    all was done, but some images or rows cannot be used; stderr names them
  2    nothing was done, or not to the end; stderr says why
  130  Ctrl-C stopped it

example:
  crnn-keras read word.png 'scans/*.jpg' --csv texts.csv
"""


def make_parser() -> argparse.ArgumentParser:
    """Makes the parser of the command line.

    Returns:
        The parser. What it parses has the attributes `command_name`, `command`, a function that
        takes them and returns the exit code, and `show_traceback`.
    """
    parser = argparse.ArgumentParser(
        prog="crnn-keras",
        description="Reads text in images of words and lines, and trains models that do.",
        epilog=_EPILOG,
        formatter_class=Formatter,
    )
    parser.add_argument("--version", action="version", version=f"crnn_keras {__version__}")
    parser.add_argument(
        "--show-traceback", action="store_true", help="show where an error was raised"
    )
    commands = parser.add_subparsers(
        title="commands", dest="command_name", metavar="COMMAND", required=True
    )
    for command in _COMMANDS:
        command.add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command `crnn-keras`.

    Args:
        arguments: Words of the command line. Defaults to those of the process.

    Returns:
        The exit code; `crnn-keras --help` lists them.
    """
    # TensorFlow's own lines but errors.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    _open_streams()
    try:
        options = make_parser().parse_args(arguments)
        show_log(sys.stderr)
        return _run(options)
    finally:
        for stream in (sys.stdout, sys.stderr):
            _end(stream)


def _run(options: argparse.Namespace) -> int:
    """Runs a command, and says in one line why it failed."""
    try:
        code = options.command(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError as error:
        # Whoever reads stdout, such as `head`, has read enough. Other pipes are those of workers.
        return _say(_describe(error)) if _has_reader(sys.stdout) else DONE
    except KeyboardInterrupt as error:
        return _say(printable(error) or "stopped", code=INTERRUPTED)
    except _EXPECTED as error:
        if options.show_traceback:
            raise
        return _say(_describe(_with_extras(error, options)))


def _with_extras(error: Exception, options: argparse.Namespace) -> Exception:
    """Returns the error; if a package is missing, one that says which extra brings it."""
    if not isinstance(error, ModuleNotFoundError):
        return error
    extras = getattr(options, "extras", None)
    text = describe_missing(error, f"crnn-keras {options.command_name}", extras=extras)
    return ModuleNotFoundError(text) if text else error


def _describe(error: BaseException) -> str:
    return f"error: {printable(' '.join(str(error).split()) or type(error).__name__)}"


def _say(text: str, code: int = UNUSABLE) -> int:
    # The exit code tells too, if stderr is a full disk or was closed by its reader.
    with contextlib.suppress(OSError):
        print(f"crnn-keras: {text}", file=sys.stderr)
    return code


def _open_streams() -> None:
    """Makes the three standard streams usable, whatever started this process.

    A closed one (`>&-`) would give its number to the next file that is opened, and what is printed
    would go there. What the encoding of a stream lacks is escaped.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)
    escape_unknown_characters(sys.stdout)
    escape_unknown_characters(sys.stderr)


def _has_reader(stream: TextIO) -> bool:
    """Tells whether somebody can read a stream: not if it is a pipe whose other end is closed."""
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(stream.fileno(), 0)
    return not any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def _end(stream: TextIO) -> None:
    """Flushes a stream. If it cannot be, Python would try again at its end, and complain."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
