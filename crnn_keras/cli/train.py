"""`crnn-keras train`: records -> a trained model."""

from __future__ import annotations

import argparse
import pathlib

from crnn_keras.cli.common import DONE, add_command, format_table, number, print_to_stderr
from crnn_keras.cli.options import add_run_option
from crnn_keras.utils.checks import COUNT, FRACTION, NATURAL, POSITIVE, SEED

_SHOWN = ("epoch", "train_loss", "loss", "word_accuracy", "character_accuracy", "seconds")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "train",
        help="train a model on records, or fine-tune one",
        description="Trains on the records that `crnn-keras prepare` wrote. Stopped by Ctrl-C and "
        "run again, it continues where it was, to the same weights. model.keras is the best epoch, "
        "last.keras the newest. For more epochs than a run began with: more --epochs where its "
        "--schedule is constant or step; otherwise another --run with --records and --start. "
        "KERAS_BACKEND chooses the backend: tensorflow, jax or torch.",
        example="crnn-keras train --run mine --epochs 10\n"
        "crnn-keras train --run more --records data/mine/records "
        "--start data/mine/train/model.keras",
    )
    add_run_option(parser)
    parser.add_argument(
        "--records", metavar="FOLDER", help="folder of the sets (data/<run>/records)"
    )
    parser.add_argument(
        "--start",
        default="small",
        metavar="MODEL",
        help="fresh weights: small, mobile, deep, paper; or what to fine-tune: words, ascii, a "
        ".keras file (%(default)s)",
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
        help="batches in an epoch (every record once)",
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
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    from crnn_keras.notebook import NotebookRun
    from crnn_keras.utils.quiet import import_keras_quietly

    this_run = NotebookRun("train", options.run)
    folder, board = this_run.data / "train", this_run.reports / "tensorboard"
    with print_to_stderr():
        import_keras_quietly()
        from crnn_keras.data.open import open_batches
        from crnn_keras.training.curves import TensorBoardCurves
        from crnn_keras.training.loop import train
        from crnn_keras.training.start import (
            default_learning_rate,
            find_short_training,
            make_model,
        )

        training, validation = open_batches(
            pathlib.Path(options.records or this_run.data / "records"),
            batch_size=options.batch_size,
            seed=options.seed,
            augment=options.augment,
            replay=options.replay,
            replay_fraction=options.replay_fraction,
        )
        model = make_model(
            options.start,
            training.char_dict,
            training.canvas,
            seed=options.seed,
            precision=options.precision,
        )
        steps = options.epochs * (options.steps_per_epoch or training.steps_per_epoch)
        sizes = {"steps": steps, "batch": options.batch_size}
        if warning := find_short_training(options.start, len(training), **sizes):
            print(warning)
        history = train(
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
    print(format_table([_SHOWN, *([row[name] for name in _SHOWN] for row in history)]))
    print(f"model: {folder / 'model.keras'}")
    if options.tensorboard:
        print(f"curves: tensorboard --logdir {board}")
    return DONE
