"""Samples as a set of records whose images stay where they are: nothing is copied.

So an LMDB of clovaai's form goes to training without a conversion.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels import Sample
from crnn_keras.data.records.base import BaseRecords
from crnn_keras.data.records.record import Record, make_record
from crnn_keras.data.records.record_set import Records
from crnn_keras.data.records.sample_list import read_sample_list, sample_line, write_sample_list
from crnn_keras.data.records.sidecar import (
    SIDECAR,
    check_no_other_files,
    make_sidecar,
    read_sidecar,
)
from crnn_keras.images import ImageError
from crnn_keras.utils import files

if TYPE_CHECKING:
    from crnn_keras.char_dict import CharDict
    from crnn_keras.images import Canvas

_LIST = "samples.jsonl"


class ManifestRecords(BaseRecords):
    """Reads samples as records; each image is read where it lies, at every use.

    Args:
        samples: list of `Sample`s.
        folder: path or name of the set, for messages. Defaults to `"samples"`.
        info: dict, content of the sidecar, if there is one. Defaults to an empty dict.

    Example:

        >>> train = ManifestRecords(read_samples("MJ/MJ_train").samples)
        >>> batches = Batches(train, char_dict, canvas, batch_size=64, shuffle=True)
    """

    def __init__(
        self,
        samples: Iterable[Sample],
        folder: str | os.PathLike = "samples",
        info: dict | None = None,
    ):
        self.samples = list(samples)
        self.folder = folder
        self.info = info or {}

    @classmethod
    def open(cls, folder: str | os.PathLike) -> ManifestRecords:
        """Opens a manifest that `write_manifest` wrote.

        Args:
            folder: path of its folder.

        Returns:
            `ManifestRecords`.

        Raises:
            ValueError: the folder holds no manifest, or its list was changed.
        """
        folder = pathlib.Path(folder)
        info = read_sidecar(folder)
        return cls(read_sample_list(folder / _LIST, info["samples"]), folder, info)

    @property
    def fingerprint(self) -> str:
        """A hash of the listed images' names and labels, not of the images' bytes."""
        digest = hashlib.sha256()
        for sample in self.samples:
            digest.update(sample_line(sample))
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Record:
        self._check_index(index)
        sample = self.samples[index]
        return make_record(sample.read(), sample.text, sample.where)

    def iter_checked(self) -> Iterator[Record | Issue]:
        for index, sample in enumerate(self.samples):
            try:
                yield self[index]
            except ImageError as error:
                yield Issue("unreadable image", sample.where, f"{error}.")


def write_manifest(
    folder: str | os.PathLike,
    samples: list[Sample],
    *,
    char_dict: CharDict,
    canvas: Canvas,
) -> dict:
    """Writes a set that lists samples and leaves their images where they are.

    Args:
        folder: path of the set's folder. An earlier set there is replaced when the new one is
            complete.
        samples: list of `Sample`s that were checked.
        char_dict: the `CharDict` that the labels were checked against.
        canvas: the `Canvas` that the labels were checked against.

    Returns:
        The sidecar's content, a dict.

    Raises:
        ValueError: there are no samples, or `folder` holds something else than a set.
    """
    if not samples:
        raise ValueError(f"There are no samples to write to {folder}.")
    check_no_other_files(folder)
    with files.new_folder(folder) as new:
        listed = write_sample_list(new / _LIST, samples)
        content = make_sidecar(
            [], char_dict.get_config(), canvas.get_config(), records=listed["rows"], samples=listed
        )
        files.write_json(new / SIDECAR, content)
    return content


def open_records(folder: str | os.PathLike) -> Records | ManifestRecords:
    """Opens a set of records, whether it holds its images or lists them.

    Args:
        folder: path of a folder that `write_records`, `prepare` or `write_manifest` wrote.

    Returns:
        `Records` or `ManifestRecords`.

    Raises:
        RecordError: the folder holds no set, one of another version, or a damaged one.

    Example:

        >>> train = open_records("data/walkthrough/records/train")
        >>> train[0].text
        'POLARIZATION'
    """
    info = read_sidecar(pathlib.Path(folder))
    return ManifestRecords.open(folder) if "samples" in info else Records(folder)
