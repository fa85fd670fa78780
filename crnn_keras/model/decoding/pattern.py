"""Decoding with a pattern: which texts a reader may give, and how likely they are together.

No Keras here: the logits may come from any network.
"""

from __future__ import annotations

import collections
import functools
import itertools
import re
from dataclasses import dataclass

import numpy as np

from crnn_keras.char_dict import CharDict, has_right_to_left
from crnn_keras.model.decoding.forward import log_normalizer
from crnn_keras.model.decoding.lattice import (
    LOGARITHMS,
    PROBABILITIES,
    Lattice,
    iter_backward,
)
from crnn_keras.model.decoding.regular_expression import compile_expression, shorten
from crnn_keras.utils.checks import TEXT, check_arguments

# So many numbers of a frame are computed at once: they stay in a core's own cache.
_CHUNK = 2**13
# A sum of probabilities below it may lack paths that were too faint for a float.
_FAINT = 1e-200


class Pattern:
    """Says which texts a reader may give, by a regular expression over its characters.

    The subset of Python's `re` that it knows, always matched against the whole text:

    | written | meaning |
    |---|---|
    | `a`, `\\.` | a character; a sign of this table needs `\\` before it |
    | `.` | any character of the char dict |
    | `[A-Z_]`, `[^0-9]` | any of a class, any other |
    | `\\d \\w \\s`, `\\D \\W \\S` | digits, letters with digits and `_`, spaces; all others |
    | `? * +`, `{2}`, `{2,}`, `{2,5}` | how often what stands before may come |
    | `one\\|two` | alternatives |
    | `( )`, `(?: )` | a group |

    `^` at the start and `$` at the end change nothing. Characters are written as the char dict
    writes them: with one that folds case, `[A-Z]{2}` matches `"ab"`. A class keeps those of its
    characters that the char dict has.

    Args:
        expression: The regular expression.
        char_dict: The `CharDict` of the reader.

    Attributes:
        expression: The argument.
        char_dict: The argument.
        transitions: int32 array of shape `(states, num_classes)`: the state behind each class, -1
            where it may not follow, as in the blank's column. A text begins in state 0. The
            automaton is minimal, and from each state a matching text can be completed.
        accepting: bool array of shape `(states,)`: where a text may end.

    Raises:
        ValueError: The expression has something else, a character that the char dict lacks, a class
            of which it has none, or is too large; or it allows the empty text only. Or the char
            dict writes from right to left, and the pattern orders such characters.

    Example:

        >>> from crnn_keras import CharDict
        >>> from crnn_keras.model.decoding import Pattern
        >>> plate = Pattern(r"[A-Z]{2}-?\\d{3}", CharDict.from_source("ascii"))
        >>> plate.matches("KA-123"), plate.matches("KA-12"), plate.shortest
        (True, False, 5)

    Reference:
        Mohri, 1997, Finite-State Transducers in Language and Speech Processing.
    """

    @check_arguments(expression=TEXT)
    def __init__(self, expression: str, char_dict: CharDict):
        self.expression, self.char_dict = expression, char_dict
        self._automaton = compile_expression(expression, char_dict)
        self.accepting = self._automaton.accepting
        self.transitions = self._automaton.next_states[:, self._automaton.symbols]
        used = (self.transitions >= 0).any(0)[1:]
        turned = "".join(itertools.compress(char_dict.characters, used))
        # With one state all orders match, that of the image too.
        if (
            char_dict.direction != "logical"
            and has_right_to_left(turned)
            and len(self.accepting) > 1
        ):
            raise ValueError(
                f"The pattern {shorten(expression)!r} is in the order of reading, and "
                f"{char_dict!r} has ids in the order of the image, which differs for right-to-left "
                "characters. Patterns with them can only allow characters, see Pattern.allow."
            )

    @classmethod
    @check_arguments(characters=TEXT)
    def allow(cls, characters: str, char_dict: CharDict) -> Pattern:
        """Makes the pattern of all texts of some characters, the empty text too.

        Args:
            characters: String of them. With a visual direction a bracket is the one that the image
                shows.
            char_dict: The `CharDict` of the reader.

        Returns:
            A `Pattern`.

        Raises:
            ValueError: There is no character, or one that the char dict lacks.

        Example:

            >>> from crnn_keras import CharDict
        >>> from crnn_keras.model.decoding import Pattern
            >>> Pattern.allow("0123456789", CharDict.from_preset("ascii")).matches("2026")
            True
        """
        characters = char_dict.normalize(characters)
        if unknown := "".join(c for c in dict.fromkeys(characters) if c not in char_dict):
            raise ValueError(
                f"Cannot allow {unknown!r}: {char_dict!r} lacks them, so no text that is read with "
                "it holds them. Leave them out, or take a reader whose char dict has them."
            )
        if not characters:
            raise ValueError("Expected characters to allow, got none.")
        return cls(f"[{re.escape(characters)}]*", char_dict)

    def __repr__(self) -> str:
        return f"Pattern({shorten(self.expression)!r}, {len(self.accepting):,} states)"

    def matches(self, text: str) -> bool:
        """Tells whether the pattern allows a text.

        Args:
            text: Text, in any case and Unicode form; it is compared as the char dict writes it.

        Returns:
            Whether the whole text matches. One with a character that the char dict lacks does not.
        """
        if self.char_dict.unknown(text):
            return False
        state = 0
        for index in self.char_dict.encode(text):
            state = self.transitions[state, index]
            if state < 0:
                return False
        return bool(self.accepting[state])

    @functools.cached_property
    def lattice(self) -> Lattice:
        """The `Lattice` of the pattern; made when it is first needed."""
        return Lattice(self.transitions, self.accepting)

    @functools.cached_property
    def shortest(self) -> int:
        """The number of frames that the shortest matching text needs.

        A blank between equal neighbors counts. In fewer frames no text fits.
        """
        symbols = self._automaton.symbols
        # Of classes that may replace each other, two are enough to avoid equal neighbors.
        _, first = np.unique(symbols, return_index=True)
        others = np.delete(np.arange(len(symbols)), first)
        _, second = np.unique(symbols[others], return_index=True)
        kept = np.union1d(first, others[second])
        lattice = Lattice(self.transitions[:, kept], self.accepting)
        # No state comes twice on the way to the nearest accepting one.
        frames = np.broadcast_to(0.0, (2 * len(self.accepting), len(lattice.classes), 1))
        steps = iter_backward(lattice, frames, LOGARITHMS)
        return next(count for count, (blanks, _) in enumerate(steps) if blanks[0, 0] > -np.inf)


@dataclass(frozen=True)
class Completions:
    """How likely the frames from each one on complete a text to one that matches.

    Args:
        after_blank: float64 array of shape `(frames + 1, batch, states)`: the natural logarithm of
            the probability that frames `t`, `t + 1`, ... complete it, for a path that is in a state
            and whose frame `t - 1` is blank; at `t = 0` for the empty path in state 0.
        after_node: float64 array of shape `(frames + 1, batch, nodes)`: likewise for a path whose
            frame `t - 1` is the class of a node, see `Lattice`.
    """

    after_blank: np.ndarray
    after_node: np.ndarray


def pattern_log_likelihoods(logits: np.ndarray, pattern: Pattern) -> np.ndarray:
    """Computes the likelihood of a pattern for each image: that of all matching texts together.

    Args:
        logits: Float array of shape `(batch, frames, num_classes)`, not normalized. Class 0 is the
            blank.
        pattern: The `Pattern`.

    Returns:
        float64 array of shape `(batch,)`: the natural logarithm of the probability of all paths
        that spell a matching text, minus infinity if none fits into the frames.

    Raises:
        ValueError: The logits have another shape or are not finite.

    Example:

        >>> import numpy as np
        >>> from crnn_keras import CharDict
        >>> from crnn_keras.model.decoding import Pattern, pattern_log_likelihoods
        >>> pattern = Pattern("a?", CharDict("ab"))
        >>> pattern_log_likelihoods(np.zeros((1, 2, 3)), pattern)  # 4 of 9 paths
        array([-0.81093022])

    Reference:
        Graves et al., 2006, Connectionist Temporal Classification, section 4.1.
    """
    logits = _check_shape(logits, pattern)
    found = np.full(len(logits), -np.inf)
    if pattern.shortest > logits.shape[1]:
        return found
    for chunk, log_emissions, masses in _iter_chunks(logits, pattern.lattice):
        sums = _sum_over_texts(pattern.lattice, np.exp(log_emissions), PROBABILITIES)
        faint = sums < _FAINT
        np.log(sums, out=sums, where=~faint)
        if faint.any():
            sums[faint] = _sum_over_texts(pattern.lattice, log_emissions[..., faint], LOGARITHMS)
        found[chunk] = sums + masses.sum(0)
    largest, log_sums = log_normalizer(logits, np.float64)
    # A sum of many paths may exceed 1 by rounding.
    return np.minimum(found - (largest + log_sums).sum((1, 2)), 0.0)


def completions(log_probabilities: np.ndarray, pattern: Pattern) -> Completions:
    """Computes how likely the rest of the frames completes a text to one that matches.

    A beam adds it to the log probability of a hypothesis: what is left out are hypotheses that
    cannot match, and the sum of all is `pattern_log_likelihoods` at each frame.

    Memory: `8 * (frames + 1) * batch * (states + nodes)` bytes are returned. Nodes are as many as
    classes that may follow: 80 for `\\d{2,8}`, but 6,705 for each dot of a pattern with the Chinese
    preset, 110 megabytes for 64 images of 32 frames. Pass fewer images at a time.

    Args:
        log_probabilities: Float array of shape `(batch, frames, num_classes)`, in nats. Class 0 is
            the blank.
        pattern: The `Pattern`.

    Returns:
        `Completions`. Minus infinity is what cannot be completed. It may stand too where all paths
        through a state or node are less than 1e-80 of those that spell a matching text.

    Raises:
        ValueError: The log probabilities have another shape or are not finite.
    """
    log_probabilities = _check_shape(log_probabilities, pattern)
    batch, frames, _ = log_probabilities.shape
    lattice = pattern.lattice
    found = Completions(
        np.empty((frames + 1, batch, len(lattice.accepting))),
        np.empty((frames + 1, batch, len(lattice.node_states))),
    )
    for chunk, log_emissions, masses in _iter_chunks(log_probabilities, lattice):
        own = Completions(found.after_blank[:, chunk], found.after_node[:, chunk])
        _fill(own, slice(None), iter_backward(lattice, np.exp(log_emissions), PROBABILITIES))
        faint = own.after_blank[0, :, 0] < _FAINT
        # The masses of the frames from each one on.
        rest = np.concatenate([masses, np.zeros((1, masses.shape[1]))])[::-1].cumsum(0)[::-1]
        for values in (own.after_blank, own.after_node):
            with np.errstate(divide="ignore"):
                np.log(values, out=values)
        if faint.any() and pattern.shortest <= frames:
            steps = iter_backward(lattice, log_emissions[..., faint], LOGARITHMS)
            _fill(own, faint, steps)
        own.after_blank[:] += rest[..., None]
        own.after_node[:] += rest[..., None]
    return found


def _check_shape(logits, pattern):
    """Returns the logits as an array, of a pattern's classes and finite."""
    logits = np.asarray(logits)
    if logits.ndim != 3 or logits.shape[2] != pattern.char_dict.num_classes:
        raise ValueError(
            f"Expected an array of shape (batch, frames, {pattern.char_dict.num_classes}) for "
            f"{pattern!r} of {pattern.char_dict!r}, got {logits.shape}. Make the pattern for the "
            "char dict of the reader."
        )
    if not np.isfinite(logits).all():
        raise ValueError("The logits are not finite: the model's weights or its input are broken.")
    return logits


def _iter_chunks(logits, lattice):
    """Yields pieces of a batch: their slice, log emissions and masses.

    Emissions are probabilities among the classes that may come, an array `(frames, classes,
    images)`, so that their sums neither exceed 1 nor become faint for other classes' sake. A mass
    is the logarithm of what was divided by, `(frames, images)`.
    """
    size = max(1, _CHUNK // (len(lattice.edge_sources) + len(lattice.accepting)))
    for start in range(0, len(logits), size):
        chunk = slice(start, start + size)
        own = logits[chunk][..., lattice.classes].astype(np.float64)
        largest, log_sums = log_normalizer(own)
        masses = largest + log_sums
        yield chunk, (own - masses).transpose(1, 2, 0), masses[..., 0].T


def _fill(found, images, steps):
    """Writes what `iter_backward` yields for some images."""
    for frame, (blanks, nodes) in zip(range(len(found.after_blank))[::-1], steps, strict=True):
        found.after_blank[frame, images] = blanks.T
        found.after_node[frame, images] = nodes.T


def _sum_over_texts(lattice, emissions, semiring):
    """Sums over all paths that spell a matching text: a float64 array `(images,)`."""
    # A deque of length 1 keeps the last step only.
    steps = iter_backward(lattice, emissions, semiring)
    ((blanks, _),) = collections.deque(steps, maxlen=1)
    return blanks[0].copy()
