"""Options that several commands have."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from crnn_keras.cli.common import CommandError, number
from crnn_keras.utils.checks import COUNT, FRACTION, SEED

if TYPE_CHECKING:
    from crnn_keras.char_dict import CharDict
    from crnn_keras.data.labels import LabelledSet, Sample
    from crnn_keras.images import Canvas

Splits = dict[str, "list[Sample]"]


def add_run_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--run`, the name of a run's folders."""
    parser.add_argument(
        "--run",
        default="mine",
        help="name of the run's folders in data/ and reports/ (%(default)s)",
    )


def add_label_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of how a label source is read."""
    group = parser.add_argument_group("labels")
    group.add_argument("--layout", default="auto", help="layout of the labels (%(default)s)")
    group.add_argument("--images-folder", metavar="FOLDER", help="where the paths in it start")
    group.add_argument(
        "--image-column", metavar="NAME", help="column of the images in a table; by number: 0"
    )
    group.add_argument("--text-column", metavar="NAME", help="column of the texts in a table")
    add_encoding_option(group)


def add_encoding_option(parser: argparse._ActionsContainer) -> None:
    """Adds `--encoding`, that of a text file."""
    parser.add_argument(
        "--encoding",
        default="auto",
        metavar="NAME",
        help="encoding of a text file, such as cp1251 or big5 (%(default)s: UTF-8, UTF-16, or "
        "GB18030 where that is plausible)",
    )


def add_split_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of how images are divided into train, validation and test."""
    group = parser.add_argument_group("splits")
    group.add_argument(
        "--validation-labels", metavar="LABELS", help="labels of the validation (split off)"
    )
    group.add_argument("--test-labels", metavar="LABELS", help="labels of the test (split off)")
    group.add_argument(
        "--validation-split",
        type=number(FRACTION),
        default=0.1,
        metavar="FRACTION",
        help="fraction of the images to validate on (%(default)s)",
    )
    group.add_argument(
        "--test-split",
        type=number(FRACTION),
        default=0.1,
        metavar="FRACTION",
        help="fraction of the images to test on (%(default)s)",
    )
    group.add_argument("--seed", type=number(SEED), default=0, help="of the split (%(default)s)")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that a char dict and a canvas are made of."""
    group = parser.add_argument_group("characters and canvas")
    group.add_argument(
        "--characters",
        default="labels",
        metavar="SOURCE",
        help="labels (those of the labels), a preset, or a file; to fine-tune words: "
        "alphanumeric36 (%(default)s)",
    )
    group.add_argument(
        "--normalization", help="of the labels: none, nfc or half_width (as the source has it)"
    )
    group.add_argument(
        "--direction",
        choices=("auto", "logical", "visual", "visual_rtl"),
        default="auto",
        help="order of a label's ids: as it is read (logical) or as its image shows it from left "
        "to right, for Arabic and Hebrew (visual) (%(default)s: visual if there are such letters)",
    )
    group.add_argument(
        "--canvas-mode",
        choices=("stretch", "keep"),
        default="stretch",
        help="scale images to one width, or keep their aspect (%(default)s)",
    )
    group.add_argument(
        "--canvas-width",
        type=number(COUNT),
        default=128,
        metavar="PIXELS",
        help="width of the canvas, with keep the largest (%(default)s, as shipped models have)",
    )


def fractions_of(options: argparse.Namespace) -> dict[str, float]:
    """Returns the fractions of the splits, those that `add_split_options` reads."""
    train = 1 - options.validation_split - options.test_split
    if train <= 0:
        raise CommandError(
            f"--validation-split {options.validation_split} and --test-split {options.test_split} "
            "leave no image to train on. Their sum must be below 1"
        )
    return {"train": train, "validation": options.validation_split, "test": options.test_split}


def read_labels(
    options: argparse.Namespace, *, allow_empty: bool = False
) -> tuple[LabelledSet, Splits, CharDict, Canvas]:
    """Reads the labels that the options name.

    Args:
        options: What `add_label_options`, `add_split_options` and `add_model_options` read.
        allow_empty: Whether a split may be empty. Defaults to `False`.

    Returns:
        The set, its samples by split, and the char dict and the canvas to check it against.
    """
    from crnn_keras.char_dict import CharDict
    from crnn_keras.data.labels import read_splits
    from crnn_keras.images import make_canvas

    found, splits = read_splits(
        options.labels,
        fractions_of(options),
        options.seed,
        validation_labels=options.validation_labels,
        test_labels=options.test_labels,
        allow_empty=allow_empty,
        **source_options(options),
    )
    char_dict = CharDict.from_source(
        options.characters,
        texts=[sample.text for sample in found.samples],
        normalization=options.normalization,
        direction=direction_of(options),
    )
    return found, splits, char_dict, make_canvas(options.canvas_mode, options.canvas_width)


def direction_of(options: argparse.Namespace) -> str | None:
    """Returns the direction that `add_model_options` reads; None if it is left to the source."""
    return None if options.direction == "auto" else options.direction


def source_options(options: argparse.Namespace) -> dict[str, str | None]:
    """Returns the arguments of `read_samples` that `add_label_options` reads."""
    names = ("layout", "images_folder", "image_column", "text_column", "encoding")
    return {name: getattr(options, name) for name in names}
