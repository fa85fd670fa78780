"""Text from outside, written so that a reader sees all of it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

# Characters that draw nothing, although Unicode does not call them controls or formats.
_DRAWS_NOTHING = "\u00a0\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"


def is_invisible(character: str) -> bool:
    """Returns whether a character draws nothing: controls, formats, bidi marks; not the space."""
    if character.isascii():
        return not " " <= character <= "~"
    category = unicodedata.category(character)
    return category in ("Cc", "Cf", "Cs", "Zl", "Zp") or character in _DRAWS_NOTHING


def visible(text: object) -> str:
    """Returns the text with every invisible character written as its code point: `<U+200B>`."""
    return "".join(f"<{code_point(c)}>" if is_invisible(c) else c for c in str(text))


def code_point(character: str) -> str:
    """Returns the code point of a character, such as `"U+7701"`."""
    return f"U+{ord(character):04X}"


def counted(count: int, noun: str) -> str:
    """Returns a count and its noun: `"1 label"`, `"2,000 labels"`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def examples(items: Sequence[str], most: int = 12) -> str:
    """Returns the first of some strings in quotation marks, and how many more there are.

    Args:
        items: sequence of strings.
        most: int, strings to show at most. Defaults to `12`.

    Returns:
        String such as `"'a', 'b' and 3 more"`.
    """
    shown = ", ".join(f"'{visible(item)}'" for item in items[:most])
    return shown + (f" and {len(items) - most:,} more" if len(items) > most else "")
