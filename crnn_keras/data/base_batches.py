"""`BaseBatches`: what the batches of records and those of drawn words have in common."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import TYPE_CHECKING

from crnn_keras.images.augmentation import Augmentation, Augmenter
from crnn_keras.utils.checks import COUNT, FRACTION, NATURAL, Number, check_arguments, check_value
from crnn_keras.utils.math import ceil_div

if TYPE_CHECKING:
    from crnn_keras.char_dict import CharDict
    from crnn_keras.data.dataset import Batch, BatchSequence
    from crnn_keras.images import Canvas


# Threads make so many batches ahead at most.
MOST_AHEAD = 16


class BaseBatches(abc.ABC):
    """Base of the batches to train on. A subclass implements `make_batch` and `longest_label`.

    Args:
        char_dict: A `CharDict`.
        canvas: A `Canvas`.
        batch_size: Images in a batch, those of all processes together.
        seed: Seed of the order and the augmentation.
        augment: Strength of the augmentation, from 0 to 1, or an `Augmentation`.
        random_erasing: Fraction of images that lose a strip.
        shard: Tuple `(rank, processes)`.

    Attributes:
        augmenter: The `Augmenter` of the training batches.
        rows: Slice of each batch that belongs to this process.

    Raises:
        ValueError: The processes do not divide the batch, or a number is not allowed.
    """

    def __init__(
        self,
        char_dict: CharDict,
        canvas: Canvas,
        *,
        batch_size: int,
        seed: int,
        augment: float | Augmentation,
        random_erasing: float,
        shard: tuple[int, int],
    ):
        given = {"random_erasing": random_erasing}
        if not isinstance(augment, Augmentation):
            given["augment"] = augment
        for name, value in given.items():
            # True and False are all and none.
            check_value(name, int(value) if isinstance(value, bool) else value, FRACTION)
        self.rows = _rows_of_shard(batch_size, shard)
        self.char_dict = char_dict
        self.canvas = canvas
        self.batch_size = batch_size
        self.seed = seed
        self.augmenter = Augmenter(
            augmentation=Augmentation.of(augment),
            random_erasing=float(random_erasing),
            seed=seed,
            batch_size=batch_size,
        )

    @property
    @abc.abstractmethod
    def longest_label(self) -> int:
        """The number of ids in a row of labels."""

    @abc.abstractmethod
    def make_batch(self, step: int) -> Batch:
        """Makes this process' rows of the batch of a step.

        Args:
            step: From 0, counted over all epochs.

        Returns:
            Tuple of the canvases, uint8 `(rows, height, width, 1)`, and the labels, int32 `(rows,
            longest label)`, padded with 0.

        Raises:
            RecordError: An image cannot be read.
        """

    @check_arguments(start_step=NATURAL)
    def train_dataset(self, start_step: int = 0) -> BatchSequence:
        """Returns batches without end for `keras.Model.fit`.

        Args:
            start_step: int, the first step. Defaults to `0`.

        Returns:
            `BatchSequence`, a `keras.utils.PyDataset` of `(canvases, labels)`: uint8 `(batch,
            height, width, 1)`, and int32 `(batch, longest label)` padded with 0. `batch` is
            `batch_size` divided by the number of processes.
        """
        rows = self.rows.stop - self.rows.start
        return self._sequence(self.make_batch, rows, start_step=start_step)

    def _sequence(
        self,
        make: Callable[[int], Batch],
        rows: int,
        *,
        start_step: int = 0,
        count: int | None = None,
    ) -> BatchSequence:
        from crnn_keras.data.dataset import BatchSequence

        width = self.canvas.widths[0] if len(self.canvas.widths) == 1 else None
        shapes = (rows, self.canvas.height, width, 1), (rows, self.longest_label)
        return BatchSequence(
            make, shapes=shapes, start_step=start_step, count=count, workers=self._workers
        )

    # Threads that make batches; None: as many as batches are made ahead.
    _workers: int | None = None

    @abc.abstractmethod
    def close(self) -> None:
        """Ends the processes that work for it; they start again when a batch is asked for."""


def _rows_of_shard(batch_size, shard):
    """Returns the rows of each batch that belong to one process, as a slice."""
    try:
        rank, processes = shard
    except (TypeError, ValueError):
        raise ValueError(f"shard is {shard!r}. Expected a pair of rank and processes.") from None
    check_value("The number of processes in shard", processes, COUNT)
    check_value("The rank in shard", rank, Number(0, processes - 1, is_whole=True))
    if batch_size % processes:
        raise ValueError(
            f"A batch of {batch_size} cannot be shared by {processes} processes. Take a batch "
            f"size that {processes} divides, such as {ceil_div(batch_size, processes) * processes}."
        )
    rows = batch_size // processes
    return slice(rank * rows, (rank + 1) * rows)
