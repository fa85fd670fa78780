"""The reader with its loss, compiled for `fit`, and the variables that make up a run."""

import keras

from crnn_keras.model.ctc import CTCLayer
from crnn_keras.training.distribute.group import average_gradients


def training_model(model, longest_label):
    """The reader with its loss: `{canvas, labels, frames}` in, one loss an image out.

    Args:
        model: a `CRNN`.
        longest_label: length of the label rows.

    Returns:
        `keras.Model` that fractions the reader's weights.
    """
    canvas = keras.Input(model.input_shape[1:], name="canvas")
    labels = keras.Input((longest_label,), dtype="int32", name="labels")
    frames = keras.Input((), dtype="int32", name="frames")
    loss = CTCLayer(name="ctc")([model(canvas), labels, frames])
    whole = keras.Model({"canvas": canvas, "labels": labels, "frames": frames}, loss)
    # `compile` scales the loss of a model whose own policy is mixed_float16.
    whole.dtype_policy = model.dtype_policy
    return whole


def _losses(_, losses):
    """One an image: Keras takes the mean, over all devices where there are several."""
    return losses


def compile_for_training(whole, optimizer):
    """Makes a training model ready for `fit`, with all its variables.

    Args:
        whole: what `training_model` returned.
        optimizer: a Keras optimizer.
    """
    whole.compile(optimizer=optimizer, loss=_losses)
    whole.optimizer.build(whole.trainable_variables)
    average_gradients(whole.trainable_variables)


def run_variables(whole):
    """Everything in memory that the next step of a run depends on.

    Args:
        whole: a compiled training model.

    Returns:
        List of Keras variables: weights, seeds of the dropout (which Keras' own checkpoints
        forget), optimizer, and the sums of the running training loss.
    """
    return [*whole.variables, *whole.optimizer.variables, *whole.metrics_variables]
