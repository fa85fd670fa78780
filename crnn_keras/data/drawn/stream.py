"""Words drawn on all cores into memory, in order, some of them ahead of who reads them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from crnn_keras.data.drawn.drawer import Drawer, DrawingError, Drawn, DrawnChunk, draw_words
from crnn_keras.data.issues import Issue
from crnn_keras.utils.parallel import parallel_map

# Words that a process draws at once, at most: a tenth of a second.
CHUNK = 128


@dataclass
class Tally:
    """Counts what was drawn.

    Args:
        drawn: int, words. Defaults to `0`.
        replaced: int, images that were tried before, whose labels cannot be trained on. Defaults to
            `0`.
        first: the `Issue` of the first of them. Defaults to `None`.
    """

    drawn: int = 0
    replaced: int = 0
    first: Issue | None = None

    def add(self, chunk: DrawnChunk) -> None:
        """Adds what a process drew."""
        self.drawn += len(chunk.labels)
        self.replaced += len(chunk.issues)
        self.first = self.first or next(iter(chunk.issues), None)


class DrawnStream:
    """Draws words from a first one on; a thread takes them from the processes.

    Args:
        drawer: a `Drawer`.
        first: int, the number of the first word.
        processes: int, how many processes draw; 1: this process does.
        tally: the `Tally` to add them to.
        chunk: int, words that a process draws at once. Defaults to `128`.

    Attributes:
        kept: range, the numbers of the words in memory.
    """

    def __init__(
        self, drawer: Drawer, first: int, *, processes: int, tally: Tally, chunk: int = CHUNK
    ):
        self.drawer = drawer
        self.processes = processes
        self.chunk = chunk
        self.kept = range(first, first)
        self._tally = tally
        self._limit = first
        self._words: dict[int, Drawn] = {}
        self._changed = threading.Condition()
        self._is_closed = False
        self._error: DrawingError | None = None
        self._thread = threading.Thread(target=self._draw, name="crnn_keras_drawn", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether words are drawn, or wait for room."""
        return self._thread.is_alive()

    def allow(self, wanted: range) -> None:
        """States which words may lie in memory, for those who read them in order.

        Words in front of them are forgotten; drawing waits before their end. Beyond it are only
        what the processes work at: `2 * processes + 2` chunks.

        Args:
            wanted: range of numbers. Both ends only ever grow.
        """
        with self._changed:
            for number in range(self.kept.start, min(wanted.start, self.kept.stop)):
                del self._words[number]
            self.kept = range(max(self.kept.start, wanted.start), self.kept.stop)
            self._limit = max(self._limit, wanted.stop)
            self._changed.notify_all()

    def take(self, numbers: Iterable[int]) -> list[Drawn]:
        """Returns words; waits until they are drawn.

        Args:
            numbers: their numbers, in front of the end of what `allow` allows. Those that were
                forgotten are drawn again, by this thread.

        Raises:
            DrawingError: an image cannot be drawn, a process was killed, or the stream was closed.
        """
        numbers = list(numbers)
        with self._changed:
            self._changed.wait_for(
                lambda: self._error or self._is_closed or max(numbers) < self.kept.stop
            )
            if max(numbers) >= self.kept.stop:
                raise self._error or DrawingError("No words are drawn: `close` was called.")
            found = [self._words.get(number) for number in numbers]
        return [
            word or self.drawer.draw(number)[0] for number, word in zip(numbers, found, strict=True)
        ]

    def close(self) -> None:
        """Ends the processes. Words that are in memory can still be read."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _draw(self):
        """Takes words from the processes until the stream is closed."""
        results = parallel_map(draw_words, self._jobs(), processes=self.processes)
        try:
            while self._has_room():
                self._keep(next(results))
            # There are no more jobs: the processes end when they have done the last ones.
            for _ in results:
                pass
        except DrawingError as error:
            self._fail(error)
        except BaseException as error:
            self._fail(DrawingError(f"Words from {self.kept.stop:,} on cannot be drawn: {error}"))
        finally:
            results.close()

    def _jobs(self):
        content = self.drawer.to_json()
        for start in itertools.count(self.kept.start, self.chunk):
            if self._is_closed:
                return
            yield content, range(start, start + self.chunk)

    def _has_room(self):
        """Waits until the next words may be kept; returns whether any are wanted."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self.kept.stop < self._limit)
            return not self._is_closed

    def _keep(self, chunk):
        words = chunk.words()
        with self._changed:
            first = self.kept.stop
            self._words.update(enumerate(words, first))
            self.kept = range(self.kept.start, first + len(words))
            self._tally.add(chunk)
            self._changed.notify_all()

    def _fail(self, error):
        with self._changed:
            self._error = error
            self._changed.notify_all()
