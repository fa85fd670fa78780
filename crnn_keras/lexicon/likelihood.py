"""CTC log likelihoods of many labels for one picture."""

import itertools

import numpy as np
from scipy.special import log_softmax

from crnn_keras.char_dict import BLANK

# Labels whose paths are summed at once: their numbers stay in a core's own cache.
_AT_ONCE = 1024
# Below it float64 comes near its smallest numbers, and the sum is taken in logarithms.
_FAINT = 1e-280
# How probabilities of paths are added and multiplied, and what stands for 0 and for 1.
_PROBABILITIES = (np.add, np.multiply, 0.0, 1.0)
_LOGARITHMS = (np.logaddexp, np.add, -np.inf, 0.0)


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
    return score(logits, Labels(ids_list), np.arange(len(ids_list)))


class Labels:
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


def score(logits, labels, positions):
    """Log likelihoods of some of the `Labels`: float64 array `(positions,)`, in nats."""
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
