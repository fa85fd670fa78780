"""Index of a dictionary: the id of each character."""

from __future__ import annotations

from collections.abc import Sequence

from crnn_keras.char_dict.normalization import (
    check_normalization,
    find_changed,
    fold_text,
    format_characters,
    normalize_text,
)
from crnn_keras.utils.checks import FLAG, check_value
from crnn_keras.utils.limits import MAX_CHARACTERS


def join_characters(characters: str | Sequence[str]) -> str:
    """Joins the characters of a dictionary, and checks that each is one character.

    Args:
        characters: String, or list or tuple of strings of one code point each.

    Returns:
        String.

    Raises:
        ValueError: If it is something else, or has more than `limits.MAX_CHARACTERS` characters.
    """
    if not isinstance(characters, str | list | tuple):
        raise ValueError(
            f"The characters are of the type {type(characters).__name__}. Expected a string, or a "
            "list of single characters."
        )
    if len(characters) > MAX_CHARACTERS:
        raise ValueError(
            f"There are {len(characters):,} characters. Expected {MAX_CHARACTERS:,} at most."
        )
    for position, character in enumerate(characters, start=1):
        if not isinstance(character, str) or len(character) != 1:
            shown = repr(character)
            raise ValueError(
                f"Character {position} is {shown if len(shown) < 80 else f'{shown[:77]}...'}. "
                "Expected one Unicode code point: each gets an id of its own."
            )
    return "".join(characters)


def build_index(characters: str, normalization: str, fold_case: bool) -> dict[str, int]:
    """Numbers the characters of a dictionary from 1, and checks that labels can hold each.

    Args:
        characters: Characters in the order of their ids, as `join_characters` returned them.
        normalization: See `CharDict`.
        fold_case: See `CharDict`.

    Returns:
        Dict of `character: id`.

    Raises:
        ValueError: See `CharDict`.
    """
    check_normalization(normalization)
    check_value("fold_case", fold_case, FLAG)
    if not characters:
        raise ValueError("A char dict needs at least 1 character, got 0.")
    ids = {}
    for position, character in enumerate(characters, start=1):
        if character in ids:
            raise ValueError(
                f"Character {character!r} (U+{ord(character):04X}) is repeated, at positions "
                f"{ids[character]} and {position}. Remove one of them."
            )
        if character in "\r\n":
            raise ValueError(
                f"Character {position} is a line break, and labels are single lines. Remove it."
            )
        if character == "\0" or "\ud800" <= character <= "\udfff":
            raise ValueError(
                f"Character {position} is U+{ord(character):04X}, which no text holds: the text "
                "is damaged, or was read in another encoding. Remove it."
            )
        if fold_case and character != fold_text(character):
            raise ValueError(
                f"Character {character!r} at position {position} is upper case, which "
                "fold_case=True never reads. Remove it or set fold_case=False."
            )
        ids[character] = position
    _check_unchanged(characters, normalization)
    return ids


def _check_unchanged(characters: str, normalization: str) -> None:
    """Checks that the normalization changes none of the characters."""
    changed = find_changed(characters, normalization)
    if changed:
        first = normalize_text(changed[0], normalization)
        raise ValueError(
            f"normalization={normalization!r} changes {format_characters(changed)} (the first to "
            f"{format_characters([first])}), so no label could hold them. Write them that way, "
            "remove them, or set normalization='none'."
        )
