"""Draws words to render from any list, in the cases of signs, with some numbers and codes."""

import os
import pathlib
import string
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np

from crnn_keras.utils import files
from crnn_keras.utils.checks import (
    FRACTION,
    NATURAL,
    NOT_NEGATIVE,
    SEED,
    TEXT,
    Number,
    check_arguments,
    check_value,
)
from crnn_keras.utils.encodings import AUTO
from crnn_keras.utils.hashing import assign_split, check_fractions
from crnn_keras.utils.limits import MAX_DRAWN_CHARACTERS, MAX_WORD_LIST_BYTES

WORD_LIST = pathlib.Path(__file__).parent / "assets" / "words" / "english.txt"
# Texts drawn for one index before a word of the split is taken instead.
_TRIES = 100
# Fraction of words in the case of the list.
_AS_LISTED = 0.05
# Characters of codes: none of those that look alike.
_CODE_CHARACTERS = sorted(set(string.ascii_lowercase + string.digits) - set("01oil"))
# Marks after a word, around it, before it and within it; frequent ones are repeated.
_AFTER = (".", ".", ".", ",", ",", ",", "!", "!", "?", ":", ":", ";", "...", "!!", "*")
_AROUND = ('""', '""', "''", "()", "()", "[]", "{}", "<>", "**", "__", "||", "``", "~~")
_BEFORE = ("#", "@", "@", "&", "$", "*", "-", "'", "+", "=", "~", "%", "^")
_BETWEEN = ("-", "-", "'", ".", "/", "&", "_", "@", "+", "|", "\\", ":")
# Formats of amounts.
_AMOUNTS = ("${}", "${}", "{}%", "#{}", "+{}", "-{}", "{}.", "({})", "{}")
# Settings of `WordTexts` for the training images of the shipped readers. Photographs show marks
# beside words, also where a reader of letters and digits ignores them. Cases, numbers and codes are
# as frequent as in the labels of `iiit5k_train`.
SIGN_TEXTS = {
    "numbers": 0.1,
    "codes": 0.02,
    "max_length": 18,
    "common": 60,
    "marks": 0.16,
    "upper": 0.5,
    "capital": 0.25,
}
MARKS = "".join(sorted(set(string.punctuation)))
# How many characters an image may show.
LENGTH = Number(1, MAX_DRAWN_CHARACTERS, is_whole=True)


def read_lines(path: str | os.PathLike, encoding: str) -> list[str]:
    """Reads the lines of a word list or a corpus.

    Args:
        path: Text file.
        encoding: Name of its encoding, see `read_samples`.

    Returns:
        List of strings.

    Raises:
        ValueError: There is no such file, it is too large, or it is not text.
    """
    path = pathlib.Path(path)
    # No pipe or device either: it may never end.
    if not path.is_file():
        raise ValueError(f"{path} is no file. Expected a text file.")
    if path.stat().st_size > MAX_WORD_LIST_BYTES:
        raise ValueError(
            f"{path} has {path.stat().st_size:,} bytes. Expected {MAX_WORD_LIST_BYTES:,} at most."
        )
    return files.read_text(path, encoding)[0].splitlines()


def read_words(path: str | os.PathLike = WORD_LIST, *, encoding: str = AUTO) -> list[str]:
    """Reads a word list, one word a line.

    Args:
        path: Text file. Defaults to the package's list of 39,478 English words, a part of SCOWL
            (see `assets/words/COPYING`).
        encoding: Name of its encoding. Defaults to `"auto"`, see `read_samples`.

    Returns:
        List of distinct words in the file's order.

    Raises:
        ValueError: The file does not exist, is too large, holds no word, or is not in the encoding.
    """
    lines = read_lines(path, encoding)
    words = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not words:
        raise ValueError(f"{path} holds no word. Expected one word a line.")
    return words


class Split:
    """Decides which texts belong to a split of a set; no text, in any case, is in two splits.

    Args:
        name: Name of the split; None for all texts.
        fractions: Dict of `split name: fraction`, see `assign_split`.
        seed: Integer. Together with the fractions it decides which text belongs to which split.

    Raises:
        ValueError: The split has no fraction above 0.
    """

    def __init__(self, name: str | None, fractions: Mapping[str, float] | None, seed: int):
        if fractions:
            check_fractions(fractions)
        if name is not None and not (fractions or {}).get(name, 0) > 0:
            raise ValueError(
                f"Split {name!r} has no fraction in {fractions}. Expected one above 0."
            )
        self.name, self._fractions, self._seed = name, fractions, seed

    def __contains__(self, text: str) -> bool:
        if self.name is None:
            return True
        return assign_split(text.lower(), self._fractions, self._seed) == self.name


class WordTexts:
    """Draws texts: mostly words, in the cases of signs, some numbers and some codes.

    Text `index` is a pure function of the arguments and the index. A code is 3 to 8 mixed letters
    and digits, in one case and, as on tickets, without those that look alike (0 and o, 1 and i and
    l). Marks are the punctuation beside words and numbers in print: `Hello!`, `(GST)`, `$12.50`,
    `10/03/2018`, `7-Eleven`.

    Args:
        words: List of distinct words.
        seed: Integer. Defaults to `0`.
        numbers: Fraction of texts that are 1 to 8 digits. Defaults to `0.08`.
        codes: Fraction of texts that are codes. Defaults to `0.06`.
        max_length: Longest text in characters; longer words are not drawn. Defaults to `14`.
        split: Name of the split whose texts are drawn; None for all. Two splits of the same
            fractions and seed have no text in common, in any case. Defaults to None.
        fractions: Dict of `split name: fraction`. Defaults to None.
        common: Number of words at the front of the list that are about equally frequent; a word
            further back has a frequency of `1 / (rank + common)`, which suits a list with the most
            frequent word first. Defaults to `0`: all words are equally frequent.
        marks: Fraction of texts with punctuation marks, as far as `max_length` allows. Defaults to
            `0.0`.
        upper: Fraction of words in upper case. Defaults to `0.3`.
        capital: Fraction of words with a capital. Defaults to `0.23`. One word in twenty keeps the
            case of the list; the rest is in lower case.

    Raises:
        ValueError: No word of the split is short enough, a number is out of range, or `upper` and
            `capital` add up to more than 0.95.

    Reference:
        Mandelbrot, 1953, An informational theory of the statistical structure of language.

    Example:

        >>> texts = WordTexts(read_words(), seed=1, marks=0.2)
        >>> [texts.text(index) for index in range(5)]
        ['FRYI&NG', 'PERFECTER', 'ASKANCE', '9219', 'Scriptwriters']
    """

    @check_arguments(
        seed=SEED,
        numbers=FRACTION,
        codes=FRACTION,
        max_length=LENGTH,
        common=NOT_NEGATIVE,
        marks=FRACTION,
        upper=Number(maximum=1),
        capital=Number(maximum=1),
    )
    def __init__(
        self,
        words: Sequence[str],
        seed: int = 0,
        *,
        numbers: float = 0.08,
        codes: float = 0.06,
        max_length: int = 14,
        split: str | None = None,
        fractions: Mapping[str, float] | None = None,
        common: float = 0,
        marks: float = 0.0,
        upper: float = 0.3,
        capital: float = 0.23,
    ):
        if isinstance(words, str):
            raise ValueError(f"Expected a list of words, got the one string {words[:40]!r}.")
        for index, word in enumerate(words):
            check_value(f"Word #{index}", word, TEXT)
        if min(upper, capital) < 0 or upper + capital > 1 - _AS_LISTED:
            raise ValueError(
                f"upper is {upper} and capital {capital}. Expected fractions that add up to "
                f"{1 - _AS_LISTED} at most: the rest is in lower case or in the case of the list."
            )
        self._split = Split(split, fractions, seed)
        short = [word for word in words if len(word) <= max_length]
        if not short:
            raise ValueError(f"No word has at most {max_length} characters. Give more words.")
        self._words = [word for word in short if word in self._split]
        if not self._words:
            raise ValueError(
                f"No word belongs to the split {split!r} of {fractions}. Give more words."
            )
        self._seed, self._numbers, self._codes = seed, numbers, codes
        self._common, self._marks = common, marks
        # Cumulative probabilities of lower case, and of lower or upper case.
        self._until_lower = 1 - _AS_LISTED - upper - capital
        self._until_upper = self._until_lower + upper
        self._max_digits, self._max_length = min(max_length, 8), max_length

    @property
    def characters(self) -> str:
        """Returns every character that a text may contain, sorted."""
        used = {c for word in self._words for c in word + word.upper() + word.capitalize()}
        used |= {c for word in self._words for c in word.lower()}
        used |= set(string.digits) if self._numbers else set()
        codes = "".join(_CODE_CHARACTERS)
        used |= set(codes + codes.upper()) if self._codes else set()
        used |= set(string.digits + MARKS) if self._marks else set()
        return "".join(sorted(used))

    @check_arguments(index=NATURAL)
    def text(self, index: int) -> str:
        """Returns the text of an index, whatever was drawn before.

        Args:
            index: Integer from 0.

        Returns:
            String.
        """
        rng = np.random.default_rng([self._seed, 1, index])
        text = self._draw_plain(rng)
        if self._marks and rng.random() < self._marks:
            return self._add_marks(text, rng)
        return text

    def _draw_plain(self, rng):
        kind = rng.random()
        if kind < self._numbers + self._codes:
            draw = self._draw_number if kind < self._numbers else self._draw_code
            for _ in range(_TRIES):
                text = draw(rng)
                if text in self._split:
                    return text
        return self._draw_word(rng)

    def _draw_number(self, rng):
        return "".join(
            str(digit) for digit in rng.integers(10, size=rng.integers(self._max_digits) + 1)
        )

    def _draw_code(self, rng):
        shortest = min(3, self._max_digits)
        size = shortest + rng.integers(self._max_digits - shortest + 1)
        drawn = rng.integers(len(_CODE_CHARACTERS), size=size)
        text = "".join(_CODE_CHARACTERS[i] for i in drawn)
        return text.upper() if rng.random() < 0.5 else text

    def _draw_word(self, rng):
        count, common = len(self._words), self._common
        if not common:
            word = self._words[rng.integers(count)]
        else:
            rank = common * (1 + count / common) ** rng.random() - common
            word = self._words[min(int(rank), count - 1)]
        case = rng.random()
        if case < self._until_lower:
            text = word.lower()
        elif case < self._until_upper:
            text = word.upper()
        elif case < 1 - _AS_LISTED:
            text = word.capitalize()
        else:
            return word
        # A change of case may make another word, or a longer one: straße and STRASSE.
        is_same = text.lower() == word.lower()
        fits = is_same or (len(text) <= self._max_length and text in self._split)
        return text if fits else word

    def _add_marks(self, text, rng):
        """Adds marks; letters and digits stay the same, so the text stays in its split."""
        kind, position = rng.random(), 1 + int(rng.integers(max(len(text) - 1, 1)))
        if text.isdecimal() and kind < 0.7:
            marked = self._format_amount(text, rng)
        elif kind < 0.5:
            marked = text + _pick(_AFTER, rng)
        elif kind < 0.65:
            left, right = _pick(_AROUND, rng)
            marked = left + text + right
        elif kind < 0.75:
            marked = _pick(_BEFORE, rng) + text
        elif kind < 0.85 and text[-1] in "sS" and len(text) > 2:
            marked = f"{text[:-1]}'{text[-1]}"
        else:
            # Not between a letter and a mark on it.
            while unicodedata.category(text[position:][:1] or " ").startswith("M"):
                position += 1
            marked = text[:position] + _pick(_BETWEEN, rng) + text[position:]
        return marked if len(marked) <= self._max_length else text

    def _format_amount(self, digits, rng):
        """Writes digits as a price, a percentage, a time, a date or a telephone number."""
        kind = rng.random()
        if kind < 0.35 and len(digits) > 2:
            digits = f"{digits[:-2]}.{digits[-2:]}"
        elif kind < 0.45 and len(digits) > 3:
            digits = f"{digits[:-3]},{digits[-3:]}"
        elif kind < 0.7 and len(digits) > 3:
            groups = [digits[:2], digits[2:4], digits[4:]]
            return _pick("/-.:", rng).join(filter(None, groups))
        elif kind < 0.8 and len(digits) > 5:
            return f"{digits[:-4]}-{digits[-4:]}"
        return _pick(_AMOUNTS, rng).format(digits)


def _pick(choices, rng):
    return choices[int(rng.integers(len(choices)))]
