"""`crnn-keras train`: records, or words that are drawn meanwhile -> a trained model."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from crnn_keras.cli.common import (
    DONE,
    CommandError,
    add_command,
    format_table,
    number,
    print_to_stderr,
)
from crnn_keras.cli.options import add_model_options, add_run_option, direction_of
from crnn_keras.inference.shipped import LISTED
from crnn_keras.utils.checks import COUNT, FRACTION, NATURAL, POSITIVE, SEED

if TYPE_CHECKING:
    from crnn_keras.data.base_batches import BaseBatches
    from crnn_keras.data.batches import Batches
    from crnn_keras.notebook import NotebookRun

_DEFAULT_CHARACTERS = "alphanumeric36"
_SYNTH_OPTIONS = (
    "recipe",
    "repeats",
    "pool_words",
    "processes",
    "validation_words",
    "validation_labels",
    "characters",
    "normalization",
    "direction",
    "canvas_mode",
    "canvas_width",
)
_SHOWN = ("epoch", "train_loss", "loss", "word_accuracy", "character_accuracy", "seconds")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "train",
        help="train a model on records or on words drawn meanwhile, or fine-tune one",
        description="Trains on the records that `crnn-keras prepare` wrote; with --synth on words "
        "that are drawn on all cores while it trains, without end. Stopped by Ctrl-C and "
        "run again, it continues where it was, to the same weights. model.keras is the best epoch, "
        "last.keras the newest. For more epochs than a run began with: more --epochs where its "
        "--schedule is constant or step; otherwise another --run with --records and --start. "
        "KERAS_BACKEND chooses the backend: tensorflow, jax or torch.",
        example="crnn-keras train --run mine --epochs 10\n"
        "crnn-keras train --run more --records data/mine/records "
        "--start data/mine/train/model.keras\n"
        "crnn-keras train --run drawn --synth --epochs 20 --steps-per-epoch 1000",
    )
    add_run_option(parser)
    parser.add_argument(
        "--records", metavar="FOLDER", help="folder of the sets (data/<run>/records)"
    )
    parser.add_argument(
        "--start",
        default="small",
        metavar="MODEL",
        help="fresh weights: small, mobile, deep, wide, large, paper; or what to fine-tune: "
        f"{LISTED}, a .keras file (%(default)s)",
    )
    parser.add_argument(
        "--epochs",
        type=number(COUNT),
        default=4,
        help="epochs in all, each validated (%(default)s)",
    )
    parser.add_argument(
        "--steps-per-epoch",
        type=number(NATURAL),
        default=0,
        help="batches in an epoch (every record once; with --synth: 1,000)",
    )
    parser.add_argument(
        "--batch-size", type=number(COUNT), default=64, help="images in a batch (%(default)s)"
    )
    parser.add_argument(
        "--optimizer", choices=("adamw", "sgd"), default="adamw", help="(%(default)s)"
    )
    parser.add_argument(
        "--schedule",
        choices=("cosine", "step", "constant"),
        default="cosine",
        help="of the learning rate (%(default)s)",
    )
    parser.add_argument(
        "--learning-rate",
        type=number(POSITIVE),
        help="the largest (0.003; to fine-tune: 0.001)",
    )
    parser.add_argument(
        "--patience",
        type=number(NATURAL),
        default=0,
        metavar="EPOCHS",
        help="without a better validation, after which the training ends; 0: never (%(default)s)",
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
        default="float32",
        help="what layers compute in (%(default)s)",
    )
    parser.add_argument(
        "--augment",
        type=number(FRACTION),
        default=1.0,
        metavar="STRENGTH",
        help="of random changes to the training images; 0: none (%(default)s)",
    )
    parser.add_argument(
        "--replay",
        metavar="RECORDS",
        help="to fine-tune: records of the start's old task to mix in, so that it forgets less",
    )
    parser.add_argument(
        "--replay-fraction",
        type=number(FRACTION),
        default=0.4,
        metavar="FRACTION",
        help="fraction of each batch that is mixed in (%(default)s)",
    )
    parser.add_argument("--seed", type=number(SEED), default=0, help="(%(default)s)")
    parser.add_argument(
        "--tensorboard",
        action="store_true",
        help="write curves for TensorBoard to reports/<run>/tensorboard",
    )
    _add_synth_options(parser)
    add_model_options(parser)
    defaults = {name: parser.get_default(name) for name in _SYNTH_OPTIONS}
    parser.set_defaults(command=run, synth_defaults=defaults)


def _add_synth_options(parser):
    group = parser.add_argument_group(
        "words drawn while it trains", "with characters and canvas as below"
    )
    group.add_argument("--synth", action="store_true", help="train on drawn words, not on records")
    group.add_argument(
        "--recipe", metavar="FILE", help="JSON file that Recipe.save wrote (mild English words)"
    )
    group.add_argument(
        "--repeats",
        type=number(COUNT),
        default=1,
        metavar="COUNT",
        help="times that each image is trained on, where training is faster than drawing "
        "(%(default)s)",
    )
    group.add_argument(
        "--pool-words",
        type=number(COUNT),
        default=8192,
        metavar="COUNT",
        help="words in memory to train on while as many are drawn (%(default)s)",
    )
    group.add_argument(
        "--processes", type=number(COUNT), help="processes that draw (as many as there are cores)"
    )
    group.add_argument(
        "--validation-words",
        type=number(COUNT),
        default=2000,
        metavar="COUNT",
        help="other words, rendered before, to validate on (%(default)s)",
    )
    group.add_argument(
        "--validation-labels", metavar="LABELS", help="labelled images to validate on instead"
    )


def run(options: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    _check_options(options)
    from crnn_keras.notebook import NotebookRun
    from crnn_keras.utils.backend import check_backend
    from crnn_keras.utils.quiet import import_keras_quietly

    this_run = NotebookRun("train", options.run)
    folder, board = this_run.data / "train", this_run.reports / "tensorboard"
    with print_to_stderr():
        import_keras_quietly()
        check_backend()
        open_data = _draw if options.synth else _open_records
        with open_data(options, this_run) as (training, validation, images):
            history = _train(
                options, training, validation, folder=folder, images=images, board=board
            )
    print(format_table([_SHOWN, *([row[name] for name in _SHOWN] for row in history)]))
    print(f"model: {folder / 'model.keras'}")
    if options.tensorboard:
        print(f"curves: tensorboard --logdir {board}")
    return DONE


def _check_options(options):
    """Refuses options that would have no effect."""
    if options.synth:
        if options.records or options.replay:
            raise CommandError(
                "--records and --replay belong to a training on records. Leave them out, or --synth"
            )
        return
    for name, default in options.synth_defaults.items():
        if getattr(options, name) != default:
            raise CommandError(
                f"--{name.replace('_', '-')} belongs to --synth. Records have the characters and "
                "the canvas that they were prepared with"
            )


@contextlib.contextmanager
def _open_records(
    options: argparse.Namespace, this_run: NotebookRun
) -> Iterator[tuple[Batches, Batches, int]]:
    """Opens what to train on and to validate on; yields both and the number of images."""
    from crnn_keras.data.open import open_batches

    training, validation = open_batches(
        pathlib.Path(options.records or this_run.data / "records"),
        batch_size=options.batch_size,
        seed=options.seed,
        augment=options.augment,
        replay=options.replay,
        replay_fraction=options.replay_fraction,
    )
    yield training, validation, len(training)


@contextlib.contextmanager
def _draw(
    options: argparse.Namespace, this_run: NotebookRun
) -> Iterator[tuple[BaseBatches, Batches, int]]:
    """Does the same for words that are drawn."""
    from crnn_keras import synth
    from crnn_keras.char_dict import CharDict
    from crnn_keras.data.drawn import DrawingError, draw_batches
    from crnn_keras.images import make_canvas

    mild = synth.Recipe(fonts=synth.bundled_fonts(), style=synth.Style.mild())
    recipe = synth.Recipe.load(options.recipe) if options.recipe else mild
    is_default = options.characters == "labels"
    source = _DEFAULT_CHARACTERS if is_default else options.characters
    char_dict = CharDict.from_source(
        source, normalization=options.normalization, direction=direction_of(options)
    )
    canvas = make_canvas(options.canvas_mode, options.canvas_width)
    print(synth.describe_fonts(char_dict.characters, recipe.fonts), char_dict, canvas, sep="\n")
    folder = this_run.data / "synth"
    training, validation = draw_batches(
        dataclasses.replace(recipe, seed=options.seed),
        char_dict,
        canvas,
        folder=folder,
        validation_words=options.validation_words,
        validation=_prepare_validation(options, char_dict, canvas, folder=folder),
        batch_size=options.batch_size,
        seed=options.seed,
        augment=options.augment,
        repeats=options.repeats,
        pool_words=options.pool_words,
        processes=options.processes,
    )
    steps = options.epochs * (options.steps_per_epoch or training.steps_per_epoch)
    with training:
        print(
            f"Processes that draw words: {training.processes}. Memory for the words: up to "
            f"{training.memory_bytes / 2**20:,.0f} MiB."
        )
        try:
            yield training, validation, steps * options.batch_size // options.repeats
        except DrawingError as error:
            raise CommandError(str(error)) from error
        if replaced := training.describe_replaced():
            print(replaced)


def _prepare_validation(options, char_dict, canvas, *, folder):
    """Writes the labelled images to validate on; returns the folder of the set, or None."""
    if not options.validation_labels:
        return None
    from crnn_keras.data import build
    from crnn_keras.data.labels import read_samples

    found = read_samples(options.validation_labels)
    print(found.summary())
    build.prepare_samples({"validation": found.samples}, char_dict, canvas, folder=folder)
    return folder / "records" / "validation"


def _train(options, training, validation, *, folder, images, board):
    """Trains on the data that the options name, and returns the history."""
    from crnn_keras.training.curves import TensorBoardCurves
    from crnn_keras.training.loop import train
    from crnn_keras.training.start import default_learning_rate, find_short_training, make_model

    model = make_model(
        options.start,
        training.char_dict,
        training.canvas,
        seed=options.seed,
        precision=options.precision,
    )
    steps = options.epochs * (options.steps_per_epoch or training.steps_per_epoch)
    sizes = {"steps": steps, "batch": options.batch_size}
    if warning := find_short_training(options.start, images, **sizes):
        print(warning)
    return train(
        model,
        training,
        validation,
        folder=folder,
        epochs=options.epochs,
        steps_per_epoch=options.steps_per_epoch,
        optimizer=options.optimizer,
        schedule=options.schedule,
        learning_rate=options.learning_rate or default_learning_rate(options.start),
        patience=options.patience,
        callbacks=[TensorBoardCurves(board)] if options.tensorboard else [],
    )
