"""Scripts whose letters join, move or stack: they are drawn as a whole, by Pillow with raqm.

Latin, Chinese and most other alphabets are drawn letter by letter. Arabic letters change their
form with their neighbors, vowels of Devanagari stand before the letter that they follow, and marks
sit on letters: only a shaper knows where. raqm shapes with HarfBuzz and orders with FriBidi.
"""

import functools
import unicodedata

from fontTools import unicodedata as scripts
from PIL import features

from crnn_keras.char_dict.direction import to_visual

# Scripts that are right if they are drawn letter by letter, from left to right or, Hebrew, in the
# order of the image. All others are shaped, also those that are not known here.
_SIMPLE = (
    *("Latn", "Grek", "Cyrl", "Armn", "Geor", "Hebr", "Hani", "Hira", "Kana", "Hang", "Bopo"),
    *("Yiii", "Ethi", "Cher", "Cans", "Copt", "Goth", "Ogam", "Runr", "Tfng", "Vaii", "Bamu"),
    *("Lisu", "Dsrt", "Osge", "Zyyy", "Zinh", "Zzzz"),
)
# Of the shaped scripts, those that no table of a font needs to arrange: only their marks move.
_WITHOUT_RULES = ("Thai", "Laoo", "Thaa")
_HANGUL_PARTS = (("\u1100", "\u11ff"), ("\ua960", "\ua97c"), ("\ud7b0", "\ud7fb"))
_JOINERS = "\u200c\u200d"


@functools.lru_cache(maxsize=1 << 16)
def is_shaped(character: str) -> bool:
    """Tells whether a character is drawn together with its neighbors.

    Args:
        character: String of length 1.

    Returns:
        `True` for scripts that join or reorder letters, for combining marks, for the parts of old
        Hangul and for the two joiners.
    """
    if character.isascii():
        return False
    is_mark = unicodedata.category(character) in ("Mn", "Mc", "Me")
    is_part = any(first <= character <= last for first, last in _HANGUL_PARTS)
    return is_mark or is_part or character in _JOINERS or scripts.script(character) not in _SIMPLE


def needs_rules(character: str) -> str:
    """Returns the script of a character that a font draws rightly only with rules for it.

    Args:
        character: String of length 1.

    Returns:
        Four letters of ISO 15924, such as `"Deva"`; empty if no rules are needed.
    """
    script = scripts.script(character)
    return "" if script in (*_SIMPLE, *_WITHOUT_RULES) else script


def compose(text: str) -> str:
    """Returns a text with fewer combining marks, where Unicode has a letter for both.

    Args:
        text: Text.

    Returns:
        The text in NFC if it holds a combining mark, otherwise the text.
    """
    has_marks = not text.isascii() and any(map(unicodedata.combining, text))
    return unicodedata.normalize("NFC", text) if has_marks else text


def split_units(text: str) -> list[str]:
    """Splits a text into what is drawn side by side.

    Args:
        text: Text in the order of reading.

    Returns:
        List of its characters in the order of the image, or of the text itself if it is shaped.

    Raises:
        ValueError: It needs shaping, and this Pillow cannot.
    """
    text = compose(text)
    if any(map(is_shaped, text)):
        check_shaping(text)
        return [text]
    return list(to_visual(text, "visual"))


def split_clusters(text: str) -> list[str]:
    """Splits a text into letters with their marks.

    Args:
        text: Text.

    Returns:
        List of strings.
    """
    clusters = []
    for character in compose(text):
        if clusters and unicodedata.category(character).startswith("M"):
            clusters[-1] += character
        else:
            clusters.append(character)
    return clusters


def check_shaping(characters: str) -> None:
    """Checks that this machine can draw some characters.

    Args:
        characters: Text, or characters.

    Raises:
        ValueError: One needs shaping, and this Pillow cannot; the message names its script.
    """
    shaped = next((character for character in characters if is_shaped(character)), None)
    if shaped is None or features.check("raqm"):
        return
    script = scripts.script_name(scripts.script(shaped)).replace("_", " ")
    raise ValueError(
        f"{characters[:20]!r} has {shaped!r} (U+{ord(shaped):04X}, {script}), whose place or form "
        "depends on its neighbors. Drawing it needs Pillow with raqm: install Pillow's own wheel "
        "(pip install pillow) and FriBidi (Debian: libfribidi0), or draw texts of other scripts."
    )


def versions() -> dict[str, str | None]:
    """Returns the versions of what shapes, by name."""
    return {name: features.version(name) for name in ("raqm", "harfbuzz", "fribidi")}
