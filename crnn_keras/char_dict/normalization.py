"""The forms a text may be written in, so that one look has one spelling.

`é` is one code point or two (`e` and an accent); `Ａ` of a Chinese keyboard looks like `A`. A
reader cannot learn which of two spellings of one look was meant; so a dictionary states its form,
and labels are written in it before they become ids.
"""

import unicodedata

# "none": as it is. "nfc": Unicode's composed form. "half_width": NFC, and the full-width forms of
# ASCII, with the ideographic space, as ASCII. NFKC is not among them on purpose: it would also
# write ² as 2, ㎏ as kg and ① as 1, which look different and are read differently.
NORMALIZATIONS = ("none", "nfc", "half_width")

_TO_HALF_WIDTH = {0xFF01 + i: 0x21 + i for i in range(0x5E)} | {0x3000: 0x20}
_SHOWN = 20


def check_normalization(normalization):
    """Refuses a form that is unknown.

    Args:
        normalization: string.

    Raises:
        ValueError: it is not one of `NORMALIZATIONS`.
    """
    if normalization not in NORMALIZATIONS:
        known = ", ".join(map(repr, NORMALIZATIONS))
        raise ValueError(f"Normalization {normalization!r} is unknown. Expected one of {known}.")


def normalize_text(text, normalization, fold_case=False):
    """The text in a normal form. Writing it twice changes nothing.

    Args:
        text: string.
        normalization: one of `NORMALIZATIONS`. `"half_width"` writes U+FF01 to U+FF5E as U+0021 to
            U+007E and U+3000 as a space, in NFC; other wide forms (`￥`, `「`) stay.
        fold_case: also write lower case.

    Returns:
        String.
    """
    if normalization == "half_width":
        # Before NFC: a wide e and an accent make one é.
        text = text.translate(_TO_HALF_WIDTH)
    if normalization != "none":
        text = unicodedata.normalize("NFC", text)
    return text.lower() if fold_case else text


def distinct_in(characters, normalization, fold_case=False):
    """Characters written in a normal form, each once, where the first of its spellings stood.

    Args:
        characters: string.
        normalization: see `normalize_text`.
        fold_case: see `normalize_text`.

    Returns:
        String.
    """
    written = (normalize_text(character, normalization, fold_case) for character in characters)
    return "".join(dict.fromkeys("".join(written)))


def changed_by(characters, normalization):
    """Characters that a normal form writes otherwise, so that no label in it could hold them.

    Args:
        characters: string.
        normalization: see `normalize_text`.

    Returns:
        String of them, in order.
    """
    return "".join(c for c in characters if normalize_text(c, normalization) != c)


def lost_in_nfc(characters):
    """What a dictionary could spell without a normal form, and no longer could in NFC.

    Args:
        characters: string of the dictionary's characters.

    Returns:
        List of strings: characters that NFC writes otherwise, and pairs of a letter and a mark, or
        of parts of a Hangul syllable, that NFC composes to one that the dictionary lacks.
    """
    known, lost = set(characters), list(changed_by(characters, "nfc"))
    for mark in filter(_composes, characters):
        for character in characters:
            pair = character + mark
            composed = unicodedata.normalize("NFC", pair)
            if len(composed) == 1 and composed not in known:
                lost.append(pair)
    return lost


def _composes(character):
    """Whether a character may melt into the one before it."""
    return unicodedata.category(character).startswith("M") or "\u1161" <= character <= "\u11c2"


def named(characters):
    """Characters with their code points for a message, the first 20 of them.

    Args:
        characters: sequence of strings.

    Returns:
        String such as `"'Ａ' (U+FF21), '１' (U+FF11) and 3 others"`.
    """
    shown = [f"{c!r} ({' '.join(f'U+{ord(p):04X}' for p in c)})" for c in characters[:_SHOWN]]
    others = len(characters) - len(shown)
    if others == 0:
        return ", ".join(shown)
    return f"{', '.join(shown)} and {others} other{'s' if others > 1 else ''}"
