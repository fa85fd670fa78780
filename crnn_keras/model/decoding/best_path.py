"""Best path decoding: from the network's frames to text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crnn_keras.char_dict import BLANK, CharDict
from crnn_keras.model.decoding.forward import log_normalizer
from crnn_keras.utils.checks import Number, check_value


@dataclass(frozen=True)
class Decoded:
    """What best path decoding found in one image.

    Args:
        text: The text, in the order of reading.
        ids: The ids that were found, a tuple, from left to right in the image.
        confidence: Probability of the best path, from 0 to 1: the product of the largest
            probability of each frame. It is not the probability of the text, which other paths
            spell too; see `forward.likelihoods`.
        spans: For each character of `text` `(first frame, last frame, probability)`: the run of
            frames that spelled it and the largest probability in the run.
    """

    text: str
    ids: tuple[int, ...]
    confidence: float
    spans: tuple[tuple[int, int, float], ...]


def best_path(
    logits: np.ndarray, char_dict: CharDict, *, input_lengths: Sequence[int] | None = None
) -> list[Decoded]:
    """Decodes logits: the likeliest class of each frame, repeats merged, blanks removed.

    Args:
        logits: Float array of shape `(batch, frames, num_classes)`, not normalized.
        char_dict: The `CharDict` of the classes.
        input_lengths: Integers of shape `(batch,)`: how many frames of each row count. Defaults to
            `None`: all frames.

    Returns:
        List of `Decoded`, one for each row.

    Raises:
        ValueError: The number of classes is not that of the char dict, logits are not finite, or
            `input_lengths` are no numbers of frames.

    Example:

        >>> import numpy as np
        >>> from crnn_keras import CharDict, best_path
        >>> logits = np.eye(11)[[5, 5, 0, 5, 3]][None] * 9  # frames 4, 4, blank, 4, 2
        >>> best_path(logits, CharDict.from_preset("digits"))[0].text
        '442'

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
    if input_lengths is None:
        input_lengths = [logits.shape[1]] * len(logits)
    check_value("The number of input_lengths", len(input_lengths), Number(len(logits), len(logits)))
    for length in input_lengths:
        check_value("One of input_lengths", length, Number(0, logits.shape[1], is_whole=True))
    logits = logits.astype(np.float32, copy=False)
    classes = logits.argmax(-1)
    # The largest log probability of each frame.
    scores = -log_normalizer(logits)[1][..., 0]
    confidences = np.exp(
        [row[:count].sum() for row, count in zip(scores, input_lengths, strict=True)],
        dtype=np.float32,
    )
    # Plain lists from here on: for 25 frames NumPy's calls would take ten times as long.
    rows = zip(classes.tolist(), scores.tolist(), np.exp(scores).tolist(), strict=True)
    return [
        _collapse(*(values[:count] for values in row), confidence=confidence, char_dict=char_dict)
        for row, count, confidence in zip(rows, input_lengths, confidences.tolist(), strict=True)
    ]


def _collapse(classes, scores, probabilities, *, confidence, char_dict):
    """Merges repeats and removes blanks of one row, given as a list with a value a frame."""
    ids, spans, start = [], [], 0
    for end in range(1, len(classes) + 1):
        if end < len(classes) and classes[end] == classes[start]:
            continue
        if classes[start] != BLANK:
            ids.append(classes[start])
            likeliest = max(range(start, end), key=scores.__getitem__)
            spans.append((start, end - 1, probabilities[likeliest]))
        start = end
    text, order = char_dict.decode_with_order(ids)
    return Decoded(text, tuple(ids), confidence, tuple(spans[index] for index in order))
