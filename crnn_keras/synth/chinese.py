"""Draws Chinese lines to render, from a corpus or by frequency, rare characters included."""

import bisect
import functools
import itertools
import math
import os
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from crnn_keras.char_dict.index import join_characters
from crnn_keras.synth.texts import LENGTH, Split, read_lines
from crnn_keras.utils.checks import (
    FRACTION,
    INTEGER,
    NATURAL,
    NOT_NEGATIVE,
    SEED,
    check_arguments,
    check_value,
)
from crnn_keras.utils.encodings import AUTO

# Enough for a split of a hundredth.
_TRIES = 2000


class ChineseTexts:
    """Draws lines of Chinese, or of any other script, from a set of characters.

    A fraction of the lines takes its characters from a shuffled deck that holds every character
    once, so that the rarest character is as frequent there as any other. The other lines are cut
    out of a corpus at random positions, or drawn by frequency. Text `index` is a pure function of
    the arguments and the index.

    Args:
        characters: String or list of the characters to draw. White space appears inside corpus
            lines only.
        seed: Integer. Defaults to `0`.
        corpus: List of lines, or path of a text file. Lines are split at all other characters.
            Defaults to None.
        encoding: Name of the file's encoding. Defaults to `"auto"`, see `read_samples`.
        frequencies: Dict of `character: frequency`, in any unit; used where there is no corpus.
            Defaults to None: all characters are equally frequent.
        shortest: Fewest characters of a line. Defaults to `1`.
        longest: Most characters of a line. Defaults to `20`.
        rare: Fraction of the lines that take their characters from the deck. The first `cycle`
            lines contain every character. Defaults to `0.3`.
        split: Name of the split whose texts are drawn; None for all. Two splits of the same
            fractions and seed have no text in common. Defaults to None.
        fractions: Dict of `split name: fraction`. Defaults to None.

    Raises:
        ValueError: There are no characters, a length or fraction is out of range, or the corpus
            contains no run of the characters.

    Example:

        >>> lines = ChineseTexts("省市区县", corpus=["省市区县市", "区县市省"], longest=4)
        >>> [lines.text(index) for index in range(5)]
        ['省', '县市省', '市', '县省', '市区县市']
    """

    @check_arguments(seed=SEED, shortest=INTEGER, longest=LENGTH, rare=FRACTION)
    def __init__(
        self,
        characters: Iterable[str],
        seed: int = 0,
        *,
        corpus: Sequence[str] | str | os.PathLike | None = None,
        encoding: str = AUTO,
        frequencies: Mapping[str, float] | None = None,
        shortest: int = 1,
        longest: int = 20,
        rare: float = 0.3,
        split: str | None = None,
        fractions: Mapping[str, float] | None = None,
    ):
        if not 1 <= shortest <= longest:
            raise ValueError(
                f"shortest is {shortest} and longest {longest}. Expected 1 <= shortest <= longest."
            )
        self._split = Split(split, fractions, seed)
        # A list of characters is as good as a string.
        allowed = dict.fromkeys(join_characters(characters))
        for character, frequency in (frequencies or {}).items():
            check_value(f"The frequency of {character!r}", frequency, NOT_NEGATIVE)
        self._deck = [character for character in allowed if not character.isspace()]
        if not self._deck:
            raise ValueError("There are no characters to draw. Expected at least one.")
        self._seed, self._rare, self._shortest, self._longest = seed, rare, shortest, longest
        # The lines of the deck go through all lengths in this order, again and again.
        order = np.random.default_rng([seed, 6]).permutation(range(shortest, longest + 1))
        self._lengths = [int(length) for length in order]
        self._ends = [0, *itertools.accumulate(self._lengths)]
        self._runs = [] if corpus is None else self._find_runs(corpus, encoding, allowed)
        # Where each run ends if all are laid end to end.
        self._run_ends = list(itertools.accumulate(map(len, self._runs)))
        weights = [(frequencies or {}).get(character, 0) for character in self._deck]
        if frequencies is not None and not sum(weights) > 0:
            raise ValueError("No character has a frequency above 0. Expected at least one.")
        self._weights = list(itertools.accumulate(weights if frequencies else [1] * len(weights)))
        self._order = functools.lru_cache(maxsize=8)(self._shuffle)

    @property
    def characters(self) -> str:
        """Returns every character that a line may contain, sorted; without white space."""
        return "".join(sorted(self._deck))

    @property
    def cycle(self) -> float:
        """Returns after how many lines every character has occurred; infinite if `rare` is 0."""
        if not self._rare:
            return float("inf")
        rounds = math.ceil(len(self._deck) / self._ends[-1]) + 1
        return math.ceil((rounds * len(self._lengths) + 1) / self._rare)

    @check_arguments(index=NATURAL)
    def text(self, index: int) -> str:
        """Returns the line of an index, whatever was drawn before.

        Args:
            index: Integer from 0.

        Returns:
            String of `shortest` to `longest` characters; shorter where the corpus has no longer
            run.

        Raises:
            ValueError: No line of the split was found.
        """
        rng = np.random.default_rng([self._seed, 2, index])
        line = int(index * self._rare)
        from_deck = self._draw_from_deck(line) if int((index + 1) * self._rare) > line else None
        for attempt in range(_TRIES):
            if from_deck is not None:
                text = self._arrange(from_deck, attempt, rng)
            elif self._runs:
                text = self._cut_corpus(rng)
            else:
                text = self._draw_by_frequency(self._draw_length(rng), rng)
            if text and text in self._split:
                return text
        raise ValueError(
            f"No line of the split {self._split.name!r} was found in {_TRIES} tries. Give more "
            "characters, longer lines or a larger fraction."
        )

    def _draw_length(self, rng):
        return self._shortest + int(rng.integers(self._longest - self._shortest + 1))

    def _find_runs(self, corpus, encoding, allowed):
        """Returns all runs of allowed characters that are long enough."""
        lines = corpus
        if not isinstance(corpus, (list, tuple)):
            lines = read_lines(corpus, encoding)
        runs = []
        for line in lines:
            groups = itertools.groupby(line, allowed.__contains__)
            pieces = ("".join(group).strip() for is_allowed, group in groups if is_allowed)
            runs.extend(piece for piece in pieces if len(piece) >= self._shortest)
        if not runs:
            raise ValueError(
                f"The corpus has no {self._shortest} of the {len(allowed)} characters in a row. "
                "Give another corpus or more characters."
            )
        return runs

    def _cut_corpus(self, rng):
        position = int(rng.integers(self._run_ends[-1]))
        which = bisect.bisect_right(self._run_ends, position)
        run = self._runs[which]
        length = min(self._draw_length(rng), len(run))
        start = min(position - (self._run_ends[which] - len(run)), len(run) - length)
        piece = run[start : start + length].strip()
        return piece if len(piece) >= self._shortest else ""

    def _draw_by_frequency(self, length, rng):
        total = self._weights[-1]
        drawn = (bisect.bisect_right(self._weights, rng.random() * total) for _ in range(length))
        return "".join(self._deck[min(i, len(self._deck) - 1)] for i in drawn)

    def _shuffle(self, deal):
        return np.random.default_rng([self._seed, 7, deal]).permutation(len(self._deck)).tolist()

    def _draw_from_deck(self, line):
        """Returns the characters of a line among those from the deck."""
        rounds, position = divmod(line, len(self._lengths))
        start = rounds * self._ends[-1] + self._ends[position]
        cards = (divmod(start + i, len(self._deck)) for i in range(self._lengths[position]))
        return [self._deck[self._order(deal)[card]] for deal, card in cards]

    def _arrange(self, characters, attempt, rng):
        """Joins characters as drawn; later attempts, for a line of the split, in other orders."""
        if not attempt:
            return "".join(characters)
        line = [characters[i] for i in rng.permutation(len(characters))]
        # Six characters have enough orders; fewer need more characters, or others.
        if attempt >= 8 and len(line) < min(6, self._longest):
            more = min(1 + (attempt - 8) // 20, self._longest - len(line))
            line += [self._deck[i] for i in rng.integers(len(self._deck), size=more)]
        elif attempt >= 100 and len(line) < 6:
            line[-1] = self._deck[rng.integers(len(self._deck))]
        return "".join(line)
