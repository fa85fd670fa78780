"""Decoding with a list of words: of the words near the best path's text, the likeliest by CTC.

Section 2.5 of Shi, Bai and Yao, 2015 (arXiv 1507.05717), who search a BK-tree. No Keras here: the
logits may come from any network.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from crnn_keras.char_dict import CharDict
from crnn_keras.model.decoding.best_path import Decoded, best_path
from crnn_keras.model.decoding.forward import PackedLabels, log_likelihoods, score
from crnn_keras.model.decoding.pattern import Pattern
from crnn_keras.utils.checks import COUNT, NATURAL, check_arguments

# So many skipped words an error names.
_SHOWN = 5


@dataclass(frozen=True)
class LexiconChoice:
    """What was decoded from one image with a list of words.

    Args:
        text: The candidate with the largest CTC likelihood, as the char dict writes it. Without a
            candidate it is the best path's text.
        log_likelihood: CTC log likelihood of `text`, in nats.
        probability: Probability of `text` among the candidates, from 0 to 1: its likelihood divided
            by the sum of theirs. 0 without a candidate.
        best_path: The `Decoded` without the list.
        candidates: How many words were within the edit distance, matched the pattern and fit into
            the frames. 0 means that the list did not influence `text`.
        likeliest: The likeliest candidates with their log likelihoods, the likeliest first.
            Defaults to `()`.
    """

    text: str
    log_likelihood: float
    probability: float
    best_path: Decoded
    candidates: int
    likeliest: tuple[tuple[str, float], ...] = ()


class Lexicon:
    """A list of words to read with, searched by edit distance.

    Args:
        words: Iterable of strings. They are written as the char dict writes them (case,
            normalization), and each is kept once.
        char_dict: The `CharDict` of the recognizer.

    Attributes:
        words: List of the words kept, shorter ones first.
        skipped: Tuple of the words, as given, that are empty or that the char dict cannot write.

    Raises:
        ValueError: No word is left, or `words` is one string.

    Example:

        >>> from crnn_keras import CharDict, Lexicon
        >>> lexicon = Lexicon(["Door", "Wild", "Ginger"], CharDict.from_preset("alphanumeric36"))
        >>> lexicon.candidates("dor", delta=1)
        ['door']
        >>> lexicon
        Lexicon(3 words, 0 skipped)
    """

    def __init__(self, words: Iterable[str], char_dict: CharDict):
        if isinstance(words, str):
            raise ValueError(f"Expected a list of words, got the one string {words!r}.")
        ids, skipped = {}, []
        for word in dict.fromkeys(words):
            text = char_dict.normalize(word)
            if text and not char_dict.unknown(text):
                ids[text] = char_dict.encode(text)
            else:
                skipped.append(word)
        if not ids:
            raise ValueError(
                f"No word is left to read with: {char_dict!r} can write none of {len(skipped):,}. "
                f"The first: {skipped[:_SHOWN]}. Give other words, or take a reader whose char "
                "dict has their characters."
            )
        self.char_dict, self.skipped = char_dict, tuple(skipped)
        self.words = sorted(ids, key=len)
        self._labels = PackedLabels([ids[word] for word in self.words])
        self._letters = np.array([_letters(word) for word in self.words], np.uint64)

    def __len__(self) -> int:
        return len(self.words)

    def __repr__(self) -> str:
        return f"Lexicon({len(self):,} words, {len(self.skipped):,} skipped)"

    def candidates(self, text: str, delta: int | None) -> list[str]:
        """Returns the words within an edit distance of a text.

        Args:
            text: String, in any case and Unicode form; the char dict's own are compared.
            delta: The most edits (insert, delete, replace one character), at least 0. `None`: all
                words.

        Returns:
            List of words, shorter ones first.

        Raises:
            ValueError: Delta is no whole number from 0.
        """
        return [self.words[i] for i in self._near(self.char_dict.normalize(text), delta)]

    @check_arguments(count=COUNT)
    def choose(
        self,
        logits: np.ndarray,
        decoded: Decoded,
        delta: int | None = None,
        *,
        pattern: Pattern | None = None,
        count: int = 1,
    ) -> LexiconChoice:
        """Chooses the candidate with the largest CTC likelihood for one image.

        Args:
            logits: Float array of shape `(frames, num_classes)`, not normalized, finite.
            decoded: The `Decoded` of these logits.
            delta: Candidates are the words within so many edits of its text, at least 0. Defaults
                to `None`: all words, for lists of some hundreds.
            pattern: Candidates must match this `Pattern`. Defaults to `None`.
            count: How many of the likeliest candidates to return. Defaults to `1`.

        Returns:
            A `LexiconChoice`. Of equally likely candidates the first in `words` wins.

        Raises:
            ValueError: Delta is no whole number from 0.
        """
        near = self._near(decoded.text, delta)
        if pattern is not None:
            near = np.array([n for n in near.tolist() if pattern.matches(self.words[n])], np.intp)
        scores = score(logits, self._labels, near)
        candidates = int(np.isfinite(scores).sum())
        if not candidates:
            own = float(log_likelihoods(logits, [decoded.ids])[0])
            return LexiconChoice(decoded.text, own, 0.0, decoded, 0)
        order = np.argsort(-scores, kind="stable")[: min(count, candidates)]
        likeliest = tuple((self.words[near[n]], float(scores[n])) for n in order)
        text, largest = likeliest[0]
        probability = float(1 / np.exp(scores - largest).sum())
        return LexiconChoice(text, largest, probability, decoded, candidates, likeliest)

    def _near(self, text, delta):
        """Returns the indices of the words within `delta` edits of a normalized text."""
        if delta is None:
            return np.arange(len(self))
        # Imported here: reading without a list of words does not need it.
        from rapidfuzz import process
        from rapidfuzz.distance import Levenshtein

        if not NATURAL.accepts(delta):
            raise ValueError(
                f"Delta is {delta!r}. Expected a number of edits from 0, or None for all words."
            )
        bounds = [len(text) - delta, len(text) + delta + 1]
        low, high = np.searchsorted(self._labels.lengths, bounds)
        # An edit removes at most one letter and adds at most one. Most words fail by that, which is
        # cheaper to see than their distances.
        letters, own = self._letters[low:high], np.uint64(_letters(text))
        removed, added = np.bitwise_count(own & ~letters), np.bitwise_count(letters & ~own)
        near = low + np.flatnonzero((removed <= delta) & (added <= delta))
        words = [self.words[i] for i in near.tolist()]
        distances = process.cdist([text], words, scorer=Levenshtein.distance, score_cutoff=delta)
        return near[distances[0] <= delta]


def read_with_lexicon(
    logits: np.ndarray,
    lexicon: Lexicon,
    *,
    delta: int | None = None,
    input_lengths: Sequence[int] | None = None,
) -> list[LexiconChoice]:
    """Decodes logits with a list of words: the candidate with the largest CTC likelihood wins.

    Args:
        logits: Float array of shape `(batch, frames, num_classes)`, not normalized.
        lexicon: A `Lexicon` with the char dict of the classes.
        delta: See `Lexicon.choose`. Defaults to `None`.
        input_lengths: Integers of shape `(batch,)`: how many frames of each row count. Defaults to
            `None`: all frames.

    Returns:
        List of `LexiconChoice`, one for each row.

    Raises:
        ValueError: The number of classes is not that of the char dict, logits are not finite, or
            delta is negative.

    Reference:
        Shi, Bai and Yao, 2015, An End-to-End Trainable Neural Network for Image-based Sequence
        Recognition (arXiv 1507.05717), section 2.5.
    """
    logits = np.asarray(logits)
    best_paths = best_path(logits, lexicon.char_dict, input_lengths=input_lengths)
    if input_lengths is None:
        input_lengths = [logits.shape[1]] * len(logits)
    return [
        lexicon.choose(row[:count], decoded, delta)
        for row, count, decoded in zip(logits, input_lengths, best_paths, strict=True)
    ]


def _letters(text):
    """Returns the set of a text's characters in 64 bits, where some characters share a bit."""
    bits = 0
    for character in text:
        bits |= 1 << (ord(character) % 64)
    return bits
