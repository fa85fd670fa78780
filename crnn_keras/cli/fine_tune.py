"""`crnn-keras fine-tune`: labelled images -> a reader of them, measured before and after."""

from __future__ import annotations

import argparse
import pathlib
import sys

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
    add_run_option,
    add_split_options,
    fractions_of,
    source_options,
)
from crnn_keras.inference.shipped import LISTED
from crnn_keras.utils.checks import COUNT, FRACTION, NATURAL, POSITIVE


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "fine-tune",
        help="teach a shipped reader your images",
        description="Begins with words, ascii or, for labels with spaces or accents, lines, "
        "whichever reads your images best, keeps its "
        "characters and its canvas, mixes in images of its old task so that it forgets little, "
        "trains until the validation no longer improves, keeps the best weights, and measures "
        "before and after. Writes data/<run>/train/model.keras, reports/<run>/fine_tuning.html and "
        "readings.csv. Stopped by Ctrl-C and run again, it continues where it was.",
        example="crnn-keras fine-tune --labels mine/labels.tsv --run mine\n"
        "crnn-keras fine-tune --labels mine/labels.tsv --run mine --folds 5\n"
        "crnn-keras read scans/ --model data/mine/train/model.keras",
    )
    parser.add_argument("labels", nargs="?", help="a label file, a folder or an LMDB")
    parser.add_argument("--labels", dest="named_labels", metavar="LABELS", help="the same, by name")
    add_run_option(parser)
    parser.add_argument(
        "--start",
        default="auto",
        metavar="MODEL",
        help=f"{LISTED} or a .keras file (%(default)s: words, ascii or lines, whichever "
        "reads most)",
    )
    parser.add_argument(
        "--characters",
        default="extend",
        metavar="SOURCE",
        help="extend: those of the start, and those of the labels that it lacks; reader: those of "
        "the start only; labels, a preset or a file: the start forgets others (%(default)s)",
    )
    parser.add_argument(
        "--folds",
        type=number(NATURAL),
        default=0,
        help="of a cross-validation: every image is tested once, in as many trainings more; for "
        "fewer than 300 images (none)",
    )
    parser.add_argument(
        "--reference",
        action="append",
        default=[],
        metavar="LABELS",
        help="labelled images of the old task, to measure what is forgotten; may be repeated "
        "(rendered words)",
    )
    parser.add_argument(
        "--replay",
        default="rendered",
        metavar="RECORDS",
        help="what is mixed in of the old task: rendered words, or a folder of records "
        "(%(default)s)",
    )
    parser.add_argument(
        "--clean",
        action="store_true",
        help="skip duplicates, leakage and conflicting labels too, as the check advises",
    )
    _add_settings(parser.add_argument_group("training"))
    add_label_options(parser)
    add_split_options(parser)
    parser.set_defaults(command=run)


def _add_settings(group):
    """Adds options of `FineTuningSettings`; one that is not given has its default."""
    rules = {
        "steps": (NATURAL, "at most (by the number of images)"),
        "patience": (NATURAL, "validations without a better one before it ends; 0: all steps (8)"),
        "batch_size": (COUNT, "images in a step, mixed-in ones included (64)"),
        "learning_rate": (POSITIVE, "the largest (0.002, or 0.001 if the LSTM learns too)"),
        "augment": (FRACTION, "strength of random changes to the training images (1.0)"),
        "replay_fraction": (FRACTION, "fraction of each batch that is mixed in (0.4)"),
        "interpolation": (
            FRACTION,
            "weights kept of the training; the rest: the start's (0.95, or 0.8 if the LSTM learns "
            "too)",
        ),
    }
    for name, (rule, text) in rules.items():
        option = f"--{name.replace('_', '-')}"
        group.add_argument(option, type=number(rule), metavar="NUMBER", help=text)
    group.add_argument(
        "--train-lstm",
        action=argparse.BooleanOptionalAction,
        help="let the LSTM learn too, which knows the order of characters (only if more than half "
        "as many characters are new as the start has)",
    )
    group.add_argument(
        "--finish",
        action=argparse.BooleanOptionalAction,
        help="let the reader learn the test images too, once it was measured on them (only if "
        "there are fewer than 300 images and no --test-labels)",
    )


def run(options: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    from crnn_keras.notebook import NotebookRun
    from crnn_keras.utils.backend import check_backend
    from crnn_keras.utils.quiet import import_keras_quietly

    labels = options.labels or options.named_labels
    if not labels or (options.labels and options.named_labels):
        raise CommandError("Give the labels once: crnn-keras fine-tune --labels mine/labels.tsv")
    if options.folds == 1:
        raise CommandError("--folds 1 leaves nothing to train on. Expected 0, or 2 or more")
    if options.folds and options.test_labels:
        raise CommandError("--folds tests on the labels themselves. Leave out --test-labels")
    this_run = NotebookRun("fine_tune", options.run)
    with print_to_stderr():
        import_keras_quietly()
        check_backend()
        from crnn_keras.data.labels import read_splits
        from crnn_keras.notebook.fine_tuning_report import write_fine_tuning_report
        from crnn_keras.training.fine_tuning import fine_tune

        found, splits = read_splits(
            labels,
            fractions_of(options),
            options.seed,
            validation_labels=options.validation_labels,
            test_labels=options.test_labels,
            **source_options(options),
        )
        print(found.summary())
        result = fine_tune(
            splits,
            folder=this_run.data,
            start=options.start,
            characters=options.characters,
            replay=options.replay,
            references={pathlib.Path(path).name: path for path in options.reference},
            folds=options.folds,
            clean=options.clean,
            issues=found.issues,
            settings=_settings(options),
        )
        page = write_fine_tuning_report(result, this_run)
        print("\n".join(result.describe()))
    for comparison in result.comparisons:
        print(comparison)
    print(f"model: {result.model_path}\npage: {page}")
    for issue in result.check.skipped:
        print(f"skipped: {issue.where}: {issue.reason}", file=sys.stderr)
    return SOME_UNUSABLE if result.check.skipped else DONE


def _settings(options):
    from crnn_keras.training.fine_tuning import FineTuningSettings

    # Images of a test that the user chose are never learned unasked.
    finish = False if options.finish is None and options.test_labels else options.finish
    given = {
        name: getattr(options, name)
        for name in FineTuningSettings.__dataclass_fields__
        if getattr(options, name, None) is not None
    }
    return FineTuningSettings(**{**given, "finish": finish})
