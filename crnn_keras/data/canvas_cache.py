"""`CanvasCache`: the canvases of records, kept in memory while there is room."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from crnn_keras.data.records.sidecar import RecordError
from crnn_keras.images import to_canvas
from crnn_keras.utils.cores import count_cores
from crnn_keras.utils.parallel import WorkerPool

if TYPE_CHECKING:
    from crnn_keras.data.records import BaseRecords
    from crnn_keras.images import Canvas

Augment: TypeAlias = Callable[..., np.ndarray]

# Of fewer images the start of the processes would take longer than their work.
_WORTH_PROCESSES = 1000
# With so many, the first epoch alone is worth processes, even if all canvases are kept.
_MANY = 20_000
# Images that a process decodes at once.
_CHUNK = 128


class CanvasCache:
    """Decodes the images of records, and keeps their canvases in memory while there is room.

    Threads ask for canvases. Most of the work on a small image is Python, of which one thread runs
    at a time: large sets are decoded and augmented by processes.

    Args:
        records: A `BaseRecords`.
        canvas: A `Canvas`.
        positions: Positions of the usable records.
        widths: int array, the canvas width of each of them in pixels.
        room: Bytes of canvases to keep.
    """

    def __init__(
        self,
        records: BaseRecords,
        canvas: Canvas,
        *,
        positions: Sequence[int],
        widths: np.ndarray,
        room: int,
    ):
        self.records = records
        self.canvas = canvas
        self._positions = positions
        self._widths = widths
        self._room = room
        self._kept: dict[int, np.ndarray] = {}
        self._lock = threading.Lock()
        self._pool: WorkerPool | None = None
        is_decoded_often = int(widths.sum()) * canvas.height > room
        self._processes = 1
        if len(widths) >= (_WORTH_PROCESSES if is_decoded_often else _MANY):
            self._processes = count_cores()

    @property
    def works_in_processes(self) -> bool:
        """Whether other processes decode and augment, while the threads that ask only wait."""
        return self._processes > 1

    def get(
        self, indices: Sequence[int], *, rows: np.ndarray, augment: Augment | None
    ) -> np.ndarray:
        """Returns canvases, augmented.

        Args:
            indices: Indices of usable records, all of one canvas width.
            rows: int array, the row of the batch that each of them becomes.
            augment: Function of `(canvases, rows=)` that augments canvases; it can be pickled. None
                augments nothing.

        Returns:
            uint8 array `(images, height, width, 1)`.

        Raises:
            RecordError: A record or its image cannot be read.
            ChildProcessError: A process that decodes was killed.
        """
        width = int(self._widths[indices[0]])
        size = self.canvas.height * width
        kept = [self._kept.get(index) for index in indices]
        missing = [place for place, canvas in enumerate(kept) if canvas is None]
        if missing and (self._processes == 1 or self._room >= size):
            decoded = self._decode([indices[place] for place in missing], width)
            for place, canvas in zip(missing, decoded, strict=True):
                kept[place] = canvas
            missing = []
        here = [place for place, canvas in enumerate(kept) if canvas is not None]
        stacked = np.stack([kept[place] for place in here]) if here else None
        if not missing and (augment is None or self._processes == 1):
            return stacked if augment is None else augment(stacked, rows=rows)
        positions = [self._positions[indices[place]] for place in missing]
        jobs = _make_jobs(positions, width, rows=rows[missing], augment=augment)
        jobs += _make_jobs(stacked, width, rows=rows[here], augment=augment) if here else []
        canvases = np.empty((len(indices), self.canvas.height, width, 1), np.uint8)
        canvases[[*missing, *here]] = self._run(jobs)
        return canvases

    def _decode(self, indices, width):
        """Returns the canvases of some images, and keeps them while there is room."""
        positions = [self._positions[index] for index in indices]
        canvases = self._run(_make_jobs(positions, width, rows=np.arange(len(positions))))
        with self._lock:
            for index, canvas in zip(indices, canvases, strict=True):
                if index not in self._kept and self._room >= canvas.nbytes:
                    self._room -= canvas.nbytes
                    # A copy, since a view would keep its whole batch in memory.
                    self._kept[index] = canvas.copy()
        return canvases

    def _run(self, jobs):
        """Returns the canvases of jobs, in the processes unless there is one image only."""
        if self._processes > 1 and sum(len(job.rows) for job in jobs) > 1:
            done = self._open_pool().call_all(_run_job, jobs)
        else:
            done = [_run_job((self.records, self.canvas), job) for job in jobs]
        return np.concatenate(done)

    def close(self) -> None:
        """Ends the processes that decode; they start again when they are needed."""
        with self._lock:
            if self._pool is not None:
                self._pool.close()
                self._pool = None

    def _open_pool(self):
        with self._lock:
            if self._pool is None:
                self._pool = WorkerPool(self._processes, shared=(self.records, self.canvas))
            return self._pool


class _Job(NamedTuple):
    """Images to decode, or canvases, and to augment, in this process or in one of the pool.

    Args:
        images: Positions of records, or a uint8 array of canvases.
        width: Width of the canvases in pixels.
        rows: Rows of the batch that they become.
        augment: The function that augments them; None does not.
    """

    images: Sequence[int] | np.ndarray
    width: int
    rows: np.ndarray
    augment: Augment | None


def _make_jobs(images, width, *, rows, augment=None):
    parts = (slice(start, start + _CHUNK) for start in range(0, len(images), _CHUNK))
    return [_Job(images[part], width, rows[part], augment) for part in parts]


def _run_job(shared, job):
    """Returns the canvases of a job; raises a RecordError that names what cannot be read."""
    canvases = job.images
    if not isinstance(canvases, np.ndarray):
        canvases = _decode_records(*shared, job.images, width=job.width)
    return canvases if job.augment is None else job.augment(canvases, rows=job.rows)


def _decode_records(records, canvas, positions, *, width):
    canvases = np.empty((len(positions), canvas.height, width, 1), np.uint8)
    for place, position in enumerate(positions):
        record = records[position]
        try:
            found = to_canvas(record.encoded, canvas)
        except ValueError as error:
            raise RecordError(f"{describe_record(records, position)}: {error}") from error
        if found.shape[1] != width:
            raise RecordError(
                f"{describe_record(records, position)}: its canvas is {found.shape[1]} pixels "
                f"wide, but {width} by the size that the record names: one of them was changed. "
                "Prepare the records again."
            )
        canvases[place] = found
    return canvases


def describe_record(records: BaseRecords, position: int) -> str:
    """Names a record: its set, its position, and the image that it was made of."""
    return f"{records.describe(position)} ({records[position].source})"
