"""The curves of a training, drawn in the notebook's cell while it trains."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from crnn_keras.evaluation import plots
from crnn_keras.training.curves import TrainingCurves
from crnn_keras.utils.checks import NOT_NEGATIVE, check_arguments
from crnn_keras.utils.progress import HEADLESS, in_kernel

if TYPE_CHECKING:
    from IPython.display import DisplayHandle, Image

# Of the time of a training that drawing may take.
_FRACTION = 0.05


class LiveCurves(TrainingCurves):
    """Shows the curves of a training below its cell, in one figure that is drawn anew.

    Where nobody watches, as under papermill or with the environment variable
    `CRNN_KERAS_HEADLESS`, it is drawn once, at the end. Outside of a notebook it does nothing.

    Args:
        seconds: Time between two drawings. Defaults to `5`; longer where drawing takes long.
        every: Steps from one point of the loss to the next, see `TrainingCurves`. Defaults to `0`.
        bands: Losses of other trainings, drawn behind that of this one, see `plots.live_curves`.
            Defaults to none.

    Example:

        >>> from crnn_keras.notebook.live_curves import LiveCurves
        >>> callbacks = [LiveCurves()]
    """

    @check_arguments(seconds=NOT_NEGATIVE)
    def __init__(
        self,
        seconds: float = 5.0,
        *,
        every: int = 0,
        bands: Iterable[Mapping[str, float]] = (),
    ):
        super().__init__(every=every)
        self._bands = bands
        self._seconds, self._next = seconds, 0.0
        self._handle: DisplayHandle | None = None
        self._is_watched = in_kernel() and not os.environ.get(HEADLESS)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        self._handle = None
        if self._is_watched and self.history:
            self._draw()

    def on_point(self) -> None:
        if self._is_watched and time.monotonic() >= self._next:
            self._draw()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._is_watched:
            self._draw()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if in_kernel() and not self._is_watched:
            self._draw()

    def _draw(self):
        from IPython.display import display

        started = time.monotonic()
        if self._handle:
            self._handle.update(self._image())
        else:
            self._handle = display(self._image(), display_id=True)
        now = time.monotonic()
        self._next = now + max(self._seconds, (now - started) / _FRACTION)

    def _image(self) -> Image:
        from IPython.display import Image

        figure = plots.live_curves(
            self.losses, self.history, self.params["steps"], bands=self._bands
        )
        content = io.BytesIO()
        figure.savefig(content, format="png")
        return Image(content.getvalue(), alt="Loss and accuracy of the training so far")
