"""Lists of samples on disk, one JSON object a line: the rows of a preparation or a manifest.

A line names the content of its image, not only its path: other images under the same names make
another list, and so other records.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import json
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

from crnn_keras.data.labels import Sample
from crnn_keras.data.records.sidecar import RecordError
from crnn_keras.images import ImageError
from crnn_keras.utils import files
from crnn_keras.utils.checks import INTEGER, TEXT, Of, check_value
from crnn_keras.utils.parallel import thread_map

# Images are read in pieces of so many rows: a disk that is far away answers several at once.
_CHUNK, _THREADS = 64, 8
_FIELDS = dataclasses.fields(Sample)
_REQUIRED = {field.name for field in _FIELDS if field.default is dataclasses.MISSING}
_TUPLES = {field.name for field in _FIELDS if field.default == ()}
_AGAIN = "Prepare again (notebook 02)."


def content_of(sample: Sample) -> str:
    """Returns a hash of a sample's image as it is now.

    Args:
        sample: a `Sample`. Of a box, all of the larger image counts: how the box is encoded depends
            on the version of Pillow.

    Returns:
        32 hex digits, or `""` if the image cannot be read.
    """
    try:
        return _hash(_whole(sample).read())
    except ImageError:
        return ""


def _whole(sample):
    return dataclasses.replace(sample, box=()) if sample.box else sample


def _hash(content):
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def read_unchanged(sample: Sample) -> bytes:
    """Reads a sample's image, if it is the one that was there when the sample was listed.

    Args:
        sample: a `Sample`; without a `content`, nothing is compared.

    Returns:
        Bytes.

    Raises:
        ImageError: the image cannot be read, as when it was listed.
        RecordError: the image is another one now, has come, or is gone.
    """
    encoded, failure = None, None
    try:
        encoded = sample.read()
    except ImageError as error:
        failure = error
    if sample.content is not None:
        found = content_of(sample) if encoded is None or sample.box else _hash(encoded)
        if found != sample.content:
            raise RecordError(_describe_change(sample))
    if failure:
        raise failure
    return encoded


def first_change(samples: Iterable[Sample]) -> str | None:
    """Finds the first sample whose image is another one than when it was listed.

    Args:
        samples: iterable of `Sample`s with their `content`.

    Returns:
        A sentence that names it, or None.
    """
    samples, again = itertools.tee(samples)
    for listed, now in zip(samples, with_content(again), strict=True):
        if listed.content is not None and listed.content != now.content:
            return _describe_change(listed)
    return None


def _describe_change(sample):
    name = " ".join(filter(None, (sample.image, sample.key)))
    return f"{sample.where}: the image {name} is another one than when it was listed. {_AGAIN}"


def sample_line(sample: Sample) -> bytes:
    """Returns a sample as one line of a list, which ends in a line break.

    Args:
        sample: a `Sample`, with its `content`.
    """
    row = {field.name: getattr(sample, field.name) for field in _FIELDS}
    row = {name: value for name, value in row.items() if value or name in _REQUIRED | {"content"}}
    # Half a character, from a folder whose name is not UTF-8, becomes JSON's escape for it.
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def with_content(samples: Iterable[Sample]) -> Iterator[Sample]:
    """Reads the image of each sample; memory does not grow with their number.

    Args:
        samples: iterable of `Sample`s.

    Yields:
        The `Sample`s, with the `content` that their images have now.
    """
    remaining = iter(samples)
    chunks = iter(lambda: list(itertools.islice(remaining, _CHUNK)), [])
    for chunk in thread_map(_read_chunk, chunks, _THREADS):
        yield from chunk


def _read_chunk(samples):
    # The words of a photograph follow each other: it is read once.
    content = functools.cache(content_of)
    images = [dataclasses.replace(_whole(sample), text="", where="") for sample in samples]
    pairs = zip(samples, map(content, images), strict=True)
    return [dataclasses.replace(sample, content=found) for sample, found in pairs]


def write_sample_list(path: pathlib.Path, samples: Iterable[Sample]) -> dict:
    """Writes a list, completely or not at all. Every image is read once.

    Args:
        path: file to write.
        samples: iterable of `Sample`s.

    Returns:
        Dict of `file` (its name), `rows` and `sha256`.
    """
    digest, rows = hashlib.sha256(), 0
    with files.atomic(path) as file:
        for sample in with_content(samples):
            line = sample_line(sample)
            file.write(line)
            digest.update(line)
            rows += 1
    return {"file": path.name, "rows": rows, "sha256": digest.hexdigest()}


def read_sample_list(path: pathlib.Path, listed: dict) -> list[Sample]:
    """Reads a list.

    Args:
        path: the file.
        listed: what `write_sample_list` returned for it.

    Returns:
        List of `Sample`s, with their `content`.

    Raises:
        RecordError: the file is missing, was changed or is no list of samples.
    """
    digest, samples, damage = hashlib.sha256(), [], None
    if path.is_file():
        with open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                digest.update(line)
                if damage is None:
                    try:
                        samples.append(_parse(line))
                    except (ValueError, RecursionError) as error:
                        damage = f"{path}, line {number}, is no sample: {error} {_AGAIN}"
    if digest.hexdigest() != listed["sha256"]:
        raise RecordError(f"{path} is missing or was changed after it was written. {_AGAIN}")
    if damage is None and len(samples) != listed["rows"]:
        damage = f"{path} has {len(samples):,} rows, expected {listed['rows']:,}. {_AGAIN}"
    if damage:
        raise RecordError(damage)
    return samples


def _parse(line: bytes) -> Sample:
    row: Any = json.loads(line)
    check_value("the line", row, Of(dict, "an object"))
    if missing := sorted(_REQUIRED - row.keys()):
        raise ValueError(f"it lacks {missing}.")
    if unknown := sorted(row.keys() - {field.name for field in _FIELDS}):
        raise ValueError(f"it has {unknown}, which no sample has.")
    for name, value in row.items():
        if name in _TUPLES:
            check_value(name, value, Of(list, "a list of numbers"))
            for number in value:
                check_value(name, number, INTEGER)
            row[name] = tuple(value)
        else:
            check_value(name, value, TEXT)
    if len(row.get("box", ())) not in (0, 4):
        raise ValueError(f"box is {row['box']}. Expected left, top, width and height.")
    return Sample(**row)
