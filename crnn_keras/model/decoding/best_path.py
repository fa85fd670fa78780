"""From the network's frames to text."""

from dataclasses import dataclass

import numpy as np

from crnn_keras.char_dict import BLANK, frames_needed


@dataclass(frozen=True)
class Decoded:
    """What was read from one image.

    Args:
        text: the text.
        confidence: probability of the best path, from 0 to 1: the product of the largest
            probability of each frame.
        spans: for each character, `(first frame, last frame, probability)`: the run of frames
            that spelled it and the largest probability in the run.
    """

    text: str
    confidence: float
    spans: tuple


def log_softmax(logits):
    """Logits to log probabilities, in nats.

    Args:
        logits: float array `(..., classes)`, not normalised.

    Returns:
        float32 array of the same shape, each row's exponentials summing to 1.
    """
    shifted = np.asarray(logits, np.float32)
    shifted = shifted - shifted.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def best_path(logits, frames, char_dict):
    """Best path decoding: the likeliest class of each frame, repeats merged, blanks left out.

    Args:
        logits: float array `(batch, frames, classes)`, not normalised.
        frames: int array `(batch,)`; frames from there on are ignored.
        char_dict: the `CharDict` of the classes.

    Returns:
        List of `Decoded`, one for each row.

    Raises:
        ValueError: the classes are not those of the dictionary, or logits are not finite.

    Reference:
        Graves et al., 2006, Connectionist Temporal Classification, section 3.2.
    """
    logits = np.asarray(logits)
    if logits.ndim != 3 or logits.shape[2] != char_dict.num_classes:
        raise ValueError(
            f"Expected logits of shape (batch, frames, {char_dict.num_classes}) for {char_dict!r}, "
            f"got {logits.shape}."
        )
    if not np.isfinite(logits).all():
        raise ValueError("The logits are not finite: the model's weights or its input are broken.")
    logits = logits.astype(np.float32, copy=False)
    classes = logits.argmax(-1)
    # The largest logarithm of a frame, as `log_softmax` has it: there it is zero minus the sum's.
    sums = np.exp(logits - logits.max(-1, keepdims=True)).sum(-1)
    scores = -np.log(sums)
    confidences = np.exp(
        [row[:count].sum() for row, count in zip(scores, frames, strict=True)], dtype=np.float32
    )
    # Plain lists from here on: on 25 frames NumPy's calls would take ten times as long.
    rows = zip(classes.tolist(), scores.tolist(), np.exp(scores).tolist(), strict=True)
    return [
        _collapse(*(part[:count] for part in row), confidence, char_dict)
        for row, count, confidence in zip(rows, frames, confidences.tolist(), strict=True)
    ]


def _collapse(classes, scores, probabilities, confidence, char_dict):
    """One row's `Decoded`, of lists that hold a value for each frame."""
    ids, spans, start = [], [], 0
    for end in range(1, len(classes) + 1):
        if end < len(classes) and classes[end] == classes[start]:
            continue
        if classes[start] != BLANK:
            ids.append(classes[start])
            likeliest = max(range(start, end), key=scores.__getitem__)
            spans.append((start, end - 1, probabilities[likeliest]))
        start = end
    return Decoded(char_dict.decode(ids), confidence, tuple(spans))


def path_posteriors(logits, ids):
    """Where CTC sees each state of one label: the share of all paths through each state and frame.

    Args:
        logits: float array `(frames, classes)`, not normalised.
        ids: the label's ids, from 1.

    Returns:
        float64 array `(frames, 2 * len(ids) + 1)`: rows sum to 1; the states are the blank, the
        first character, the blank, and so on.

    Raises:
        ValueError: the label does not fit the frames.

    Reference:
        Graves et al., 2006, Connectionist Temporal Classification, section 4.1.
    """
    needed = frames_needed(ids)
    if needed > len(logits):
        raise ValueError(f"The label needs {needed} frames, there are {len(logits)}.")
    path = np.array([BLANK, *(i for c in ids for i in (c, BLANK))])
    emissions = log_softmax(logits).astype(np.float64)[:, path]
    forward = _forward(emissions, path)
    # From the other end, the frame's own emission counted once.
    backward = _forward(emissions[::-1, ::-1], path[::-1])[::-1, ::-1] - emissions
    joint = forward + backward
    return np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))


def _forward(emissions, path):
    """Log probabilities of all ways into each state at each frame."""
    may_skip = np.zeros(len(path), bool)
    may_skip[2:] = (path[2:] != BLANK) & (path[2:] != path[:-2])
    ways = np.full(emissions.shape, -np.inf)
    ways[0, :2] = emissions[0, :2]
    for frame in range(1, len(emissions)):
        before = ways[frame - 1]
        total = before.copy()
        total[1:] = np.logaddexp(total[1:], before[:-1])
        total[2:] = np.where(may_skip[2:], np.logaddexp(total[2:], before[:-2]), total[2:])
        ways[frame] = total + emissions[frame]
    return ways
