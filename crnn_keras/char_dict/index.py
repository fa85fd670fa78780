"""Index of a dictionary: the id of each character."""

from __future__ import annotations

from crnn_keras.char_dict.normalization import (
    check_normalization,
    find_changed,
    format_characters,
    normalize_text,
)


def build_index(characters: str, normalization: str, fold_case: bool) -> dict[str, int]:
    """Numbers the characters of a dictionary from 1, and checks that labels can hold each.

    Args:
        characters: Characters in the order of their ids.
        normalization: See `CharDict`.
        fold_case: See `CharDict`.

    Returns:
        Dict of `character: id`.

    Raises:
        ValueError: See `CharDict`.
    """
    check_normalization(normalization)
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
        if fold_case and character != character.lower():
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
