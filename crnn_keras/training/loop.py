"""`train`: batches in, a run folder out. A loop around Keras' `fit`, and callbacks."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras

from crnn_keras.data.base_batches import MOST_AHEAD
from crnn_keras.model.ctc import CTCLoss
from crnn_keras.training.bad_batches import explain_input_errors
from crnn_keras.training.best_weights import BestWeights
from crnn_keras.training.callbacks import (
    CallbackList,
    NameBadBatch,
    ReportProgress,
    SaveState,
    StopOnSignal,
    StopWithoutGain,
    TrackProgress,
    TrainingRun,
    Validate,
)
from crnn_keras.training.distribute.group import average_gradients
from crnn_keras.training.run_state import Progress, RunState, run_variables
from crnn_keras.training.schedules import (
    LEARNING_RATE,
    MAX_STEPS,
    STEPS,
    make_optimizer,
    make_schedule,
)
from crnn_keras.training.settings import data_settings, model_settings
from crnn_keras.training.stop_signals import StopSignals, TrainingStopped
from crnn_keras.training.validation import check_batches
from crnn_keras.utils.backend import check_backend, keras_defaults
from crnn_keras.utils.checks import NATURAL, NOT_NEGATIVE, Number, check_arguments, check_value
from crnn_keras.utils.locks import lock
from crnn_keras.utils.malloc import tune_malloc
from crnn_keras.utils.math import ceil_div

if TYPE_CHECKING:
    from crnn_keras.data.batches import Batches
    from crnn_keras.model.crnn import CRNN


@check_arguments(
    epochs=STEPS,
    steps_per_epoch=Number(0, MAX_STEPS, is_whole=True),
    learning_rate=LEARNING_RATE,
    patience=NATURAL,
    save_minutes=NOT_NEGATIVE,
)
def train(
    model: CRNN,
    batches: Batches,
    validation: Batches,
    *,
    folder: str | os.PathLike,
    epochs: int,
    steps_per_epoch: int = 0,
    optimizer: str = "adamw",
    schedule: str = "cosine",
    learning_rate: float = 2e-3,
    patience: int = 0,
    save_minutes: float = 10.0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> list[dict[str, Any]]:
    """Trains a model, or continues a run that was stopped.

    The state is saved at the beginning, every `save_minutes`, after each epoch, and at Ctrl-C or
    SIGTERM. A continued run ends with the weights and the history (but for its seconds) of an
    unbroken one, bit for bit, on the same backend and with the same number of CPU threads.

    The best epoch is that of the highest word accuracy on the validation set, and of the lowest
    loss among those, see `best_epoch`. Its weights are those of `model.keras`, and of `model`
    itself when `train` returns.

    Args:
        model: A `CRNN` with fresh weights, or what `load_for_fine_tuning` returned. Its calibration
            is removed, since it would not hold for the weights to come.
        batches: `Batches` to train on.
        validation: `Batches` to measure on after each epoch.
        folder: The run folder. Afterwards it holds `model.keras` (the best epoch), `last.keras`
            (the newest epoch), `history.csv` and `state/`.
        epochs: Number of epochs in all, those before an interruption included. A run with the
            schedule `"step"` or `"constant"` can be continued with more of them; with `"cosine"`,
            whose rate has fallen to 0 at the end, begin a new run from its `model.keras`.
        steps_per_epoch: Batches in an epoch. Defaults to `0`: every record once.
        optimizer: `"adamw"` or `"sgd"`, see `make_optimizer`. Defaults to `"adamw"`.
        schedule: `"cosine"`, `"step"` or `"constant"`, see `make_schedule`. Defaults to `"cosine"`.
        learning_rate: The largest learning rate. Defaults to `0.002`.
        patience: Number of epochs without a better validation after which the training ends.
            Defaults to `0`: it never ends before its last epoch. It may change when a run
            continues: a larger one lets a run that has ended go on.
        save_minutes: Minutes between two states within an epoch. Defaults to `10`. With `0` each
            step is saved.
        callbacks: Keras callbacks of your own, such as `curves.TensorBoardCurves`. Their `params`
            hold `epochs` and `steps`, and `step` and `history` of the run so far. At the end of an
            epoch their logs hold `val_loss`, `val_word_accuracy` and `val_character_accuracy`. A
            callback that sets `model.stop_training` ends the call: after an epoch, or after the
            step if it does so there. Calling `train` once more continues the run. What a callback
            keeps in its own attributes is not part of the state, and weights that it sets at the
            end of the training (`restore_best_weights`) are replaced by those of the best epoch.
            Each process of a group calls its own callbacks. Defaults to none.

    Returns:
        The history: a list of dicts with the keys of `HISTORY_COLUMNS`, one for each epoch.

    Raises:
        ValueError: The folder holds a run with other settings, or of more epochs; a setting is
            unknown or out of range; or the batches have another char dict or canvas than the model.
        LockedError: Another process, or this one, trains in the folder. The message names it.
        RecordError: A record cannot be read any more.
        FloatingPointError: The loss or a weight is not finite. The message names the images. Such a
            state is not saved.
        OSError: The disk is full, or cannot be written to. The states saved before are untouched.
        TrainingStopped: Ctrl-C or SIGTERM came. The state was saved after the running step.

    Example:

        >>> from crnn_keras import build_crnn, open_batches, train
        >>> training, validation = open_batches("data/walkthrough/records", batch_size=16)
        >>> model = build_crnn(training.char_dict, training.canvas)
        >>> settings = {"folder": "data/walkthrough/train", "epochs": 1, "steps_per_epoch": 2}
        >>> history = train(model, training, validation, **settings)
        epoch 1 of 1: training loss ..., validation loss ..., word accuracy ...
        >>> history[0]["steps"]
        2
    """
    check_backend()
    folder = pathlib.Path(folder)
    for data in (batches, validation):
        check_batches(model, data)
    model.calibration = None
    tune_malloc()
    steps = steps_per_epoch or batches.steps_per_epoch
    check_value("epochs times the steps of an epoch", epochs * steps, STEPS)
    # The folder by its real path: a symbolic link to it is the same folder.
    with keras_defaults(), lock(os.path.realpath(folder), "the run folder"):
        rate = make_schedule(schedule, learning_rate, epochs * steps)
        model.compile(optimizer=make_optimizer(optimizer, rate), loss=CTCLoss())
        model.optimizer.build(model.trainable_variables)
        settings = {
            "epochs": epochs,
            "steps_per_epoch": steps,
            "optimizer": optimizer,
            "schedule": schedule,
            "learning_rate": learning_rate,
            **data_settings(batches, validation),
            **model_settings(model, folder),
        }
        state = RunState(folder, settings)
        best = BestWeights(model)
        progress = _load_progress(state, model, best=best, steps=steps, epochs=epochs)
        run = TrainingRun(
            batches=batches,
            validation=validation,
            state=state,
            progress=progress,
            best=best,
            epochs=epochs,
            steps=steps,
            patience=patience,
        )
        _show_start(run)
        if run.epoch:
            # A kill may have left the files as they were before the state.
            run.write_newest(model)
            run.write_best(model)
        try:
            _train_run(model, run, callbacks=callbacks, save_minutes=save_minutes)
        finally:
            batches.close()
            validation.close()
        if run.epoch:
            best.put_into(model)
    return progress.history


def _load_progress(state, model, *, best, steps, epochs):
    """Loads the newest state into the model, or saves the first one; returns its `Progress`."""
    variables = [*run_variables(model), *best.variables]
    progress = state.load(variables)
    if progress is None:
        # A cell that is run again after an error holds a model that has learned already: the state
        # of step 0 restores its first weights.
        progress = Progress()
        state.save(variables, progress)
    elif progress.step > epochs * steps:
        raise ValueError(
            f"epochs is {epochs:,}, but {state.folder} is after {progress.step:,} steps of "
            f"{steps:,} an epoch. Expected at least {ceil_div(progress.step, steps):,}: `epochs` "
            "counts those before an interruption too."
        )
    return progress


def _show_start(run):
    """Tells where a run continues, or that it has ended and why."""
    where = f"after {run.progress.describe(run.steps, run.epochs)}"
    folder = run.state.folder.parent
    if run.is_out_of_patience:
        print(
            f"{folder} has ended {where}: {run.describe_patience()} Nothing is trained. It goes on "
            f"with a larger `patience` than {run.patience}.",
            flush=True,
        )
    elif run.is_over:
        print(f"{folder} has ended {where}. Nothing is trained.", flush=True)
    elif run.progress.step:
        print(f"{folder} continues {where}.", flush=True)


def _train_run(model, run, *, callbacks, save_minutes):
    """Trains what is left of a run."""
    with (
        StopSignals() as signals,
        ReportProgress(run) as report,
        average_gradients(model.trainable_variables),
    ):
        stop = StopOnSignal(run, signals)
        # The order counts: a step is counted and checked first, the user's callbacks see the
        # validation's figures, and what is saved is what all of them left.
        order = [
            TrackProgress(run),
            NameBadBatch(run),
            report,
            Validate(run, after_batch=stop.check),
            *callbacks,
            stop,
            SaveState(run, save_minutes),
            StopWithoutGain(run),
        ]
        try:
            _fit(model, run, CallbackList(order, run, model))
        except TrainingStopped as stopped:
            # Raised anew, without the thirty lines of Keras' `fit` that it came through.
            raise stopped.with_traceback(None) from None


def _fit(model: CRNN, run: TrainingRun, callbacks: CallbackList) -> None:
    """Calls `fit` until all epochs are trained and validated, or a callback stops the training."""
    model.stop_training = False
    callbacks.begin()
    while not run.is_over and not model.stop_training:
        done = run.steps_done
        if done == run.steps:  # stopped between the last step and the end of the validation
            callbacks.on_epoch_begin(run.epoch)
            callbacks.on_epoch_end(run.epoch, model.get_metrics_result())
            continue
        with explain_input_errors("training", run.batches, lambda: _next_steps(run)):
            model.fit(
                run.batches.train_dataset(start_step=run.progress.step).for_fit(),
                initial_epoch=run.epoch,
                # The rest of an interrupted epoch is a call of its own, since it has fewer steps.
                epochs=run.epoch + 1 if done else run.epochs,
                steps_per_epoch=run.steps - done,
                shuffle=False,
                verbose=0,
                callbacks=callbacks,
            )
    callbacks.end()


def _next_steps(run):
    """Returns the steps whose images the input may have been reading."""
    return range(run.progress.step, run.progress.step + 2 * MOST_AHEAD)
