"""Normalization of text, so that characters which look alike are spelled alike.

`é` is one code point or two (`e` and an accent); `Ａ` of a Chinese keyboard looks like `A`. A model
cannot learn which of two spellings was meant, so a dictionary states its normalization, and labels
are normalized before they become ids.
"""

from __future__ import annotations

import collections
import functools
import re
import unicodedata
from collections.abc import Sequence

# "none": as it is. "nfc": Unicode's composed form. "half_width": NFC, and the full-width forms of
# ASCII, with the ideographic space, as ASCII. NFKC is not among them on purpose: it would also
# write ² as 2, ㎏ as kg and ① as 1, which look different and are read differently.
NORMALIZATIONS = ("none", "nfc", "half_width")

# The only letters whose lower case depends on their place or has two code points: `"Σ".lower()`
# depends on what follows, `"İ".lower()` is i and a dot above.
_TO_LOWER = {ord("Σ"): "σ", ord("İ"): "i"}
_TO_HALF_WIDTH = {0xFF01 + i: 0x21 + i for i in range(0x5E)} | {0x3000: 0x20}
# Number of characters that a message shows.
_SHOWN = 20
# Python takes a time that grows with the square of the number of marks in a row.
_MANY_MARKS = 64
# Behind it come the ideographs of the third plane and what Unicode has not assigned.
_ASSIGNED = 0x30000


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
        fold_case: Whether to write lower case, see `fold_text`. Defaults to `False`.

    Returns:
        The normalized text.
    """
    if text.isascii():
        return text.lower() if fold_case else text
    if normalization == "half_width":
        # Before NFC: a wide e and an accent make one é.
        text = text.translate(_TO_HALF_WIDTH)
    if normalization != "none":
        text = _compose(text)
    if fold_case:
        text = fold_text(text)
        # A capital and an accent may have no composed form though the small letter has one: ǰ.
        text = text if normalization == "none" else _compose(text)
    return text


def fold_text(text: str) -> str:
    """Writes a text in lower case, letter by letter.

    Each letter stays one letter, whatever its neighbors are: `İ` becomes `i`, as it does where a
    benchmark keeps nothing but letters, `Σ` becomes `σ` at the end of a word too, and `ß` and `ς`,
    which are lower case, stay.

    Args:
        text: Text.

    Returns:
        A text of the same length.
    """
    return text.translate(_TO_LOWER).lower() if "Σ" in text or "İ" in text else text.lower()


def _compose(text: str) -> str:
    """Returns a text in NFC, in a time that grows with its length only."""
    # A run of twice as many marks has one at such a place.
    if len(text) >= _MANY_MARKS and _mark().search(text[_MANY_MARKS - 1 :: _MANY_MARKS]):
        text = _many_marks().sub(lambda run: _sort_marks(run[0]), text)
    return unicodedata.normalize("NFC", text)


def _sort_marks(marks: str) -> str:
    """Decomposes marks and puts them into Unicode's order, as NFC does first."""
    decomposed = "".join(unicodedata.normalize("NFD", mark) for mark in marks)
    return "".join(sorted(decomposed, key=unicodedata.combining))


@functools.cache
def _mark() -> re.Pattern[str]:
    """Returns a pattern of the characters that NFC may reorder."""
    assigned = map(chr, range(0x300, _ASSIGNED))
    marks = (c for c in assigned if unicodedata.combining(unicodedata.normalize("NFD", c)[0]))
    return re.compile(f"[{''.join(marks)}]")


@functools.cache
def _many_marks() -> re.Pattern[str]:
    return re.compile(f"{_mark().pattern}{{{_MANY_MARKS},}}")


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
    # Of each spelling in NFC, the characters that have it, and where.
    spellings = collections.defaultdict(list)
    for place, character in enumerate(characters):
        spellings[unicodedata.normalize("NFC", character)].append((place, character))
    for mark in characters:
        found = []
        for letter, composed in _compositions(mark):
            if composed not in known:
                found += spellings.get(letter, ())
        lost += [character + mark for _, character in sorted(found)]
    return lost


def _compositions(mark: str) -> list[tuple[str, str]]:
    """Returns pairs of a letter, and of what NFC makes of it and the mark behind it."""
    if "\u1161" <= mark <= "\u1175":  # Hangul vowels, behind a consonant
        letters = map(chr, range(0x1100, 0x1113))
    elif "\u11a8" <= mark <= "\u11c2":  # Hangul consonants, behind a syllable without one
        letters = map(chr, range(0xAC00, 0xD7A4, 28))
    else:
        return _composed_letters().get(mark, [])
    return [(letter, unicodedata.normalize("NFC", letter + mark)) for letter in letters]


@functools.cache
def _composed_letters() -> dict[str, list[tuple[str, str]]]:
    """Returns `_compositions` of all marks but those of Hangul."""
    found = collections.defaultdict(list)
    for composed in map(chr, range(0xC0, _ASSIGNED)):
        if not unicodedata.decomposition(composed) or "\uac00" <= composed <= "\ud7a3":
            continue
        parts = unicodedata.normalize("NFD", composed)
        # The mark may belong before another one: a dot below, behind a letter with a dot above.
        for place, mark in enumerate(parts[1:], start=1):
            letter = unicodedata.normalize("NFC", parts[:place] + parts[place + 1 :])
            if len(letter) == 1 and unicodedata.normalize("NFC", letter + mark) == composed:
                found[mark].append((letter, composed))
    return found


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
