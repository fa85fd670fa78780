"""What happens between the steps of `fit`: each callback has one task.

They share a `TrainingRun`. `loop.train` puts them in order.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import keras
import numpy as np

from crnn_keras.model.saving import save_model
from crnn_keras.training.bad_batches import (
    describe_nan_loss,
    describe_nan_weights,
    explain_input_errors,
)
from crnn_keras.training.best_weights import BestWeights
from crnn_keras.training.history import best_epoch, write_history
from crnn_keras.training.run_state import Progress, RunState, run_variables
from crnn_keras.training.stop_signals import StopSignals, TrainingStopped
from crnn_keras.training.time_left import TimeLeft
from crnn_keras.training.validation import validate
from crnn_keras.utils.progress import ProgressLine

if TYPE_CHECKING:
    from crnn_keras.data.batches import Batches
    from crnn_keras.model.crnn import CRNN

# Columns of the history that the logs of an epoch hold too, with the prefix `val_`.
_VALIDATION_LOGS = ("loss", "word_accuracy", "character_accuracy")


@dataclass(kw_only=True)
class TrainingRun:
    """A run and how far it is: what the callbacks share.

    Args:
        batches: `Batches` to train on.
        validation: `Batches` to measure on.
        state: The `RunState` to save to.
        progress: The `Progress` of the newest state. The callbacks keep it up to date.
        best: The `BestWeights` of the newest state. The callbacks keep them up to date.
        epochs: Number of epochs in all.
        steps: Steps in an epoch.
        patience: Number of epochs without a better validation after which the training ends; 0:
            never.

    Attributes:
        epoch_started: When the running epoch began, on the clock of `time.monotonic`. Time before
            an interruption counts.
        validation_seconds: How long the last validation of this process took. `None` before it.
    """

    batches: Batches
    validation: Batches
    state: RunState
    progress: Progress
    best: BestWeights
    epochs: int
    steps: int
    patience: int
    epoch_started: float = field(init=False)
    validation_seconds: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.epoch_started = time.monotonic() - self.progress.seconds

    @property
    def epoch(self) -> int:
        """Returns the index of the epoch that is trained, from 0."""
        return len(self.progress.history)

    @property
    def steps_done(self) -> int:
        """Returns how many steps of this epoch are done. 0 means that none is."""
        return self.progress.step - self.epoch * self.steps

    @property
    def is_at_best(self) -> bool:
        """Returns whether the newest complete epoch is the best one."""
        return best_epoch(self.progress.history) == self.epoch

    @property
    def is_out_of_patience(self) -> bool:
        """Returns whether too many epochs have passed since the best one."""
        without_gain = self.epoch - best_epoch(self.progress.history)
        return 0 < self.patience <= without_gain

    @property
    def is_over(self) -> bool:
        """Returns whether nothing is left to train."""
        return self.epoch >= self.epochs or self.is_out_of_patience

    def describe_patience(self) -> str:
        """Tells how many epochs have passed since the best one, and what that one measured."""
        best = best_epoch(self.progress.history)
        row, count = self.progress.history[best - 1], self.epoch - best
        return (
            f"{count} epoch{'s' * (count > 1)} without a better validation than epoch {best}, word "
            f"accuracy {row['word_accuracy']:.2%}, validation loss {row['loss']:.3f}."
        )

    def save(self, model: CRNN) -> None:
        """Saves the state as it is after the last step.

        Args:
            model: The compiled model. A callback passes its attribute `model`: on JAX, `fit` keeps
                the variables to itself until that attribute is read.

        Raises:
            FloatingPointError: A weight is not finite. The message names the images of the step.
        """
        self.progress.seconds = time.monotonic() - self.epoch_started
        try:
            self.state.save([*run_variables(model), *self.best.variables], self.progress)
        except FloatingPointError as error:
            last = self.progress.step - 1
            raise self.explain_nan(describe_nan_weights(str(error), self.batches, last)) from None

    def write_newest(self, model: CRNN) -> None:
        """Writes `history.csv` and, if the model is that of a complete epoch, `last.keras`.

        Args:
            model: The model as it is after the last step.
        """
        folder = self.state.folder.parent
        write_history(folder / "history.csv", self.progress.history)
        if not self.steps_done:
            save_model(model, folder / "last.keras")

    def write_best(self, model: CRNN) -> None:
        """Writes `model.keras`, with the weights of the best epoch.

        Args:
            model: The model. It keeps its own weights.
        """
        with self.best.within(model):
            save_model(model, self.state.folder.with_name("model.keras"))

    def explain_nan(self, found: str) -> FloatingPointError:
        """Returns the error of numbers that are not finite, with what to do.

        Args:
            found: What is not finite, and in which batch.
        """
        return FloatingPointError(
            f"{found}\n{self.state.newest} holds the last good state. Look at these images and "
            f"their labels (`batches.describe_step({self.progress.step - 1})` names all of them). "
            "If they are sound, the learning rate is too large: begin a new run with a smaller one "
            "under another name."
        )


class CallbackList(keras.callbacks.CallbackList):
    """Makes several calls of `fit` one training for their callbacks.

    The rest of an interrupted epoch is a call of `fit` of its own. Without this class, a callback
    would see its training begin anew after that epoch: `EarlyStopping` would forget the best value,
    and `CSVLogger` would empty its file.

    Args:
        callbacks: The callbacks, in the order in which they are called.
        run: The `TrainingRun`.
        model: The compiled `CRNN`.
    """

    def __init__(
        self, callbacks: Sequence[keras.callbacks.Callback], run: TrainingRun, model: CRNN
    ):
        super().__init__(
            list(callbacks),
            add_history=True,
            model=model,
            verbose=0,
            epochs=run.epochs,
            steps=run.steps,
        )
        progress = run.progress
        self.set_params({**self.params, "step": progress.step, "history": progress.history})
        self._logs: dict[str, Any] | None = None

    def begin(self) -> None:
        """Begins the training: calls `on_train_begin` of the callbacks."""
        super().on_train_begin()

    def end(self) -> None:
        """Ends the training: calls `on_train_end` of the callbacks."""
        super().on_train_end(self._logs)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Does nothing: `fit` calls it each time."""

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Keeps the logs for `end`: `fit` calls it each time."""
        self._logs = logs


class _RunCallback(keras.callbacks.Callback):
    """A callback with the run that it belongs to."""

    def __init__(self, run: TrainingRun):
        super().__init__()
        self.run = run


class TrackProgress(_RunCallback):
    """Counts steps, and restores the running loss of an epoch that was interrupted."""

    def __init__(self, run: TrainingRun):
        super().__init__(run)
        self._running_loss: list[np.ndarray] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        # `fit` resets the running loss when an epoch begins.
        self._running_loss = [np.array(v.numpy()) for v in self.model.metrics_variables]

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.run.steps_done:
            variables = self.model.metrics_variables
            for variable, value in zip(variables, self._running_loss, strict=True):
                variable.assign(value)
        else:
            self.run.epoch_started = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.run.progress.step += 1


class NameBadBatch(_RunCallback):
    """Stops at the first loss that is not finite, and names the images of its batch."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        # Keras waits for the device and reads the loss before it calls a callback. So a look at
        # each step costs nothing. The loss is a mean over the epoch, and stays bad from there on.
        if not math.isfinite(logs["loss"]):
            run = self.run
            raise run.explain_nan(
                describe_nan_loss(logs["loss"], run.batches, run.progress.step - 1)
            )


class ReportProgress(_RunCallback):
    """Shows the step, the loss, the speed and the time left while an epoch runs.

    Use it as a context manager around `fit`: its line is also closed when an error comes.
    """

    def __init__(self, run: TrainingRun):
        super().__init__(run)
        self._line = contextlib.ExitStack()
        self._show: Callable[..., None] | None = None
        self._time = TimeLeft(run)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._line.close()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        label = f"epoch {epoch + 1} of {self.run.epochs}"
        self._show = self._line.enter_context(ProgressLine(self.run.steps, label)).step
        self._time.begin_epoch()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        note = f"loss {logs['loss']:.3f}"
        if speed := self._time.add_step(time.monotonic()):
            note += f", {speed * self.run.batches.batch_size:,.0f} images/s"
        self._show(self.run.steps_done, note, left=self._time.describe())

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._line.close()


class Validate(_RunCallback):
    """Measures the model on the validation set after each epoch, and adds a row to the history.

    An epoch that a callback has cut short by `model.stop_training` is not measured.

    Args:
        run: The `TrainingRun`.
        after_batch: Function that is called after each batch of the validation.
    """

    def __init__(self, run: TrainingRun, after_batch: Callable[[], None]):
        super().__init__(run)
        self._after_batch = after_batch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        run = self.run
        if run.steps_done < run.steps:
            return
        started, steps = time.monotonic(), run.validation.steps_per_epoch
        label = f"validation {epoch + 1} of {run.epochs}"
        with (
            explain_input_errors("validation", run.validation, lambda: range(steps)),
            ProgressLine(steps, label) as line,
        ):

            def after_batch():
                self._after_batch()
                line.step(line.n + 1)

            loss, report = validate(self.model, run.validation, after_batch=after_batch)
        run.validation_seconds = time.monotonic() - started
        row = {
            "epoch": epoch + 1,
            "steps": run.progress.step,
            "learning_rate": _to_float(self.model.optimizer.learning_rate),
            "train_loss": _to_float(self.model.get_metrics_result()["loss"]),
            "loss": loss,
            "sequence_distance": sum(c.distance for c in report.cases) / len(report.cases),
            "word_accuracy": report.word_accuracy,
            "character_accuracy": 1 - report.cer,
            "skipped": len(run.batches.skipped) + len(run.validation.skipped),
            "seconds": round(time.monotonic() - run.epoch_started, 1),
        }
        run.progress.history.append(row)
        run.epoch_started = time.monotonic()
        if run.is_at_best:
            run.best.keep(self.model)
        logs.update({f"val_{name}": row[name] for name in _VALIDATION_LOGS})
        print(
            f"epoch {epoch + 1:3d} of {run.epochs}: training loss {row['train_loss']:7.3f}, "
            f"validation loss {loss:7.3f}, word accuracy {row['word_accuracy']:7.2%}, "
            f"character accuracy {row['character_accuracy']:7.2%}, {row['seconds']:.0f} s"
            + (", the best so far" if run.is_at_best else ""),
            flush=True,
        )


class StopOnSignal(_RunCallback):
    """Saves and stops after the running step if Ctrl-C or SIGTERM came.

    Args:
        run: The `TrainingRun`.
        signals: The `StopSignals` that keep a signal until then.
    """

    def __init__(self, run: TrainingRun, signals: StopSignals):
        super().__init__(run)
        self._signals = signals

    def check(self) -> None:
        """Saves the state and raises `TrainingStopped` if a signal came."""
        run = self.run
        if self._signals.caught:
            run.save(self.model)
            raise TrainingStopped(
                f"{self._signals.caught} came: the training stopped after "
                f"{run.progress.describe(run.steps, run.epochs)}, and its state is saved in "
                f"{run.state.newest}. To continue: run the cell again, or the same command."
            )

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.check()


class SaveState(_RunCallback):
    """Saves the state every few minutes and, with the models and the history, after each epoch.

    Args:
        run: The `TrainingRun`.
        minutes: Minutes between two states within an epoch.
    """

    def __init__(self, run: TrainingRun, minutes: float):
        super().__init__(run)
        self._seconds = minutes * 60
        self._saved = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if time.monotonic() - self._saved >= self._seconds:
            self._save()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._save()
        if not self.run.steps_done:  # the epoch was not cut short
            self.run.write_newest(self.model)
            if self.run.is_at_best:
                self.run.write_best(self.model)

    def _save(self):
        self.run.save(self.model)
        self._saved = time.monotonic()


class StopWithoutGain(_RunCallback):
    """Ends the training after too many epochs without a better validation."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.run.is_out_of_patience:
            self.model.stop_training = True
            print(f"The training ends after {self.run.describe_patience()}", flush=True)


def _to_float(tensor):
    return float(keras.ops.convert_to_numpy(tensor))
