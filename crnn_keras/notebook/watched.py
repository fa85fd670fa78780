"""A training that a learner watches: its loss, and what the model reads of some words meanwhile."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from crnn_keras.model.decoding.best_path import best_path
from crnn_keras.notebook.live_curves import LiveCurves
from crnn_keras.training.distribute import predict_local
from crnn_keras.utils import files

# Of the characters of the labels: with fewer read than this, the model is on the plateau.
_FEW_CHARACTERS = 1 / 2


class WatchedTraining(LiveCurves):
    """Shows the curves of a training, and reads some words with the model every few steps.

    Reading changes nothing in the training. Losses and texts are kept in a file: a training that is
    continued, or has ended, shows all of them.

    Args:
        canvases: Array of shape `(words, height, width, 1)`, gray levels from 0 to 255.
        labels: Their texts.
        path: JSON file for losses and texts.
        every: Steps from one point to the next. Defaults to `20`.
        bands: Losses of other trainings, see `LiveCurves`. Defaults to none.
        seconds: Time between two drawings, see `LiveCurves`. Defaults to `5`.

    Attributes:
        texts: Dict of `step: list of texts`. Step 0 is before the training.

    Example:

        >>> import numpy as np
        >>> from crnn_keras.notebook.watched import WatchedTraining
        >>> canvases, labels = np.zeros((2, 32, 100, 1), "uint8"), ["keras", "market"]
        >>> watched = WatchedTraining(canvases, labels, "watched.json")
        >>> callbacks = [watched]
    """

    def __init__(
        self,
        canvases: np.ndarray,
        labels: Sequence[str],
        path: str | os.PathLike,
        *,
        every: int = 20,
        bands: Iterable[Mapping[str, float]] = (),
        seconds: float = 5.0,
    ):
        super().__init__(seconds, every=every, bands=bands)
        self._canvases, self._labels = np.asarray(canvases), list(labels)
        self._path = pathlib.Path(path)
        self.texts: dict[int, list[str]] = {}

    @property
    def plateau(self) -> tuple[int, int] | None:
        """Returns the steps from which and to which the model predicts almost only blanks.

        It is the longest such time after the first step, in which all words together are read with
        fewer than half of the characters of their labels. `None` if there is none.
        """
        few = _FEW_CHARACTERS * sum(map(len, self._labels))
        spans: list[list[int]] = [[]]
        for step in sorted(self.texts.keys() - {0}):
            if sum(map(len, self.texts[step])) < few:
                spans[-1].append(step)
            else:
                spans.append([])
        longest = max(spans, key=len)
        return (longest[0], longest[-1]) if longest else None

    @property
    def moments(self) -> list[int]:
        """Returns the steps to compare: the first, one in the middle of the plateau, the last."""
        steps = sorted(self.texts)
        low, high = self.plateau or (1, 0)
        inside = [step for step in steps if low <= step <= high]
        return sorted({*steps[:1], *inside[len(inside) // 2 :][:1], *steps[-1:]})

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.texts = {} if self.params["step"] else {0: self._read()}
        super().on_train_begin(logs)

    def earlier_losses(self) -> list[tuple[int, float]]:
        """Returns the points before an interruption, as they were kept, and finds their texts."""
        step = self.params["step"]
        if not step or not self._path.exists():
            return super().earlier_losses()
        content = files.read_json(self._path)
        # After a kill the state may be of an earlier step than the file.
        self.texts = {at: texts for at, texts in content["texts"] if at <= step}
        return [(at, loss) for at, loss in content["losses"] if at <= step]

    def on_point(self) -> None:
        self.texts[self.losses[-1][0]] = self._read()
        files.write_json(self._path, {"losses": self.losses, "texts": sorted(self.texts.items())})
        super().on_point()

    def _read(self):
        found = best_path(predict_local(self.model, self._canvases), self.model.char_dict)
        return [row.text for row in found]
