"""Tars of pairs, as `webdataset` reads them: `000001.jpg` and `000001.txt` in a tar or in shards.

Reference:
    https://github.com/webdataset/webdataset
"""

from __future__ import annotations

import json
import pathlib
import tarfile
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels import shards
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import TEXT_COLUMNS, Source, check_text
from crnn_keras.images import SUFFIXES
from crnn_keras.utils.encodings import AUTO, check_encoding
from crnn_keras.utils.limits import MAX_IMAGE_BYTES, MAX_TEXT_BYTES
from crnn_keras.utils.log import printable

COMPRESSED = (".tar.bz2", ".tar.gz", ".tar.xz", ".tar.zst", ".tgz")
TAR_SUFFIXES = (".tar", *COMPRESSED)
_IMAGE_KINDS = tuple(suffix[1:] for suffix in SUFFIXES)
# In order of preference, where an image has several.
_TEXT_KINDS = ("gt.txt", "txt", "json")
# Extended headers, which hold long names, are read into the memory.
_MAX_HEADER_BYTES, _CHUNK = 1 << 20, 1 << 20
# What `tarfile` raises for a damaged header is nearly anything.
_DAMAGE = (tarfile.TarError, OSError, ValueError, LookupError, ArithmeticError, RecursionError)


def rows(source: Source) -> Iterator[Sample | Issue]:
    """Reads a tar; or, of a folder, all tars in it and in the folders below it.

    Nothing is unpacked: where the bytes of an image lie is recorded. An image and its text share
    the name up to the first dot of its last part; the text is `.gt.txt`, `.txt`, or a `.json` that
    is a string or has one of the known keys. Other members of such a group are ignored. Texts are
    UTF-8 unless `encoding` says otherwise.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Issue`s.

    Raises:
        ValueError: there is no tar, or a folder holds those of several splits; a tar is
            compressed, so that its images cannot be read where they lie; or the only tar is none.
    """
    source.encoding = "utf-8" if source.asked_encoding == AUTO else source.asked_encoding
    source.encoding = check_encoding(source.encoding)
    yield from shards.rows(source, TAR_SUFFIXES, _rows)


class _Member(NamedTuple):
    name: str
    offset: int
    size: int


def _rows(source, path):
    if path.name.lower().endswith(COMPRESSED):
        raise ValueError(
            f"{path} is compressed, so no image in it can be read without all those before it. "
            "Decompress it to a .tar, for example with gunzip."
        )
    waiting, done, key, group = {}, set(), None, {}
    with open(path, "rb") as file:
        for found in _members(path, file):
            if isinstance(found, Issue):
                yield found
                continue
            own, kind = _split_name(found.name)
            if own != key:
                yield from _end_group(source, file, key, group=group, waiting=waiting, done=done)
                key, group = own, waiting.pop(own, {})
            group.setdefault(kind, []).append(found)
        yield from _end_group(source, file, key, group=group, waiting=waiting, done=done)
    for key, group in waiting.items():
        yield _name_missing(f"{path}, {key}", group)


def _split_name(name):
    """Returns the key of a group and the kind of the member, its suffixes in lower case."""
    folder, slash, last = name.rpartition("/")
    stem, _, kind = last.partition(".")
    return folder + slash + stem, kind.lower()


def _images(group):
    """Returns the kinds of the images in a group: those of a suffix alone, if there are any."""
    images = [kind for kind in group if kind.rpartition(".")[2] in _IMAGE_KINDS]
    return [kind for kind in images if kind in _IMAGE_KINDS] or images


def _end_group(source, file, key, *, group, waiting, done):
    images = _images(group)
    text = next((kind for kind in _TEXT_KINDS if kind in group), None)
    if not images or not text:
        # Tars that were not written for webdataset may have the other half further down.
        waiting |= {key: group} if group else {}
        return
    image, where = group[images[0]][0], f"{file.name}, {key}"
    if len(images) > 1:
        names = ", ".join(repr(group[kind][0].name) for kind in images)
        reason = f"{names} have one text. Keep one image for each text."
        yield Issue("several images for one text", where, reason)
    elif key in done or len(group[images[0]]) > 1 or len(group[text]) > 1:
        reason = f"{image.name!r} or its text comes more than once. Keep the correct one."
        yield Issue("image named twice", where, reason)
    else:
        yield _read_group(source, file, image, member=group[text][0])
    done.add(key)


def _name_missing(where, group):
    names = ", ".join(repr(members[0].name) for members in group.values())
    if _images(group):
        reason = f"{names} has no text: no member of the same name ends in .txt or .json."
        return Issue("image without text", where, reason)
    if any(kind in group for kind in _TEXT_KINDS):
        reason = f"{names} has no image: no member of the same name ends in .jpg, .png or the like."
        return Issue("text without image", where, reason)
    return Issue("no image", where, f"{names} is neither an image nor a text.")


def _read_group(source, file, image, *, member):
    where = f"{file.name}, {member.name}"
    if image.size > MAX_IMAGE_BYTES:
        reason = f"{image.name!r} has over {MAX_IMAGE_BYTES >> 20} MB. Crop it to one word or line."
        return Issue("unreadable image", where, reason)
    if member.size > MAX_TEXT_BYTES:
        reason = f"{member.name!r} has {member.size:,} bytes. Expected at most {MAX_TEXT_BYTES:,}."
        return Issue("text too large", where, reason)
    file.seek(member.offset)
    try:
        text = file.read(member.size).decode(source.encoding)
    except UnicodeError as error:
        reason = f"{member.name!r} is not text in {source.encoding}: {error.reason}."
        return Issue("not UTF-8", where, reason)
    if member.name.lower().endswith(".json"):
        text = _text_of_json(text)
    if not isinstance(text, str):
        reason = (
            f"{member.name!r} holds no text. Expected a string, or an object with one of the keys "
            f"{', '.join(TEXT_COLUMNS)}."
        )
        return Issue("label is not text", where, reason)
    issue = check_text(image.name, text.strip(), where)
    return issue or Sample(
        file.name, text.strip(), where, key=image.name, span=(image.offset, image.size)
    )


def _text_of_json(text):
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(content, dict):
        keys = [key for key in content if key.strip().lower() in TEXT_COLUMNS]
        content = content[keys[0]] if keys else None
    return content


class _Headers:
    """Reads a tar for `tarfile`, which goes from header to header; no header may be huge."""

    def __init__(self, file: BinaryIO):
        self._file, self.seek, self.tell = file, file.seek, file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._file.read(size)


def _members(path: pathlib.Path, file: BinaryIO) -> Iterator[_Member | Issue]:
    """Yields the files in a tar, and an issue for each member that is none, or is damaged."""
    size = path.stat().st_size
    with open(path, "rb") as headers:
        try:
            # It only reads headers of the file, which is closed here.
            tar = tarfile.TarFile(fileobj=_Headers(headers), mode="r", errors="surrogateescape")
        except _DAMAGE as error:
            raise ValueError(f"{path} is no tar: {error}.") from None
        end = 0
        while True:
            try:
                member = tar.next()
                if member is None:
                    break
                if member.size < 0 or member.offset_data < end + tarfile.BLOCKSIZE:
                    raise tarfile.ReadError("a member lies before the one before it")
            except _DAMAGE as error:
                reason = f"after byte {end:,}: {error}. What follows is not read. Copy it again."
                yield Issue("damaged shard", str(path), f"{path}, {reason}")
                return
            # Kept by `tarfile`, for names that are asked for later.
            tar.members.clear()
            end = member.offset_data
            yield from _check_member(path, member, size)
        problem = _problem_at_end(file, tar.offset)
        if problem:
            yield Issue("damaged shard", str(path), f"{path}: {problem}. Copy or write it again.")


def _check_member(path, member, size):
    name, last = member.name, member.name.rpartition("/")[2]
    if member.isdir() or last.startswith(".") or name.startswith("__MACOSX"):
        return
    where = printable(f"{path}, {name}")
    # Its own header has another name, by which `image_sources.from_span` could not know it again.
    is_renamed = "path" in member.pax_headers and name.isascii() and len(name) < 100
    if not member.isreg() or member.issparse() or is_renamed:
        reason = f"{name!r} is no plain file but a link, a device or sparse. Write the tar again."
        yield Issue("no plain file", where, reason)
    elif member.offset_data + member.size > size:
        reason = f"{name!r} is cut short: the tar has {size:,} bytes. Copy or write it again."
        yield Issue("damaged shard", where, reason)
    else:
        yield _Member(name, member.offset_data, member.size)


def _problem_at_end(file, offset):
    """Says what is wrong where `tarfile` stopped; None if that is the end of the tar."""
    file.seek(offset)
    block = file.read(tarfile.BLOCKSIZE)
    if not block:
        return "it is cut short, because the two empty blocks at its end are missing"
    if any(block):
        return f"the header at byte {offset:,} is damaged, and what follows is not read"
    while chunk := file.read(_CHUNK):
        if any(chunk):
            return f"something follows its end at byte {offset:,}, and is not read"
    return None
