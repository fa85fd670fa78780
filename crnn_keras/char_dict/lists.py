"""Lists of characters made by others, and the normalization that they allow."""

from __future__ import annotations

import os
import pathlib
from typing import Any

from crnn_keras.char_dict.normalization import (
    check_normalization,
    find_changed,
    find_lost_in_nfc,
    format_characters,
    normalize_characters,
)
from crnn_keras.utils import files
from crnn_keras.utils.encodings import AUTO
from crnn_keras.utils.limits import MAX_CHAR_DICT_BYTES


def check_size(path: str | os.PathLike) -> None:
    """Raises a ValueError if a file is larger than any dictionary."""
    size = pathlib.Path(path).stat().st_size
    if size > MAX_CHAR_DICT_BYTES:
        raise ValueError(
            f"{path} has {size:,} bytes, too many for a char dict. Expected "
            f"{MAX_CHAR_DICT_BYTES:,} at most. For the characters of a corpus use "
            "CharDict.from_corpus."
        )


def read_json(path: str | os.PathLike) -> Any:
    """Reads a JSON file that is no larger than a dictionary.

    Args:
        path: File.

    Returns:
        Plain data.

    Raises:
        ValueError: If the file is too large or not JSON.
    """
    check_size(path)
    return files.read_json(path)


def read_list(path: str | os.PathLike, encoding: str = AUTO) -> str:
    """Reads a text file of characters, one a line or all in one line, see `CharDict.from_file`.

    Args:
        path: Text file.
        encoding: Name of its encoding. Defaults to `"auto"`, see `read_samples`.

    Returns:
        Its characters, in order.

    Raises:
        ValueError: If the file is too large, is not text, or a character is repeated.
    """
    check_size(path)
    text, _ = files.read_text(path, encoding)
    lines = {}
    for line_number, line in enumerate(text.split("\n"), start=1):
        for character in line:
            if character in lines:
                raise ValueError(
                    f"{path}, line {line_number}: character {character!r} "
                    f"(U+{ord(character):04X}) is repeated, first in line "
                    f"{lines[character]}. Remove one of them."
                )
            lines[character] = line_number
    return "".join(lines)


def resolve_normalization(
    characters: str, normalization: str | None, label: str | os.PathLike
) -> tuple[str, str]:
    """Normalizes a list of characters, or chooses the normalization that leaves it unchanged.

    Published lists hold characters that NFC changes: PP-OCR's has `郎` a second time as U+F92C, and
    76 full-width forms. Without a chosen normalization such a list stays as it is, because its ids
    matter, and the normalization is `"none"`. With one the list is normalized. Both print a line
    that names the characters.

    Args:
        characters: Distinct characters.
        normalization: One of `NORMALIZATIONS`, or `None`: `"nfc"` if it loses nothing.
        label: Name of the source, for the printed line.

    Returns:
        Tuple `(characters, normalization)`.
    """
    if normalization is None:
        lost = find_lost_in_nfc(characters)
        if lost:
            print(
                f"{label}: NFC would change {format_characters(lost)}, so the dictionary gets "
                "normalization='none'. To have labels normalized choose 'nfc' or 'half_width'; "
                "the list is then normalized too, and becomes shorter.",
                flush=True,
            )
        return characters, "none" if lost else "nfc"
    check_normalization(normalization)
    changed = find_changed(characters, normalization)
    kept = normalize_characters(characters, normalization)
    if changed:
        print(
            f"{label}: normalization {normalization!r} changes {format_characters(changed)}; "
            f"{len(kept):,} of {len(characters):,} characters are left.",
            flush=True,
        )
    return kept, normalization
