"""Normalization of text, so that characters which look alike are spelled alike.

`é` is one code point or two (`e` and an accent); `Ａ` of a Chinese keyboard looks like `A`. A model
cannot learn which of two spellings was meant, so a dictionary states its normalization, and labels
are normalized before they become ids.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

# "none": as it is. "nfc": Unicode's composed form. "half_width": NFC, and the full-width forms of
# ASCII, with the ideographic space, as ASCII. NFKC is not among them on purpose: it would also
# write ² as 2, ㎏ as kg and ① as 1, which look different and are read differently.
NORMALIZATIONS = ("none", "nfc", "half_width")

_TO_HALF_WIDTH = {0xFF01 + i: 0x21 + i for i in range(0x5E)} | {0x3000: 0x20}
# Number of characters that a message shows.
_SHOWN = 20


def check_normalization(normalization: str) -> None:
    """Checks the name of a normalization.

    Args:
        normalization: Name.

    Raises:
        ValueError: If it is not one of `NORMALIZATIONS`.
    """
    if normalization not in NORMALIZATIONS:
        known = ", ".join(map(repr, NORMALIZATIONS))
        raise ValueError(f"Normalization {normalization!r} is unknown. Expected one of {known}.")


def normalize_text(text: str, normalization: str, fold_case: bool = False) -> str:
    """Normalizes a text. A normalized text stays as it is.

    Args:
        text: Text.
        normalization: One of `NORMALIZATIONS`. `"half_width"` writes U+FF01 to U+FF5E as U+0021 to
            U+007E and U+3000 as a space, in NFC; other wide forms (`￥`, `「`) stay.
        fold_case: Whether to write lower case. Defaults to `False`.

    Returns:
        The normalized text.
    """
    if normalization == "half_width":
        # Before NFC: a wide e and an accent make one é.
        text = text.translate(_TO_HALF_WIDTH)
    if normalization != "none":
        text = unicodedata.normalize("NFC", text)
    return text.lower() if fold_case else text


def normalize_characters(characters: str, normalization: str, fold_case: bool = False) -> str:
    """Normalizes a list of characters and keeps each once, where its first spelling was.

    Args:
        characters: Characters.
        normalization: See `normalize_text`.
        fold_case: See `normalize_text`. Defaults to `False`.

    Returns:
        Distinct characters.
    """
    normalized = (normalize_text(character, normalization, fold_case) for character in characters)
    return "".join(dict.fromkeys("".join(normalized)))


def find_changed(characters: str, normalization: str) -> str:
    """Finds the characters that a normalization changes, so that no label could hold them.

    Args:
        characters: Characters.
        normalization: See `normalize_text`.

    Returns:
        Those that change, in order.
    """
    return "".join(c for c in characters if normalize_text(c, normalization) != c)


def find_lost_in_nfc(characters: str) -> list[str]:
    """Finds what a dictionary can spell without a normalization, and cannot spell in NFC.

    Args:
        characters: Characters of the dictionary.

    Returns:
        List of strings: characters that NFC changes, and pairs of a letter and a mark, or of parts
        of a Hangul syllable, that NFC composes to a character that the dictionary lacks.
    """
    known, lost = set(characters), list(find_changed(characters, "nfc"))
    for mark in filter(_composes, characters):
        for character in characters:
            pair = character + mark
            composed = unicodedata.normalize("NFC", pair)
            if len(composed) == 1 and composed not in known:
                lost.append(pair)
    return lost


def _composes(character: str) -> bool:
    """Returns whether NFC may compose the character with the one before it."""
    return unicodedata.category(character).startswith("M") or "\u1161" <= character <= "\u11c2"


def format_characters(characters: Sequence[str]) -> str:
    """Formats characters with their code points for a message, the first 20 of them.

    Args:
        characters: Strings of one or more code points.

    Returns:
        A string such as `"'Ａ' (U+FF21), '１' (U+FF11) and 3 others"`.
    """
    shown = [f"{c!r} ({' '.join(f'U+{ord(p):04X}' for p in c)})" for c in characters[:_SHOWN]]
    others = len(characters) - len(shown)
    if others == 0:
        return ", ".join(shown)
    return f"{', '.join(shown)} and {others} other{'s' if others > 1 else ''}"
