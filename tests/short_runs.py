"""A short training that the tests interrupt in many ways: two epochs of three steps."""

import os

import keras

from crnn_keras.char_dict import CharDict
from crnn_keras.data.batches import Batches
from crnn_keras.data.records import Records
from crnn_keras.images import Canvas
from crnn_keras.model.crnn import build_crnn
from crnn_keras.training import train, validation

EPOCHS, STEPS = 2, 3


def start(sets, folder, model=None, **options):
    """Trains with dropout and augmentation; returns the model and the history.

    Args:
        sets: Folder of the sets of records `train` and `validation`.
        folder: The run folder.
        model: A `CRNN`. Defaults to `None`: fresh weights, the same at each call.
        **options: Further options of `train`.
    """
    char_dict = CharDict.from_preset("alphanumeric36")
    common = {"char_dict": char_dict, "canvas": Canvas(), "batch_size": 8}
    order = {"seed": 5, "shuffle": True, "augment": True}
    batches = Batches(Records(sets / "train"), **common, **order)
    validation_batches = Batches(Records(sets / "validation"), **common)
    model = model or build_crnn(char_dict, seed=5)
    options = {"epochs": EPOCHS, "steps_per_epoch": STEPS, **options}
    return model, train(model, batches, validation_batches, folder=folder, **options)


def at_step(step, action):
    """Returns a callback that calls a function at the end of a step of this process."""
    count = iter(range(1, step + 1))

    def on_train_batch_end(batch, logs):
        if next(count, None) == step:
            action()

    return keras.callbacks.LambdaCallback(on_train_batch_end=on_train_batch_end)


def send(signal_number):
    """Returns a function that sends this process a signal."""
    return lambda: os.kill(os.getpid(), signal_number)


def at_validation_batch(monkeypatch, batch, action):
    """Has a function called in a validation batch of this process."""
    count, best_path = iter(range(1, batch + 1)), validation.best_path

    def best_path_and_action(*arguments):
        if next(count, None) == batch:
            action()
        return best_path(*arguments)

    monkeypatch.setattr(validation, "best_path", best_path_and_action)


def without_seconds(history):
    return [{name: row[name] for name in row if name != "seconds"} for row in history]


def assert_same_end(one, other):
    """Asserts that two trainings ended with the same weights and the same history.

    Args:
        one: Tuple of a model and a history.
        other: Tuple of a model and a history.
    """
    for here, there in zip(one[0].weights, other[0].weights, strict=True):
        assert here.numpy().tobytes() == there.numpy().tobytes(), here.path
    assert without_seconds(one[1]) == without_seconds(other[1])
