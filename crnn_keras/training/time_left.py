"""How long an epoch and a training will take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crnn_keras.utils.progress import BASIS_SECONDS, format_duration

if TYPE_CHECKING:
    from crnn_keras.training.callbacks import TrainingRun

# A validation that has not been measured: a batch is read forward only, and a step of the training
# takes twice as long again to go back.
_FORWARD = 1 / 3


class TimeLeft:
    """Estimates how long the running epoch and the whole run will take.

    The steps count with the mean time of those of this epoch, or of the epoch before as long as
    these are few; the validation as long as the one before.

    Args:
        run: The `TrainingRun`.
    """

    def __init__(self, run: TrainingRun):
        self._run = run
        self._from: tuple[float, int] | None = None
        self._step_seconds: float | None = None

    def begin_epoch(self) -> None:
        """Begins to time the steps of an epoch."""
        self._from = None

    def add_step(self, now: float) -> float | None:
        """Times a step.

        Args:
            now: The time after it, in seconds of any clock.

        Returns:
            Steps a second in this epoch. `None` after the first step, which is not timed, since it
            includes the compilation.
        """
        if self._from is None:
            self._from = now, self._run.steps_done
            return None
        start, first = self._from
        seconds, steps = now - start, self._run.steps_done - first
        if seconds >= BASIS_SECONDS:
            self._step_seconds = seconds / steps
        return steps / max(seconds, 1e-9)

    def describe(self) -> str:
        """Tells how long the epoch and the run will take.

        Returns:
            Text such as `"1 min 20 s left in the epoch, 12 min in all"`, with `"at most"` before
            what `patience` may shorten, or `"1 min 20 s left"` in the last epoch. Empty before
            there is a basis.
        """
        run, step = self._run, self._step_seconds
        if step is None:
            return ""
        validation = run.validation_seconds
        if validation is None:
            validation = run.validation.steps_per_epoch * step * _FORWARD
        epoch = (run.steps - run.steps_done) * step + validation
        more = run.epochs - run.epoch - 1
        if not more:
            return f"{format_duration(epoch)} left"
        in_all = format_duration(epoch + more * (run.steps * step + validation))
        bound = "at most " if run.patience else ""
        return f"{format_duration(epoch)} left in the epoch, {bound}{in_all} in all"
