"""A run from where it stands to its end: Keras' `fit`, and what happens between its steps."""

import contextlib
import math
import time

import keras
import numpy as np

from crnn_keras.model.saving import save_model
from crnn_keras.training.bad_batches import describe_nan_loss, describe_nan_weights, unreadable
from crnn_keras.training.network import run_variables
from crnn_keras.training.outputs import write_history
from crnn_keras.training.stop_signals import TrainingStopped
from crnn_keras.training.validation import validate
from crnn_keras.utils.progress import ProgressLine

# The input may work some batches ahead of the step that meets its error.
_AHEAD = 8


class Run(keras.callbacks.Callback):
    """Calls `fit` for what is left of a run, and is called back by it after each step and epoch.

    Args:
        reader: a `CRNN`.
        whole: its training model, compiled.
        batches: a `dataset.Batches` to train on.
        validation: a `dataset.Batches` to measure on.
        state: the `RunState` to save to.
        progress: the `Progress` of the newest state; kept up to date here.
        epochs: number of epochs in all.
        steps: steps in an epoch.
        save_minutes: time between two states within an epoch.
        signals: a `StopSignals`.
    """

    def __init__(
        self,
        reader,
        whole,
        batches,
        validation,
        state,
        progress,
        epochs,
        steps,
        save_minutes,
        signals,
    ):
        super().__init__()
        self.set_model(whole)
        self.reader = reader
        self.batches = batches
        self.validation = validation
        self.state = state
        self.progress = progress
        self.epochs = epochs
        self.steps = steps
        self.save_seconds = save_minutes * 60
        self.signals = signals
        self.saved = time.monotonic()

    def complete(self):
        """Trains and validates until the last epoch is done.

        Raises:
            TrainingStopped: a signal came; the state was saved.
            FloatingPointError: the loss or a weight is no longer finite.
            RecordError: a record cannot be read any more.
            OSError: the disk is full, and the like.
        """
        progress = self.progress
        while (epoch := len(progress.history)) < self.epochs:
            done = progress.step - epoch * self.steps
            self.started = time.monotonic() - progress.seconds
            if done == self.steps:  # stopped between the last step and the validation
                self.finish_epoch()
                continue
            # `fit` sets the running loss to zero when an epoch begins; it is put back then.
            self.running_loss = [np.array(v.numpy()) for v in self.model.metrics_variables]
            with self.errors_of_the_input("training images", self.batches, self.next_steps):
                # The rest of a broken epoch is a call of its own, as its steps are fewer.
                self.model.fit(
                    self.batches.train_dataset(start_step=progress.step),
                    initial_epoch=epoch,
                    epochs=epoch + 1 if done else self.epochs,
                    steps_per_epoch=self.steps - done,
                    shuffle=False,
                    verbose=0,
                    callbacks=[self],
                )

    def next_steps(self):
        return range(self.progress.step, self.progress.step + _AHEAD)

    @contextlib.contextmanager
    def errors_of_the_input(self, what, batches, steps):
        import tensorflow as tf  # it runs the input on every backend

        try:
            yield
        except tf.errors.OpError as error:
            named = unreadable(what, batches, steps())
            if named:
                raise named from None
            raise error

    def on_epoch_begin(self, epoch, logs=None):
        self.done = self.progress.step - epoch * self.steps
        if self.done:
            for sums, value in zip(self.model.metrics_variables, self.running_loss, strict=True):
                sums.assign(value)
        else:
            self.started = time.monotonic()
        self.line = ProgressLine(self.steps, f"epoch {epoch + 1} of {self.epochs}")
        self.line.__enter__()
        self.timed_from = None

    def on_train_batch_end(self, batch, logs=None):
        self.progress.step += 1
        self.done += 1
        # Keras waits for the device and reads the loss before it calls any callback that is not
        # run in a thread of its own. So a look at each step costs nothing, and the first bad step
        # is known at once; the loss is a mean over the epoch, and stays bad from there on.
        if not math.isfinite(logs["loss"]):
            raise self.not_finite(describe_nan_loss(logs["loss"], self.batches, self.last_step))
        self.show(logs["loss"])
        self.stop_if_asked()
        if time.monotonic() - self.saved >= self.save_seconds:
            self.save()

    @property
    def last_step(self):
        return self.progress.step - 1

    def show(self, loss):
        """The progress line. The first step is not timed, since it holds the compilation."""
        now, speed = time.monotonic(), ""
        if self.timed_from is None:
            self.timed_from = now, self.done
        else:
            start, first = self.timed_from
            images = (self.done - first) * self.batches.batch_size
            speed = f", {images / (now - start):,.0f} images/s"
        self.line.step(self.done, f"loss {loss:.3f}{speed}")

    def not_finite(self, found):
        return FloatingPointError(
            f"{found}\n{self.state.newest} holds the last good state. Look at these images and "
            f"their labels (`batches.describe_step({self.last_step})` names all of them). If they are "
            "sound, the learning rate is too large: begin a new run with a smaller one under "
            "another name."
        )

    def stop_if_asked(self):
        """Saves and stops if a signal came."""
        if self.signals.caught:
            self.save()
            raise TrainingStopped(
                f"{self.signals.caught} came: the training stopped after "
                f"{self.progress.place(self.steps, self.epochs)}, and its state is saved in "
                f"{self.state.newest}. To continue: run the cell again, or the same command."
            )

    def save(self):
        """Writes the state as it is after the last step."""
        self.progress.seconds = time.monotonic() - self.started
        try:
            # With JAX `fit` keeps the variables to itself; reading `self.model` brings them back.
            self.state.save(run_variables(self.model), self.progress)
        except FloatingPointError as error:
            found = describe_nan_weights(str(error), self.batches, self.last_step)
            raise self.not_finite(found) from None
        self.saved = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        self.line.__exit__()
        self.finish_epoch()

    def finish_epoch(self):
        """Validates, writes the state, the history and the reader, and says so in a line."""
        of_a_pass = range(self.validation.steps_per_epoch)
        with self.errors_of_the_input("validation images", self.validation, lambda: of_a_pass):
            loss, report = validate(self.reader, self.validation, self.stop_if_asked)
        epoch = len(self.progress.history) + 1
        row = {
            "epoch": epoch,
            "steps": self.progress.step,
            "learning_rate": _number(self.model.optimizer.learning_rate),
            "train_loss": _number(self.model.get_metrics_result()["loss"]),
            "loss": loss,
            "sequence_distance": sum(c.distance for c in report.cases) / len(report.cases),
            "word_accuracy": report.word_accuracy,
            "character_accuracy": 1 - report.cer,
            "skipped": len(self.batches.skipped) + len(self.validation.skipped),
            "seconds": round(time.monotonic() - self.started, 1),
        }
        self.progress.history.append(row)
        self.started = time.monotonic()
        self.save()
        write_history(self.state.folder.parent / "history.csv", self.progress.history)
        save_model(self.reader, self.state.folder.parent / "model.keras")
        print(
            f"epoch {epoch:3d} of {self.epochs}: training loss {row['train_loss']:7.3f}, "
            f"validation loss {loss:7.3f}, word accuracy {report.word_accuracy:7.2%}, "
            f"character accuracy {row['character_accuracy']:7.2%}, {row['seconds']:.0f} s",
            flush=True,
        )


def _number(tensor):
    return float(keras.ops.convert_to_numpy(tensor))
