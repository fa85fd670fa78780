"""`SynthBatches`: words that are drawn while a model trains on them."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from crnn_keras.char_dict import BLANK, PROTOCOLS
from crnn_keras.data.base_batches import MOST_AHEAD, BaseBatches
from crnn_keras.data.drawn.drawer import Drawer, Drawn, load_drawer
from crnn_keras.data.drawn.plan import PoolPlan
from crnn_keras.data.drawn.stream import CHUNK, DrawnStream, Tally
from crnn_keras.synth import Recipe
from crnn_keras.utils.checks import COUNT, FLAG, NATURAL, SEED, Of, OneOf, check_arguments
from crnn_keras.utils.cores import count_cores
from crnn_keras.utils.math import ceil_div

if TYPE_CHECKING:
    from crnn_keras.char_dict import CharDict
    from crnn_keras.data.dataset import Batch, BatchSequence
    from crnn_keras.data.issues import Issue
    from crnn_keras.images import Canvas
    from crnn_keras.images.augmentation import Augmentation

# Threads make the batches of some steps ahead, and not in order: so many steps after the end of a
# pool it may still be asked for.
_LATE_STEPS = 2 * MOST_AHEAD
_STEPS_PER_EPOCH = 1000


class SynthBatches(BaseBatches):
    """Makes batches of words that are drawn on all cores while a model trains on them.

    There is no file and no end: each pool of words is trained on, and meanwhile the next one is
    drawn into memory. Every image is a function of the recipe and its index, and the batch of step
    `s` of `(recipe, seed, s)` alone, so a run that is continued sees what an unbroken one would
    have seen, with any number of processes. A training that is faster than the drawing waits.

    Use it in a `with` statement, or call `close`: the processes end then.

    Args:
        recipe: a `Recipe`. Its `split` should be one of `fractions`, so that the words to validate
            on are not drawn.
        char_dict: a `CharDict`.
        canvas: a `Canvas`. With several widths a batch holds one of them, and a training waits for
            the first pool as a whole.
        batch_size: int, images in a batch; every batch is full. Defaults to `64`.
        seed: int, for the order and the augmentation. Defaults to `0`.
        augment: float from 0 to 1 or an `Augmentation`, see `Batches`. Defaults to `0.0`.
        random_erasing: float from 0 to 1, see `Batches`. Defaults to `0.0`.
        repeats: int, how often each image is trained on; for a training that is that much faster
            than the drawing. Defaults to `1`.
        pool_words: int, words in a pool, rounded up to whole batches. Defaults to `8192`.
        processes: int, how many processes draw; the batches do not depend on it. With 1 this
            process does. Defaults to `None`: as many as there are cores.
        shard: tuple `(rank, processes)`, see `Batches`. Each process draws its own words. Defaults
            to `(0, 1)`.
        protocol: string, see `Batches`. Defaults to `"exact"`.
        drop_unknown: bool, see `Batches`. An image whose label still cannot be trained on is
            replaced by another one, and counted. Defaults to `False`.

    Attributes:
        memory_bytes: int, how much the canvases in memory may take.
        skipped: empty list: no image is missing in a batch.

    Raises:
        ValueError: the canvas has several widths and there are several processes in `shard`, or a
            number is not allowed.
        DrawingError: when a batch is made: an image cannot be drawn, or a process was killed.

    Example:

    >>> from crnn_keras.char_dict import CharDict
    >>> from crnn_keras.data.drawn import SynthBatches
    >>> from crnn_keras.images import Canvas
    >>> from crnn_keras.synth import Recipe, bundled_fonts
    >>> recipe, char_dict = Recipe(fonts=bundled_fonts()), CharDict.from_preset("alphanumeric36")
    >>> with SynthBatches(recipe, char_dict, Canvas(), batch_size=16, processes=1) as batches:
    ...     canvases, labels = batches.make_batch(0)
    >>> canvases.shape
    (16, 32, 100, 1)
    """

    @check_arguments(
        recipe=Of(Recipe),
        batch_size=COUNT,
        seed=SEED,
        repeats=COUNT,
        pool_words=COUNT,
        processes=COUNT.or_none(),
        protocol=OneOf(tuple(PROTOCOLS)),
        drop_unknown=FLAG,
    )
    def __init__(
        self,
        recipe: Recipe,
        char_dict: CharDict,
        canvas: Canvas,
        *,
        batch_size: int = 64,
        seed: int = 0,
        augment: float | Augmentation = 0.0,
        random_erasing: float = 0.0,
        repeats: int = 1,
        pool_words: int = 8192,
        processes: int | None = None,
        shard: tuple[int, int] = (0, 1),
        protocol: str = "exact",
        drop_unknown: bool = False,
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
        self._has_one_width = len(canvas.widths) == 1
        if shard[1] > 1 and not self._has_one_width:
            raise ValueError(
                f"The canvas has the widths {canvas.widths}, and {shard[1]} processes train: their "
                "batches would have different widths. Take a canvas of one width, or one process."
            )
        self.recipe = recipe
        self.repeats = repeats
        self.processes = processes or count_cores()
        self.protocol = protocol
        self.drop_unknown = drop_unknown
        self.skipped: list[Issue] = []
        drawer = Drawer(
            recipe, char_dict, canvas, protocol=protocol, drop_unknown=drop_unknown, shard=shard
        )
        # The one that is there already where this process draws too, or has drawn the same.
        self._drawer = load_drawer(drawer.to_json())
        self._plan = PoolPlan(
            batch_size // shard[1], ceil_div(pool_words, shard[1]), repeats=repeats, seed=seed
        )
        self._chunk = min(CHUNK, self._plan.pool_words)
        self._longest = self._drawer.longest_label
        self._tally = Tally()
        self._lock = threading.Lock()
        self._is_closed = False
        self._stream: DrawnStream | None = None
        self._close_stream = lambda: None
        self._newest_step = 0
        self._widths: dict[int, np.ndarray] = {}

    @property
    def longest_label(self) -> int:
        return self._longest

    @property
    def steps_per_epoch(self) -> int:
        """The steps of an epoch unless `train` is told otherwise: 1,000, since there is no end."""
        return _STEPS_PER_EPOCH

    @property
    def memory_bytes(self) -> int:
        # A late step may need the pool before; the processes work at some words beyond the next.
        pools = 2 + ceil_div(_LATE_STEPS, self._plan.steps_per_pool)
        words = pools * self._plan.pool_words + (2 * self.processes + 2) * self._chunk
        return words * self.canvas.height * self.canvas.widths[-1]

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the batches beside their size, seed and augmentation, as plain data."""
        return {
            "records": f"drawn {self.recipe.fingerprint()[:16]}",
            "repeats": self.repeats,
            "pool_words": self._plan.pool_words,
            "protocol": self.protocol,
            **({"drop_unknown": True} if self.drop_unknown else {}),
        }

    @check_arguments(start_step=NATURAL)
    def train_dataset(self, start_step: int = 0) -> BatchSequence:
        with self._lock:
            self._is_closed = False
            self._start_at(start_step)
        return super().train_dataset(start_step)

    @check_arguments(step=NATURAL)
    def make_batch(self, step: int) -> Batch:
        words = self._take(self._members(step))
        canvases = np.stack([word.canvas for word in words])
        labels = np.full((len(words), self._longest), BLANK, np.int32)
        for row, word in zip(labels, words, strict=True):
            row[: len(word.ids)] = word.ids
        return self.augmenter(canvases, step=step, rows=self.rows), labels

    @check_arguments(step=NATURAL)
    def describe_step(self, step: int) -> list[str]:
        """Names the images of a step's batch, for messages; draws them again if need be.

        Args:
            step: int, from 0, counted over all epochs.

        Returns:
            List of strings, such as `"rendered 7, seed 1, label 'hello'"`.
        """
        words = dict.fromkeys(self._members(step).tolist())
        return [self._drawer.describe(word) for word in self._take(words)]

    def describe_replaced(self) -> str:
        """Tells how many images were replaced since their labels cannot be trained on.

        Returns:
            Sentences, or `""` if there are none among those drawn so far.
        """
        tally = self._tally
        if not tally.first:
            return ""
        return (
            f"{tally.replaced:,} images cannot be trained on and were replaced by others, of which "
            f"{tally.drawn:,} were drawn. The first: {tally.first.where}: {tally.first.reason}"
        )

    def close(self) -> None:
        """Ends the processes that draw; `train_dataset` starts others.

        A batch that is made meanwhile is drawn by whoever asks for it.
        """
        with self._lock:
            self._close_stream()
            self._stream = None
            self._is_closed = True

    def __enter__(self) -> SynthBatches:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _members(self, step: int) -> np.ndarray:
        """Returns the words of a step."""
        with self._lock:
            self._allow(step)
            if self._has_one_width:
                return self._plan.step(step)
            pool = self._plan.pool(step)
            widths = self._widths.get(pool.start)
        if widths is None:
            widths = np.array([word.canvas.shape[1] for word in self._take(pool)])
            with self._lock:
                self._widths[pool.start] = widths
                for first in sorted(self._widths)[:-3]:
                    del self._widths[first]
        return self._plan.step(step, widths)

    def _take(self, words: Iterable[int]) -> list[Drawn]:
        stream = self._stream
        return stream.take(words) if stream else [self._drawer.draw(word)[0] for word in words]

    def _allow(self, step):
        """Has the words of a step and the pool behind its own drawn."""
        if self._is_closed:
            return
        if self._stream is None:
            self._start_at(step)
        self._newest_step = max(self._newest_step, step)
        oldest = self._plan.pool(max(self._newest_step - _LATE_STEPS, 0))
        newest = self._plan.pool(self._newest_step)
        self._stream.allow(range(oldest.start, newest.stop + len(newest)))

    def _start_at(self, step):
        """Starts to draw at a step's first word, unless that is in memory or comes next."""
        first = self._plan.pool(step).start
        if self._has_one_width and self.repeats == 1:
            # The words before it in its pool do not come again.
            first = int(self._plan.step(step)[0])
        stream = self._stream
        if stream and stream.is_running and first in range(stream.kept.start, stream.kept.stop + 1):
            return
        self._close_stream()
        self._newest_step = step
        self._stream = DrawnStream(
            self._drawer,
            first,
            processes=self.processes,
            tally=self._tally,
            chunk=self._chunk,
        )
        # Whoever forgets the batches need not close them.
        self._close_stream = weakref.finalize(self, self._stream.close)
