"""Reading with a list of words: of those near the best path's text, the likeliest by CTC.

Section 2.5 of Shi, Bai and Yao, 2015 (arXiv 1507.05717), who search a BK-tree. No Keras here: the
logits may come from any reader.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein
from scipy.special import log_softmax

from crnn_keras.char_dict import BLANK
from crnn_keras.decode import Decoded, best_path

# Labels whose paths are summed at once: their numbers stay in a core's own cache.
_AT_ONCE = 1024
# Below it float64 comes near its smallest numbers, and the sum is taken in logarithms.
_FAINT = 1e-280
# Words that were left out and that an error names.
_SHOWN = 5
# How probabilities of paths are added and multiplied, and what stands for 0 and for 1.
_PROBABILITIES = (np.add, np.multiply, 0.0, 1.0)
_LOGARITHMS = (np.logaddexp, np.add, -np.inf, 0.0)


@dataclass(frozen=True)
class LexiconReading:
    """What was read from one picture with a list of words.

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
        left_out: tuple of the words, as given, that are empty or that the char dict cannot write.

    Raises:
        ValueError: no word is left, or `words` is one string.

    Example:

        >>> recognizer = Recognizer.load("words")
        >>> lexicon = Lexicon(["Door", "Wild", "Ginger"], recognizer.char_dict)
        >>> lexicon.candidates("dor", delta=1)
        ['door']
        >>> read_with_lexicon(recognizer.logits(canvases), [25, 25], lexicon, delta=3)
        [LexiconReading(text='door', ...), LexiconReading(text='ginger', ...)]
    """

    def __init__(self, words, char_dict):
        if isinstance(words, str):
            raise ValueError(f"Expected a list of words, got the one string {words!r}.")
        ids, left_out = {}, []
        for word in dict.fromkeys(words):
            text = char_dict.normalize(word)
            if text and not char_dict.unknown(text):
                ids[text] = char_dict.encode(text)
            else:
                left_out.append(word)
        if not ids:
            raise ValueError(
                f"No word is left to read with: of {len(left_out):,} given, {char_dict!r} can "
                f"write none. The first: {left_out[:_SHOWN]}. Give other words, or take a reader "
                "whose char dict has their characters."
            )
        self.char_dict, self.left_out = char_dict, tuple(left_out)
        self.words = sorted(ids, key=len)
        self._labels = _Labels([ids[word] for word in self.words])
        self._letters = np.array([_letters(word) for word in self.words], np.uint64)

    def __len__(self):
        return len(self.words)

    def __repr__(self):
        return f"Lexicon({len(self):,} words, {len(self.left_out):,} left out)"

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

    def _near(self, text, delta):
        """Positions of the words within `delta` edits of a text in the char dict's form."""
        if delta is None:
            return np.arange(len(self))
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
        delta: candidates are the words within so many edits of the best path's text, at least 0.
            None: all words, for lists of some hundreds.

    Returns:
        List of `LexiconReading`, one for each row. Of equally likely candidates the first in
        `lexicon.words` wins.

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
        _choose(row[:count], decoded, lexicon, delta)
        for row, count, decoded in zip(logits, frames, best_paths, strict=True)
    ]


def _choose(logits, decoded, lexicon, delta):
    """The `LexiconReading` of one picture."""
    near = lexicon._near(decoded.text, delta)
    scores = _score(logits, lexicon._labels, near)
    candidates = int(np.isfinite(scores).sum())
    if not candidates:
        # One by one: in a row, an accent could melt into the letter before it.
        ids = [i for character in decoded.text for i in lexicon.char_dict.encode(character)]
        own = float(log_likelihoods(logits, [ids])[0])
        return LexiconReading(decoded.text, own, 0.0, decoded, 0)
    winner = scores.argmax()
    probability = float(1 / np.exp(scores - scores[winner]).sum())
    text = lexicon.words[near[winner]]
    return LexiconReading(text, float(scores[winner]), probability, decoded, candidates)


def log_likelihoods(logits, ids_list):
    """CTC log likelihoods of many labels for one picture, in nats.

    Args:
        logits: float array `(frames, classes)`, not normalised; class 0 is the blank.
        ids_list: list of labels, each a sequence of ids from 1.

    Returns:
        float64 array `(labels,)`; minus infinity for a label that does not fit the frames.

    Raises:
        ValueError: logits are of another shape or not finite, or a label has an id that is no
            class or the blank.

    Reference:
        Graves et al., 2006, Connectionist Temporal Classification, section 4.1.
    """
    logits = np.asarray(logits)
    if logits.ndim != 2 or not np.isfinite(logits).all():
        raise ValueError(
            f"Expected finite logits of shape (frames, classes), got shape {logits.shape} with "
            f"{np.count_nonzero(~np.isfinite(logits))} numbers that are not finite. "
            "Give one picture's row of a batch."
        )
    for number, ids in enumerate(ids_list):
        if not all(BLANK < i < logits.shape[1] for i in ids):
            raise ValueError(
                f"Label {number} is {list(ids)}. Expected ids from 1 to {logits.shape[1] - 1}, "
                "without blanks or padding."
            )
    return _score(logits, _Labels(ids_list), np.arange(len(ids_list)))


class _Labels:
    """Labels of many lengths in one row of ids, so that one long word costs no memory."""

    def __init__(self, ids_list):
        self.lengths = np.fromiter(map(len, ids_list), np.intp, len(ids_list))
        self._starts = 1 + np.cumsum(self.lengths) - self.lengths
        # The first is what labels are padded with.
        self._ids = np.fromiter(itertools.chain((BLANK,), *ids_list), np.intp)

    def padded(self, positions):
        """Labels as an int array `(labels, longest of them)`, one column at least."""
        columns = np.arange(max(self.lengths[positions].max(), 1))
        inside = columns < self.lengths[positions, None]
        return self._ids[np.where(inside, self._starts[positions, None] + columns, 0)]


def _score(logits, labels, positions):
    """Log likelihoods of some of the `_Labels`: float64 array `(positions,)`, in nats."""
    log_emissions = log_softmax(np.asarray(logits, np.float64), axis=-1)
    emissions = np.exp(log_emissions)
    scores = np.full(len(positions), -np.inf)
    for start in range(0, len(positions), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        ids, lengths = labels.padded(positions[some]), labels.lengths[positions[some]]
        repeats = ((ids[:, 1:] == ids[:, :-1]) & (ids[:, 1:] != BLANK)).sum(1)
        # No sum of probabilities exceeds 1, so nothing overflows; and what underflowed on the way
        # does not show in a sum that is not faint.
        sums = _sum_over_paths(emissions, ids, lengths, _PROBABILITIES)
        np.log(sums, out=scores[some], where=sums >= _FAINT)
        faint = (sums < _FAINT) & (lengths + repeats <= len(logits))
        if faint.any():
            scores[some][faint] = _sum_over_paths(
                log_emissions, ids[faint], lengths[faint], _LOGARITHMS
            )
    return scores


def _sum_over_paths(emissions, ids, lengths, semiring):
    """The CTC forward recursion for many padded labels at once, one sum a label."""
    add, multiply, zero, one = semiring
    # A row for each place in the labels: the arithmetic runs along the labels.
    ids = np.ascontiguousarray(ids.T)
    longest, count = ids.shape
    # `characters[i]` are the paths that end in character i, `blanks[i]` in the blank before it.
    # Before the first frame there is the empty path.
    blanks, characters = np.full((longest + 1, count), zero), np.full((longest, count), zero)
    blanks[0] = one
    # From one character straight to the next, unless they are equal.
    may_skip = np.where(ids[1:] != ids[:-1], one, zero)
    for frame in emissions:
        arrived = add(characters, blanks[:-1])
        arrived[1:] = add(arrived[1:], multiply(characters[:-1], may_skip))
        blanks[1:] = add(blanks[1:], characters)
        blanks = multiply(blanks, frame[BLANK])
        characters = multiply(arrived, frame[ids])
    # Whole are the paths that end in the last character or in the blank after it.
    every = np.arange(count)
    last = np.where(lengths > 0, characters[lengths - 1, every], zero)
    return add(last, blanks[lengths, every])


def _letters(text):
    """The set of a text's characters in 64 bits, where some share a bit."""
    bits = 0
    for character in text:
        bits |= 1 << (ord(character) % 64)
    return bits
