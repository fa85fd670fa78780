"""`BatchSequence`: batches for Keras' `fit`, some of them made ahead by threads."""

from __future__ import annotations

import concurrent.futures
import itertools
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import keras
import numpy as np

from crnn_keras.data.base_batches import MOST_AHEAD
from crnn_keras.utils.cores import count_cores

if TYPE_CHECKING:
    import tensorflow as tf

Batch = tuple[np.ndarray, np.ndarray]


class BatchSequence(keras.utils.PyDataset):
    """Batches that are a pure function of their index, some of which threads make ahead.

    Keras' own workers begin with batch 0 again in each epoch. Here they go on, and the batch of an
    index does not depend on who made it and when.

    Args:
        make_batch: Function of a step that returns its canvases and labels. Threads call it.
        shapes: Shapes of both, such as `((64, 32, None, 1), (64, 9))`; `None` where they differ
            from batch to batch.
        start_step: The step of the batch with index 0. Defaults to `0`.
        count: Number of batches. Defaults to `None`: without end.
        workers: Number of threads, which make two batches for each core ahead, at most 16. Defaults
            to `None`: as many, since they wait for processes.

    Example:

        >>> import numpy as np
        >>> from crnn_keras.data.dataset import BatchSequence
        >>> def make_batch(step):
        ...     return np.full((2, 4, 4, 1), step, np.uint8), np.full((2, 3), step, np.int32)
        >>> sequence = BatchSequence(make_batch, shapes=((2, 4, 4, 1), (2, 3)), start_step=5)
        >>> canvases, labels = sequence[1]
        >>> int(canvases[0, 0, 0, 0])
        6
    """

    def __init__(
        self,
        make_batch: Callable[[int], Batch],
        *,
        shapes: tuple[tuple[int | None, ...], tuple[int | None, ...]],
        start_step: int = 0,
        count: int | None = None,
        workers: int | None = None,
    ):
        # One worker of Keras' means none beside the caller.
        super().__init__(workers=1, max_queue_size=1)
        self.start_step = start_step
        self._count = count
        self._make_batch = make_batch
        self._shapes = shapes
        self._ahead = min(2 * count_cores(), MOST_AHEAD)
        self._lock = threading.Lock()
        self._made: dict[int, concurrent.futures.Future] = {}
        self._threads = concurrent.futures.ThreadPoolExecutor(
            workers or self._ahead, "crnn_keras_batches"
        )
        weakref.finalize(self, self._threads.shutdown, wait=False, cancel_futures=True)

    @property
    def num_batches(self) -> int | None:
        """The number of batches; `None`: there is no last one."""
        return self._count

    def __getitem__(self, index: int) -> Batch:
        """Returns the canvases and the labels of a batch.

        Args:
            index: From 0, the batch of `start_step`.

        Raises:
            IndexError: There is no such batch.
            RecordError: A record of it cannot be read.
        """
        end = index + 1 + self._ahead
        if self._count is not None:
            end = min(end, self._count)
        wanted = range(index, end)
        if index < 0 or not wanted:
            raise IndexError(f"There is no batch {index}. Expected one below {self._count}.")
        with self._lock:
            for other in [i for i in self._made if i not in wanted]:
                self._made.pop(other).cancel()
            for other in wanted:
                if other not in self._made:
                    step = self.start_step + other
                    self._made[other] = self._threads.submit(self._make_batch, step)
            batch = self._made.pop(index)
        return batch.result()

    def __iter__(self) -> Iterator[Batch]:
        """Yields the batches from the first one on."""
        indices = itertools.count() if self._count is None else range(self._count)
        for index in indices:
            yield self[index]

    def for_fit(self) -> BatchSequence | tf.data.Dataset:
        """Returns what `fit` takes best: itself, or on TensorFlow a `tf.data.Dataset` of itself.

        Keras would make one too, but learns the shapes from two batches, which may be of one width
        while later ones are not. And the thread that tunes a pipeline delays the end of `fit` by up
        to half a minute, so it is off.
        """
        if keras.backend.backend() != "tensorflow":
            return self
        import tensorflow as tf

        signature = tuple(
            tf.TensorSpec(shape, dtype)
            for shape, dtype in zip(self._shapes, (tf.uint8, tf.int32), strict=True)
        )
        options = tf.data.Options()
        options.autotune.enabled = False
        made = tf.data.Dataset.from_generator(lambda: iter(self), output_signature=signature)
        return made.prefetch(1).with_options(options)
