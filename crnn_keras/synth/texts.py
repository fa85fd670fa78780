"""Words to render: from any list, in the cases signs have them, with some numbers and codes."""

import pathlib
import string

import numpy as np

from crnn_keras.utils.hashing import assign_split

WORD_LIST = pathlib.Path(__file__).parent / "assets" / "words" / "english.txt"
# Texts drawn for one index before a word of the part is taken instead.
_TRIES = 100
# Share of words in the case of the list.
_AS_LISTED = 0.05
_LETTERS = sorted(set(string.ascii_lowercase + string.digits) - set("01oil"))
# Marks after a word, around it and between two, as often as they stand here.
_AFTER = (".", ".", ".", ",", ",", ",", "!", "!", "?", ":", ":", ";", "...", "!!", "*")
_AROUND = ('""', '""', "''", "()", "()", "[]", "{}", "<>", "**", "__", "||", "``", "~~")
_BEFORE = ("#", "@", "@", "&", "$", "*", "-", "'", "+", "=", "~", "%", "^")
_BETWEEN = ("-", "-", "'", ".", "/", "&", "_", "@", "+", "|", "\\", ":")
MARKS = "".join(sorted(set(string.punctuation)))


def read_words(path=WORD_LIST):
    """Reads a word list, one word a line.

    Args:
        path: text file in UTF-8. The default holds 39,478 English words, a part of
            SCOWL (see `words/COPYING`).

    Returns:
        List of distinct words in the file's order.

    Raises:
        ValueError: the file holds no word.
    """
    lines = pathlib.Path(path).read_text(encoding="utf-8-sig").splitlines()
    words = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not words:
        raise ValueError(f"{path} holds no word. Expected one word a line.")
    return words


class Part:
    """The texts of one part of a set; no text, in any case, belongs to two parts.

    Args:
        name: the part whose texts are given; None for all.
        fractions: dict of `part name: share`, see `samples.assign_split`.
        seed: integer that decides with the fractions which text belongs to which part.

    Raises:
        ValueError: the fractions do not have the part, or give it nothing.
    """

    def __init__(self, name, fractions, seed):
        if name is not None and not (fractions or {}).get(name, 0) > 0:
            raise ValueError(f"Part {name!r} has no share in {fractions}. Expected one above 0.")
        self.name, self.fractions, self.seed = name, fractions, seed

    def __contains__(self, text):
        return (
            self.name is None or assign_split(text.lower(), self.fractions, self.seed) == self.name
        )


class WordTexts:
    """Texts to render: mostly words, in the cases signs have them, some numbers, some codes.

    Text `index` is a pure function of the arguments and the index. One word in twenty comes as the
    list has it. A code is 3 to 8 mixed letters and digits, in one case and, as on tickets, without
    those that look alike (0 and o, 1 and i and l). Marks are what stands beside words and numbers
    in print: `Hello!`, `(GST)`, `$12.50`, `10/03/2018`, `7-Eleven`.

    Args:
        words: list of distinct words.
        seed: integer.
        numbers: share of texts that are digits only, of 1 to 8.
        codes: share of texts that are codes.
        max_length: words longer than this many characters are not drawn; numbers and codes are
            no longer either.
        part: name of the part whose texts are given; None for all. Two parts of the same fractions
            and seed have no text in common, whatever its case.
        fractions: dict of `part name: share`.
        common: words at the front of the list that come about equally often; one further back comes
            as seldom as `1 / (place + common)` says, which is how often words are used in a list
            that has the most frequent first. 0: all come equally often.
        marks: share of texts with punctuation marks, where it keeps to `max_length`.
        upper: share of words in upper case.
        capital: share of words with a capital; those left over are in lower case.

    Raises:
        ValueError: no word of the part is short enough, `common` is below 0, or `upper` and
            `capital` leave nothing for the words as the list has them.

    Reference:
        Mandelbrot, 1953, An informational theory of the statistical structure of language.
    """

    def __init__(
        self,
        words,
        seed=0,
        numbers=0.08,
        codes=0.06,
        max_length=14,
        part=None,
        fractions=None,
        common=0,
        marks=0.0,
        upper=0.3,
        capital=0.23,
    ):
        if common < 0:
            raise ValueError(f"common is {common}. Expected 0 (all words equally often) or more.")
        if min(upper, capital) < 0 or upper + capital > 1 - _AS_LISTED:
            raise ValueError(
                f"upper is {upper} and capital {capital}. Expected fractions that make "
                f"{1 - _AS_LISTED} at most: the rest is in lower case or as the list has it."
            )
        self.part = Part(part, fractions, seed)
        self.words = [word for word in words if len(word) <= max_length]
        if not self.words:
            raise ValueError(f"No word has at most {max_length} characters. Give more words.")
        self.words = [word for word in self.words if word in self.part]
        if not self.words:
            raise ValueError(
                f"No word belongs to the part {part!r} of {fractions}. Give more words."
            )
        self.seed, self.numbers, self.codes = seed, numbers, codes
        self.common, self.marks = common, marks
        self.lower = 1 - _AS_LISTED - upper - capital
        self.not_capital = self.lower + upper
        self.longest, self.max_length = min(max_length, 8), max_length

    @property
    def alphabet(self):
        """Every character that may come up, sorted."""
        written = {c for word in self.words for c in word + word.upper() + word.capitalize()}
        written |= {c for word in self.words for c in word.lower()}
        written |= set(string.digits) if self.numbers else set()
        written |= set("".join(_LETTERS) + "".join(_LETTERS).upper()) if self.codes else set()
        written |= set(string.digits + MARKS) if self.marks else set()
        return "".join(sorted(written))

    def text(self, index):
        """The text of an index, whatever was asked for before.

        Args:
            index: integer from 0.

        Returns:
            String.
        """
        rng = np.random.default_rng([self.seed, 1, index])
        text = self._plain(rng)
        if self.marks and rng.random() < self.marks:
            return self._marked(text, rng)
        return text

    def _plain(self, rng):
        kind = rng.random()
        if kind < self.numbers + self.codes:
            write = self._number if kind < self.numbers else self._code
            for _ in range(_TRIES):
                text = write(rng)
                if text in self.part:
                    return text
        return self._word(rng)

    def _number(self, rng):
        return "".join(
            str(digit) for digit in rng.integers(10, size=rng.integers(self.longest) + 1)
        )

    def _code(self, rng):
        shortest = min(3, self.longest)
        size = shortest + rng.integers(self.longest - shortest + 1)
        text = "".join(_LETTERS[letter] for letter in rng.integers(len(_LETTERS), size=size))
        return text.upper() if rng.random() < 0.5 else text

    def _word(self, rng):
        if not self.common:
            word = self.words[rng.integers(len(self.words))]
        else:
            place = self.common * (1 + len(self.words) / self.common) ** rng.random() - self.common
            word = self.words[min(int(place), len(self.words) - 1)]
        case = rng.random()
        if case < self.lower:
            text = word.lower()
        elif case < self.not_capital:
            text = word.upper()
        elif case < 1 - _AS_LISTED:
            text = word.capitalize()
        else:
            return word
        # A capital may be another word, or longer: straße and STRASSE.
        same = text.lower() == word.lower() or (len(text) <= self.max_length and text in self.part)
        return text if same else word

    def _marked(self, text, rng):
        """The text with marks; no letter or digit is added or lost, so it stays in its part."""
        kind, place = rng.random(), 1 + int(rng.integers(max(len(text) - 1, 1)))
        if text.isdecimal() and kind < 0.7:
            marked = self._amount(text, rng)
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
            marked = text[:place] + _pick(_BETWEEN, rng) + text[place:]
        return marked if len(marked) <= self.max_length else text

    def _amount(self, digits, rng):
        """Digits as a price, a share, a time or date, a telephone number."""
        kind = rng.random()
        if kind < 0.35 and len(digits) > 2:
            digits = f"{digits[:-2]}.{digits[-2:]}"
        elif kind < 0.45 and len(digits) > 3:
            digits = f"{digits[:-3]},{digits[-3:]}"
        elif kind < 0.7 and len(digits) > 3:
            parts = [digits[:2], digits[2:4], digits[4:]]
            return _pick("/-.:", rng).join(filter(None, parts))
        elif kind < 0.8 and len(digits) > 5:
            return f"{digits[:-4]}-{digits[-4:]}"
        return _pick(("${}", "${}", "{}%", "#{}", "+{}", "-{}", "{}.", "({})", "{}"), rng).format(
            digits
        )


def _pick(choices, rng):
    return choices[int(rng.integers(len(choices)))]
