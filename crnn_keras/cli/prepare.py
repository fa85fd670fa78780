"""`crnn-keras prepare`: labels or rendered words -> records."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING

from crnn_keras.cli.common import (
    DONE,
    SOME_UNUSABLE,
    CommandError,
    add_command,
    number,
    print_to_stderr,
)
from crnn_keras.cli.options import (
    add_label_options,
    add_model_options,
    add_run_option,
    add_split_options,
    direction_of,
    fractions_of,
    read_labels,
)
from crnn_keras.utils.checks import COUNT

if TYPE_CHECKING:
    from crnn_keras.notebook import NotebookRun

_DEFAULT_CHARACTERS = "alphanumeric36"


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "prepare",
        help="write labelled images, or rendered words, as records to train on",
        description="Checks labelled images, divides them into train, validation and test, and "
        "writes records to data/<run>/records; without labels it renders words. Run again, it "
        "continues where it was stopped. With --specification it writes the records of one file.",
        example="crnn-keras prepare mine/labels.tsv --run mine --clean\n"
        "crnn-keras prepare --run words --words 40000 --characters alphanumeric36\n"
        "crnn-keras prepare --specification train.json --folder gs://bucket/train --beam "
        "--runner=DataflowRunner",
    )
    parser.add_argument(
        "labels", nargs="?", help="a label file, a folder or an LMDB; none: words are rendered"
    )
    add_run_option(parser)
    parser.add_argument(
        "--clean",
        action="store_true",
        help="skip duplicates, leakage and conflicting labels too, as the check advises",
    )
    group = parser.add_argument_group("rendered words")
    group.add_argument(
        "--words",
        type=number(COUNT),
        default=40000,
        metavar="COUNT",
        help="how many (%(default)s)",
    )
    group.add_argument(
        "--recipe", metavar="FILE", help="JSON file that Recipe.save wrote (mild English words)"
    )
    add_label_options(parser)
    add_split_options(parser)
    add_model_options(parser)
    group = parser.add_argument_group("one set by its specification")
    group.add_argument(
        "--specification", metavar="FILE", help="JSON file that Specification.save wrote"
    )
    group.add_argument("--folder", help="folder of the set")
    group.add_argument(
        "--processes",
        type=number(COUNT),
        help="processes that work (as many as there are cores)",
    )
    group.add_argument(
        "--beam",
        nargs=argparse.REMAINDER,
        metavar="OPTION",
        help="work by Apache Beam (extra beam); all that follows are options of Beam",
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    if options.specification:
        return _prepare_specification(options)
    if options.folder or options.processes or options.beam is not None:
        raise CommandError("--folder, --processes and --beam belong to --specification")
    from crnn_keras.notebook import NotebookRun

    this_run = NotebookRun("prepare", options.run)
    with print_to_stderr():
        sizes, skipped = (_prepare_labels if options.labels else _render)(options, this_run)
    for name, records in sizes.items():
        print(f"{name}: {records:,} records")
    return SOME_UNUSABLE if skipped else DONE


def _prepare_specification(options: argparse.Namespace) -> int:
    if not options.folder:
        raise CommandError("--specification needs --folder, the folder of the set")
    from crnn_keras.data.build import prepare_from_file

    with print_to_stderr():
        content = prepare_from_file(
            options.specification,
            options.folder,
            processes=options.processes,
            beam_options=options.beam,
        )
    shards, skipped = len(content["shards"]), content["skipped"]
    print(f"{content['records']:,} records in {shards} shards, {skipped:,} rows skipped")
    return SOME_UNUSABLE if skipped else DONE


def _prepare_labels(options: argparse.Namespace, this_run: NotebookRun) -> tuple[dict, int]:
    from crnn_keras.data import build
    from crnn_keras.data.check import check_splits
    from crnn_keras.evaluation import plots

    found, splits, char_dict, canvas = read_labels(options)
    print(found.summary(), char_dict, canvas, sep="\n")
    check = check_splits(splits, char_dict, canvas, issues=found.issues)
    page = this_run.reports / "data_check.html"
    check.write_page(page, plots.data_check_figures(check, canvas.height))
    print(check.summary(), f"page: {page}", sep="\n")
    written = build.prepare_samples(
        check.cleaned() if options.clean else check.splits,
        char_dict,
        canvas,
        folder=this_run.data,
        in_place=found.layout == "lmdb",
    )
    sizes = {name: content["records"] for name, content in written.items()}
    return sizes, len(check.skipped)


def _render(options: argparse.Namespace, this_run: NotebookRun) -> tuple[dict, int]:
    from crnn_keras import synth
    from crnn_keras.char_dict import CharDict
    from crnn_keras.data import build
    from crnn_keras.images import make_canvas

    mild = synth.Recipe(fonts=synth.bundled_fonts(), style=synth.Style.mild())
    recipe = synth.Recipe.load(options.recipe) if options.recipe else mild
    recipe = dataclasses.replace(recipe, seed=options.seed, fractions=fractions_of(options))
    is_default = options.characters == "labels"
    source = _DEFAULT_CHARACTERS if is_default else options.characters
    char_dict = CharDict.from_source(
        source, normalization=options.normalization, direction=direction_of(options)
    )
    canvas = make_canvas(options.canvas_mode, options.canvas_width)
    print(synth.describe_fonts(char_dict.characters, recipe.fonts), char_dict, canvas, sep="\n")
    written = build.prepare_rendered(
        recipe, char_dict, canvas, folder=this_run.data, rows=options.words
    )
    return {name: content["records"] for name, content in written.items()}, 0
