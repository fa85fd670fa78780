"""Several sets as one, to train on all of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from crnn_keras.data.issues import Issue
from crnn_keras.data.records.base import BaseRecords
from crnn_keras.data.records.record import Record
from crnn_keras.data.records.sidecar import join_fingerprints
from crnn_keras.utils.checks import INTEGER, check_arguments


class ConcatRecords(BaseRecords):
    """Joins several sets of records: the first, then the second, and so on.

    Args:
        sets: list of `Records`, `ManifestRecords` and `ConcatRecords`.

    Raises:
        ValueError: the list is empty.

    Example:

        >>> train = ConcatRecords([open_records("data/mj"), open_records("data/st")])
        >>> batches = Batches(train, char_dict, canvas, batch_size=64, shuffle=True)
    """

    def __init__(self, sets: Iterable[BaseRecords]):
        self.sets = list(sets)
        if not self.sets:
            raise ValueError("There is no set to join. Give at least one.")
        self.folder = " and ".join(map(str, self.folders))
        self._starts = np.cumsum([0, *map(len, self.sets)])

    @property
    def folders(self):
        return [folder for records in self.sets for folder in records.folders]

    @property
    def fingerprint(self) -> str:
        """A hash that names the sets and their order."""
        return join_fingerprints(records.fingerprint for records in self.sets)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def _locate(self, index):
        """Returns the set of a record, and its index there."""
        index = self._check_index(index)
        chosen = int(np.searchsorted(self._starts, index, side="right")) - 1
        return self.sets[chosen], index - int(self._starts[chosen])

    def __getitem__(self, index: int) -> Record:
        records, index = self._locate(index)
        return records[index]

    def __iter__(self) -> Iterator[Record]:
        return itertools.chain.from_iterable(self.sets)

    def iter_checked(self) -> Iterator[Record | Issue]:
        for records in self.sets:
            yield from records.iter_checked()

    @check_arguments(index=INTEGER)
    def describe(self, index: int) -> str:
        records, index = self._locate(index)
        return records.describe(index)
