"""Learns new characters on a backend, and saves the changes of the last layer."""

import sys

import numpy as np

from crnn_keras import load_for_fine_tuning, open_batches
from crnn_keras.training.fine_tuning.load import freeze_lstm
from crnn_keras.training.fine_tuning.new_characters import learn_new_characters


def learn(start, records):
    """Returns the last layer's weights before and after, and the layers that still learn."""
    batches, _ = open_batches(records, batch_size=16)
    model = load_for_fine_tuning(start, batches.char_dict, batches.canvas, new_probability=0.1)
    freeze_lstm(model)
    head = model.get_layer("logits")
    before = head.get_weights()
    learn_new_characters(model, batches, ".,!", batch_count=1, epochs=2)
    names = sorted({variable.path.partition("/")[0] for variable in model.trainable_variables})
    return before, head.get_weights(), names


if __name__ == "__main__":
    (kernel, bias), (new_kernel, new_bias), names = learn(*sys.argv[1:3])
    np.savez(
        sys.argv[3],
        kernel=new_kernel - kernel,
        bias=new_bias - bias,
        names=np.array(names),
    )
