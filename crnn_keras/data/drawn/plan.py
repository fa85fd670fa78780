"""Which drawn words make up the batch of each step: pure NumPy, a function of the seed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from crnn_keras.utils.checks import COUNT, NATURAL, SEED, check_arguments
from crnn_keras.utils.math import ceil_div

# The seed's stream of random numbers, beside those of `BatchPlan` and of the augmentation.
_STREAM = 12


class PoolPlan:
    """Assigns words to steps: a pure function of `(seed, step)` and of the widths of a pool.

    Words are numbered from 0 without end. So many of them in a row are a pool; the steps of a pool
    go through it some times, then the next one comes.

    Args:
        batch_size: int, words in a batch; every batch is full.
        pool_words: int, words in a pool, rounded up to whole batches.
        repeats: int, how often the steps go through a pool. Defaults to `1`.
        seed: int, for the order. Defaults to `0`.

    Attributes:
        pool_words: int, words in a pool.
        steps_per_pool: int, steps that go through one.

    Raises:
        ValueError: a number is not allowed; the message names it.

    Example:

    >>> plan = PoolPlan(batch_size=2, pool_words=4, repeats=2)
    >>> [plan.step(step).tolist() for step in (0, 1, 2, 4)]
    [[0, 1], [2, 3], [1, 0], [4, 5]]
    """

    @check_arguments(batch_size=COUNT, pool_words=COUNT, repeats=COUNT, seed=SEED)
    def __init__(self, batch_size: int, pool_words: int, *, repeats: int = 1, seed: int = 0):
        self.batch_size = batch_size
        self._batches = ceil_div(pool_words, batch_size)
        self.pool_words = self._batches * batch_size
        self.steps_per_pool = self._batches * repeats
        self.seed = seed

    @check_arguments(step=NATURAL)
    def pool(self, step: int) -> range:
        """Returns the words of the pool that a step belongs to."""
        first = step // self.steps_per_pool * self.pool_words
        return range(first, first + self.pool_words)

    @check_arguments(step=NATURAL)
    def step(self, step: int, widths: npt.ArrayLike | None = None) -> np.ndarray:
        """Returns the words of one batch.

        Args:
            step: int, from 0.
            widths: int array `(pool_words,)`, the canvas width of each word of the step's pool. A
                batch holds one width, and each width has its fraction of the batches: on average
                all words come equally often. Defaults to `None`: all have one width. Each word
                then comes once each time that the steps go through the pool, first in order, so
                that the training may begin before the pool is full.

        Returns:
            int array `(batch_size,)`.
        """
        pool, row = divmod(step, self.steps_per_pool)
        turn, row = divmod(row, self._batches)
        rng = np.random.default_rng([self.seed, _STREAM, pool, turn])
        if widths is None:
            order = rng.permutation(self.pool_words) if turn else np.arange(self.pool_words)
            batches = order.reshape(-1, self.batch_size)
        else:
            batches = self._by_width(np.asarray(widths), rng)
        return pool * self.pool_words + batches[row]

    def _by_width(self, widths, rng):
        """Returns batches of one width each, in random order."""
        values, counts = np.unique(widths, return_counts=True)
        # Rounded up or down by one random number, so that their sum and their means are exact.
        ends = np.floor(np.cumsum([0, *counts]) / self.batch_size + rng.random()).astype(int)
        rows = []
        for width, batches in zip(values, np.diff(ends), strict=True):
            members = rng.permutation(np.flatnonzero(widths == width))
            rows.append(np.resize(members, (batches, self.batch_size)))
        return rng.permutation(np.concatenate(rows))
