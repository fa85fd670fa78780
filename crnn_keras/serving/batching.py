"""A queue, and threads that read what waits there in batches.

A network reads 64 images in much less time than 64 times one. A thread that is free takes what
waits, up to a batch. If that is less, it waits a little for more: milliseconds, from the time at
which the first image came.
"""

from __future__ import annotations

import collections
import logging
import math
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from crnn_keras.utils.checks import COUNT, NOT_NEGATIVE, check_arguments

# The share of the newest batch in the mean time of an image.
_NEWEST = 0.1

_logger = logging.getLogger(__name__)


class FullError(Exception):
    """Error for items that the queue has no place for.

    Args:
        seconds: When there may be a place again.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(f"the queue is full, for about {seconds} s")
        self.seconds = seconds


class ClosedError(Exception):
    """Error for items that come when the queue takes no more."""


class _Ticket:
    """The items of one call, whose results come in any order."""

    def __init__(self, count: int) -> None:
        self.future: Future[list[Any]] = Future()
        self._results: list[Any] = [None] * count
        self._left = count
        self._lock = threading.Lock()

    def give(self, place: int, result: Any) -> None:
        with self._lock:
            self._results[place] = result
            self._left -= 1
            is_last = not self._left
        # A future that was cancelled takes no result.
        if is_last and self.future.set_running_or_notify_cancel():
            self.future.set_result(self._results)


class _Job(NamedTuple):
    item: Any
    place: int
    key: Hashable
    ticket: _Ticket
    since: float


class Batcher:
    """Calls a function for items of many callers in batches.

    Args:
        function: Takes a list of items and their key, and returns a list of as many results. It
            is called by several threads at once. If it raises for a batch, it is called for each
            item alone; what it raises then is the result of that item.
        max_batch: Most items of a call.
        max_wait: Seconds that an item waits for others.
        max_queue: Most items that may wait.
        threads: Number of threads.
        observe: Is called with the size of each batch, the seconds that its first item waited, and
            those that the function took. Defaults to `None`.

    Example:

        >>> from crnn_keras.serving.batching import Batcher
        >>> batcher = Batcher(
        ...     lambda items, key: [item + key for item in items],
        ...     max_batch=8, max_wait=0.01, max_queue=100, threads=2,
        ... )
        >>> batcher.submit([1, 2, 3], 10).result()
        [11, 12, 13]
        >>> batcher.close()
    """

    @check_arguments(max_batch=COUNT, max_wait=NOT_NEGATIVE, max_queue=COUNT, threads=COUNT)
    def __init__(
        self,
        function: Callable[[list[Any], Any], list[Any]],
        *,
        max_batch: int,
        max_wait: float,
        max_queue: int,
        threads: int,
        observe: Callable[[int, float, float], None] | None = None,
    ) -> None:
        self._function = function
        self._max_batch, self._max_wait, self._max_queue = max_batch, max_wait, max_queue
        self._observe = observe or (lambda size, waited, took: None)
        self._jobs: collections.deque[_Job] = collections.deque()
        # One thread at a time waits for a batch to fill; the others wait for their turn. Two
        # conditions: a request that comes meanwhile wakes nobody, unless the batch is full.
        lock = threading.Lock()
        self._turn, self._filled = threading.Condition(lock), threading.Condition(lock)
        self._is_filling = self._is_closed = False
        self._seconds_per_item = 0.0
        self._threads = [
            threading.Thread(target=self._work, name=f"read-{n}", daemon=True)
            for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        """Returns how many items wait."""
        return len(self._jobs)

    def submit(self, items: Sequence[Any], key: Hashable = None) -> Future[list[Any]]:
        """Puts items into the queue, all of them or none.

        Args:
            items: The items.
            key: Only items with the same key are in one call. Defaults to `None`.

        Returns:
            Future of a list of results, in the order of the items; one that is an Exception was
            raised for its item. If it is cancelled, items that still wait are left out.

        Raises:
            FullError: There is no place for so many items.
            ClosedError: The queue takes no more.
        """
        ticket = _Ticket(len(items))
        if not items:
            ticket.future.set_result([])
            return ticket.future
        since = time.monotonic()
        jobs = [_Job(item, place, key, ticket, since) for place, item in enumerate(items)]
        with self._turn:
            if self._is_closed:
                raise ClosedError
            if len(self._jobs) + len(jobs) > self._max_queue:
                raise FullError(self._seconds_to_place())
            self._jobs.extend(jobs)
            if not self._is_filling:
                self._turn.notify()
            elif len(self._jobs) >= self._max_batch:
                self._filled.notify()
        return ticket.future

    def close(self) -> None:
        """Reads what waits, and ends the threads."""
        with self._turn:
            self._is_closed = True
            self._turn.notify_all()
            self._filled.notify_all()
        for thread in self._threads:
            thread.join()

    def _seconds_to_place(self):
        seconds = len(self._jobs) * self._seconds_per_item / len(self._threads)
        return min(max(math.ceil(seconds), 1), 60)

    def _work(self):
        while (jobs := self._take()) is not None:
            groups: dict[Hashable, list[_Job]] = {}
            for job in jobs:
                if not job.ticket.future.cancelled():
                    groups.setdefault(job.key, []).append(job)
            for key, group in groups.items():
                self._run(key, group)

    def _take(self):
        """Returns the next jobs, or None if there will be no more."""
        with self._turn:
            while self._is_filling or not self._jobs:
                if self._is_closed and not self._jobs:
                    return None
                self._turn.wait()
            self._is_filling = True
            until = self._jobs[0].since + self._max_wait
            while len(self._jobs) < self._max_batch and not self._is_closed:
                if (left := until - time.monotonic()) <= 0:
                    break
                self._filled.wait(left)
            self._is_filling = False
            count = min(len(self._jobs), self._max_batch)
            jobs = [self._jobs.popleft() for _ in range(count)]
            if self._is_closed:
                self._turn.notify_all()
            elif self._jobs:
                # Another thread may take the rest.
                self._turn.notify()
            return jobs

    def _run(self, key, jobs):
        start = time.monotonic()
        for job, result in zip(jobs, self._results(key, jobs), strict=True):
            job.ticket.give(job.place, result)
        took = time.monotonic() - start
        self._seconds_per_item += _NEWEST * (took / len(jobs) - self._seconds_per_item)
        self._observe(len(jobs), start - jobs[0].since, took)

    def _results(self, key, jobs):
        try:
            return self._function([job.item for job in jobs], key)
        except Exception as error:
            if len(jobs) == 1:
                _logger.exception("an item cannot be read")
                return [error]
        # One of them may be to blame, the others are not.
        return [result for job in jobs for result in self._results(key, [job])]
