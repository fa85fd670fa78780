"""The CTC loss: one number an image, the same on every backend.

TensorFlow and JAX run one forward recursion on `keras.ops`, whose cost hardly depends on the
number of classes; torch runs its own compiled kernel, which is faster there
(`benchmarks/ctc.py` compares).
"""

import keras
from keras import ops

from crnn_keras.char_dict import BLANK

# Stands for the logarithm of zero; finite, since infinities make NaN gradients.
_LOG_ZERO = -1e30


def label_lengths(labels):
    """Number of ids in each label.

    Args:
        labels: int tensor `(batch, longest label)`, padded with 0.

    Returns:
        int32 tensor `(batch,)`.
    """
    return ops.sum(ops.cast(ops.not_equal(labels, BLANK), "int32"), axis=-1)


def fits(labels, frames):
    """Whether each label fits its frames: CTC needs one for each character, and one more between
    two equal ones.

    Args:
        labels: int tensor `(batch, longest label)`, padded with 0.
        frames: int tensor `(batch,)`.

    Returns:
        bool tensor `(batch,)`.
    """
    here, before = labels[:, 1:], labels[:, :-1]
    repeats = ops.logical_and(ops.equal(here, before), ops.not_equal(here, BLANK))
    needed = label_lengths(labels) + ops.sum(ops.cast(repeats, "int32"), axis=-1)
    return ops.less_equal(needed, ops.cast(frames, "int32"))


def ctc_loss(logits, labels, frames):
    """Negative log likelihood of each label, in nats.

    Args:
        logits: float tensor `(batch, frames, classes)`, not normalised; class 0 is the blank.
        labels: int tensor `(batch, longest label)` of ids from 1, padded with 0 at the end.
        frames: int tensor `(batch,)`: how many frames of each row count, at least 1.

    Returns:
        float32 tensor `(batch,)`. A label that does not fit its frames gives 0, with a gradient
        of 0; `fits` finds such labels.

    Reference:
        Graves et al., 2006, Connectionist Temporal Classification, section 4.1.
    """
    logits = ops.cast(logits, "float32")
    labels = ops.cast(labels, "int32")
    frames = ops.cast(frames, "int32")
    feasible = fits(labels, frames)
    # Emptied before the loss, not only masked after it: torch's gradient would be NaN.
    labels = ops.where(feasible[:, None], labels, BLANK)
    if keras.backend.backend() == "torch":
        # In float64: in float32 its gradient errs by 1e-4 where a loss is some hundred nats.
        logits = ops.cast(logits, "float64")
        loss = ops.ctc_loss(labels, logits, label_lengths(labels), frames, mask_index=BLANK)
        loss = ops.cast(loss, "float32")
    else:
        loss = _forward_recursion(logits, labels, frames)
    return ops.where(feasible, loss, 0.0)


def _forward_recursion(logits, labels, frames):
    """Sums the probabilities of all paths, frame by frame, in logarithms."""
    if labels.shape[1] == 0:
        labels = ops.pad(labels, ((0, 0), (0, 1)))  # all labels are empty: one column of padding
    longest = labels.shape[1]
    states = 2 * longest + 1  # a blank before, between and after the characters
    labels_between_blanks = ops.stack([ops.zeros_like(labels), labels], axis=-1)
    path = ops.pad(ops.reshape(labels_between_blanks, (-1, 2 * longest)), ((0, 0), (0, 1)))
    # A path may skip the blank between two characters unless they are equal.
    two_before = ops.pad(path, ((0, 0), (2, 0)))[:, :states]
    may_skip = ops.logical_and(ops.not_equal(path, BLANK), ops.not_equal(path, two_before))
    skip = ops.where(may_skip, 0.0, _LOG_ZERO)

    # From the flat logits: take_along_axis is three times slower on TensorFlow.
    batch, count, classes = ops.shape(logits)
    first = classes * ops.reshape(ops.arange(batch * count), (batch, count, 1))
    emissions = ops.take(ops.reshape(logits, (-1,)), first + path[:, None, :])
    emissions = emissions - ops.logsumexp(logits, axis=-1, keepdims=True)
    emissions = ops.transpose(emissions, (1, 0, 2))

    def step(frame, alpha):
        one_before = ops.pad(alpha[:, :-1], ((0, 0), (1, 0)), constant_values=_LOG_ZERO)
        two_before = ops.pad(alpha[:, :-2], ((0, 0), (2, 0)), constant_values=_LOG_ZERO) + skip
        total = _log_sum([alpha, one_before, two_before])
        moved = ops.maximum(total + ops.take(emissions, frame, axis=0), _LOG_ZERO)
        return ops.where((frame < frames)[:, None], moved, alpha)

    start = ops.where(ops.arange(states)[None, :] < 2, emissions[0], _LOG_ZERO)
    alpha = ops.fori_loop(1, count, step, start)
    # A path ends in the last blank or the last character. An empty label has no last character.
    lengths = label_lengths(labels)
    last_blank = ops.take_along_axis(alpha, (2 * lengths)[:, None], axis=1)[:, 0]
    before = ops.maximum(2 * lengths - 1, 0)
    last_character = ops.take_along_axis(alpha, before[:, None], axis=1)[:, 0]
    last_character = ops.where(lengths > 0, last_character, _LOG_ZERO)
    return -_log_sum([last_blank, last_character])


def _log_sum(terms):
    """log(exp(a) + exp(b) + ...), kept finite where all are `_LOG_ZERO`."""
    largest = terms[0]
    for term in terms[1:]:
        largest = ops.maximum(largest, term)
    # The largest cancels out of the result, so no gradient need go through it.
    largest = ops.stop_gradient(largest)
    return largest + ops.log(sum(ops.exp(term - largest) for term in terms))


@keras.saving.register_keras_serializable(package="crnn_keras")
class CTCLayer(keras.layers.Layer):
    """The CTC loss as a layer: `[logits, labels, frames]` in, one loss an image out.

    A training model ends in it; the reader inside is saved without it.

    Call arguments:
        inputs: list of the three tensors that `ctc_loss` takes.

    Output shape:
        `(batch,)`: nats, float32.

    Example:

        >>> loss = CTCLayer()([logits, labels, frames])
    """

    def __init__(self, **kwargs):
        super().__init__(dtype="float32", **{k: v for k, v in kwargs.items() if k != "dtype"})

    def call(self, inputs):
        logits, labels, frames = inputs
        return ctc_loss(logits, labels, frames)

    def compute_output_shape(self, input_shape):
        return input_shape[0][:1]
