"""CTC likelihoods: of many labels for one image, and of one label for each of many images."""

import itertools

import numpy as np

from crnn_keras.char_dict import BLANK

# Labels whose paths are summed at once: their numbers stay in a core's own cache.
_AT_ONCE = 1024
# Below it float64 comes near its smallest numbers, and the sum is taken in logarithms.
_FAINT = 1e-280
# How probabilities of paths are added and multiplied, and what stands for 0 and for 1.
_PROBABILITIES = (np.add, np.multiply, 0.0, 1.0)
_LOGARITHMS = (np.logaddexp, np.add, -np.inf, 0.0)


def log_likelihoods(logits, ids_list):
    """CTC log likelihoods of many labels for one image, in nats.

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
            "Give one image's row of a batch."
        )
    for number, ids in enumerate(ids_list):
        if not all(BLANK < i < logits.shape[1] for i in ids):
            raise ValueError(
                f"Label {number} is {list(ids)}. Expected ids from 1 to {logits.shape[1] - 1}, "
                "without blanks or padding."
            )
    return score(logits, Labels(ids_list), np.arange(len(ids_list)))


def likelihoods(logits, ids_list):
    """CTC likelihood of one label for each image: the probability of all paths that spell it.

    Args:
        logits: float array `(batch, frames, classes)`, not normalised, finite; class 0 is the
            blank.
        ids_list: list of as many labels, each a sequence of ids from 1.

    Returns:
        float64 array `(batch,)`, from 0 to 1; 0 also for what is too faint for a float.
    """
    labels = Labels(ids_list)
    ids = labels.padded(np.arange(len(ids_list)))
    logits = np.asarray(logits)
    largest = logits.max(-1, keepdims=True)
    # Only the sum needs all classes, of which Chinese has thousands.
    sums = np.exp(logits - largest).sum(-1, keepdims=True, dtype=np.float64)
    needed = np.concatenate([np.full((len(ids), 1), BLANK), ids], axis=1)
    needed = np.take_along_axis(logits, needed[:, None], axis=2).astype(np.float64)
    emissions = (np.exp(needed - largest) / sums).transpose(1, 2, 0)
    frames = ((frame[0], frame[1:]) for frame in emissions)
    # A sum of many paths may exceed 1 by its rounding.
    return np.minimum(_sum_over_paths(frames, ids, labels.lengths, _PROBABILITIES), 1.0)


class Labels:
    """Labels of many lengths in one row of ids, so that one long word costs no memory."""

    def __init__(self, ids_list):
        self.lengths = np.fromiter(map(len, ids_list), np.intp, len(ids_list))
        self._starts = 1 + np.cumsum(self.lengths) - self.lengths
        # The first is what labels are padded with.
        self._ids = np.fromiter(itertools.chain((BLANK,), *ids_list), np.intp)

    def padded(self, positions):
        """Labels as an int array `(labels, longest of them)`, one column at least."""
        columns = np.arange(self.lengths[positions].max(initial=1))
        inside = columns < self.lengths[positions, None]
        return self._ids[np.where(inside, self._starts[positions, None] + columns, 0)]


def score(logits, labels, positions):
    """Log likelihoods of some of the `Labels`: float64 array `(positions,)`, in nats."""
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(-1, keepdims=True, initial=-np.inf)
    log_emissions = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    emissions = np.exp(log_emissions)
    scores = np.full(len(positions), -np.inf)
    for start in range(0, len(positions), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        ids, lengths = labels.padded(positions[some]), labels.lengths[positions[some]]
        repeats = ((ids[:, 1:] == ids[:, :-1]) & (ids[:, 1:] != BLANK)).sum(1)
        # No sum of probabilities exceeds 1, so nothing overflows; and what underflowed on the way
        # does not show in a sum that is not faint.
        sums = _sum_over_paths(_of_one(emissions, ids), ids, lengths, _PROBABILITIES)
        np.log(sums, out=scores[some], where=sums >= _FAINT)
        faint = (sums < _FAINT) & (lengths + repeats <= len(logits))
        if faint.any():
            frames = _of_one(log_emissions, ids[faint])
            scores[some][faint] = _sum_over_paths(frames, ids[faint], lengths[faint], _LOGARITHMS)
    return scores


def _of_one(emissions, ids):
    """For each frame of one image, what it gives the blank and the characters of many labels."""
    # A row for each place in the labels: the arithmetic runs along the labels.
    ids = np.ascontiguousarray(ids.T)
    return ((frame[BLANK], frame[ids]) for frame in emissions)


def _sum_over_paths(frames, ids, lengths, semiring):
    """The CTC forward recursion for many padded labels at once, one sum a label.

    Args:
        frames: iterable of pairs: what a frame gives the blank, a number or an array `(labels,)`,
            and what it gives each character, an array `(longest label, labels)`.
        ids: int array `(labels, longest label)`.
        lengths: int array `(labels,)`.
        semiring: `_PROBABILITIES` or `_LOGARITHMS`.

    Returns:
        float64 array `(labels,)`.
    """
    add, multiply, zero, one = semiring
    count, longest = ids.shape
    # `characters[i]` are the paths that end in character i, `blanks[i]` in the blank before it.
    # Before the first frame there is the empty path.
    blanks, characters = np.full((longest + 1, count), zero), np.full((longest, count), zero)
    blanks[0] = one
    # From one character straight to the next, unless they are equal.
    may_skip = np.where(ids[:, 1:] != ids[:, :-1], one, zero).T
    for blank, own in frames:
        arrived = add(characters, blanks[:-1])
        arrived[1:] = add(arrived[1:], multiply(characters[:-1], may_skip))
        blanks[1:] = add(blanks[1:], characters)
        blanks = multiply(blanks, blank)
        characters = multiply(arrived, own)
    # Whole are the paths that end in the last character or in the blank after it.
    every = np.arange(count)
    last = np.where(lengths > 0, characters[lengths - 1, every], zero)
    return add(last, blanks[lengths, every])
