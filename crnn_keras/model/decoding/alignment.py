"""Forced alignment: which frames spell which character of a text that is already known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from crnn_keras.char_dict import BLANK, CharDict, frames_needed
from crnn_keras.model.decoding.forward import (
    BEST_PATH,
    LOGARITHMS,
    PackedLabels,
    iter_forward,
    log_emissions,
    sum_over_paths,
)
from crnn_keras.utils.checks import Number, check_value

# From a frame to the one before, a path comes from the same state, the one before it, or, past a
# blank between two different characters, from the one before that.
_JUMPS = np.arange(3)[:, None]


class Aligned(NamedTuple):
    """Where a label lies in the frames of an image.

    Args:
        log_likelihood: CTC log likelihood of the label: of all paths that spell it, in nats.
        spans: For each character `(first frame, last frame, probability)`: its run of frames in
            the likeliest of these paths, and its largest probability in the run.
    """

    log_likelihood: float
    spans: tuple[tuple[int, int, float], ...]


def align_ids(logits: np.ndarray, ids_list: Sequence[Sequence[int]]) -> list[Aligned]:
    """Finds the likeliest CTC path that spells a known label, for each image (Viterbi).

    Args:
        logits: Float array of shape `(batch, frames, num_classes)`, not normalized, finite. Class 0
            is the blank.
        ids_list: List of as many labels, each a sequence of ids from 1, from left to right in the
            image.

    Returns:
        List of `Aligned`, one for each image, with spans in the order of the ids.

    Raises:
        ValueError: Logits are not finite, the numbers of images and labels differ, a label has an
            id that is the blank or no class, or does not fit into the frames.

    Example:

        >>> import numpy as np
        >>> from crnn_keras.model.decoding import align_ids
        >>> logits = np.eye(4)[[1, 1, 0, 0, 2]][None] * 9
        >>> [span[:2] for span in align_ids(logits, [[1, 2]])[0].spans]
        [(0, 1), (4, 4)]

    Reference:
        Graves et al., 2006, Connectionist Temporal Classification; Rabiner, 1989, A Tutorial on
        Hidden Markov Models, section III.B.
    """
    logits = np.asarray(logits)
    if logits.ndim != 3 or not np.isfinite(logits).all():
        raise ValueError(
            "Expected finite logits of shape (batch, frames, num_classes), got shape "
            f"{logits.shape} with {np.count_nonzero(~np.isfinite(logits))} values that are not "
            "finite: the model's weights or its input are broken."
        )
    _, frames, num_classes = logits.shape
    check_value("The number of labels", len(ids_list), Number(len(logits), len(logits)))
    for index, ids in enumerate(ids_list):
        if not all(BLANK < i < num_classes for i in ids):
            raise ValueError(
                f"Label {index} is {list(ids)}. Expected ids from 1 to {num_classes - 1}, without "
                "blanks or padding."
            )
        if (needed := frames_needed(ids)) > frames:
            raise ValueError(f"Label {index} needs {needed} frames, there are {frames}.")
    if not frames or not ids_list:
        return [Aligned(0.0, ())] * len(ids_list)
    labels = PackedLabels(ids_list)
    ids = labels.padded(np.arange(len(ids_list)))
    emissions = log_emissions(logits, ids)
    pairs = [(frame[0], frame[1:]) for frame in emissions]
    sums = sum_over_paths(pairs, ids, labels.lengths, semiring=LOGARITHMS)
    path = _likeliest_path(pairs, ids, labels.lengths)
    # For each frame and character, whether the path passes through it.
    is_inside = path[:, None] == 2 * np.arange(ids.shape[1])[:, None] + 1
    firsts = is_inside.argmax(0)
    lasts = frames - 1 - is_inside[::-1].argmax(0)
    largest = np.exp(np.where(is_inside, emissions[:, 1:], -np.inf).max(0))
    # Plain numbers, one row for each image.
    columns = (firsts.T.tolist(), lasts.T.tolist(), largest.T.tolist())
    rows = zip(*columns, labels.lengths.tolist(), np.minimum(sums, 0.0).tolist(), strict=True)
    return [
        Aligned(total, tuple(zip(first[:count], last[:count], most[:count], strict=True)))
        for first, last, most, count, total in rows
    ]


def align_texts(
    logits: np.ndarray, texts: Sequence[str], char_dict: CharDict
) -> list[tuple[str, Aligned]]:
    """Aligns a known text to the frames of each image.

    Args:
        logits: See `align_ids`.
        texts: List of as many texts that the char dict can write.
        char_dict: The `CharDict` of the classes.

    Returns:
        List of pairs: the text as the char dict writes it, and its `Aligned` with spans in the
        order of the text's characters, as `Decoded.spans`.

    Raises:
        ValueError: See `align_ids`; or the char dict cannot write a text.
    """
    return align_labels(logits, [char_dict.encode(text) for text in texts], char_dict)


def align_labels(
    logits: np.ndarray, ids_list: Sequence[Sequence[int]], char_dict: CharDict
) -> list[tuple[str, Aligned]]:
    """Aligns a known label to the frames of each image, as `align_texts` does with texts.

    Args:
        logits: See `align_ids`.
        ids_list: See `align_ids`.
        char_dict: The `CharDict` of the classes.

    Returns:
        See `align_texts`.

    Raises:
        ValueError: See `align_ids`.
    """
    pairs = []
    for ids, (total, spans) in zip(ids_list, align_ids(logits, ids_list), strict=True):
        text, order = char_dict.decode_with_order(ids)
        pairs.append((text, Aligned(total, tuple(spans[index] for index in order))))
    return pairs


def _likeliest_path(pairs, ids, lengths):
    """Returns the states of the likeliest path of each label: an integer array `(frames, labels)`.

    State `2 * i` is the blank before character i, state `2 * i + 1` the character.
    """
    count, longest = ids.shape
    # Two rows before the first state, which no path passes, spare the cases at its start.
    scores = np.full((len(pairs), 2 + 2 * longest + 1, count), -np.inf)
    steps = iter_forward(pairs, ids, BEST_PATH)
    next(steps)  # before the first frame
    for row, (blanks, characters) in zip(scores, steps, strict=True):
        row[2::2], row[3::2] = blanks, characters
    penalties = np.full((3, *scores.shape[1:]), -np.inf)
    penalties[:2] = 0
    penalties[2, 5::2] = np.where(ids[:, 1:] != ids[:, :-1], 0.0, -np.inf).T
    path = np.empty((len(pairs), count), np.intp)
    every = np.arange(count)
    # A path ends in the last blank, or in the character before it.
    state = 2 + 2 * lengths
    state = state - scores[-1, state - _JUMPS[:2], every].argmax(0)
    path[-1] = state
    for frame in range(len(pairs) - 2, -1, -1):
        arrivals = scores[frame, state - _JUMPS, every] + penalties[_JUMPS, state, every]
        state = state - arrivals.argmax(0)
        path[frame] = state
    return path - 2
