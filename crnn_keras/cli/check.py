"""`crnn-keras check`: what is wrong with a labelled set, before any training."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from crnn_keras.cli.common import (
    DONE,
    SOME_UNUSABLE,
    add_command,
    format_table,
    print_to_stderr,
)
from crnn_keras.cli.options import (
    add_label_options,
    add_model_options,
    add_split_options,
    read_labels,
)

if TYPE_CHECKING:
    import pandas as pd


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "check",
        help="check a labelled set before any training",
        description="Opens every image once and checks every label. Prints a table of what cannot "
        "be used and of what is suspicious, and writes a page with every row.",
        example="crnn-keras check mine/labels.tsv\n"
        "crnn-keras check mine/labels.csv --image-column crop --text-column word",
    )
    parser.add_argument(
        "labels", help="a label file, a folder of images named by their labels, or an LMDB"
    )
    parser.add_argument(
        "--page", default="data_check.html", metavar="PATH", help="page to write (%(default)s)"
    )
    add_label_options(parser)
    add_split_options(parser)
    add_model_options(parser)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    with print_to_stderr():
        from crnn_keras.data.check import check_splits
        from crnn_keras.evaluation import plots

        found, splits, char_dict, canvas = read_labels(options, allow_empty=True)
        print(found.summary(), char_dict, canvas, sep="\n")
        check = check_splits(splits, char_dict, canvas, issues=found.issues)
    print(_format(check.counts()))
    if len(table := check.table()):
        print(f"\n{_format(table)}")
    # Last, so that a folder that cannot be written to costs the page only.
    check.write_page(options.page, plots.data_check_figures(check, canvas.height))
    print(f"page: {options.page}", file=sys.stderr)
    return SOME_UNUSABLE if check.skipped else DONE


def _format(table: pd.DataFrame) -> str:
    return format_table([table.columns, *table.itertuples(index=False)])
