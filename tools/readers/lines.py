"""Writes the lines that the reader `lines` learns from: print and signs in sixteen languages.

Words come from the package wordfreq by a power of their frequency, so that rare words and their
letters are frequent enough. Marks, prices, dates, codes and addresses are set as in print.
"""

from __future__ import annotations

import functools
import os
import string
from collections.abc import Callable, Iterator

import numpy as np

from crnn_keras.char_dict import CharDict
from crnn_keras.utils import files

# Languages of Latin script, with how often a line is in each.
LANGUAGES = {
    "en": 6, "de": 2, "fr": 2, "es": 2, "it": 1, "pt": 1, "nl": 1, "sv": 1, "da": 1, "fi": 1,
    "pl": 2, "cs": 2, "hu": 1, "tr": 1, "lt": 1, "lv": 1,
}  # fmt: skip
LONGEST = 60
# A word is drawn by its frequency to this power.
_POWER = 0.6
# Lengths that lines aim at, in characters.
_LENGTHS = ((1, 12), (8, 30), (8, 30), (20, LONGEST))
_ENDS = (".", ".", ".", "!", "?", ":", ";", "…", "...")
_QUOTES = ("“”", '""', "«»", "„“", "‘’", "()", "()", "[]", "''", "*")
_DASHES = (" – ", " — ", " - ", "-", "/", " / ", " & ", " + ", " | ", " • ", " · ")
_MONEY = (
    "€ {}",
    "{} €",
    "${}",
    "£{}",
    "{} kr",
    "{} zł",
    "{} Kč",
    "{} Ft",
    "CHF {}",
    "RM {}",
    "¥{}",
)
_UNITS = (
    "%",
    " %",
    " kg",
    " g",
    " ml",
    " l",
    " cm",
    " km/h",
    "°C",
    " m²",
    "x",
    " pcs",
    " kWh",
    " V",
)
_KEYS = (
    *("Total", "TOTAL", "Subtotal", "Tax", "Qty", "No.", "Tel", "Date", "Amount", "Cash", "Change"),
    *("Ref", "Invoice", "Table", "GST", "Summe", "MwSt.", "Prix", "Precio", "Cena", "ID"),
)
_DOMAINS = ("com", "de", "fr", "org", "net", "co.uk", "pl", "cz", "es", "it", "io", "eu")
_CODE = string.ascii_uppercase + string.digits


class LineWriter:
    """Composes lines from words; every line is made of one language.

    Args:
        seed: Integer from 0.
        characters: String of the characters that lines may have. Defaults to those of the preset
            `latin`.
    """

    def __init__(self, seed: int, characters: str | None = None):
        latin = CharDict.from_preset("latin").characters
        self._rng = np.random.default_rng([seed, 60])
        self._characters = set(characters or latin)
        self._words = {name: read_language(name) for name in LANGUAGES}
        self._plain = [c for c in latin if c in self._characters and c.isascii()]
        self._accented = [c for c in latin if c in self._characters and not c.isascii()]
        weights = np.array(list(LANGUAGES.values()), float)
        self._ends = np.cumsum(weights / weights.sum())
        self._kinds: tuple[tuple[float, Callable[[], str]], ...] = (
            (0.44, self._write_sentence),
            (0.66, self._write_sign),
            (0.76, self._write_entry),
            (0.86, self._write_number),
            (0.93, self._write_code),
            (1.0, self._write_mixture),
        )

    def __iter__(self) -> Iterator[str]:
        while True:
            kind = self._rng.random()
            line = next(write for end, write in self._kinds if kind < end)()
            line = " ".join(line.split())[:LONGEST].strip()
            if line and set(line) <= self._characters:
                yield line

    def _pick(self, choices):
        return choices[int(self._rng.integers(len(choices)))]

    def _digits(self, count):
        return "".join(map(str, self._rng.integers(10, size=count)))

    def _draw_words(self, most=30):
        """Returns words of one language, up to the length that the line aims at."""
        languages = list(LANGUAGES)
        language = languages[int(np.searchsorted(self._ends, self._rng.random()))]
        words, ends = self._words[language]
        low, high = self._pick(_LENGTHS)
        length, total, drawn = int(self._rng.integers(low, high + 1)), 0, []
        for position in np.searchsorted(ends, self._rng.random(most)):
            word = words[min(int(position), len(words) - 1)]
            if drawn and total + len(word) > length:
                break
            drawn.append(word)
            total += len(word) + 1
        return drawn

    def _write_sentence(self):
        words = self._draw_words()
        for index in range(len(words)):
            kind = self._rng.random()
            if kind < 0.12:
                words[index] = words[index].capitalize()
            elif kind < 0.2 and index + 1 < len(words):
                words[index] += self._pick(",,,,;:")
            elif kind < 0.24:
                quotes = self._pick(_QUOTES)
                words[index] = quotes[0] + words[index] + quotes[-1]
            elif kind < 0.27:
                words[index] = self._write_number()
        if self._rng.random() < 0.5:
            words[0] = words[0][:1].upper() + words[0][1:]
        line = " ".join(words)
        if self._rng.random() < 0.04:
            line = self._pick(("¿{}?", "¡{}!")).format(line)
        elif self._rng.random() < 0.45:
            line += self._pick(_ENDS)
        return line

    def _write_sign(self):
        words = self._draw_words(most=5)
        line = " ".join(words)
        kind = self._rng.random()
        if kind < 0.5:
            line = line.upper()
        elif kind < 0.85:
            line = " ".join(word[:1].upper() + word[1:] for word in words)
        if len(words) > 1 and self._rng.random() < 0.2:
            line = line.replace(" ", self._pick(_DASHES), 1)
        if self._rng.random() < 0.1:
            line += self._pick(("!", "®", "™", " ©", "'s", " No. 1", " 24/7", " & Co.", " GmbH"))
        return line

    def _write_entry(self):
        """Returns a line of a receipt or a form: what it is, and how much."""
        words = [self._pick(_KEYS)] if self._rng.random() < 0.5 else self._draw_words(most=3)
        if self._rng.random() < 0.3:
            words.insert(0, f"{self._rng.integers(1, 20)} x")
        line = " ".join(words)
        line = line.upper() if self._rng.random() < 0.4 else line
        return f"{line}{self._pick((' ', ' ', ': ', ' : ', ' = ', ' @ '))}{self._write_number()}"

    def _write_number(self):
        kind = int(self._rng.integers(8))
        whole = str(self._rng.integers(1, 10 ** int(self._rng.integers(1, 5))))
        amount = whole + self._pick(".,") + self._digits(2)
        if len(whole) > 3 and self._rng.random() < 0.5:
            amount = (
                f"{whole[:-3]}{self._pick(', .')}{whole[-3:]}{self._pick('.,')}{self._digits(2)}"
            )
        if kind == 0:
            return amount
        if kind == 1:
            return self._pick(_MONEY).format(amount)
        if kind == 2:
            return self._pick((whole, amount)) + self._pick(_UNITS)
        if kind == 3:
            year = self._rng.integers(1950, 2035)
            day, month = self._rng.integers(1, 32), self._rng.integers(1, 13)
            parts = self._pick(("{0:02}.{1:02}.{2}", "{0:02}/{1:02}/{2}", "{2}-{1:02}-{0:02}"))
            return parts.format(day, month, year)
        if kind == 4:
            clock = f"{self._rng.integers(24)}:{self._rng.integers(60):02}"
            return clock + self._pick(("", "", ":" + self._digits(2), " h", " Uhr", " PM", " am"))
        if kind == 5:
            groups = [self._digits(int(n)) for n in self._rng.integers(2, 5, size=3)]
            return self._pick(("+", "0", "(0", "")) + self._pick(" -./").join(groups)
        if kind == 6:
            return self._pick(("-", "+", "#", "±", "~", "<", ">", "No. ", "§ ", "")) + whole
        return self._digits(int(self._rng.integers(1, 9)))

    def _write_code(self):
        words = [word for word in self._draw_words(most=3) if word.isascii() and word.isalnum()]
        name = words[0].lower() if words else self._digits(3)
        domain = f"{words[-1].lower() if words else name}.{self._pick(_DOMAINS)}"
        kind = int(self._rng.integers(5))
        if kind == 0:
            return f"{self._pick('._-').join(words[:2]) or name}@{domain}"
        if kind == 1:
            start = self._pick(("www.", "https://", "http://", "https://www."))
            return start + domain + self._pick(("", "/", f"/{name}", f"?{name}={self._digits(2)}"))
        if kind == 2:
            return self._pick(("{}_{}.{}", "/{}/{}.{}", "{}-{}.{}")).format(
                name, self._digits(2), self._pick(("pdf", "txt", "jpg", "py", "html"))
            )
        size = int(self._rng.integers(3, 13))
        code = "".join(_CODE[i] for i in self._rng.integers(len(_CODE), size=size))
        code = code.lower() if self._rng.random() < 0.2 else code
        if self._rng.random() < 0.4:
            code = self._pick("- /.").join(
                code[start : start + 4] for start in range(0, len(code), 4)
            )
        return code

    def _write_mixture(self):
        """Returns groups of any characters: the rarest is as frequent there as any other."""
        groups = []
        for size in self._rng.integers(1, 9, size=self._rng.integers(1, 6)):
            letters = self._pick((self._plain, self._accented or self._plain))
            groups.append("".join(letters[i] for i in self._rng.integers(len(letters), size=size)))
        return " ".join(groups)


@functools.cache
def read_language(name: str) -> tuple[list[str], np.ndarray]:
    """Returns the words of a language that the preset `latin` can write.

    Args:
        name: Name in `LANGUAGES`.

    Returns:
        Tuple of the list of words, and the float array of their cumulative probabilities.
    """
    from wordfreq import get_frequency_dict

    allowed = set(CharDict.from_preset("latin").characters)
    words = {
        word: count**_POWER
        for word, count in get_frequency_dict(name, "best").items()
        if set(word) <= allowed and word.upper().lower() == word
    }
    ends = np.cumsum(list(words.values()))
    return list(words), ends / ends[-1]


def write_lines(
    path: str | os.PathLike, count: int, *, seed: int, characters: str | None = None
) -> None:
    """Writes different lines, one a line.

    Args:
        path: File to write.
        count: Number of lines.
        seed: Integer from 0.
        characters: String of the characters that lines may have. Defaults to those of the preset
            `latin`.
    """
    lines: dict[str, None] = {}
    for line in LineWriter(seed, characters):
        lines[line] = None
        if len(lines) == count:
            break
    files.write_atomic(path, "".join(f"{line}\n" for line in lines).encode())
