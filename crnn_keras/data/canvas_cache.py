"""`CanvasCache`: the canvases of records, kept in memory while there is room."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from crnn_keras.data.records.sidecar import RecordError
from crnn_keras.images import to_canvas
from crnn_keras.utils.cores import count_cores
from crnn_keras.utils.parallel import WorkerPool

if TYPE_CHECKING:
    from crnn_keras.data.records import BaseRecords
    from crnn_keras.images import Canvas

# Of fewer images the start of the processes would take longer than their work.
_WORTH_PROCESSES = 1000
# With so many, the first epoch alone is worth processes, even if all canvases are kept.
_MANY = 20_000
# Images that a process decodes at once.
_CHUNK = 128


class CanvasCache:
    """Decodes the images of records, and keeps their canvases in memory while there is room.

    Threads ask for canvases. Most of the work to decode a small image is Python, of which one
    thread runs at a time: large sets are decoded by processes.

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

    def get(self, indices: Sequence[int]) -> list[np.ndarray]:
        """Returns canvases.

        Args:
            indices: Indices of usable records.

        Returns:
            List of uint8 arrays `(height, width, 1)`.

        Raises:
            RecordError: A record or its image cannot be read.
            ChildProcessError: A process that decodes was killed.
        """
        found = {index: self._kept.get(index) for index in indices}
        if missing := [index for index, canvas in found.items() if canvas is None]:
            found |= zip(missing, self._decode(missing), strict=True)
        return [found[index] for index in indices]

    def _decode(self, indices):
        """Decodes some images, all of which are checked and some are kept."""
        positions = [self._positions[index] for index in indices]
        if self._processes > 1 and len(indices) > 1:
            parts = [positions[i : i + _CHUNK] for i in range(0, len(positions), _CHUNK)]
            decoded = self._open_pool().call_all(_read_stacked, parts)
            canvases = list(itertools.chain.from_iterable(decoded))
        else:
            canvases = read_canvases((self.records, self.canvas), positions)
        for index, position, canvas in zip(indices, positions, canvases, strict=True):
            if canvas.shape[1] != self._widths[index]:
                raise RecordError(
                    f"{describe_record(self.records, position)}: its canvas is {canvas.shape[1]} "
                    f"pixels wide, but {self._widths[index]} by the size that the record names: "
                    "one of them was changed. Prepare the records again."
                )
            with self._lock:
                if index not in self._kept and self._room >= canvas.nbytes:
                    self._room -= canvas.nbytes
                    self._kept[index] = canvas
        return canvases

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


def read_canvases(shared: tuple[BaseRecords, Canvas], positions: Sequence[int]) -> list[np.ndarray]:
    """Reads records and puts their images on canvases, in this process or in one of a pool.

    Args:
        shared: Tuple of the records and the canvas.
        positions: Positions of the records.

    Returns:
        List of uint8 arrays `(height, width, 1)`.

    Raises:
        RecordError: A record or its image cannot be read.
    """
    records, canvas = shared
    canvases = []
    for position in positions:
        record = records[position]
        try:
            canvases.append(to_canvas(record.encoded, canvas))
        except ValueError as error:
            raise RecordError(f"{describe_record(records, position)}: {error}") from error
    return canvases


def _read_stacked(shared, positions):
    """Reads canvases as one array if they are of one width, which is sent faster than many."""
    canvases = read_canvases(shared, positions)
    return np.stack(canvases) if len({canvas.shape for canvas in canvases}) == 1 else canvases


def describe_record(records: BaseRecords, position: int) -> str:
    """Names a record: its set, its position, and the image that it was made of."""
    return f"{records.describe(position)} ({records[position].source})"
