"""What every set of records has, whether it holds its images or lists them."""

from __future__ import annotations

import abc
import operator
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from crnn_keras.images import to_gray
from crnn_keras.utils.checks import INTEGER, check_arguments

if TYPE_CHECKING:
    from PIL import Image

    from crnn_keras.data.issues import Issue
    from crnn_keras.data.records.record import Record


class BaseRecords(abc.ABC):
    """Base class of sets of records: labelled images, read at any index.

    Attributes:
        folder: path or name of the set, for messages.
    """

    folder: str | os.PathLike

    @property
    def folders(self) -> list[str | os.PathLike]:
        """The folders that the set is in."""
        return [self.folder]

    @property
    @abc.abstractmethod
    def fingerprint(self) -> str:
        """A hash that names the content of the set."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """Returns the number of records."""

    @abc.abstractmethod
    def __getitem__(self, index: int) -> Record:
        """Reads the record at an index from 0."""

    def __iter__(self) -> Iterator[Record]:
        return (self[index] for index in range(len(self)))

    def iter_checked(self) -> Iterator[Record | Issue]:
        """Goes through the set once and reports what cannot be read.

        Yields:
            For each index a `Record`, or an `Issue` if its image cannot be read.
        """
        yield from self

    @check_arguments(index=INTEGER)
    def describe(self, index: int) -> str:
        """Names a record for messages, such as `"data/x/records/train, record 7"`."""
        return f"{self.folder}, record {index}"

    @check_arguments(index=INTEGER)
    def image(self, index: int) -> Image.Image:
        """Reads the image at an index, as a gray Pillow image."""
        return to_gray(self[index].encoded)

    def _check_index(self, index):
        """Returns an index as an int; no record has one below 0."""
        index = operator.index(index)
        if not 0 <= index < len(self):
            raise IndexError(f"Record {index} of {len(self)}.")
        return index
