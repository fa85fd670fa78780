"""What the commands of `crnn-keras` share: exit codes, options, and models by name."""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from crnn_keras.utils.checks import Number
from crnn_keras.utils.log import printable

if TYPE_CHECKING:
    from crnn_keras.inference.base import BaseRecognizer, Prediction

DONE, SOME_UNUSABLE, UNUSABLE, INTERRUPTED = 0, 1, 2, 130
_WIDTH = 100


class CommandError(Exception):
    """What a user can change: shown as one line, without a traceback."""


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of examples, and gives long option names room."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32, width=_WIDTH)


def add_command(
    commands: argparse._SubParsersAction, name: str, *, help: str, description: str, example: str
) -> argparse.ArgumentParser:
    """Adds a command to the parser.

    Args:
        commands: What `add_subparsers` returned.
        name: Name of the command.
        help: A few words for the list of commands.
        description: Sentences for the command's own help.
        example: Lines of a shell.

    Returns:
        The command's parser.
    """
    lines = "\n".join(f"  {line}" for line in example.splitlines())
    return commands.add_parser(
        name,
        help=help,
        description=textwrap.fill(description, _WIDTH),
        epilog=f"example:\n{lines}",
        formatter_class=Formatter,
    )


def number(rule: Number) -> Callable[[str], float]:
    """Makes the type of an option that is a number.

    Args:
        rule: The numbers that the option takes, such as `COUNT`.

    Returns:
        Function for `add_argument(type=...)`. `argparse` names the option in its errors.
    """

    def parse(text: str) -> float:
        try:
            value = (int if rule.is_whole else float)(text)
        except ValueError:
            value = None
        if value is None or not rule.accepts(value):
            raise argparse.ArgumentTypeError(f"{text!r}. Expected {rule}.")
        return value

    return parse


def print_to_stderr() -> contextlib.redirect_stdout:
    """Returns a context in which what is printed, such as progress, goes to stderr."""
    return contextlib.redirect_stdout(sys.stderr)


def format_table(rows: Iterable[Sequence[object]]) -> str:
    """Aligns a table: numbers to the right, text to the left.

    Args:
        rows: The header's row and the others, of one length.

    Returns:
        The lines.
    """
    columns = [[_cell(value) for value in column] for column in zip(*rows, strict=True)]
    aligned = []
    for header, *values in columns:
        width = max(map(len, (header, *values)))
        is_number = values and all(value[:1].isdigit() for value in values)
        aligned.append(
            [text.rjust(width) if is_number else text.ljust(width) for text in (header, *values)]
        )
    return "\n".join("  ".join(line).rstrip() for line in zip(*aligned, strict=True))


def _cell(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else printable(value)


def load_recognizer(path: str) -> BaseRecognizer:
    """Loads a model by the fastest runtime that can run it.

    Args:
        path: Name of a shipped model, or path of a `.keras` or `.onnx` file.

    Returns:
        An `OnnxRecognizer` for a shipped model or an `.onnx` file, without importing Keras; a
        `Recognizer` for a `.keras` file.

    Raises:
        ValueError: There is no such model, or it is damaged.
        ModuleNotFoundError: The file is a `.keras` file and Keras is missing.
    """
    if pathlib.Path(path).suffix != ".keras":
        from crnn_keras.inference.onnx_recognizer import OnnxRecognizer

        return OnnxRecognizer.load(path)
    from crnn_keras.utils.quiet import import_keras_quietly

    import_keras_quietly()
    from crnn_keras.inference.recognizer import Recognizer

    return Recognizer.load(path)


def print_error(prediction: Prediction) -> None:
    """Prints why an image has no text, with the image's name once."""
    # Most errors begin with it.
    is_named = prediction.error.startswith(prediction.source)
    prefix = "" if is_named else f"{prediction.source}: "
    print(printable(prefix + prediction.error), file=sys.stderr)
