"""Samples assigned to one list for each shard, so that whoever has its list can make a shard."""

from __future__ import annotations

import collections
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping

from crnn_keras.data.issues import Issue, issue_line
from crnn_keras.data.labels import Sample, assign_split
from crnn_keras.data.records.record import Record, make_record
from crnn_keras.data.records.sample_list import (
    first_change,
    read_sample_list,
    read_unchanged,
    write_sample_list,
)
from crnn_keras.data.records.sidecar import check_listed
from crnn_keras.images import ImageError
from crnn_keras.utils import files
from crnn_keras.utils.checks import (
    INTEGER,
    NATURAL,
    NOT_NEGATIVE,
    SEED,
    Of,
    check_arguments,
    check_value,
)

LISTS = "lists.json"
SKIPPED = "skipped.tsv"
PER_SHARD = 4096


@check_arguments(per_shard=INTEGER)
def list_splits(
    folder: str | os.PathLike,
    splits: Mapping[str, Iterable[Sample]],
    *,
    per_shard: int = PER_SHARD,
) -> dict[str, ListedSource]:
    """Lists samples that are assigned to splits already, each with the content of its image.

    Args:
        folder: folder to make; an earlier one is replaced when the new lists are complete.
        splits: dict of `split name: iterable of Samples`.
        per_shard: int, rows in a list, and so in a shard. Defaults to `4096`.

    Returns:
        Dict of `split name: ListedSource`; without the splits that have no samples.

    Raises:
        ValueError: there are no samples, or a split's name is not letters and digits.
    """
    pairs = ((split, sample) for split, samples in splits.items() for sample in samples)
    return _write(folder, pairs, list(splits), per_shard=per_shard)


@check_arguments(seed=SEED, per_shard=INTEGER)
def list_stream(
    folder: str | os.PathLike,
    rows: Iterable[Sample | Issue],
    fractions: Mapping[str, float],
    *,
    seed: int = 0,
    per_shard: int = PER_SHARD,
) -> dict[str, ListedSource]:
    """Assigns samples to splits and lists them as they come; memory does not grow with the rows.

    Every image is read once: a list names their contents.

    Args:
        folder: folder to make; an earlier one is replaced when the new lists are complete.
        rows: iterable of `Sample`s and `Issue`s, as `stream_samples` returns it. The issues are
            written to `skipped.tsv` in the folder.
        fractions: dict of `split name: fraction`.
        seed: int; the same gives the same splits, see `assign_split`. Defaults to `0`.
        per_shard: int, rows in a list, and so in a shard. Defaults to `4096`.

    Returns:
        Dict of `split name: ListedSource`; without the splits that have no samples.

    Raises:
        ValueError: there are no samples, a split's name is not letters and digits, or a fraction is
            below 0 or no number.
    """
    for split, fraction in fractions.items():
        check_value(f"The fraction of {split!r}", fraction, NOT_NEGATIVE)

    def assigned():
        for row in rows:
            is_issue = isinstance(row, Issue)
            yield SKIPPED if is_issue else assign_split(row.identity, fractions, seed), row

    return _write(folder, assigned(), list(fractions), per_shard=per_shard)


def check_split_name(split: str) -> None:
    """Checks that a split's name can become a folder's name, here and on other systems.

    Args:
        split: the name.

    Raises:
        ValueError: it is not letters, digits, _ and -.
    """
    if not isinstance(split, str) or not re.fullmatch(r"\w[\w-]*", split):
        raise ValueError(f"{split!r} cannot name a split. Expected letters, digits, _ and -.")


def _list_name(index):
    return f"{index:05d}.jsonl"


def _write(folder, pairs, splits, *, per_shard):
    for split in splits:
        check_split_name(split)
    if per_shard < 1:
        raise ValueError(f"{per_shard} rows in a list: expected at least 1.")
    folder = pathlib.Path(folder)
    if any(folder.glob("[!.]*")) and not (folder / LISTS).is_file():
        raise ValueError(
            f"{folder} holds files but no {LISTS}: writing lists there would delete them. Give a "
            "new folder or remove this one."
        )
    lists, waiting = collections.defaultdict(list), collections.defaultdict(list)

    def write(split):
        path = new / split / _list_name(len(lists[split]))
        lists[split].append(write_sample_list(path, waiting.pop(split)))

    with files.new_folder(folder) as new, files.atomic(new / SKIPPED) as skipped:
        skipped.write(issue_line())
        for split, row in pairs:
            if split == SKIPPED:
                skipped.write(issue_line(row))
                continue
            waiting[split].append(row)
            if len(waiting[split]) == per_shard:
                write(split)
        for split in list(waiting):
            write(split)
        if not lists:
            raise ValueError(f"There are no samples to list in {folder}.")
        files.write_json(new / LISTS, lists)
    return {split: ListedSource(folder, split) for split in lists}


class ListedSource:
    """Reads the rows of a set from lists that `list_splits` or `list_stream` wrote, one a shard.

    Args:
        folder: folder of the lists.
        split: name of the split, such as `"train"`.

    Attributes:
        rows: int, number of rows.

    Raises:
        ValueError: there are no lists of this split, or they are damaged.
    """

    kind = "listed"

    def __init__(self, folder: str | os.PathLike, split: str):
        self.folder = pathlib.Path(folder)
        self.split = split
        path = self.folder / LISTS
        if not path.is_file():
            here = "" if self.folder.is_absolute() else f" below {pathlib.Path.cwd()}"
            raise ValueError(
                f"There is no {path}{here}, so no lists of the split {split!r}. "
                "build.list_splits writes them; relative paths begin where it ran."
            )
        lists = files.read_json(path)
        with files.prefix_errors(path):
            check_value("the content", lists, Of(dict, "an object"))
            if split not in lists:
                raise ValueError(
                    f"There are no lists of the split {split!r}, but of {sorted(lists)}. "
                    "build.list_splits writes them."
                )
            check_value(repr(split), lists[split], Of(list, "a list"))
            for index, listed in enumerate(lists[split]):
                check_listed(listed, _list_name(index))
        self._lists = lists[split]
        self.rows = sum(listed["rows"] for listed in self._lists)

    def get_config(self) -> dict:
        """Returns a plain dict from which `from_config` makes this source again."""
        return {"folder": str(self.folder), "split": self.split}

    @classmethod
    def from_config(cls, config: dict) -> ListedSource:
        """Makes the source from what `get_config` returned."""
        return cls(**config)

    def identity(self) -> list:
        """Returns plain data that names the rows: the hashes of the lists."""
        return [self.kind, *(listed["sha256"] for listed in self._lists)]

    def __len__(self) -> int:
        """Returns the number of shards."""
        return len(self._lists)

    @check_arguments(index=NATURAL)
    def shard_rows(self, index: int) -> range:
        """Returns the rows of a shard, counted from 0 within its list."""
        return range(self._lists[index]["rows"])

    @check_arguments(index=NATURAL)
    def records(self, index: int) -> Iterator[Record | Issue]:
        """Opens the images of a shard.

        Args:
            index: int, the shard, from 0.

        Yields:
            `Record`s, and `Issue`s where an image cannot be read.

        Raises:
            RecordError: the list is missing or was changed, or an image is another one than when
                it was listed.
        """
        for sample in self._samples(index):
            try:
                yield make_record(read_unchanged(sample), sample.text, sample.where)
            except ImageError as error:
                yield Issue("unreadable image", sample.where, f"{error}.")

    @check_arguments(index=NATURAL)
    def first_change(self, index: int) -> str | None:
        """Finds the first image of a shard that is another one than when it was listed.

        Args:
            index: int, the shard, from 0.

        Returns:
            A sentence that names it, or None.
        """
        return first_change(self._samples(index))

    def _samples(self, index):
        listed = self._lists[index]
        return read_sample_list(self.folder / self.split / listed["file"], listed)
