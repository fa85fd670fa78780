"""A queue, and threads that read what waits there in batches.

A network reads 64 images in much less time than 64 times one. A thread that is free takes what
waits, up to a batch. If that is less, it waits a little for more: milliseconds, from the time at
which the first image came. Texts are searched in larger batches: a thread does that for all that
were predicted meanwhile, while the others predict.
"""

from __future__ import annotations

import collections
import itertools
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
# So many batches are finished at once, and by one thread unless so many wait.
_FINISHED_TOGETHER = 4

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


class _Batch(NamedTuple):
    key: Hashable
    jobs: list[_Job]
    results: list[Any]


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
        finish: Takes a list of what `function` returned, of several batches of one key, and the
            key, and returns the results. One thread calls it while the others call `function`; more
            do if several batches wait. Defaults to `None`: `function` returns the results.
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
        finish: Callable[[list[Any], Any], list[Any]] | None = None,
        observe: Callable[[int, float, float], None] | None = None,
    ) -> None:
        self._function, self._finish = function, finish
        self._max_batch, self._max_wait, self._max_queue = max_batch, max_wait, max_queue
        self._observe = observe or (lambda size, waited, took: None)
        self._jobs: collections.deque[_Job] = collections.deque()
        # One thread at a time waits for a batch to fill; the others wait for their turn. Two
        # conditions: a request that comes meanwhile wakes nobody, unless the batch is full.
        lock = threading.Lock()
        self._turn, self._filled = threading.Condition(lock), threading.Condition(lock)
        self._is_filling = self._is_closed = False
        self._unfinished: list[_Batch] = []
        self._finishers = 0
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
        results = self._call(self._function, [job.item for job in jobs], key)
        self._observe(len(jobs), start - jobs[0].since, time.monotonic() - start)
        if self._finish:
            self._finish_batches(_Batch(key, jobs, results))
        else:
            _give(jobs, results)
        took = time.monotonic() - start
        self._seconds_per_item += _NEWEST * (took / len(jobs) - self._seconds_per_item)

    def _finish_batches(self, batch):
        """Finishes a batch and those that come meanwhile, or leaves it to the thread that does."""
        with self._turn:
            self._unfinished.append(batch)
            if self._finishers and len(self._unfinished) < _FINISHED_TOGETHER:
                return
            self._finishers += 1
        while True:
            with self._turn:
                batches = self._unfinished[:_FINISHED_TOGETHER]
                del self._unfinished[:_FINISHED_TOGETHER]
                if not batches:
                    self._finishers -= 1
                    return
            for key, jobs, results in _join_by_key(batches):
                done = [not isinstance(result, Exception) for result in results]
                found = iter(self._call(self._finish, list(itertools.compress(results, done)), key))
                rows = zip(results, done, strict=True)
                _give(jobs, [next(found) if is_done else own for own, is_done in rows])

    def _call(self, function, items, key):
        """Returns the results of a function, or for an item what it raised for that alone."""
        if not items:
            return []
        try:
            return function(items, key)
        except Exception as error:
            if len(items) == 1:
                _logger.exception("an item cannot be read")
                return [error]
        # One of them may be to blame, the others are not.
        return [result for item in items for result in self._call(function, [item], key)]


def _join_by_key(batches):
    joined: dict[Hashable, _Batch] = {}
    for key, jobs, results in batches:
        batch = joined.setdefault(key, _Batch(key, [], []))
        batch.jobs.extend(jobs)
        batch.results.extend(results)
    return list(joined.values())


def _give(jobs, results):
    for job, result in zip(jobs, results, strict=True):
        job.ticket.give(job.place, result)
