"""How likely a text is in the languages of the world: what tells one encoding from another.

The same bytes are letters in each of the old encodings. In the right one they are frequent
characters of one script, in natural case; in the others, rare ones side by side with symbols. The
costs below are rounded negative logarithms of how often characters occur. They need to be right
within a factor of two or three: a few words of the wrong encoding differ by many such factors.
"""

from __future__ import annotations

import functools
import itertools
import math
import string
import unicodedata

from crnn_keras.utils.chinese import chinese_ranks

# Letters of a script, the most frequent first, and the cost of the first; each next costs a little
# more.
_RUSSIAN = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё"
_OTHER_CYRILLIC = "іїєґўјљњћђџѓќѕ"
_GREEK = "αοιετσνηυρπκμλςωδγχθφβξζψάόίέήύώ"
_ARABIC = "اليمونرتبةعدسفهكقأحجشطصخىضذغثزئءظإؤآپچگیک"
_HEBREW = "יוהלאתרבשמןםנדחפקעגצטזסךכףץ"
_THAI = "านร่อก้ิเงัมยลีวดทสตะืปุบคหแู์จพชขใไโ็ผซธถำณภึศษฐฟญๆฉฝฎฏฆ"
_WESTERN = "éáäöüèóíàçñúâêîôûëïãõßåøæœìòùýðþ"
_CENTRAL = "ışğąćęłńśźżčďěňřšťůžőűăâîșțşţđáéíóúýäöüôçğıéĺľŕ"
_TURKISH = "ışüçöğâî"
_BALTIC_AND_VIETNAMESE = "ėšįųąčęžūāīēļņķđơư\u0301\u0300\u0323\u0309\u0303"
_HANGUL = (
    "이다는에의을가를로하고은지서도한사기자대인리시어들해나일정부그원제수만과전적아보성스연주상동라구공"
    "장신조국경문화소유세오무관위비계여개방생당안발교회선치우통되모내진양행입간면중마실결재물분있것습니"
    "말까요울산강남북출차민할길감합영단거바레드트크프토점코래러더야미노타카파님녕안세예옥호박김최"
)
# Characters of plates, which are rarer elsewhere.
_PLATES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使领警学港澳挂"
_SPECIAL = {
    **dict.fromkeys("，。、；：？！（）「」《》“”‘’…—·％", 6.0),
    **dict.fromkeys("«»„“”’–—…°§©®€£№·¿¡", 8.0),
}


def _letters(letters: str, first: float, step: float) -> dict[str, float]:
    return {letter: first + step * rank for rank, letter in reversed(list(enumerate(letters)))}


_LETTERS = {
    "cyrillic": _letters(_RUSSIAN, 2.3, 0.12) | dict.fromkeys(_OTHER_CYRILLIC, 5.5),
    "greek": _letters(_GREEK, 2.3, 0.1),
    "arabic": _letters(_ARABIC, 2.0, 0.12),
    "hebrew": _letters(_HEBREW, 2.2, 0.1),
    "thai": _letters(_THAI, 2.8, 0.08),
    "latin": _letters(_BALTIC_AND_VIETNAMESE, 5.6, 0.04)
    | _letters(_CENTRAL, 5.5, 0.04)
    | _letters(_WESTERN, 5.0, 0.05)
    | _letters(_TURKISH, 5.0, 0.05),
}
_LOWER = set(string.ascii_lowercase)
_ALPHABETS = set(_LETTERS)
_RANGES = {
    "hanzi": (("\u3400", "\u9fff"), ("\uf900", "\ufaff"), ("\U00020000", "\U0003ffff")),
    "kana": (("\u3040", "\u30ff"), ("\uff66", "\uff9f")),
    "hangul": (("\uac00", "\ud7a3"),),
    "cyrillic": (("\u0400", "\u04ff"),),
    "greek": (("\u0370", "\u03ff"),),
    "hebrew": (("\u0590", "\u05ff"),),
    "arabic": (("\u0600", "\u06ff"),),
    "thai": (("\u0e00", "\u0e7f"),),
    "latin": (("\u00c0", "\u024f"),),
}
_SCRIPT_OF = {letter: script for script, costs in _LETTERS.items() for letter in costs}


def text_cost(text: str, *, language: str) -> float:
    """Returns how unlikely a text is: the negative logarithm of its likelihood, about.

    Args:
        text: Text that was decoded by the encoding in question.
        language: What the encoding was made for: `"chinese"`, `"traditional"`, `"japanese"`,
            `"korean"`, or `""` for alphabets.

    Returns:
        A cost; that of another decoding of the same bytes can be compared with it.
    """
    cost = sum(_character_cost(character, language) for character in text)
    return cost + sum(_neighbour_cost(*pair) for pair in itertools.pairwise(text))


@functools.lru_cache(maxsize=1 << 16)
def _character_cost(character: str, language: str) -> float:
    if character.isascii():
        return 4.0 if character.isprintable() or character in "\t\n\r" else 20.0
    if character in _SPECIAL:
        return _SPECIAL[character]
    script = _script(character)
    if script == "hanzi":
        return _hanzi_cost(character, language)
    if script == "kana":
        return (8.0 if character >= "\uff00" else 4.7) if language == "japanese" else 9.0
    if script == "hangul":
        if language != "korean":
            return 15.0
        rank = _HANGUL.find(character)
        return 5.0 + 0.012 * rank if rank >= 0 else 10.0 if _encodes(character, "euc_kr") else 13.0
    if script in _LETTERS:
        lower = character.lower()
        return _LETTERS[script].get(lower, 9.0) + (character != lower)
    category = unicodedata.category(character)
    if category in ("Cc", "Co", "Cn", "Cs"):
        return 20.0
    return 7.0 if "\uff00" <= character <= "\uff5e" else 10.0


def _hanzi_cost(character: str, language: str) -> float:
    rank = chinese_ranks().get(character)
    # Frequencies fall with the rank, by Zipf's law.
    ranked = 13.0 if rank is None else math.log(rank + 20) + 1.8
    if language == "chinese":
        return min(ranked, 7.5) if character in _PLATES else ranked
    if language == "traditional":
        is_common = _encodes(character, "big5", first=b"\xa4", last=b"\xc6")
        return min(ranked, 8.8) if is_common else 12.5
    if language == "japanese":
        is_common = _encodes(character, "euc_jp", first=b"\xb0", last=b"\xcf")
        return min(ranked + 0.7, 9.0) if is_common else 12.0
    return 13.0


def _neighbour_cost(first: str, second: str) -> float:
    """Returns what a pair costs beyond its characters: scripts and cases do not mix in a word."""
    if first.isascii() and second.isascii():
        return 0.0
    pair = {_script(first), _script(second)}
    if "" in pair:
        return 0.0
    if "symbol" in pair:
        return 2.0 if pair & _ALPHABETS else 0.0
    if len(pair) == 2 and pair != {"ascii", "latin"}:
        if pair & _ALPHABETS:
            return 5.0
        if pair == {"hangul", "hanzi"}:
            return 3.0
        # Chinese stands beside capitals on plates and in names; within a word it does not.
        return 1.5 if first in _LOWER or second in _LOWER else 0.0
    cost = 4.0 if first.islower() and second.isupper() else 0.0
    # Two letters with marks side by side are rare.
    return cost + 2.0 if pair == {"latin"} else cost


@functools.lru_cache(maxsize=1 << 16)
def _script(character: str) -> str:
    """Returns the script of a letter; "symbol", or "" for what stands beside any letter."""
    if character.isascii():
        return "ascii" if character.isalpha() else ""
    if (script := _SCRIPT_OF.get(character.lower())) or character in _SPECIAL:
        return script or ""
    if not character.isalpha():
        return "" if unicodedata.east_asian_width(character) in "WF" else "symbol"
    for script, ranges in _RANGES.items():
        if any(start <= character <= end for start, end in ranges):
            return script
    return "symbol"


def _encodes(character: str, encoding: str, *, first: bytes = b"", last: bytes = b"\xff") -> bool:
    """Returns whether an encoding has a character, with a first byte in a range."""
    encoded = character.encode(encoding, "ignore")
    return first <= encoded[:1] <= last and bool(encoded)
