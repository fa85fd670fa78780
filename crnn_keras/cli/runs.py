"""`crnn-keras runs`: the runs with their figures, side by side."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import pathlib
import sys
from typing import TYPE_CHECKING

from crnn_keras.cli.common import DONE, SOME_UNUSABLE, add_command, format_table
from crnn_keras.utils.log import printable

if TYPE_CHECKING:
    from crnn_keras.notebook.runs import RunSummary

_COLUMNS = ("run", "when", "start", "records", "images", "epochs", "validation", "test", "model")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "runs",
        help="list the runs with their figures",
        description="Lists the runs in data/ and reports/, the newest first: what they were "
        "trained on, how far, the best word accuracy on the validation set, and that on the test "
        "set with its 95 % interval. Files that are damaged are named below the table.",
        example="crnn-keras runs\ncrnn-keras runs --csv",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print CSV, all numbers in full")
    form.add_argument("--json", action="store_true", help="print JSON, all numbers in full")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    from crnn_keras.notebook.runs import RunSummary, list_runs

    rows = list_runs()
    if options.json:
        print(json.dumps([dataclasses.asdict(row) for row in rows], indent=1))
    elif options.csv:
        names = [field.name for field in dataclasses.fields(RunSummary)]
        writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            cells = {**dataclasses.asdict(row), "damaged": "; ".join(row.damaged)}
            writer.writerow(
                {n: printable(v) if isinstance(v, str) else v for n, v in cells.items()}
            )
    elif rows:
        print(format_table([_COLUMNS, *map(_cells, rows)]))
    else:
        print(f"No runs in {pathlib.Path.cwd()}: data/ and reports/ hold none.", file=sys.stderr)
    for row in () if options.json or options.csv else rows:
        for text in row.damaged:
            print(printable(f"{row.run}: {text}"))
    return SOME_UNUSABLE if any(row.damaged for row in rows) else DONE


def _cells(row: RunSummary) -> tuple[str, ...]:
    images = "" if row.images is None else f"{row.images:,}"
    validation = "" if row.validation is None else f"{row.validation:.2%}"
    model = row.model or "none"
    if row.damaged:
        model = f"{model} (damaged files, see below)"
    return (
        row.run,
        row.when,
        row.start,
        row.records,
        images,
        _epochs(row),
        validation,
        _test(row),
        model,
    )


def _epochs(row: RunSummary) -> str:
    if row.epochs is None or row.planned is None:
        return "" if row.epochs is None else f"{row.epochs}"
    early = "" if row.epochs >= row.planned else ", ended early"
    return f"{row.epochs} of {row.planned}{early}"


def _test(row: RunSummary) -> str:
    if row.test is None:
        return ""
    measured = f", of {row.measured}" if row.measured else ""
    return f"{row.test:.2%} ({row.low:.2%} to {row.high:.2%}), n = {row.test_images:,}{measured}"
