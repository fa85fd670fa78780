"""The parser of `crnn-keras`, and what becomes of errors."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from crnn_keras import __version__
from crnn_keras.cli import check, evaluate, export, launch, prepare, read, train, walkthrough
from crnn_keras.cli.common import INTERRUPTED, UNUSABLE, CommandError, Formatter
from crnn_keras.utils.log import show_log

_COMMANDS = (read, check, prepare, train, evaluate, export, walkthrough, launch)

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
        The parser. What it parses has the attributes `command`, a function that takes them and
        returns the exit code, and `show_traceback`.
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
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
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
    options = make_parser().parse_args(arguments)
    show_log(sys.stderr)
    try:
        return options.command(options)
    except BrokenPipeError:
        # Whoever reads stdout, such as `head`, has read enough. Python flushes it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt as error:
        print(f"crnn-keras: {str(error) or 'stopped'}", file=sys.stderr)
        return INTERRUPTED
    except (CommandError, ValueError, OSError, ArithmeticError, ModuleNotFoundError) as error:
        if options.show_traceback:
            raise
        print(f"crnn-keras: error: {' '.join(str(error).split())}", file=sys.stderr)
        return UNUSABLE
