"""`crnn-keras walkthrough`: runs the numbered notebooks in order."""

from __future__ import annotations

import argparse
import sys
import time

from crnn_keras.cli.common import DONE, CommandError, add_command
from crnn_keras.cli.options import add_parameter_options, parameters_of
from crnn_keras.utils.log import printable


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "walkthrough",
        help="run the numbered notebooks: data, training, evaluation, export",
        description="Runs the numbered notebooks in order with papermill, and writes a page of "
        "their figures and results to reports/<run>/index.html.",
        example="crnn-keras walkthrough --run quick -p epochs 2 -p words 8000\n"
        "crnn-keras walkthrough --run mine --only 2 4 5 -p labels mine/labels.tsv -f mine.yaml",
    )
    parser.add_argument(
        "--run", default="walkthrough", help="name of the run in data/ and reports/ (%(default)s)"
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NUMBER", help="notebooks such as 2 4 (all)"
    )
    parser.add_argument(
        "--notebooks", metavar="FOLDER", help="folder of the notebooks (those of crnn_keras)"
    )
    add_parameter_options(parser)
    # Notebooks that read and train need a backend of Keras, too.
    parser.set_defaults(command=run, extras="notebooks,train")


def run(options: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    from crnn_keras.notebook import walkthrough

    started = time.monotonic()
    try:
        folder = walkthrough.run_notebooks(
            options.run,
            parameters_of(options),
            options.only,
            notebooks=options.notebooks or walkthrough.NOTEBOOKS,
        )
    except walkthrough.NotebookError as error:
        raise CommandError(error) from error
    print(f"\nAll done in {time.monotonic() - started:.0f} s.", file=sys.stderr)
    for name, value in walkthrough.result_table(folder):
        print(printable(f"  {name:22} {value}"))
    return DONE
