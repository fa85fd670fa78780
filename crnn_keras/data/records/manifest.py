"""Samples as a set of records whose images stay where they are: nothing is copied.

So an LMDB of clovaai's form goes to training without a conversion.
"""

from __future__ import annotations

import functools
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
from crnn_keras.data.records.sample_list import (
    read_sample_list,
    read_unchanged,
    sample_line,
    with_content,
    write_sample_list,
)
from crnn_keras.data.records.sidecar import (
    SAMPLES,
    SIDECAR,
    RecordError,
    check_no_other_files,
    make_sidecar,
    read_sidecar,
)
from crnn_keras.data.records.splits import check_belongs, check_stands_alone
from crnn_keras.images import ImageError
from crnn_keras.utils import files

if TYPE_CHECKING:
    from crnn_keras.char_dict import CharDict
    from crnn_keras.images import Canvas


class ManifestRecords(BaseRecords):
    """Reads samples as records; each image is read where it lies, at every use.

    Args:
        samples: list of `Sample`s. Where one has a `content`, as those of a manifest have, its
            image must still be the same.
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
            RecordError: the folder holds no manifest, its list was changed, or the set does not
                belong to those beside it, see `splits`.
        """
        folder = pathlib.Path(folder)
        info = read_sidecar(folder)
        check_belongs(folder)
        if "samples" not in info:
            raise RecordError(f"{folder} holds its images. records.open_records opens it.")
        return cls(read_sample_list(folder / SAMPLES, info["samples"]), folder, info)

    @functools.cached_property
    def fingerprint(self) -> str:
        """A hash of the names, labels and contents of the images.

        The images of samples without a `content`, which come from no manifest, are read for it.
        """
        are_listed = all(sample.content is not None for sample in self.samples)
        digest = hashlib.sha256()
        for sample in self.samples if are_listed else with_content(self.samples):
            digest.update(sample_line(sample))
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Record:
        sample = self.samples[self._check_index(index)]
        return make_record(read_unchanged(sample), sample.text, sample.where)

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
        ValueError: there are no samples, or `folder` holds something else than a set, or lies
            among sets that were prepared together.
    """
    if not samples:
        raise ValueError(f"There are no samples to write to {folder}.")
    check_no_other_files(folder)
    check_stands_alone(folder)
    with files.new_folder(folder) as new:
        return fill_manifest(new, samples, char_dict=char_dict, canvas=canvas)


def fill_manifest(
    folder: pathlib.Path, samples: list[Sample], *, char_dict: CharDict, canvas: Canvas
) -> dict:
    """Writes the files of a manifest to a folder that has not got its name yet.

    Args:
        folder: the folder.
        samples: see `write_manifest`.
        char_dict: see `write_manifest`.
        canvas: see `write_manifest`.

    Returns:
        The sidecar's content, a dict.
    """
    checked_against = char_dict.get_config(), canvas.get_config()
    listed = write_sample_list(folder / SAMPLES, samples)
    content = make_sidecar([], *checked_against, records=listed["rows"], samples=listed)
    files.write_json(folder / SIDECAR, content)
    return content


def open_records(folder: str | os.PathLike) -> Records | ManifestRecords:
    """Opens a set of records, whether it holds its images or lists them.

    Args:
        folder: path of a folder that `write_records`, `prepare` or `write_manifest` wrote.

    Returns:
        `Records` or `ManifestRecords`.

    Raises:
        RecordError: the folder holds no set, one of another version, a damaged one, or one that was
            not prepared together with the sets beside it.

    Example:

        >>> train = open_records("data/walkthrough/records/train")
        >>> train[0].text
        'POLARIZATION'
    """
    folder = pathlib.Path(folder)
    if not folder.exists():
        check_belongs(folder)
    info = read_sidecar(folder)
    return ManifestRecords.open(folder) if "samples" in info else Records(folder)
