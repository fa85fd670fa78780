"""Which images make up the batch of each step: pure NumPy, a function of the seed and the step."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

from crnn_keras.utils.checks import COUNT, FLAG, NATURAL, SEED, check_arguments
from crnn_keras.utils.math import ceil_div


class BatchPlan:
    """Assigns images to steps: a pure function of `(widths, batch_size, seed, step)`.

    A batch holds images of one canvas width. The last batch of a width is filled up with the first
    images of that width.

    Args:
        widths: int array `(images,)`, the canvas width of each image in pixels.
        batch_size: int, images in a batch; every batch is full.
        seed: int, for the order. Defaults to `0`.
        shuffle: bool, whether each epoch has its own order. Otherwise every epoch goes through the
            widths from narrow to wide. Defaults to `False`.

    Attributes:
        steps_per_epoch: int, number of batches in which every image comes at least once.

    Raises:
        ValueError: there is no image, or a number is not allowed; the message names it.

    Example:

        >>> plan = BatchPlan([100, 100, 64], batch_size=2)
        >>> plan.epoch(0).tolist()
        [[2, 2], [0, 1]]
        >>> plan.step(1).tolist()
        [0, 1]
    """

    @check_arguments(batch_size=COUNT, seed=SEED, shuffle=FLAG)
    def __init__(
        self, widths: npt.ArrayLike, batch_size: int, *, seed: int = 0, shuffle: bool = False
    ):
        self.widths = np.asarray(widths)
        if self.widths.ndim != 1 or not self.widths.size:
            raise ValueError(f"widths has the shape {self.widths.shape}. Expected one an image.")
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        _, counts = np.unique(self.widths, return_counts=True)
        self.steps_per_epoch = int(np.sum(ceil_div(counts, batch_size)))
        self._lock = threading.Lock()
        self._latest: dict[int, np.ndarray] = {}

    @check_arguments(epoch=NATURAL)
    def epoch(self, epoch: int) -> np.ndarray:
        """Returns the images of every batch of an epoch.

        Args:
            epoch: int, from 0.

        Returns:
            int array `(steps_per_epoch, batch_size)` of indices into `widths`.
        """
        rng = np.random.default_rng([self.seed, 6, epoch])
        rows = []
        for width in np.unique(self.widths):
            members = np.flatnonzero(self.widths == width)
            members = rng.permutation(members) if self.shuffle else members
            filled = ceil_div(len(members), self.batch_size) * self.batch_size
            rows.append(np.resize(members, filled).reshape(-1, self.batch_size))
        batches = np.concatenate(rows)
        return rng.permutation(batches) if self.shuffle else batches

    @check_arguments(step=NATURAL)
    def step(self, step: int) -> np.ndarray:
        """Returns the images of one batch.

        Args:
            step: int, from 0, counted over all epochs.

        Returns:
            int array `(batch_size,)` of indices into `widths`.
        """
        epoch, row = divmod(step, self.steps_per_epoch)
        with self._lock:
            # Threads ask for steps nearly in order: an epoch is planned once.
            if epoch not in self._latest:
                while len(self._latest) > 1:
                    self._latest.pop(min(self._latest))
                self._latest[epoch] = self.epoch(epoch)
            return self._latest[epoch][row]
