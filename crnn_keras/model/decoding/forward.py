"""The CTC forward sum in NumPy: likelihoods of labels and posteriors of their states.

One recursion, `iter_forward`, serves all of them: many labels of one image, one label of each of
many images, and all frames of one label. `crnn_keras.model.ctc` is the same sum as a loss, on the
backends.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from crnn_keras.char_dict import BLANK, frames_needed

# So many labels are summed at once: their numbers stay in a core's own cache.
_CHUNK = 1024
# Below it float64 comes near its smallest numbers, and the sum is computed with logarithms.
_FAINT = 1e-280
# A semiring: how probabilities are added and multiplied, and what stands for 0 and 1.
PROBABILITIES = (np.add, np.multiply, 0.0, 1.0)
LOGARITHMS = (np.logaddexp, np.add, -np.inf, 0.0)
# Of the logarithms, the likeliest path instead of the sum of all.
BEST_PATH = (np.maximum, np.add, -np.inf, 0.0)


def log_normalizer(logits: np.ndarray, dtype: type | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Computes what turns logits into log probabilities, in two terms.

    `logits - largest - log_sums` are the log probabilities, and `-log_sums` is that of the
    likeliest class.

    Args:
        logits: Float array of shape `(..., num_classes)`, not normalized.
        dtype: Type that the exponentials are summed in. Defaults to `None`: that of the logits.

    Returns:
        Tuple `(largest, log_sums)` of arrays of shape `(..., 1)`: the largest logit, and the
        logarithm of the sum of `exp(logits - largest)`.
    """
    largest = logits.max(-1, keepdims=True, initial=-np.inf)
    return largest, np.log(np.exp(logits - largest).sum(-1, keepdims=True, dtype=dtype))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Turns logits into log probabilities, in nats.

    Args:
        logits: Float array of shape `(..., num_classes)`, not normalized.

    Returns:
        float32 array of the same shape. The exponentials of each row sum to 1.
    """
    logits = np.asarray(logits, np.float32)
    largest, log_sums = log_normalizer(logits)
    return logits - largest - log_sums


class PackedLabels:
    """Labels of many lengths in one array of ids, so that one long label costs no memory.

    Args:
        ids_list: List of labels, each a sequence of ids from 1.

    Attributes:
        lengths: Integer array of shape `(labels,)`.
    """

    def __init__(self, ids_list: Sequence[Sequence[int]]):
        self.lengths = np.fromiter(map(len, ids_list), np.intp, len(ids_list))
        self._starts = 1 + np.cumsum(self.lengths) - self.lengths
        # The first id is what labels are padded with.
        self._ids = np.fromiter(itertools.chain((BLANK,), *ids_list), np.intp)

    def padded(self, indices: np.ndarray) -> np.ndarray:
        """Returns some labels padded with 0.

        Args:
            indices: Integer array of shape `(n,)`: which labels.

        Returns:
            Integer array of shape `(n, longest of them)`, with one column at least.
        """
        columns = np.arange(self.lengths[indices].max(initial=1))
        inside = columns < self.lengths[indices, None]
        return self._ids[np.where(inside, self._starts[indices, None] + columns, 0)]


def log_likelihoods(logits: np.ndarray, ids_list: Sequence[Sequence[int]]) -> np.ndarray:
    """Computes the CTC log likelihoods of many labels for one image, in nats.

    Args:
        logits: Float array of shape `(frames, num_classes)`, not normalized. Class 0 is the blank.
        ids_list: List of labels, each a sequence of ids from 1.

    Returns:
        float64 array of shape `(labels,)`. A label that does not fit into the frames has minus
        infinity.

    Raises:
        ValueError: The logits have another shape or are not finite, or a label has an id that is
            the blank or no class.

    Reference:
        Graves et al., 2006, Connectionist Temporal Classification, section 4.1.
    """
    logits = np.asarray(logits)
    if logits.ndim != 2 or not np.isfinite(logits).all():
        raise ValueError(
            f"Expected finite logits of shape (frames, num_classes), got shape {logits.shape} with "
            f"{np.count_nonzero(~np.isfinite(logits))} values that are not finite. "
            "Pass one image's row of a batch."
        )
    for index, ids in enumerate(ids_list):
        if not all(BLANK < i < logits.shape[1] for i in ids):
            raise ValueError(
                f"Label {index} is {list(ids)}. Expected ids from 1 to {logits.shape[1] - 1}, "
                "without blanks or padding."
            )
    return score(logits, PackedLabels(ids_list), np.arange(len(ids_list)))


def likelihoods(logits: np.ndarray, ids_list: Sequence[Sequence[int]]) -> np.ndarray:
    """Computes the CTC likelihood of one label for each image.

    It is the probability of all paths that spell the label.

    Args:
        logits: Float array of shape `(batch, frames, num_classes)`, not normalized, finite. Class 0
            is the blank.
        ids_list: List of as many labels, each a sequence of ids from 1.

    Returns:
        float64 array of shape `(batch,)`, from 0 to 1. What is too faint for a float is 0.
    """
    labels = PackedLabels(ids_list)
    ids = labels.padded(np.arange(len(ids_list)))
    frames = ((frame[0], frame[1:]) for frame in np.exp(log_emissions(logits, ids)))
    # A sum of many paths may exceed 1 by rounding.
    return np.minimum(sum_over_paths(frames, ids, labels.lengths, semiring=PROBABILITIES), 1.0)


def log_emissions(logits: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Computes what each frame of each image gives the characters of the image's own label.

    Args:
        logits: Float array of shape `(batch, frames, num_classes)`, not normalized, finite.
        ids: Integer array of shape `(batch, longest label)`, padded with 0.

    Returns:
        float64 array of shape `(frames, 1 + longest label, batch)`: log probabilities, in nats, of
        the blank and of each character.
    """
    logits = np.asarray(logits)
    # Only the sums need all classes, of which Chinese has thousands.
    largest, log_sums = log_normalizer(logits, np.float64)
    needed = np.concatenate([np.full((len(ids), 1), BLANK), ids], axis=1)
    needed = np.take_along_axis(logits, needed[:, None], axis=2).astype(np.float64)
    return (needed - largest - log_sums).transpose(1, 2, 0)


def log_likelihoods_of_each(logits: np.ndarray, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Computes the CTC log likelihoods of several labels for each image, in nats.

    Args:
        logits: Float array of shape `(batch, frames, num_classes)`, not normalized, finite.
        ids: Integer array of shape `(batch, labels, longest label)`, padded with 0.
        lengths: Integer array of shape `(batch, labels)`.

    Returns:
        float64 array of shape `(batch, labels)`. A label that does not fit has minus infinity.
    """
    batch, count, longest = ids.shape
    emissions = log_emissions(logits, ids.reshape(batch, -1))
    blanks = np.repeat(emissions[:, 0], count, axis=1)
    characters = emissions[:, 1:].reshape(-1, count, longest, batch)
    characters = characters.transpose(0, 2, 3, 1).reshape(-1, longest, batch * count)
    ids, lengths = ids.reshape(-1, longest), lengths.ravel()
    frames = zip(np.exp(blanks), np.exp(characters), strict=True)
    sums = sum_over_paths(frames, ids, lengths, semiring=PROBABILITIES)
    scores = np.full(len(ids), -np.inf)
    np.log(sums, out=scores, where=sums >= _FAINT)
    if (faint := sums < _FAINT).any():
        frames = zip(blanks[:, faint], characters[:, :, faint], strict=True)
        scores[faint] = sum_over_paths(frames, ids[faint], lengths[faint], semiring=LOGARITHMS)
    return scores.reshape(batch, count)


def score(logits: np.ndarray, labels: PackedLabels, indices: np.ndarray) -> np.ndarray:
    """Computes the log likelihoods of some packed labels for one image, in nats.

    Args:
        logits: Float array of shape `(frames, num_classes)`, not normalized, finite.
        labels: The `PackedLabels`.
        indices: Integer array of shape `(n,)`: which labels.

    Returns:
        float64 array of shape `(n,)`. A label that does not fit has minus infinity.
    """
    logits = np.asarray(logits, np.float64)
    largest, log_sums = log_normalizer(logits)
    log_emissions = logits - largest - log_sums
    emissions = np.exp(log_emissions)
    scores = np.full(len(indices), -np.inf)
    for start in range(0, len(indices), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        ids, lengths = labels.padded(indices[chunk]), labels.lengths[indices[chunk]]
        repeats = ((ids[:, 1:] == ids[:, :-1]) & (ids[:, 1:] != BLANK)).sum(1)
        # No sum of probabilities exceeds 1, so nothing overflows; and what underflowed on the way
        # does not show in a sum that is not faint.
        frames = _of_one_image(emissions, ids)
        sums = sum_over_paths(frames, ids, lengths, semiring=PROBABILITIES)
        np.log(sums, out=scores[chunk], where=sums >= _FAINT)
        faint = (sums < _FAINT) & (lengths + repeats <= len(logits))
        if faint.any():
            frames = _of_one_image(log_emissions, ids[faint])
            scores[chunk][faint] = sum_over_paths(
                frames, ids[faint], lengths[faint], semiring=LOGARITHMS
            )
    return scores


def path_posteriors(logits: np.ndarray, ids: Sequence[int]) -> np.ndarray:
    """Computes the CTC posterior of each state of one label in each frame.

    It is the fraction of the probability of all paths that passes through a state in a frame.

    Args:
        logits: Float array of shape `(frames, num_classes)`, not normalized.
        ids: The label's ids, from 1.

    Returns:
        float64 array of shape `(frames, 2 * len(ids) + 1)`. Rows sum to 1. The states are the
        blank, the first character, the blank, and so on.

    Raises:
        ValueError: The label does not fit into the frames.

    Reference:
        Graves et al., 2006, Connectionist Temporal Classification, section 4.1.
    """
    needed = frames_needed(ids)
    if needed > len(logits):
        raise ValueError(f"The label needs {needed} frames, there are {len(logits)}.")
    label = np.array([ids], np.intp).reshape(1, -1)
    log_probabilities = log_softmax(logits).astype(np.float64)
    forward = _log_forward(log_probabilities, label)
    # From the other end. Each frame's own emission is counted once.
    backward = _log_forward(log_probabilities[::-1], label[:, ::-1])[::-1, ::-1]
    emissions = np.repeat(log_probabilities[:, [BLANK]], forward.shape[1], axis=1)
    emissions[:, 1::2] = log_probabilities[:, label[0]]
    joint = forward + backward - emissions
    return np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))


def _log_forward(log_probabilities, label):
    """Returns the log forward variables of one label: an array `(frames, 2 * length + 1)`."""
    states = np.empty((len(log_probabilities), 2 * label.shape[1] + 1))
    steps = iter_forward(_of_one_image(log_probabilities, label), label, LOGARITHMS)
    next(steps)  # before the first frame
    for row, (blanks, characters) in zip(states, steps, strict=True):
        row[::2], row[1::2] = blanks[:, 0], characters[:, 0]
    return states


def _of_one_image(emissions, ids):
    """Yields for each frame of one image what it gives the blank and the labels' characters."""
    # One row for each position in the labels: the arithmetic runs along the labels.
    ids = np.ascontiguousarray(ids.T)
    return ((frame[BLANK], frame[ids]) for frame in emissions)


def iter_forward(
    frames: Iterable[tuple], ids: np.ndarray, semiring: tuple
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Runs the CTC forward recursion for many padded labels at once.

    Args:
        frames: Iterable of pairs: what a frame gives the blank, a number or an array `(labels,)`,
            and what it gives each character, an array `(longest label, labels)`.
        ids: Integer array of shape `(labels, longest label)`.
        semiring: `PROBABILITIES`, `LOGARITHMS` or `BEST_PATH`.

    Yields:
        Before the first frame and after each one, a pair of arrays of the sums over all paths,
        with `BEST_PATH` of the likeliest: `blanks[i]` of those that end in the blank before
        character i, `(longest label + 1, labels)`, and `characters[i]` of those that end in
        character i, `(longest label, labels)`. The next step overwrites them.
    """
    add, multiply, zero, one = semiring
    count, longest = ids.shape
    # Before the first frame there is the empty path.
    blanks, characters = np.full((longest + 1, count), zero), np.full((longest, count), zero)
    blanks[0] = one
    yield blanks, characters
    # A path goes from one character straight to the next unless they are equal.
    may_skip = np.where(ids[:, 1:] != ids[:, :-1], one, zero).T
    for blank, own in frames:
        arrived = add(characters, blanks[:-1])
        arrived[1:] = add(arrived[1:], multiply(characters[:-1], may_skip))
        blanks[1:] = add(blanks[1:], characters)
        blanks = multiply(blanks, blank)
        characters = multiply(arrived, own)
        yield blanks, characters


def sum_over_paths(
    frames: Iterable[tuple], ids: np.ndarray, lengths: np.ndarray, *, semiring: tuple
) -> np.ndarray:
    """Sums over all paths that spell each label.

    Args:
        frames: See `iter_forward`.
        ids: See `iter_forward`.
        lengths: Integer array of shape `(labels,)`.
        semiring: See `iter_forward`.

    Returns:
        float64 array of shape `(labels,)`.
    """
    # A deque of length 1 keeps the last step only.
    ((blanks, characters),) = collections.deque(iter_forward(frames, ids, semiring), maxlen=1)
    add, _, zero, _ = semiring
    # Complete are the paths that end in the last character or in the blank after it.
    every = np.arange(len(ids))
    last = np.where(lengths > 0, characters[lengths - 1, every], zero)
    return add(last, blanks[lengths, every])
