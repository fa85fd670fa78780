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


def add_parameter_options(parser: argparse.ArgumentParser) -> None:
    """Adds papermill's options for the parameters of notebooks: `-p`, `-y` and `-f`."""
    group = parser.add_argument_group(
        "parameters", "of every notebook that has them, in papermill's forms; all may be repeated"
    )
    names = ("NAME", "VALUE")
    many = {"action": "append", "default": []}
    group.add_argument(
        "-p", "--parameters", nargs=2, metavar=names, help="a parameter; it counts most", **many
    )
    group.add_argument(
        "-y",
        "--parameters_yaml",
        metavar="YAML",
        help="such as 'epochs: 2'; it counts next",
        **many,
    )
    group.add_argument(
        "-f",
        "--parameters_file",
        metavar="FILE",
        help="a YAML or JSON file; it counts least",
        **many,
    )


def parameters_of(options: argparse.Namespace) -> dict[str, object]:
    """Returns the parameters that `add_parameter_options` reads.

    Raises:
        CommandError: A text or a file is no YAML, or no table of names and values.
        OSError: A file cannot be read.
    """
    from crnn_keras.utils import files

    texts = [(path, files.read_text(path)[0]) for path in options.parameters_file]
    texts += [(f"-y {text!r:.80}", text) for text in options.parameters_yaml]
    parameters: dict[str, object] = {}
    for name, text in texts:
        parameters |= _parse_yaml(name, text)
    return parameters | dict(options.parameters)


def _parse_yaml(name, text):
    import yaml

    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise CommandError(f"{name} is no YAML: {error}") from None
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise CommandError(
            f"{name} holds a {type(found).__name__} without names of parameters. Expected lines "
            "such as 'epochs: 2'"
        )
    return found


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


def add_protocol_option(parser: argparse.ArgumentParser, *, of: str = "") -> None:
    """Adds the option that says how texts are compared.

    Args:
        parser: The command's parser.
        of: What the help begins with. Defaults to `""`.
    """
    parser.add_argument(
        "--protocol",
        choices=("exact", "alphanumeric"),
        default="exact",
        help=f"{of}alphanumeric: only a-z and 0-9 count, in any case (%(default)s)",
    )


def source_options(options: argparse.Namespace) -> dict[str, str | None]:
    """Returns the arguments of `read_samples` that `add_label_options` reads."""
    names = ("layout", "images_folder", "image_column", "text_column", "encoding")
    return {name: getattr(options, name) for name in names}
