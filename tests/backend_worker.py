"""What the tests run in processes of their own: one backend each, and processes that get killed.

    python backend_worker.py compute MODEL.keras OUT.npz
    python backend_worker.py train WORD_SETS_FOLDER RUN_FOLDER[@MOMENT] ...

A moment is when the process kills itself, as `kill -9` does: see `_die_at`.
"""

import os
import signal
import sys

import keras
import numpy as np

from crnn_keras import train as training
from crnn_keras.char_dict import CharDict
from crnn_keras.ctc import ctc_loss
from crnn_keras.dataset import Batches
from crnn_keras.images import Canvas
from crnn_keras.model import build_crnn
from crnn_keras.records import Records


def loss_and_gradient(logits, labels, frames, compiled=False):
    """Losses, and the gradient of their sum by the logits, as numpy arrays.

    `compiled` is how training runs it: as a graph (TensorFlow, JAX); torch knows no difference.
    """
    logits = np.asarray(logits, np.float32)
    labels, frames = np.asarray(labels, np.int32), np.asarray(frames, np.int32)
    found = {"tensorflow": _by_tensorflow, "jax": _by_jax, "torch": _by_torch}
    return found[keras.backend.backend()](logits, labels, frames, compiled)


def _by_tensorflow(logits, labels, frames, compiled):
    import tensorflow as tf

    def both(values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            losses = ctc_loss(values, labels, frames)
        return losses, tape.gradient(losses, values)

    losses, gradient = (tf.function(both) if compiled else both)(tf.constant(logits))
    return losses.numpy(), gradient.numpy()


def _by_jax(logits, labels, frames, compiled):
    import jax

    def total(values):
        losses = ctc_loss(values, labels, frames)
        return losses.sum(), losses

    both = jax.grad(total, has_aux=True)
    gradient, losses = (jax.jit(both) if compiled else both)(jax.numpy.asarray(logits))
    return np.asarray(losses), np.asarray(gradient)


def _by_torch(logits, labels, frames, _):
    import torch

    values = torch.tensor(logits, requires_grad=True)
    losses = ctc_loss(values, torch.tensor(labels), torch.tensor(frames))
    losses.sum().backward()
    return losses.detach().numpy(), values.grad.numpy()


def few_classes():
    """Logits, labels and frames: repeats, an empty label, one that does not fit, short rows."""
    logits = np.random.default_rng(0).normal(size=(6, 12, 8)) * 2
    labels = np.zeros((6, 7), np.int32)
    for row, label in zip(labels, ([1, 2, 3], [5, 5, 5, 7], [], [6], [1] * 7, [4, 2]), strict=True):
        row[: len(label)] = label
    return logits, labels, np.array([12, 12, 5, 1, 12, 7])


def many_classes():
    """The same for a dictionary of 6,600 classes: 4 rows of 30 frames, half learnt already.

    Not learnt at all, the loss is some 300 nats; float32 then leaves torch's own kernel an error of
    1e-4 in the gradient (TensorFlow and JAX: 1e-5), measured against float64.
    """
    rng = np.random.default_rng(1)
    labels = rng.integers(1, 6600, size=(4, 10))
    labels[1, 6:] = 0
    labels[2, 4] = labels[2, 3]
    logits = rng.normal(size=(4, 30, 6600)) * 3
    logits[..., 0] += 9
    np.put_along_axis(logits, labels.repeat(3, axis=1)[..., None], 12.0, axis=-1)
    return logits, labels, np.array([30, 30, 22, 30])


def set_weights(model, seed):
    """Gives a model weights that depend on nothing but the seed."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        values = rng.normal(size=weight.shape) * 0.1
        weight.assign(np.abs(values) + 0.5 if "variance" in weight.path else values)


def canvases():
    """Pictures to read: 3 canvases of 32 x 100 pixels."""
    return np.random.default_rng(2).integers(0, 256, size=(3, 32, 100, 1), dtype=np.uint8)


def logits_of(model):
    return keras.ops.convert_to_numpy(model.predict_on_batch(canvases()))


def compute(model_file, out):
    found = {}
    for name, case in (("few", few_classes()), ("many", many_classes())):
        found[f"{name}_loss"], found[f"{name}_gradient"] = loss_and_gradient(*case, compiled=True)
    model = build_crnn(CharDict.from_preset("alphanumeric36"))
    set_weights(model, seed=3)
    found["set_logits"] = logits_of(model)
    found["loaded_logits"] = logits_of(keras.models.load_model(model_file, compile=False))
    np.savez(out, **found)


def train_a_little(sets, run):
    """Three epochs of six steps: augmented pictures, dropout, cosine schedule."""
    char_dict, canvas = CharDict.from_preset("alphanumeric36"), Canvas()
    batches = Batches(
        Records(f"{sets}/train"), char_dict, canvas, 8, seed=5, shuffle=True, augment=True
    )
    validation = Batches(Records(f"{sets}/validation"), char_dict, canvas, 8)
    model = build_crnn(char_dict, canvas, "small", seed=5)
    return training.train(model, batches, validation, run, epochs=3, steps_per_epoch=6)


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at(moment):
    """Arranges a death: `step:3:4` in the third epoch after its fourth step; `state:2` when the
    state of the second epoch is written but not in its place; `model` the same of the reader.
    """
    kind, *numbers = moment.split(":")
    if kind == "step":

        class DeadlyLine(training.ProgressLine):
            def step(self, done, note=""):
                if self.label.startswith(f"epoch {numbers[0]} ") and done == int(numbers[1]):
                    _die()

        training.ProgressLine = DeadlyLine
    elif kind == "state":
        rename = os.rename

        def deadly_rename(source, target):
            if str(target).endswith(f"epoch-{int(numbers[0]):05d}"):
                _die()
            rename(source, target)

        training.os.rename = deadly_rename
    elif kind == "model":
        replace = os.replace

        def deadly_replace(source, target):
            if str(target).endswith(".keras"):
                _die()
            replace(source, target)

        training.os.replace = deadly_replace
    else:
        raise ValueError(f"Moment {moment!r} is unknown.")


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    if task == "compute":
        compute(*arguments)
    else:
        sets, *runs = arguments
        for run in runs:
            folder, _, moment = run.partition("@")
            if moment:
                _die_at(moment)
            train_a_little(sets, folder)
