"""The CTC loss on every backend: a function, a Keras loss and a Keras layer.

TensorFlow and JAX run one forward recursion on `keras.ops`, whose cost hardly depends on the number
of classes. torch runs its own compiled kernel, which is faster there (`benchmarks/ctc.py`). For
decoding, `crnn_keras.model.decoding.forward` computes the same sum in NumPy.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import KerasTensor, ops

from crnn_keras.char_dict import BLANK

# Stands for log(0). It is finite, since infinities make NaN gradients.
_LOG_ZERO = -1e30


def label_lengths(labels: KerasTensor) -> KerasTensor:
    """Counts the ids of each label.

    Args:
        labels: Integer tensor of shape `(batch, longest label)`, padded with 0.

    Returns:
        int32 tensor of shape `(batch,)`.
    """
    return ops.sum(ops.cast(ops.not_equal(labels, BLANK), "int32"), axis=-1)


def is_feasible(labels: KerasTensor, input_lengths: KerasTensor) -> KerasTensor:
    """Tells for each label whether its frames suffice to spell it.

    CTC needs one frame for each character and one more between two equal neighbours.

    Args:
        labels: Integer tensor of shape `(batch, longest label)`, padded with 0.
        input_lengths: Integer tensor of shape `(batch,)`: frames of each row.

    Returns:
        Boolean tensor of shape `(batch,)`.
    """
    current, previous = labels[:, 1:], labels[:, :-1]
    repeats = ops.logical_and(ops.equal(current, previous), ops.not_equal(current, BLANK))
    needed = label_lengths(labels) + ops.sum(ops.cast(repeats, "int32"), axis=-1)
    return ops.less_equal(needed, ops.cast(input_lengths, "int32"))


def ctc_loss(
    logits: KerasTensor, labels: KerasTensor, input_lengths: KerasTensor | None = None
) -> KerasTensor:
    """Computes the negative log likelihood of each label, in nats.

    Args:
        logits: Float tensor of shape `(batch, frames, num_classes)`, not normalized. Class 0 is the
            blank.
        labels: Integer tensor of shape `(batch, longest label)`: ids from 1, padded with 0 at the
            end.
        input_lengths: Integer tensor of shape `(batch,)`: how many frames of each row count, at
            least 1. Defaults to `None`: all frames.

    Returns:
        Tensor of shape `(batch,)`, float32, or float64 for logits in float64. A label that does not
        fit into its frames gives 0, with a gradient of 0; `is_feasible` finds such labels.

    Example:

        >>> import numpy as np
        >>> from crnn_keras import ctc_loss
        >>> # Two frames, three equally likely classes: 3 of the 9 paths spell [1].
        >>> loss = ctc_loss(np.zeros((1, 2, 3), "float32"), np.array([[1]]))
        >>> round(float(loss[0]), 4)  # -log(3 / 9)
        1.0986

    Reference:
        Graves et al., 2006, Connectionist Temporal Classification, section 4.1.
    """
    logits = ops.convert_to_tensor(logits)
    dtype = keras.backend.standardize_dtype(logits.dtype)
    dtype = "float64" if dtype == "float64" else "float32"
    logits = ops.cast(logits, dtype)
    labels = ops.cast(labels, "int32")
    if keras.backend.backend() == "torch":
        return _torch_loss(logits, labels, input_lengths)
    if input_lengths is None:
        batch, frames, _ = ops.shape(logits)
        input_lengths = ops.zeros((batch,), "int32") + frames
    input_lengths = ops.cast(input_lengths, "int32")
    feasible = is_feasible(labels, input_lengths)
    labels = ops.where(feasible[:, None], labels, BLANK)
    loss = _forward_recursion(logits, labels, input_lengths)
    return ops.where(feasible, loss, ops.zeros_like(loss))


def _torch_loss(logits, labels, input_lengths):
    """Computes the loss by torch's kernel, which needs all lengths on the CPU.

    On a GPU each number that is copied between the two waits for all the work before it: here the
    lengths are copied once, and no other number is.
    """
    import torch

    batch, frames, _ = logits.shape
    is_character = labels != BLANK
    lengths = is_character.sum(-1, dtype=torch.int32)
    repeats = (labels[:, 1:] == labels[:, :-1]) & is_character[:, 1:]
    needed = lengths + repeats.sum(-1, dtype=torch.int32)
    if input_lengths is None:
        feasible = needed <= frames
        on_cpu = (lengths * feasible).cpu(), torch.full((batch,), frames, dtype=torch.int32)
    else:
        input_lengths = ops.cast(input_lengths, "int32")
        feasible = needed <= input_lengths
        on_cpu = torch.stack([lengths * feasible, input_lengths]).cpu().unbind()
    # In float64: in float32 its gradient errs by 1e-4 where a loss is some hundred nats.
    log_probs = logits.to(torch.float64).transpose(0, 1).log_softmax(-1)
    loss = torch.nn.functional.ctc_loss(
        log_probs,
        # Emptied before the loss, not only masked after it: the gradient would be NaN.
        labels * feasible[:, None],
        on_cpu[1],
        on_cpu[0],
        blank=BLANK,
        reduction="none",
    )
    return loss.to(logits.dtype).masked_fill(~feasible, 0)


def _forward_recursion(logits, labels, input_lengths):
    """Sums the probabilities of all paths frame by frame, as logarithms."""
    if labels.shape[1] == 0:
        labels = ops.pad(labels, ((0, 0), (0, 1)))  # all labels are empty: one column of padding
    longest = ops.shape(labels)[1]
    states = 2 * longest + 1  # a blank before, between and after the characters
    labels_between_blanks = ops.stack([ops.zeros_like(labels), labels], axis=-1)
    path = ops.pad(ops.reshape(labels_between_blanks, (-1, 2 * longest)), ((0, 0), (0, 1)))
    # A path may skip the blank between two characters unless they are equal.
    two_before = ops.pad(path, ((0, 0), (2, 0)))[:, :states]
    may_skip = ops.logical_and(ops.not_equal(path, BLANK), ops.not_equal(path, two_before))
    # In the logits' type from the start: in Keras' own default type, float16 has no -1e30.
    skip = ops.cast(ops.logical_not(may_skip), logits.dtype) * _LOG_ZERO

    # Gathered from the flat logits: take_along_axis is three times slower on TensorFlow.
    batch, frames, num_classes = ops.shape(logits)
    first = num_classes * ops.reshape(ops.arange(batch * frames, dtype="int32"), (batch, frames, 1))
    emissions = ops.take(ops.reshape(logits, (-1,)), first + path[:, None, :])
    emissions = emissions - ops.logsumexp(logits, axis=-1, keepdims=True)
    emissions = ops.transpose(emissions, (1, 0, 2))

    def step(frame, alpha):
        one_before = ops.pad(alpha[:, :-1], ((0, 0), (1, 0)), constant_values=_LOG_ZERO)
        two_before = ops.pad(alpha[:, :-2], ((0, 0), (2, 0)), constant_values=_LOG_ZERO) + skip
        total = _log_sum([alpha, one_before, two_before])
        moved = ops.maximum(total + ops.take(emissions, frame, axis=0), _LOG_ZERO)
        return ops.where((frame < input_lengths)[:, None], moved, alpha)

    log_zero = ops.full_like(emissions[0], _LOG_ZERO)
    start = ops.where(ops.arange(states, dtype="int32")[None, :] < 2, emissions[0], log_zero)
    alpha = ops.fori_loop(1, frames, step, start)
    # A path ends in the last blank or the last character. An empty label has no last character.
    lengths = label_lengths(labels)
    last_blank = ops.take_along_axis(alpha, (2 * lengths)[:, None], axis=1)[:, 0]
    before = ops.maximum(2 * lengths - 1, 0)
    last_character = ops.take_along_axis(alpha, before[:, None], axis=1)[:, 0]
    last_character = ops.where(lengths > 0, last_character, ops.full_like(last_blank, _LOG_ZERO))
    return -_log_sum([last_blank, last_character])


def _log_sum(terms):
    """Returns log(exp(a) + exp(b) + ...), finite where all terms are `_LOG_ZERO`."""
    largest = terms[0]
    for term in terms[1:]:
        largest = ops.maximum(largest, term)
    # The largest cancels out of the result, so no gradient need go through it.
    largest = ops.stop_gradient(largest)
    return largest + ops.log(sum(ops.exp(term - largest) for term in terms))


@keras.saving.register_keras_serializable(package="crnn_keras")
class CTCLoss(keras.losses.Loss):
    """Computes the CTC loss between labels and logits.

    All frames of a row count. A batch of `crnn_keras.Batches` has one canvas width, so its rows
    have equally many frames. `keras.losses.CTC` differs in this: a label that does not fit into its
    frames counts 0 here and has no gradient, on each backend, and many classes cost little.

    Args:
        reduction: How the losses of a batch are reduced, see `keras.losses.Loss`. Defaults to
            `"sum_over_batch_size"`: their mean.
        name: Name of the loss. Defaults to `"ctc_loss"`.

    Call arguments:
        y_true: Labels, integers of shape `(batch, longest label)`: ids from 1, padded with 0.
        y_pred: Logits of shape `(batch, frames, num_classes)`, not normalized. Class 0 is the
            blank.

    Example:

        >>> import keras, numpy as np
        >>> from crnn_keras import CharDict, CTCLoss, build_crnn
        >>> char_dict = CharDict.from_preset("digits")
        >>> model = build_crnn(char_dict)
        >>> model.compile(optimizer="adamw", loss=CTCLoss())
        >>> canvases = np.zeros((8, 32, 100, 1), "uint8")
        >>> labels = np.array([char_dict.encode("2015")] * 8)
        >>> history = model.fit(canvases, labels, verbose=0)
        >>> list(history.history)
        ['loss']

    Reference:
        Graves et al., 2006, Connectionist Temporal Classification.
    """

    def __init__(self, reduction: str = "sum_over_batch_size", name: str = "ctc_loss"):
        # Ids of large dictionaries need float32: Keras casts the labels to the loss's type.
        super().__init__(name=name, reduction=reduction, dtype="float32")

    def call(self, y_true: KerasTensor, y_pred: KerasTensor) -> KerasTensor:
        return ctc_loss(y_pred, y_true)


@keras.saving.register_keras_serializable(package="crnn_keras")
class CTCLayer(keras.layers.Layer):
    """Adds the CTC loss to a model and passes the logits through.

    The layer of the same name in the Keras examples, for models whose labels are an input. With
    `CTCLoss`, labels are targets and the model needs no such layer.

    Args:
        **kwargs: Keyword arguments of `keras.layers.Layer`. The layer computes in float32.

    Call arguments:
        y_true: Labels, integers of shape `(batch, longest label)`: ids from 1, padded with 0.
        y_pred: Logits of shape `(batch, frames, num_classes)`, not normalized. Class 0 is the
            blank.

    Output shape:
        That of `y_pred`.

    Example:

        >>> import keras
        >>> from crnn_keras import CharDict, CTCLayer, build_crnn
        >>> model = build_crnn(CharDict.from_preset("digits"))
        >>> labels = keras.Input((10,), dtype="int32", name="labels")
        >>> logits = CTCLayer()(labels, model.output)
        >>> training_model = keras.Model([model.input, labels], logits)
        >>> training_model.compile(optimizer="adamw")  # the layer adds the loss
    """

    def __init__(self, **kwargs: Any):
        # float32 under any policy: the loss needs it.
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, y_true: KerasTensor, y_pred: KerasTensor) -> KerasTensor:
        self.add_loss(ops.mean(ctc_loss(y_pred, y_true)))
        return y_pred

    def compute_output_shape(self, y_true_shape: tuple, y_pred_shape: tuple) -> tuple:
        return y_pred_shape
