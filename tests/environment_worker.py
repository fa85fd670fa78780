"""What a process computes in an odd environment of Keras: see `test_environments.py`.

    python environment_worker.py WORD_SETS RUN_FOLDER

Prints one line of JSON: texts and confidences of the shipped readers, the loss and the weights of
one step of training, and the CTC loss of a user's own step.
"""

import json
import pathlib
import sys

import keras
import numpy as np
from layers_worker import set_weights

from crnn_keras import (
    CRNN,
    Batches,
    Canvas,
    CharDict,
    Recognizer,
    ctc_loss,
    open_records,
    render_word,
    train,
)
from crnn_keras.model.architectures import ARCHITECTURES
from crnn_keras.synth import bundled_fonts

SETTINGS = ("floatx", "epsilon", "image_data_format")


def read():
    images = [render_word(word, bundled_fonts()[0], seed=1) for word in ("exit", "market")]
    return [
        (prediction.text, float(prediction.confidence))
        for name in ("words", "ascii")
        for prediction in Recognizer.load(name).read(images)
    ]


def train_a_step(sets, folder):
    """Trains one step on images that are not augmented, without dropout, from given weights."""
    records = open_records(sets / "validation")
    char_dict = CharDict.from_preset("alphanumeric36")
    batches = Batches(records, char_dict, Canvas(), batch_size=8)
    model = CRNN(char_dict, Canvas(), **{**ARCHITECTURES["small"], "dropout": 0.0})
    set_weights(model, seed=6)
    (row,) = train(model, batches, batches, folder=folder, epochs=1, steps_per_epoch=1)
    sums = [float(np.abs(weight.numpy()).sum()) for weight in model.weights]
    return [row["train_loss"], row["loss"], float(np.sum(sums))]


if __name__ == "__main__":
    sets, folder = map(pathlib.Path, sys.argv[1:])
    before = [getattr(keras.config, name)() for name in SETTINGS]
    logits = np.random.default_rng(0).normal(size=(2, 9, 5)).astype("float32")
    losses = ctc_loss(logits, np.array([[1, 2, 2, 0], [4, 0, 0, 0]]))
    found = {
        "texts": read(),
        "step": train_a_step(sets, folder),
        "ctc": [float(loss) for loss in keras.ops.convert_to_numpy(losses)],
        "dtype": keras.backend.standardize_dtype(losses.dtype),
    }
    assert before == [getattr(keras.config, name)() for name in SETTINGS]
    print(json.dumps(found))
