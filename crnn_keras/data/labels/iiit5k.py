"""IIIT5K: `traindata.mat`, `testdata.mat`, with a lexicon of 50 and one of 1,000 words an image.

Reference:
    https://cvit.iiit.ac.in/research/projects/cvit-projects/the-iiit-5k-word-dataset
"""

from __future__ import annotations

import pathlib
import struct
import zlib
from collections.abc import Iterator

import numpy as np

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import Source, check_row
from crnn_keras.utils.isolation import IsolatedError, call_isolated
from crnn_keras.utils.limits import MAX_MAT_BYTES, MAX_MAT_SECONDS, MAX_MAT_UNPACKED_BYTES

_LEXICONS = {"50": "smallLexi", "1k": "mediumLexi"}
# Of the MAT format, level 5: length of its header, which ends in a version and "IM" or "MI", by the
# order of bytes; and the type of an element that is packed.
_HEADER_BYTES, _VERSION, _PACKED = 128, 0x0100, 15
_BYTE_ORDERS = {b"IM": "<", b"MI": ">"}
_CHUNK = 1 << 16


def rows(source: Source) -> Iterator[Sample | Issue]:
    """Reads a .mat file of this layout, and fills the lexicons `"50"` and `"1k"`.

    The file is parsed in a process of its own: a damaged one can end it.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Issue`s.

    Raises:
        ValueError: the file is damaged or too large, or is not one of IIIT5K.
    """
    for index, entry in enumerate(_entries(source.path), start=1):
        yield _read_entry(source, entry, f"{source.path}, entry {index}")


def _read_entry(source, entry, where):
    name, text = entry["ImgName"], entry["GroundTruth"]
    if not isinstance(text, str):
        reason = f"{name!r} has a label that is no text but {text[0]}. Write one text an image."
        return Issue("label is not text", where, reason)
    name = name.strip() if isinstance(name, str) else None
    found = check_row(name, text.strip(), where, folder=source.folder)
    if isinstance(found, Issue):
        return found
    lexicons = {lexicon: entry[key] for lexicon, key in _LEXICONS.items() if entry[key]}
    for lexicon, words in lexicons.items():
        wrong = next((word for word in words if not isinstance(word, str)), None)
        if wrong is not None:
            reason = f"{name!r} has {wrong[0]} in {_LEXICONS[lexicon]}. Expected texts."
            return Issue("lexicon is not text", where, reason)
    for lexicon, words in lexicons.items():
        source.lexicons.setdefault(lexicon, {})[found.image] = tuple(map(str.strip, words))
    return found


def _entries(path):
    advice = "Extract it again from the archive of IIIT5K."
    try:
        _check_size(path)
        names, entries = call_isolated(_load, path, seconds=MAX_MAT_SECONDS)
    except IsolatedError as error:
        raise ValueError(f"{path} {error}. {advice}") from None
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as a .mat file: {error}. {advice}") from None
    if entries is None:
        raise ValueError(
            f"{path} holds {names}, and none of them is a list with ImgName and GroundTruth. "
            "Expected traindata.mat or testdata.mat of IIIT5K."
        )
    return entries


def _check_size(path):
    """Raises an error if a file is of another format, or unpacks to more than the bound."""
    total = size = path.stat().st_size
    if size > MAX_MAT_BYTES:
        raise ValueError(f"it has {size:,} bytes, and no such file more than {MAX_MAT_BYTES:,}")
    with open(path, "rb") as file:
        header = file.read(_HEADER_BYTES)
        order = _BYTE_ORDERS.get(header[-2:]) if len(header) == _HEADER_BYTES else None
        if not order or struct.unpack(f"{order}H", header[-4:-2])[0] != _VERSION:
            raise ValueError("it is not of MATLAB's format, level 5")
        while tag := file.read(8):
            if len(tag) < 8:
                raise ValueError("it is cut short")
            kind, length = struct.unpack(f"{order}2I", tag)
            if kind == _PACKED:
                total += _unpacked_size(file.read(length), MAX_MAT_UNPACKED_BYTES - total)
            else:
                file.seek(length, 1)


def _unpacked_size(packed, most):
    """Unpacks an element, a piece at a time, as its announced size need not be true."""
    unpacking, total = zlib.decompressobj(), 0
    for start in range(0, len(packed), _CHUNK):
        rest = packed[start : start + _CHUNK]
        while rest and not unpacking.eof:
            try:
                total += len(unpacking.decompress(rest, _CHUNK))
            except zlib.error as error:
                raise ValueError(str(error)) from None
            if total > most:
                raise ValueError(f"it unpacks to more than {MAX_MAT_UNPACKED_BYTES:,} bytes")
            rest = unpacking.unconsumed_tail
    return total


def _load(path: pathlib.Path) -> tuple[list[str], list[dict] | None]:
    """Parses a file; returns the names of its variables, and its entries as plain data."""
    from scipy.io import loadmat

    try:
        content = loadmat(path, simplify_cells=True)
    except MemoryError:
        raise
    except Exception as error:  # scipy raises nearly anything at a damaged file.
        raise ValueError(str(error) or type(error).__name__) from None
    names = [name for name in content if not name.startswith("__")]
    for value in content.values():
        entries = np.ravel(value).tolist() if isinstance(value, dict | list | np.ndarray) else []
        if entries and all(isinstance(entry, dict) and "ImgName" in entry for entry in entries):
            return names, [_plain_entry(entry) for entry in entries]
    return names, None


def _plain_entry(entry):
    plain = {key: _plain(entry.get(key)) for key in ("ImgName", "GroundTruth")}
    # A single word is no list of words.
    lists = {key: np.ravel(entry.get(key, [])).tolist() for key in _LEXICONS.values()}
    return plain | {key: list(map(_plain, words)) for key, words in lists.items()}


def _plain(value):
    """Returns a text as it is, and of anything else a list with a short description."""
    if value is None or (isinstance(value, np.ndarray) and not value.size):
        return ""
    return str(value) if isinstance(value, str) else [repr(value)[:60]]
