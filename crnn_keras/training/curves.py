"""The curves of a training while it runs: collected by a callback, and written for TensorBoard."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import keras

from crnn_keras.utils.checks import NATURAL, check_arguments
from crnn_keras.utils.extras import naming_extras

_POINTS_OF_AN_EPOCH = 50


class TrainingCurves(keras.callbacks.Callback):
    """Collects the training loss by step, beside the history of the run.

    Each point is the mean loss of the steps since the point before. The epochs before an
    interruption have one point each, their mean.

    Args:
        every: Steps from one point to the next; the last step of an epoch has one too. Defaults to
            `0`: some fifty points an epoch.

    Attributes:
        losses: List of tuples `(step, loss)`. The steps count from the beginning of the run.
        history: The history of the run, as `train` returns it; it grows with each epoch.
    """

    @check_arguments(every=NATURAL)
    def __init__(self, *, every: int = 0) -> None:
        super().__init__()
        self._every = every
        self.losses: list[tuple[int, float]] = []
        self.history: list[Mapping[str, float]] = []
        self._step = 0
        # Steps of the epoch at the last point, and the sum of their losses.
        self._summed: tuple[int, float] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._step, self.history = self.params["step"], self.params["history"]
        self.losses = self.earlier_losses()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        # The losses before an interruption within the epoch are not known one by one.
        is_whole = self._step == epoch * self.params["steps"]
        self._summed = (0, 0.0) if is_whole else None

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._step += 1
        steps = self.params["steps"]
        done = (self._step - 1) % steps + 1
        every = self._every or max(steps // _POINTS_OF_AN_EPOCH, 1)
        if self._summed and done % every and done < steps:
            return
        # Keras' loss is the mean over the epoch so far.
        total = done * logs["loss"]
        if self._summed:
            before, sum_before = self._summed
            self.losses.append((self._step, (total - sum_before) / (done - before)))
            self.on_point()
        self._summed = done, total

    def earlier_losses(self) -> list[tuple[int, float]]:
        """Returns the points before an interruption: the mean loss of each epoch."""
        return [(row["steps"], row["train_loss"]) for row in self.history]

    def on_point(self) -> None:
        """Does nothing; called after each new point of `losses`."""


class TensorBoardCurves(TrainingCurves):
    """Writes the curves of a training for TensorBoard: `tensorboard --logdir FOLDER` shows them.

    `train/loss` by step; `train/learning_rate`, `validation/loss`, `validation/word_accuracy` and
    `validation/character_accuracy` at the last step of each epoch. A run that continues adds to
    the folder. What is trained again after a kill has the same steps and the same values.

    Args:
        folder: Folder to write to. It is made at the beginning of the training.

    Raises:
        ModuleNotFoundError: The package tensorboard is not installed.

    Example:

        >>> from crnn_keras.training.curves import TensorBoardCurves
        >>> callbacks = [TensorBoardCurves("reports/mine/tensorboard")]
    """

    def __init__(self, folder: str | os.PathLike):
        super().__init__()
        with naming_extras("TensorBoardCurves"):
            from tensorboard.summary import Writer
        self._make_writer, self._folder = Writer, os.fspath(folder)
        self._writer: Writer | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        self._writer = self._make_writer(self._folder)

    def on_point(self) -> None:
        step, loss = self.losses[-1]
        self._writer.add_scalar("train/loss", loss, step)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if len(self.history) > epoch:  # the epoch was not cut short
            row = self.history[epoch]
            self._writer.add_scalar("train/learning_rate", row["learning_rate"], row["steps"])
            for name in ("loss", "word_accuracy", "character_accuracy"):
                self._writer.add_scalar(f"validation/{name}", row[name], row["steps"])
        # Before the state is saved: a kill loses no epoch of it.
        self._writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._writer.close()
