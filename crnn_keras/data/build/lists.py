"""Samples dealt to one list for each shard, so that a shard can be made by whoever has its list."""

import collections
import pathlib
import re

from crnn_keras.utils import files
from crnn_keras.images import ImageError
from crnn_keras.data.records.record import make_record
from crnn_keras.data.records.sample_list import read_sample_list, write_sample_list
from crnn_keras.data.issues import Issue, issue_line
from crnn_keras.data.labels import assign_split

LISTS = "lists.json"
SKIPPED = "skipped.tsv"
PER_SHARD = 4096


def list_splits(folder, parts, per_shard=PER_SHARD):
    """Lists samples that are dealt to parts already.

    Args:
        folder: folder to make; what stands there is replaced when the new lists are whole.
        parts: dict of `part name: iterable of samples.Sample`s.
        per_shard: rows in a list, and so in a shard.

    Returns:
        Dict of `part name: ListedSource`.

    Raises:
        ValueError: there are no samples, or a part's name is not letters and digits.
    """
    pairs = ((part, sample) for part, samples in parts.items() for sample in samples)
    return _write(folder, pairs, list(parts), per_shard)


def list_stream(folder, rows, fractions, seed, per_shard=PER_SHARD):
    """Deals samples to parts and lists them in one pass; memory does not grow with the rows.

    Args:
        folder: folder to make; what stands there is replaced when the new lists are whole.
        rows: iterable of `samples.Sample`s and `Issue`s, as `samples.stream_samples` gives them.
            The problems are written to `skipped.tsv` in the folder.
        fractions: dict of `part name: share`.
        seed: integer; the same gives the same parts, see `samples.assign_split`.
        per_shard: rows in a list, and so in a shard.

    Returns:
        Dict of `part name: ListedSource`.

    Raises:
        ValueError: there are no samples, or a part's name is not letters and digits.
    """

    def dealt():
        for row in rows:
            is_problem = isinstance(row, Issue)
            yield SKIPPED if is_problem else assign_split(row.identity, fractions, seed), row

    return _write(folder, dealt(), list(fractions), per_shard)


def _write(folder, pairs, parts, per_shard):
    for part in parts:
        # It becomes a folder's name, here and on other systems.
        if not re.fullmatch(r"\w[\w-]*", part):
            raise ValueError(f"{part!r} is no part's name. Expected letters, digits, _ and -.")
    if per_shard < 1:
        raise ValueError(f"{per_shard} rows in a list: expected at least 1.")
    folder = pathlib.Path(folder)
    lists, waiting = collections.defaultdict(list), collections.defaultdict(list)

    def write(part):
        path = new / part / f"{len(lists[part]):05d}.jsonl"
        lists[part].append(write_sample_list(path, waiting.pop(part)))

    with files.new_folder(folder) as new, files.atomic(new / SKIPPED) as problems:
        problems.write(issue_line())
        for part, row in pairs:
            if part == SKIPPED:
                problems.write(issue_line(row))
                continue
            waiting[part].append(row)
            if len(waiting[part]) == per_shard:
                write(part)
        for part in list(waiting):
            write(part)
        if not lists:
            raise ValueError(f"There are no samples to list in {folder}.")
        files.write_json(new / LISTS, lists)
    return {part: ListedSource(folder, part) for part in lists}


class ListedSource:
    """Rows of lists that `list_splits` or `list_stream` wrote: one list for each shard.

    Args:
        folder: folder of the lists.
        part: name of the part, such as `"train"`.

    Raises:
        ValueError: there are no lists of this part.
    """

    kind = "listed"

    def __init__(self, folder, part):
        self.folder = pathlib.Path(folder)
        self.part = part
        path = self.folder / LISTS
        if not path.is_file():
            here = "" if self.folder.is_absolute() else f" below {pathlib.Path.cwd()}"
            raise ValueError(
                f"There is no {path}{here}, so no lists of the part {part!r}. prepare.list_splits "
                "writes them; relative paths begin where it ran."
            )
        parts = files.read_json(path)
        if part not in parts:
            raise ValueError(
                f"{self.folder} has no lists of the part {part!r}, but of {sorted(parts)}. "
                "prepare.list_splits writes them."
            )
        self._lists = parts[part]
        self.rows = sum(listed["rows"] for listed in self._lists)

    def get_config(self):
        """Plain dict from which `from_config` makes this source again."""
        return {"folder": str(self.folder), "part": self.part}

    @classmethod
    def from_config(cls, config):
        """Makes the source from what `get_config` gave."""
        return cls(**config)

    def identity(self):
        """Plain data that names the rows: the hashes of the lists."""
        return [self.kind, *(listed["sha256"] for listed in self._lists)]

    def __len__(self):
        """Number of shards."""
        return len(self._lists)

    def shard_rows(self, number):
        """Rows of a shard, counted from 0 within its list: a range."""
        return range(self._lists[number]["rows"])

    def records(self, number):
        """Opens the images of a shard.

        Args:
            number: the shard, from 0.

        Yields:
            `Record`s, and `Issue`s where an image cannot be read.

        Raises:
            ValueError: the list is missing or was changed.
        """
        listed = self._lists[number]
        for sample in read_sample_list(self.folder / self.part / listed["file"], listed):
            try:
                yield make_record(sample.read(), sample.text, sample.where)
            except ImageError as error:
                yield Issue("unreadable image", sample.where, f"{error}.")
