"""Reading with a list of words: of those near the best path's text, the likeliest by CTC.

Section 2.5 of Shi, Bai and Yao, 2015 (arXiv 1507.05717), who search a BK-tree. No Keras here: the
logits may come from any reader.
"""

from dataclasses import dataclass

import numpy as np

from crnn_keras.model.decoding.best_path import Decoded, best_path
from crnn_keras.model.decoding.likelihood import Labels, log_likelihoods, score

# Words that were left out and that an error names.
_SHOWN = 5


@dataclass(frozen=True)
class LexiconChoice:
    """What was read from one image with a list of words.

    Args:
        text: the candidate with the largest CTC likelihood, as the char dict writes it. Without a
            candidate it is the best path's text.
        log_likelihood: CTC log likelihood of `text`, in nats.
        probability: of `text` among the candidates, from 0 to 1: its likelihood / the sum of all of
            theirs. 0 without a candidate.
        best_path: the `Decoded` without the list.
        candidates: how many words were within the edit distance and fit the frames. 0 says that
            the list had no say in `text`.
    """

    text: str
    log_likelihood: float
    probability: float
    best_path: Decoded
    candidates: int


class Lexicon:
    """A list of words to read with, found by edit distance.

    Args:
        words: iterable of strings. They are written as the char dict writes them (case,
            normalization), and each is kept once.
        char_dict: the `CharDict` of the reader.

    Attributes:
        words: list of the words kept, shorter ones first.
        skipped: tuple of the words, as given, that are empty or that the char dict cannot write.

    Raises:
        ValueError: no word is left, or `words` is one string.

    Example:

        >>> recognizer = Recognizer.load("words")
        >>> lexicon = Lexicon(["Door", "Wild", "Ginger"], recognizer.char_dict)
        >>> lexicon.candidates("dor", delta=1)
        ['door']
        >>> recognizer.read(["door.jpg", "spice.png"], lexicon=lexicon, delta=2)
        [Prediction(text='door', ...), Prediction(text='ginger', ...)]
    """

    def __init__(self, words, char_dict):
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
                f"No word is left to read with: of {len(skipped):,} given, {char_dict!r} can "
                f"write none. The first: {skipped[:_SHOWN]}. Give other words, or take a reader "
                "whose char dict has their characters."
            )
        self.char_dict, self.skipped = char_dict, tuple(skipped)
        self.words = sorted(ids, key=len)
        self._labels = Labels([ids[word] for word in self.words])
        self._letters = np.array([_letters(word) for word in self.words], np.uint64)

    def __len__(self):
        return len(self.words)

    def __repr__(self):
        return f"Lexicon({len(self):,} words, {len(self.skipped):,} left out)"

    def candidates(self, text, delta):
        """The words within an edit distance of a text.

        Args:
            text: string, in whatever case and form; the char dict's own counts.
            delta: the most edits (insert, delete, replace one character), at least 0. None: all
                words.

        Returns:
            List of words, shorter ones first.

        Raises:
            ValueError: delta is negative.
        """
        return [self.words[i] for i in self._near(self.char_dict.normalize(text), delta)]

    def choose(self, logits, decoded, delta=None):
        """The candidate with the largest CTC likelihood for one image.

        Args:
            logits: float array `(frames, classes)`, not normalised, finite.
            decoded: the `Decoded` of these logits.
            delta: candidates are the words within so many edits of its text, at least 0. None: all
                words, for lists of some hundreds.

        Returns:
            `LexiconChoice`. Of equally likely candidates the first in `words` wins.

        Raises:
            ValueError: delta is negative.
        """
        near = self._near(decoded.text, delta)
        scores = score(logits, self._labels, near)
        candidates = int(np.isfinite(scores).sum())
        if not candidates:
            own = float(log_likelihoods(logits, [ids_of(decoded.text, self.char_dict)])[0])
            return LexiconChoice(decoded.text, own, 0.0, decoded, 0)
        winner = scores.argmax()
        probability = float(1 / np.exp(scores - scores[winner]).sum())
        text = self.words[near[winner]]
        return LexiconChoice(text, float(scores[winner]), probability, decoded, candidates)

    def _near(self, text, delta):
        """Positions of the words within `delta` edits of a text in the char dict's form."""
        if delta is None:
            return np.arange(len(self))
        # Not above: who reads without a list of words has no need of it.
        from rapidfuzz import process
        from rapidfuzz.distance import Levenshtein

        if delta < 0:
            raise ValueError(
                f"Delta is {delta}. Expected a number of edits, at least 0, or None for all words."
            )
        bounds = [len(text) - delta, len(text) + delta + 1]
        low, high = np.searchsorted(self._labels.lengths, bounds)
        # An edit takes away one letter at most and brings one at most: most words fail by that,
        # which is seen in a fraction of the time that their distances take.
        theirs, own = self._letters[low:high], np.uint64(_letters(text))
        taken, brought = np.bitwise_count(own & ~theirs), np.bitwise_count(theirs & ~own)
        near = low + np.flatnonzero((taken <= delta) & (brought <= delta))
        words = [self.words[i] for i in near.tolist()]
        distances = process.cdist([text], words, scorer=Levenshtein.distance, score_cutoff=delta)
        return near[distances[0] <= delta]


def read_with_lexicon(logits, frames, lexicon, delta=None):
    """Reads with a list of words: the candidate with the largest CTC likelihood wins.

    Args:
        logits: float array `(batch, frames, classes)`, not normalised.
        frames: int array `(batch,)`; frames from there on are ignored.
        lexicon: a `Lexicon` with the char dict of the classes.
        delta: see `Lexicon.choose`.

    Returns:
        List of `LexiconChoice`, one for each row.

    Raises:
        ValueError: the classes are not those of the dictionary, logits are not finite, or delta is
            negative.

    Reference:
        Shi, Bai and Yao, 2015, An End-to-End Trainable Neural Network for Image-based Sequence
        Recognition (arXiv 1507.05717), section 2.5.
    """
    logits = np.asarray(logits)
    best_paths = best_path(logits, frames, lexicon.char_dict)
    return [
        lexicon.choose(row[:count], decoded, delta)
        for row, count, decoded in zip(logits, frames, best_paths, strict=True)
    ]


def ids_of(text, char_dict):
    """The ids that a decoded text was made of, as a list."""
    # One by one: in a row, an accent could melt into the letter before it.
    return [i for character in text for i in char_dict.encode(character)]


def _letters(text):
    """The set of a text's characters in 64 bits, where some share a bit."""
    bits = 0
    for character in text:
        bits |= 1 << (ord(character) % 64)
    return bits
