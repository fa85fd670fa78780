"""Draws the lines of a text file to render: whole lines with their spaces."""

from collections.abc import Mapping, Sequence

import numpy as np

from crnn_keras.synth.texts import LENGTH, Split
from crnn_keras.utils.checks import NATURAL, SEED, TEXT, check_arguments, check_value


class LineTexts:
    """Draws lines as they are written, with their spaces, cases and marks.

    Every line is drawn as often as any other. Text `index` is a pure function of the arguments and
    the index. Several spaces become one: an image does not tell how many there are.

    Args:
        lines: List of lines.
        seed: Integer. Defaults to `0`.
        max_length: Longest line in characters; longer lines are not drawn. Defaults to `60`.
        split: Name of the split whose lines are drawn; None for all. Two splits of the same
            fractions and seed have no line in common, in any case. Defaults to None.
        fractions: Dict of `split name: fraction`. Defaults to None.

    Raises:
        ValueError: No line of the split is short enough, a line is no text, or a number is out of
            range.

    Example:

        >>> lines = LineTexts(["Total  12.50", "Merci !", "Öl, 5 l"], seed=1)
        >>> [lines.text(index) for index in range(4)]
        ['Merci !', 'Total 12.50', 'Öl, 5 l', 'Öl, 5 l']
    """

    @check_arguments(seed=SEED, max_length=LENGTH)
    def __init__(
        self,
        lines: Sequence[str],
        seed: int = 0,
        *,
        max_length: int = 60,
        split: str | None = None,
        fractions: Mapping[str, float] | None = None,
    ):
        if isinstance(lines, str):
            raise ValueError(f"Expected a list of lines, got the one string {lines[:40]!r}.")
        for index, line in enumerate(lines):
            check_value(f"Line #{index}", line, TEXT)
        single_spaced = dict.fromkeys(" ".join(line.split()) for line in lines)
        short = [line for line in single_spaced if 0 < len(line) <= max_length]
        if not short:
            raise ValueError(f"No line has 1 to {max_length} characters. Give other lines.")
        in_split = Split(split, fractions, seed)
        self._lines = [line for line in short if line in in_split]
        if not self._lines:
            raise ValueError(
                f"No line belongs to the split {split!r} of {fractions}. Give more lines."
            )
        self._seed = seed

    @property
    def characters(self) -> str:
        """Returns every character that a line contains, sorted."""
        return "".join(sorted(set().union(*self._lines)))

    @check_arguments(index=NATURAL)
    def text(self, index: int) -> str:
        """Returns the line of an index, whatever was drawn before.

        Args:
            index: Integer from 0.

        Returns:
            String.
        """
        rng = np.random.default_rng([self._seed, 8, index])
        return self._lines[rng.integers(len(self._lines))]
