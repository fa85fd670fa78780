"""Sets that lie in several files of one form: shards of parquet or tar."""

from __future__ import annotations

import itertools
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.file_name import walk
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import Source

_SPLIT = re.compile(r"(?<![a-z])(train|valid|val|dev|test)(?:idation|ing)?(?![a-z])", re.I)
_OF = re.compile(r"(?P<set>.*?)(?P<index>[0-9]{3,9})-of-(?P<count>[0-9]{3,9})(?P<rest>.*)")


def rows(
    source: Source,
    suffixes: tuple[str, ...],
    rows_of: Callable[[Source, pathlib.Path], Iterable[Sample | Issue]],
) -> Iterator[Sample | Issue]:
    """Reads the file of a source; or, of a folder, all files in it and below it, in order.

    One damaged file among several is an issue, and so is a shard that is missing among those of a
    name such as `train-00000-of-00002.parquet`.

    Args:
        source: a `Source`.
        suffixes: tuple of strings that the files' names end in.
        rows_of: function `(source, path)` that yields the `Sample`s and `Issue`s of a file.

    Yields:
        `Sample`s and `Issue`s.

    Raises:
        ValueError: there is no such file; or the files are those of several splits; or the only
            one is damaged.
    """
    if source.path.is_file():
        yield from rows_of(source, source.path)
        return
    paths = list(find(source.path, suffixes))
    if not paths:
        raise ValueError(f"{source.path} holds no file that ends in {' or '.join(suffixes)}.")
    _check_splits(source.path, paths)
    source.notes.append(f"{len(paths)} files" if len(paths) > 1 else f"read: {paths[0].name}")
    yield from _missing_shards(paths)
    for path in paths:
        try:
            yield from rows_of(source, path)
        except ValueError as error:
            if len(paths) == 1:
                raise
            yield Issue("damaged shard", str(path), str(error))


def find(folder: pathlib.Path, suffixes: tuple[str, ...]) -> Iterator[pathlib.Path]:
    """Looks for files in a folder and the folders below it.

    Args:
        folder: where to begin.
        suffixes: tuple of strings that the files' names end in.

    Yields:
        Paths, in order.
    """
    for _, entries in walk(folder):
        for entry in entries:
            if entry.name.lower().endswith(suffixes) and entry.is_file():
                yield pathlib.Path(entry.path)


def _check_splits(folder, paths):
    """Raises an error if the names of files, or their folders', say that they are of splits."""
    first = {}
    for path in paths:
        relative = path.relative_to(folder)
        matches = filter(None, map(_SPLIT.search, reversed(relative.parts)))
        for match in itertools.islice(matches, 1):
            first.setdefault(match[1].lower()[:3], relative)
    if len(first) > 1:
        names = ", ".join(map(str, first.values()))
        raise ValueError(
            f"{folder} holds several splits, which are not to be mixed: {names}. Put the files of "
            "each into a folder of its own, and name that."
        )


def _missing_shards(paths):
    found = {}
    for path in paths:
        match = _OF.fullmatch(path.name)
        if match:
            of = path.parent, match["set"], match["count"], match["rest"]
            found.setdefault(of, set()).add(int(match["index"]))
    for (folder, name, count, rest), indices in found.items():
        missing = int(count) - len(indices)
        if missing > 0:
            index = next(index for index in range(int(count)) if index not in indices)
            path = folder / f"{name}{index:0{len(count)}}-of-{count}{rest}"
            reason = f"{missing} of {count} shards are missing, the first: {path.name}."
            yield Issue("missing file", str(path), f"{reason} Copy or download them.")
