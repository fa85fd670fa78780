"""From the network's frames to text."""

from dataclasses import dataclass

import numpy as np

from crnn_keras.char_dict import BLANK, frames_needed


@dataclass(frozen=True)
class Decoded:
    """What was read from one picture.

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
    if logits.ndim != 3 or logits.shape[2] != char_dict.classes:
        raise ValueError(
            f"Expected logits of shape (batch, frames, {char_dict.classes}) for {char_dict!r}, "
            f"got {logits.shape}."
        )
    if not np.isfinite(logits).all():
        raise ValueError("The logits are not finite: the model's weights or its input are broken.")
    log_probs = log_softmax(logits)
    classes = log_probs.argmax(-1)
    best = np.take_along_axis(log_probs, classes[..., None], -1)[..., 0]
    return [
        _collapse(row[:count], scores[:count], char_dict)
        for row, scores, count in zip(classes, best, frames, strict=True)
    ]


def _collapse(classes, scores, char_dict):
    starts = np.flatnonzero(np.diff(classes, prepend=-1))
    # The last run ends with the frames; without any frame there is no run.
    ends = np.append(starts, len(classes))[1:]
    runs = [(s, e) for s, e in zip(starts, ends, strict=True) if classes[s] != BLANK]
    spans = tuple((int(s), int(e) - 1, float(np.exp(scores[s:e].max()))) for s, e in runs)
    text = char_dict.decode([int(classes[s]) for s, _ in runs])
    return Decoded(text, float(np.exp(scores.sum())), spans)


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
