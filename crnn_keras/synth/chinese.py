"""Chinese lines to render: cut from a corpus or drawn by frequency, the rare characters too."""

import bisect
import functools
import itertools

import numpy as np

from crnn_keras.synth.texts import Part

# Enough for a part of a hundredth.
_TRIES = 2000


class ChineseTexts:
    """Lines of Chinese, or of any other script, out of a given set of characters.

    A share of the lines is dealt from a shuffled deck that holds every character once, so that
    the rarest come up as often as the others; the rest are cut out of a corpus at random places,
    or drawn by frequency. Text `index` is a pure function of the arguments and the index.

    Args:
        characters: string or list of the characters that may come up. White space comes up
            inside corpus lines only.
        seed: integer.
        corpus: list of lines, or path of a text file in UTF-8. Lines are split where they have
            other characters.
        frequencies: dict of `character: how frequent`, in any unit; used where there is no
            corpus. With neither, all characters are as frequent.
        shortest: fewest characters of a line.
        longest: most characters of a line.
        rare: share of the lines that are dealt from the deck. Every character comes up in the
            first `cycle` lines.
        part: name of the part whose texts are given; None for all. Two parts of the same fractions
            and seed have no text in common.
        fractions: dict of `part name: share`.

    Raises:
        ValueError: there are no characters, a length or share cannot be had, or the corpus has
            no such characters.
    """

    def __init__(
        self,
        characters,
        seed=0,
        corpus=None,
        frequencies=None,
        shortest=1,
        longest=20,
        rare=0.3,
        part=None,
        fractions=None,
    ):
        if not 1 <= shortest <= longest:
            raise ValueError(f"Lengths {shortest} to {longest} are none. Expected at least 1.")
        if not 0 <= rare <= 1:
            raise ValueError(f"Share {rare} of rare characters is outside 0 to 1.")
        self.part = Part(part, fractions, seed)
        allowed = dict.fromkeys(characters)
        self.deck = [character for character in allowed if not character.isspace()]
        if not self.deck:
            raise ValueError("There are no characters to draw. Expected at least one.")
        self.seed, self.rare, self.shortest, self.longest = seed, rare, shortest, longest
        lengths = range(shortest, longest + 1)
        # The lines of the deck go through all lengths in this order, again and again.
        order = np.random.default_rng([seed, 6]).permutation(lengths)
        self._lengths = [int(length) for length in order]
        self._ends = [0, *itertools.accumulate(self._lengths)]
        self._runs, self._run_ends = self._cut(corpus, allowed) if corpus is not None else ([], [])
        weights = [(frequencies or {}).get(character, 0) for character in self.deck]
        if frequencies is not None and not sum(weights) > 0:
            raise ValueError("No character has a frequency above 0.")
        self._weights = list(itertools.accumulate(weights if frequencies else [1] * len(weights)))
        self._order = functools.lru_cache(maxsize=8)(self._shuffle)

    @property
    def alphabet(self):
        """Every character that may come up, sorted; white space aside."""
        return "".join(sorted(self.deck))

    @property
    def cycle(self):
        """Number of lines, from index 0, that hold every character; infinite if `rare` is 0."""
        if not self.rare:
            return float("inf")
        rounds = -(-len(self.deck) // self._ends[-1]) + 1
        return int(np.ceil((rounds * len(self._lengths) + 1) / self.rare))

    def text(self, index):
        """The line of an index, whatever was asked for before.

        Args:
            index: integer from 0.

        Returns:
            String of `shortest` to `longest` characters; shorter where the corpus has no longer
            piece.

        Raises:
            ValueError: no line of the part was found.
        """
        rng = np.random.default_rng([self.seed, 2, index])
        number = int(index * self.rare)
        dealt = self._deal(number) if int((index + 1) * self.rare) > number else None
        for attempt in range(_TRIES):
            if dealt is not None:
                text = self._arrange(dealt, attempt, rng)
            elif self._runs:
                text = self._piece(rng)
            else:
                text = self._drawn(self._length(rng), rng)
            if text and text in self.part:
                return text
        raise ValueError(
            f"No line of the part {self.part.name!r} was found in {_TRIES} tries. Give more "
            "characters, longer lines or a larger share."
        )

    def _length(self, rng):
        return self.shortest + int(rng.integers(self.longest - self.shortest + 1))

    def _cut(self, corpus, allowed):
        """Runs of allowed characters, and where each ends if all are laid end to end."""
        lines = corpus
        if not isinstance(corpus, (list, tuple)):
            with open(corpus, encoding="utf-8-sig") as file:
                lines = file.read().splitlines()
        runs = []
        for line in lines:
            groups = itertools.groupby(line, allowed.__contains__)
            pieces = ("".join(group).strip() for inside, group in groups if inside)
            runs.extend(piece for piece in pieces if len(piece) >= self.shortest)
        if not runs:
            raise ValueError(
                f"The corpus has no {self.shortest} of the {len(allowed)} characters in a row."
            )
        return runs, list(itertools.accumulate(map(len, runs)))

    def _piece(self, rng):
        place = int(rng.integers(self._run_ends[-1]))
        number = bisect.bisect_right(self._run_ends, place)
        run = self._runs[number]
        length = min(self._length(rng), len(run))
        start = min(place - (self._run_ends[number] - len(run)), len(run) - length)
        piece = run[start : start + length].strip()
        return piece if len(piece) >= self.shortest else ""

    def _drawn(self, length, rng):
        whole = self._weights[-1]
        places = (bisect.bisect_right(self._weights, rng.random() * whole) for _ in range(length))
        return "".join(self.deck[min(place, len(self.deck) - 1)] for place in places)

    def _shuffle(self, deal):
        return np.random.default_rng([self.seed, 7, deal]).permutation(len(self.deck)).tolist()

    def _deal(self, number):
        """The characters of line `number` among those dealt from the deck."""
        rounds, place = divmod(number, len(self._lengths))
        start = rounds * self._ends[-1] + self._ends[place]
        cards = (divmod(start + i, len(self.deck)) for i in range(self._lengths[place]))
        return [self.deck[self._order(deal)[card]] for deal, card in cards]

    def _arrange(self, dealt, attempt, rng):
        """The dealt characters as they lie; then, to find a line of the part, in other orders."""
        if not attempt:
            return "".join(dealt)
        line = [dealt[i] for i in rng.permutation(len(dealt))]
        # Six characters have orders enough; fewer need company, or others in their place.
        if attempt >= 8 and len(line) < min(6, self.longest):
            more = min(1 + (attempt - 8) // 20, self.longest - len(line))
            line += [self.deck[i] for i in rng.integers(len(self.deck), size=more)]
        elif attempt >= 100 and len(line) < 6:
            line[-1] = self.deck[rng.integers(len(self.deck))]
        return "".join(line)
