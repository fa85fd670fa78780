"""Batches of records: decoded, augmented, in an order that is a pure function of the seed.

The batch of step `s` depends on `(records, seed, s)` alone, so a run that is continued at step `s`
sees what an unbroken run would have seen.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from crnn_keras.char_dict import BLANK, PROTOCOLS
from crnn_keras.data.base_batches import BaseBatches
from crnn_keras.data.canvas_cache import CanvasCache, describe_record
from crnn_keras.data.issues import Issue
from crnn_keras.data.labels import check_label
from crnn_keras.data.plan import BatchPlan
from crnn_keras.utils.checks import (
    COUNT,
    FLAG,
    FRACTION,
    NATURAL,
    SEED,
    OneOf,
    check_arguments,
)

if TYPE_CHECKING:
    from crnn_keras.char_dict import CharDict
    from crnn_keras.data.records import BaseRecords
    from crnn_keras.images import Canvas
    from crnn_keras.images.augmentation import Augmentation


class Batches(BaseBatches):
    """Makes batches of one set of records.

    A batch holds images of one canvas width, so all its rows have `width / 4` frames. Records whose
    label cannot be trained on are in no batch; `skipped` lists them.

    Args:
        records: a `Records`, `ManifestRecords` or `ConcatRecords`.
        char_dict: a `CharDict`.
        canvas: a `Canvas`.
        batch_size: int, images in a batch; every batch is full. Defaults to `64`.
        seed: int, for the order and the augmentation. Defaults to `0`.
        shuffle: bool, whether each epoch has its own order. Defaults to `False`.
        augment: float from 0 (or `False`) to 1 (or `True`), how much each image is bent, shifted,
            lit, blurred and roughened, in another way at each step; or an `Augmentation`. Defaults
            to `0.0`.
        random_erasing: float from 0 to 1, the fraction of images that lose a strip, up to a letter
            wide, at each step. What was there must be guessed from its neighbours, so words are
            learned as well as letters. Defaults to `0.0`.
        cache_bytes: int. Decoded canvases are kept in memory up to this size; beyond it they are
            decoded in each epoch. Defaults to `2**30`.
        shard: tuple `(rank, processes)`. `train_dataset` gives this process its rows of each batch,
            the rows of rank 0 first; see `distribute.scope`. Defaults to `(0, 1)`.
        protocol: string, the rule by which labels are compared: `"exact"`, or `"alphanumeric"`,
            that of the field's benchmarks, with which records of `Hello!` train a model to read
            `hello`. Defaults to `"exact"`.
        drop_unknown: bool, whether characters without an id are dropped from labels. Otherwise a
            label that has one is skipped. Defaults to `False`.
        replay: records of another task that come again while this one is learned, so that it is not
            forgotten (experience replay). They are no part of `texts` and of an epoch's count, and
            characters without an id are dropped from their labels. Defaults to `None`.
        replay_fraction: float from 0 to 1, their fraction of each training batch, rounded to whole
            images. A batch of a canvas width that `replay` lacks has none. Defaults to `0.0`.

    Attributes:
        texts: list of the usable labels.
        labels: int32 array `(images, longest label)` of ids, padded with 0.
        widths: int array `(images,)`, the canvas width of each image in pixels.
        skipped: list of `Issue`s, one for each record that is in no batch, those of `replay` last.
        replayed: int, images of `replay` in a batch.

    Raises:
        ValueError: no record is usable, the processes do not divide the batch, the protocol is
            unknown, a batch would have no image of one of both kinds, or a number is not allowed;
            the message names it.

    Example:

    >>> from crnn_keras import Batches, Canvas, CharDict, open_records
    >>> records = open_records("data/walkthrough/records/train")
    >>> char_dict = CharDict.from_preset("alphanumeric36")
    >>> batches = Batches(records, char_dict, Canvas(), batch_size=16, shuffle=True, augment=1.0)
    >>> canvases, labels = next(iter(batches.train_dataset()))
    >>> canvases.shape
    (16, 32, 100, 1)
    """

    @check_arguments(
        batch_size=COUNT,
        seed=SEED,
        shuffle=FLAG,
        cache_bytes=NATURAL,
        protocol=OneOf(tuple(PROTOCOLS)),
        drop_unknown=FLAG,
        replay_fraction=FRACTION,
    )
    def __init__(
        self,
        records: BaseRecords,
        char_dict: CharDict,
        canvas: Canvas,
        *,
        batch_size: int = 64,
        seed: int = 0,
        shuffle: bool = False,
        augment: float | Augmentation = 0.0,
        random_erasing: float = 0.0,
        cache_bytes: int = 2**30,
        shard: tuple[int, int] = (0, 1),
        protocol: str = "exact",
        drop_unknown: bool = False,
        replay: BaseRecords | None = None,
        replay_fraction: float = 0.0,
    ):
        super().__init__(
            char_dict,
            canvas,
            batch_size=batch_size,
            seed=seed,
            augment=augment,
            random_erasing=random_erasing,
            shard=shard,
        )
        self.records = records
        self.shuffle = shuffle
        self.protocol = protocol
        self.drop_unknown = drop_unknown
        self.texts: list[str] = []
        self.skipped: list[Issue] = []
        self._positions: list[int] = []
        self.widths = np.array(self._take_records())
        self._canvases = CanvasCache(
            records,
            canvas,
            positions=self._positions,
            widths=self.widths,
            room=cache_bytes,
        )
        self.labels = _pad([char_dict.encode(text) for text in self.texts])
        self.replay_fraction = float(replay_fraction)
        self.replayed = _count_replayed(batch_size, replay_fraction, has_replay=replay is not None)
        own = batch_size - self.replayed
        self._plan = BatchPlan(self.widths, own, seed=seed, shuffle=shuffle)
        self.replay: Batches | None = None
        if replay is not None:
            self.replay = Batches(
                replay,
                char_dict,
                canvas,
                batch_size=self.replayed,
                seed=seed,
                shuffle=shuffle,
                cache_bytes=cache_bytes,
                protocol=protocol,
                drop_unknown=True,
            )
            self.skipped += self.replay.skipped
            self._replay_plans = dict(_plan_each_width(self.replay))

    def _take_records(self) -> list[int]:
        """Sorts the records into `texts` and `skipped`; returns the usable ones' canvas widths."""
        widths = []
        for position, record in enumerate(self.records.iter_checked()):
            if isinstance(record, Issue):
                self.skipped.append(record)
                continue
            text = PROTOCOLS[self.protocol](record.text)
            if self.drop_unknown:
                text = self.char_dict.without_unknown(text)
            frames = self.canvas.frames(record.height, record.width)
            where = f"{self.records.describe(position)} ({record.source})"
            if issue := check_label(text, self.char_dict, frames, where=where, canvas=self.canvas):
                self.skipped.append(issue)
                continue
            self._positions.append(position)
            self.texts.append(self.char_dict.normalize(text))
            widths.append(self.canvas.fit(record.height, record.width)[1])
        if not widths:
            first = f" The first: {self.skipped[0].reason}" if self.skipped else ""
            raise ValueError(f"{self.records.folder} has no usable record.{first}")
        return widths

    def __len__(self) -> int:
        """Returns the number of usable records."""
        return len(self.texts)

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches in which every record comes at least once."""
        return self._plan.steps_per_epoch

    @check_arguments(epoch=NATURAL)
    def plan(self, epoch: int) -> np.ndarray:
        """Returns which records make up the batches of an epoch.

        Args:
            epoch: int, from 0.

        Returns:
            int array `(steps_per_epoch, batch_size - replayed)` of positions in `texts`. The last
            batch of a canvas width is filled up with the first records of that width.
        """
        return self._plan.epoch(epoch)

    @check_arguments(step=NATURAL)
    def describe_step(self, step: int) -> list[str]:
        """Names the records of a step's batch, for messages; reads each of them from the disk.

        Args:
            step: int, from 0, counted over all epochs.

        Returns:
            List of strings, such as `"data/x/records/train, record 7 (b.png), label 'hello'"`. A
            record that comes twice, since it fills up the batch, is named once.

        Raises:
            ValueError, OSError: a record cannot be read; the message names its file.
        """
        return [batches._describe(index) for batches, index in dict.fromkeys(self._members(step))]

    def _describe(self, index):
        where = describe_record(self.records, self._positions[index])
        return f"{where}, label {self.texts[index]!r}"

    def _members(self, step):
        """Returns the images of a training step: pairs of the `Batches` that have them and indices.

        The rows are in random order, so that each process of a group has images of both kinds.
        """
        own = self._plan.step(step)
        if self.replay is None:
            return [(self, index) for index in own.tolist()]
        width = self.widths[own[0]]
        if width in self._replay_plans:
            chosen, plan = self._replay_plans[width]
            replayed = chosen[plan.step(step)]
        else:
            own, replayed = np.resize(own, self.batch_size), np.array([], int)
        members = [(self, index) for index in own.tolist()]
        members += [(self.replay, index) for index in replayed.tolist()]
        order = np.random.default_rng([self.seed, 9, step]).permutation(len(members))
        return [members[row] for row in order]

    @check_arguments(step=NATURAL)
    def make_batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self._members(step)[self.rows]
        return self._make(chosen, step=step, rows=self.rows)

    def iter_once(self) -> Iterator[tuple[np.ndarray, np.ndarray, list[int]]]:
        """Goes through every record once, in order of canvas width.

        Yields:
            Tuple `(canvases, labels, positions)` of NumPy arrays as in `train_dataset`, but of
            whole batches, and the positions of the records in `texts`. The last batch of a width
            may repeat records; the positions are then fewer than the rows and belong to the first
            of them.
        """
        seen = set()
        # Not shuffled: the records that fill up a batch must have come in an earlier one.
        plan = BatchPlan(self.widths, self.batch_size)
        rows = slice(0, self.batch_size)

        def make(step):
            chosen = [(self, index) for index in plan.step(step).tolist()]
            return self._make(chosen, step=step, rows=rows)

        batches = self._sequence(make, self.batch_size, count=plan.steps_per_epoch)
        for chosen, (canvases, labels) in zip(plan.epoch(0), batches, strict=True):
            fresh = [int(index) for index in dict.fromkeys(chosen) if index not in seen]
            seen.update(fresh)
            yield canvases, labels, fresh

    def close(self) -> None:
        for batches in (self, self.replay):
            if batches is not None:
                batches._canvases.close()

    @property
    def _workers(self):
        # Where no process helps, more threads than one would wait for each other's Python.
        own = [batches._canvases for batches in (self, self.replay) if batches]
        return None if any(canvases.works_in_processes for canvases in own) else 1

    @property
    def longest_label(self) -> int:
        return max(batches.labels.shape[1] for batches in (self, self.replay) if batches)

    def _width(self, chosen):
        batches, index = chosen[0]
        return batches.widths[index]

    def _make(self, chosen, *, step, rows):
        """Returns the canvases and the labels of some rows of a batch."""
        batch_rows = np.arange(self.batch_size)[rows]
        augment = None
        if not self.augmenter.is_neutral:
            augment = functools.partial(self.augmenter, step=step)
        canvases = np.empty((len(chosen), self.canvas.height, self._width(chosen), 1), np.uint8)
        labels = np.full((len(chosen), self.longest_label), BLANK, np.int32)
        for batches in dict.fromkeys(batches for batches, _ in chosen):
            own = [row for row, (owner, _) in enumerate(chosen) if owner is batches]
            indices = [chosen[row][1] for row in own]
            canvases[own] = batches._canvases.get(indices, rows=batch_rows[own], augment=augment)
            labels[own, : batches.labels.shape[1]] = batches.labels[indices]
        return canvases, labels


def _plan_each_width(batches):
    """Yields each canvas width, the images that have it, and a plan over them alone."""
    for width in np.unique(batches.widths):
        members = np.flatnonzero(batches.widths == width)
        plan = BatchPlan(
            batches.widths[members], batches.batch_size, seed=batches.seed, shuffle=batches.shuffle
        )
        yield width, (members, plan)


def _count_replayed(batch_size, fraction, *, has_replay):
    """Returns how many images of a batch are replayed."""
    count = round(batch_size * fraction)
    if has_replay != (fraction > 0):
        found = "records to replay, but" if has_replay else "no records to replay, and"
        raise ValueError(
            f"There are {found} replay_fraction is {fraction}. Expected both, `replay` and a "
            "fraction above 0, or neither."
        )
    if has_replay and not 0 < count < batch_size:
        raise ValueError(
            f"replay_fraction {fraction} of a batch of {batch_size} are {count} images. Expected "
            f"from 1 to {batch_size - 1}: take another fraction or a larger batch."
        )
    return count


def _pad(ids):
    """Returns lists of ids as an int32 array, padded with 0."""
    labels = np.full((len(ids), max(map(len, ids))), BLANK, np.int32)
    for row, label in zip(labels, ids, strict=True):
        row[: len(label)] = label
    return labels
