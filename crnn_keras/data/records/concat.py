"""Several sets as one, to learn from all of them."""

import hashlib
import itertools

import numpy as np

from crnn_keras.data.records.record_set import Records


class ConcatRecords:
    """Several sets of records as one: the first, then the second, and so on.

    Args:
        sets: list of `Records` and `ManifestRecords`.

    Raises:
        ValueError: there is no set.

    Example:

        >>> train = ConcatRecords([open_records("data/mj"), open_records("data/st")])
        >>> batches = Batches(train, char_dict, canvas, batch_size=64, shuffle=True)
    """

    def __init__(self, sets):
        self.sets = list(sets)
        if not self.sets:
            raise ValueError("There is no set to join. Give at least one.")
        self.folders = [folder for records in self.sets for folder in records.folders]
        self.folder = " and ".join(map(str, self.folders))
        self._starts = np.cumsum([0, *map(len, self.sets)])

    @property
    def fingerprint(self):
        """Names the sets and their order."""
        whole = " ".join(records.fingerprint for records in self.sets)
        return hashlib.sha256(whole.encode()).hexdigest()

    def __len__(self):
        return int(self._starts[-1])

    def _find(self, position):
        """The set of a position, and the position in it."""
        if not 0 <= position < len(self):
            raise IndexError(f"Record {position} of {len(self)}.")
        number = int(np.searchsorted(self._starts, position, side="right")) - 1
        return self.sets[number], position - int(self._starts[number])

    def __getitem__(self, position):
        records, position = self._find(position)
        return records[position]

    def place(self, position):
        """Names a record for messages: its set, and its position there."""
        records, position = self._find(position)
        return records.place(position)

    def __iter__(self):
        return itertools.chain.from_iterable(self.sets)

    def scan(self):
        """Goes through the sets once and tells what cannot be read.

        Yields:
            For each position a `Record`, or a `Issue`.
        """
        for records in self.sets:
            yield from records.scan()

    image = Records.image
