"""New characters are learned by the last layer alone, before all layers learn."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import ops

from crnn_keras.model.ctc import CTCLoss
from crnn_keras.training.fine_tuning.load import HEAD
from crnn_keras.utils.checks import COUNT, NATURAL, check_arguments

if TYPE_CHECKING:
    from crnn_keras.data.batches import Batches
    from crnn_keras.model.crnn import CRNN

# The last layer alone bears a larger rate than all of them.
_LEARNING_RATE = 0.01


class _KeepKnown(keras.constraints.Constraint):
    """Keeps the weights of known classes as they are.

    Args:
        weights: Array of shape `(..., num_classes)`.
        is_new: Boolean array of shape `(num_classes,)`.
    """

    def __init__(self, weights, is_new):
        self.weights, self.is_new = weights, is_new

    def __call__(self, w):
        # On JAX, Keras passes the variable itself.
        return ops.where(self.is_new, ops.convert_to_tensor(w), self.weights)


@check_arguments(batch_count=COUNT, epochs=NATURAL)
def learn_new_characters(
    model: CRNN, batches: Batches, characters: str, *, batch_count: int = 16, epochs: int = 20
) -> None:
    """Lets the last layer learn the columns of new characters, all other weights fixed.

    The features of some batches are computed once, so this takes seconds. A training of all layers
    that begins with columns that mean nothing yet would change the features first.

    Args:
        model: A `CRNN`; it is changed.
        batches: The `Batches` of the training.
        characters: The characters that the model has not learned yet.
        batch_count: Number of batches to learn from. Defaults to `16`.
        epochs: How often they are gone through. Defaults to `20`.

    Reference:
        Kumar et al., 2022, Fine-tuning can distort pretrained features (LP-FT), arXiv 2202.10054.
    """
    head = model.get_layer(HEAD)
    weights = head.get_weights()
    is_new = np.array([False, *(c in characters for c in model.char_dict.characters)])
    kernel_constraint, bias_constraint = (_KeepKnown(values, is_new) for values in weights)
    body = keras.Model(model.input, head.input)
    found = [
        (body.predict_on_batch(canvases), labels)
        for canvases, labels in itertools.islice(batches.train_dataset(), batch_count)
    ]
    probe = keras.Sequential(
        [
            keras.Input((None, len(weights[0]))),
            keras.layers.Dense(
                len(is_new),
                kernel_constraint=kernel_constraint,
                bias_constraint=bias_constraint,
                dtype="float32",
            ),
        ]
    )
    probe.layers[-1].set_weights(weights)
    steps = max(epochs * len(found), 1)
    rate = keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, steps)
    probe.compile(optimizer=keras.optimizers.Adam(rate), loss=CTCLoss())
    for features, labels in itertools.chain.from_iterable(itertools.repeat(found, epochs)):
        probe.train_on_batch(features, labels)
    head.set_weights(probe.layers[-1].get_weights())
