"""Lists of characters that others made, and the form they allow."""

from crnn_keras.char_dict import normalization as forms
from crnn_keras.utils import files


def read_list(path):
    """Reads a text file of characters: one a line, or all in one; see `CharDict.from_file`.

    Args:
        path: text file in UTF-8, UTF-16 or GB18030.

    Returns:
        String of its characters, in order.

    Raises:
        ValueError: a character stands twice.
    """
    text, _ = files.read_text(path)
    seen = {}
    for number, line in enumerate(text.split("\n"), start=1):
        for character in line:
            if character in seen:
                raise ValueError(
                    f"{path}, line {number}: character {character!r} "
                    f"(U+{ord(character):04X}) stands twice, first in line "
                    f"{seen[character]}. Remove one of them."
                )
            seen[character] = number
    return "".join(seen)


def settle(characters, normalization, label):
    """Characters from elsewhere in the form that was chosen, or the form that they allow.

    Lists of the field hold characters that a normal form writes otherwise: PP-OCR's has `郎` a
    second time as U+F92C, and 76 full-width forms. With no form chosen such a list stays as it is,
    because its ids matter, and the form is `"none"`. With a form chosen the list is written in it.
    Both print a line that names the characters.

    Args:
        characters: string of distinct characters.
        normalization: one of `NORMALIZATIONS`; None: `"nfc"` if nothing is lost by it.
        label: what to call the source.

    Returns:
        Tuple of the characters and the normalization.
    """
    if normalization is None:
        lost = forms.lost_in_nfc(characters)
        if lost:
            print(
                f"{label}: NFC would write {forms.named(lost)} otherwise, so the dictionary has "
                "normalization='none'. To have its labels written in a normal form choose 'nfc' "
                "or 'half_width'; the list is then written in it too, and becomes shorter.",
                flush=True,
            )
        return characters, "none" if lost else "nfc"
    forms.check_normalization(normalization)
    changed = forms.changed_by(characters, normalization)
    kept = forms.distinct_in(characters, normalization)
    if changed:
        print(
            f"{label}: written in {normalization!r}: {forms.named(changed)}. "
            f"{len(kept):,} of {len(characters):,} characters are left.",
            flush=True,
        )
    return kept, normalization
