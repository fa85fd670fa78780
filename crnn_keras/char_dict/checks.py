"""What a dictionary refuses: characters that no label could hold."""

from crnn_keras.char_dict import normalization as forms


def number(characters, fold_case, normalization):
    """Numbers the characters of a dictionary from 1, and refuses those that make none.

    Args:
        characters: sequence of characters in the order of their ids.
        fold_case: see `CharDict`.
        normalization: see `CharDict`.

    Returns:
        Dict of each character's id.

    Raises:
        ValueError: see `CharDict`.
    """
    forms.check_normalization(normalization)
    if not characters:
        raise ValueError("A char dict needs at least one character, got none.")
    ids = {}
    for position, character in enumerate(characters, start=1):
        if character in ids:
            raise ValueError(
                f"Character {character!r} (U+{ord(character):04X}) stands twice, at positions "
                f"{ids[character]} and {position}. Remove one of them."
            )
        if character in "\r\n":
            raise ValueError(
                f"Character {position} is a line break. Labels are single lines: remove it."
            )
        if fold_case and character != character.lower():
            raise ValueError(
                f"Character {character!r} at position {position} is upper case, which "
                "fold_case=True never reads. Remove it or set fold_case=False."
            )
        ids[character] = position
    _refuse_changed(characters, normalization)
    return ids


def _refuse_changed(characters, normalization):
    changed = forms.changed_by(characters, normalization)
    if changed:
        other = forms.normalize_text(changed[0], normalization)
        raise ValueError(
            f"normalization={normalization!r} writes {forms.named(changed)} otherwise (the first "
            f"as {forms.named([other])}), so no label could hold them. Write them so, remove them, "
            "or set normalization='none'."
        )
