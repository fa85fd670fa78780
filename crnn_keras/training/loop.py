"""`train`: records in, a run folder out."""

import pathlib

from crnn_keras.model.saving import save_model
from crnn_keras.training.callbacks import Run
from crnn_keras.training.network import compile_for_training, run_variables, training_model
from crnn_keras.training.outputs import write_history
from crnn_keras.training.run_state import Progress, RunState
from crnn_keras.training.schedules import make_optimizer, make_schedule
from crnn_keras.training.settings import data_settings, model_settings
from crnn_keras.training.stop_signals import StopSignals, TrainingStopped
from crnn_keras.training.validation import check_batches
from crnn_keras.utils.malloc import tune_malloc


def train(
    model,
    batches,
    validation,
    folder,
    epochs,
    steps_per_epoch=0,
    optimizer="adamw",
    schedule="cosine",
    learning_rate=2e-3,
    save_minutes=10.0,
):
    """Trains a reader; continues where an earlier call with the same settings was stopped.

    The state is saved at the beginning, every `save_minutes`, after each epoch, and at Ctrl-C or
    SIGTERM. A continued run ends with the weights and the history (but for its seconds) of an
    unbroken one, bit for bit, on the same backend and with the same number of CPU threads. The
    history's `skipped` counts the records of both sets that are in no batch.

    Args:
        model: a `CRNN` with fresh weights, or those of `extend.load_for_fine_tuning`. A calibration that it
            has is taken away.
        batches: a `dataset.Batches` to train on.
        validation: a `dataset.Batches` to measure on after each epoch.
        folder: the run folder.
        epochs: number of epochs in all, those before an interruption included.
        steps_per_epoch: batches in an epoch; 0: one pass over the records.
        optimizer: see `make_optimizer`.
        schedule: see `make_schedule`.
        learning_rate: see `make_schedule`.
        save_minutes: time between two states within an epoch; 0: one after each step.

    Returns:
        The history: a list of dicts with the keys of `HISTORY_COLUMNS`, a row an epoch.

    Raises:
        ValueError: the folder holds a run with other settings, a setting is unknown, the batches
            have another char dict or canvas than the model, or a record cannot be read any more.
        FloatingPointError: the loss or a weight is no longer finite; the message names the
            images. No such state is saved.
        OSError: the disk is full, and the like. The states saved before are untouched.
        TrainingStopped: Ctrl-C or SIGTERM came; the state was saved after the running step.
    """
    folder = pathlib.Path(folder)
    for data in (batches, validation):
        check_batches(model, data)
    # Learnt for the weights that it begins with.
    model.calibration = None
    tune_malloc()
    steps = steps_per_epoch or batches.steps_per_epoch
    whole = training_model(model, batches.labels.shape[1])
    rate = make_schedule(schedule, learning_rate, epochs * steps)
    compile_for_training(whole, make_optimizer(optimizer, rate))
    settings = {
        "epochs": epochs,
        "steps_per_epoch": steps,
        "optimizer": optimizer,
        "schedule": schedule,
        "learning_rate": learning_rate,
        **data_settings(batches, validation),
        **model_settings(model, whole),
    }
    state = RunState(folder, settings)
    progress = state.load(run_variables(whole))
    if progress is None:
        # A cell that is run again after an error holds a model that has learnt already: the state
        # of step 0 gives it its first weights back.
        progress = Progress()
        state.save(run_variables(whole), progress)
    elif progress.step:
        print(f"{folder} stands after {progress.place(steps, epochs)}.", flush=True)
    with StopSignals() as signals:
        run = Run(
            model, whole, batches, validation, state, progress, epochs, steps, save_minutes, signals
        )
        try:
            run.complete()
        except TrainingStopped as stopped:
            # Raised anew, without the thirty lines of Keras' `fit` that it came through.
            raise stopped.with_traceback(None) from None
    write_history(folder / "history.csv", progress.history)
    save_model(model, folder / "model.keras")
    return progress.history
