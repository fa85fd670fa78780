"""Ready dictionaries: digits, Latin letters, and the Chinese characters of GB2312.

GB2312 is the national standard of 1980 for simplified Chinese. It puts characters into rows of 94;
Python's codec knows them, so only their frequencies are kept in a file.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable

from crnn_keras.utils.chinese import chinese_frequencies

# GB2312 rows 16 to 55, ordered by pinyin, and 56 to 87, ordered by radical; a byte is row + 0xA0.
_LEVEL_1, _LEVEL_2 = range(0xB0, 0xD8), range(0xD8, 0xF8)


def _gb2312(rows: Iterable[int]) -> str:
    """Returns the characters of some rows of GB2312, in its order, without the empty cells."""
    cells = (bytes((row, cell)) for row in rows for cell in range(0xA1, 0xFF))
    return b"".join(cells).decode("gb2312", errors="ignore")


# Latin-1 and Latin Extended-A, without what no language writes today, and what is invisible.
_ACCENTED = [code for code in range(0xA1, 0x180) if chr(code) not in "ĸŉſ\u00ad"]
_TYPOGRAPHIC = "–—‘’‚“”„•…€™"

PRESETS: dict[str, Callable[[], str]] = {
    "digits": lambda: string.digits,
    "alphanumeric36": lambda: string.digits + string.ascii_lowercase,
    "ascii": lambda: "".join(map(chr, range(0x20, 0x7F))),
    "latin": lambda: "".join(map(chr, [*range(0x20, 0x7F), *_ACCENTED])) + _TYPOGRAPHIC,
    "common_chinese": lambda: "".join(chinese_frequencies()),
    "gb2312_level1": lambda: _gb2312(_LEVEL_1),
    "gb2312": lambda: _gb2312(_LEVEL_1) + _gb2312(_LEVEL_2),
}
# Presets that read and write lower case only.
FOLD_CASE_PRESETS = ("alphanumeric36",)


def preset_characters(name: str) -> str:
    """Returns the characters of a preset.

    Args:
        name: `"digits"` (10), `"alphanumeric36"` (digits and letters, case folded), `"ascii"` (95
            printable characters, space included), `"latin"` (326: these, the letters and signs of
            Latin-1 and Latin Extended-A, dashes, curly quotes, `…`, `€` and `™`),
            `"common_chinese"` (6,705 of GB2312, the most frequent first), `"gb2312_level1"` (the
            3,755 most used Chinese characters, by pinyin) or `"gb2312"` (6,763: level 1, then the
            3,008 of level 2).

    Returns:
        The characters.

    Raises:
        ValueError: If there is no such preset.
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise ValueError(f"No preset {name!r}. Expected one of {', '.join(PRESETS)}.")
    return PRESETS[name]()
