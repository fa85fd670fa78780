"""An image and a text file of the same name: `line_1.png` and `line_1.gt.txt`, or `line_1.txt`.

tesstrain, kraken, Calamari and OCRopus read and write such folders.

Reference:
    https://github.com/tesseract-ocr/tesstrain, https://kraken.re, https://calamari-ocr.org
"""

from __future__ import annotations

import codecs
import os
import pathlib
import re
import tempfile
from collections.abc import Iterable, Iterator

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.file_name import check_entry, check_is_file, walk
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import Source, check_text
from crnn_keras.images import SUFFIXES
from crnn_keras.utils.encodings import AUTO, check_encoding, find_encoding
from crnn_keras.utils.limits import MAX_TEXT_BYTES
from crnn_keras.utils.log import printable

# In order of preference, where an image has several.
TEXT_SUFFIXES = (".gt.txt", ".txt")
# What OCRopus and Calamari put before the suffix of an image that they changed: "x.nrm.png".
_VARIANT = re.compile(r"(.+)\.[a-z]{2,7}", re.S)
# Texts that are read to find their encoding, and bytes of those that are not ASCII.
_MOST_LOOKED_AT, _MOST_SAMPLED = 10_000, 1 << 15


def rows(source: Source) -> Iterator[Sample | Issue]:
    """Reads the pairs of a folder and of the folders below it.

    The text of `x.png` is `x.gt.txt`, or else `x.txt`; that of `x.bin.png` and `x.nrm.png` is
    theirs, or else that of `x`. Of several images of one text only one is read: the one that has
    its name, or else the first. In a folder with `.gt.txt` files, a `.txt` file that belongs to no
    image is something else, such as a prediction, and not a row.

    Hidden files are ignored. Symbolic links are followed only to files in the folder.

    Args:
        source: a `Source`; its path is the folder.

    Yields:
        `Sample`s and `Issue`s: one for each image, and one for each text without an image.
    """
    source.encoding = _find_encoding(source)
    for _, entries in walk(source.path):
        yield from _rows_of_folder(source, entries)


def _rows_of_folder(source, entries):
    images = {entry.name: entry for entry in entries if entry.name.lower().endswith(SUFFIXES)}
    texts = {key: entry for entry in entries if (key := _text_key(entry.name))}
    read = {}
    for name in images:
        key = find_text(name, texts)
        if key and (key not in read or _stem(name) == _stem_of_text(key) != _stem(read[key])):
            read[key] = name
    for name, entry in images.items():
        key = find_text(name, texts)
        where, issue = printable(entry.path), check_entry(entry, source.path)
        if not issue and not key:
            text = _stem(name) + TEXT_SUFFIXES[0]
            reason = f"{name!r} has no text: there is no {text!r} beside it. Write it."
            issue = Issue("image without text", where, reason)
        elif not issue and read[key] != name:
            reason = f"{key!r} is read as the text of {read[key]!r}. Keep one image for each text."
            issue = Issue("several images for one text", where, reason)
        yield issue or _read_pair(source, entry, texts[key])
    has_gt = any(key.endswith(TEXT_SUFFIXES[0]) for key in texts)
    for key, entry in texts.items():
        if key not in read and (key.endswith(TEXT_SUFFIXES[0]) or not has_gt):
            reason = (
                f"{entry.name!r} has no image of its name beside it. Add it or remove the text."
            )
            yield Issue("text without image", printable(entry.path), reason)


def _read_pair(source, image, entry):
    where = printable(entry.path)
    issue = check_is_file(entry, source.path)
    if issue:
        return issue
    content = _read(entry)
    if len(content) > MAX_TEXT_BYTES:
        reason = f"{entry.name!r} has over {MAX_TEXT_BYTES:,} bytes. Expected one line of text."
        return Issue("text too large", where, reason)
    try:
        text = content.decode(_own_encoding(content) or source.encoding).strip()
    except UnicodeError as error:
        reason = f"{entry.name!r} is not text in {source.encoding}: {error.reason}. Write it again."
        return Issue("not UTF-8", where, reason)
    return check_text(image.name, text, where) or Sample(image.path, text, where)


def _read(entry):
    with open(entry.path, "rb") as file:
        return file.read(MAX_TEXT_BYTES + 1)


def _own_encoding(content):
    """Returns UTF-16 for a text that begins with its mark."""
    is_utf16 = content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return "utf-16" if is_utf16 else None


def _find_encoding(source):
    """Finds one encoding for all texts: a single one is too short to tell."""
    if source.asked_encoding != AUTO:
        return check_encoding(source.asked_encoding)
    sample, looked_at = [], 0
    for _, entries in walk(source.path):
        for entry in entries:
            if looked_at >= _MOST_LOOKED_AT or sum(map(len, sample)) > _MOST_SAMPLED:
                break
            if _text_key(entry.name) and not check_is_file(entry, source.path):
                content, looked_at = _read(entry)[:_MOST_SAMPLED], looked_at + 1
                if not content.isascii() and not _own_encoding(content):
                    sample.append(content.removeprefix(codecs.BOM_UTF8))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "texts.txt")
        path.write_bytes(b"\n".join(sample))
        try:
            return find_encoding(path, allow_damage=True)
        except ValueError as error:
            raise ValueError(
                str(error).replace(str(path), f"{source.path} and its texts")
            ) from None


def _stem(image):
    return os.path.splitext(image)[0]


def _text_key(name):
    """Returns the name of a text with its suffix in lower case; None if it is no text."""
    for suffix in TEXT_SUFFIXES:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)] + suffix
    return None


def _stem_of_text(key):
    return next(key.removesuffix(suffix) for suffix in TEXT_SUFFIXES if key.endswith(suffix))


def find_text(image: str, texts: Iterable[str]) -> str | None:
    """Returns the name of the text that belongs to an image.

    Args:
        image: name of the image.
        texts: set or dict of the names of the texts.

    Returns:
        String, or None if there is none.
    """
    stems = [_stem(image)]
    variant = _VARIANT.fullmatch(stems[0])
    for stem in [*stems, variant[1]] if variant else stems:
        for suffix in TEXT_SUFFIXES:
            if stem + suffix in texts:
                return stem + suffix
    return None


def holds_pair(names: Iterable[str], suffixes: tuple[str, ...] = TEXT_SUFFIXES) -> bool:
    """Tells whether some of the names of a folder are an image and its text.

    Args:
        names: list of names of files.
        suffixes: tuple of strings that the names of texts end in. Defaults to both.
    """
    texts = {key for key in map(_text_key, names) if key and key.endswith(suffixes)}
    return bool(texts) and any(
        find_text(name, texts) for name in names if name.lower().endswith(SUFFIXES)
    )
