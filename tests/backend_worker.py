"""Computes CTC, logits, predictions and training steps on the backend of this process.

python backend_worker.py MODEL.keras OUT.npz
"""

import sys

import keras
import numpy as np
from layers_worker import set_weights, zero_initializers

from crnn_keras import synth, training
from crnn_keras.char_dict import CharDict
from crnn_keras.inference.recognizer import Recognizer
from crnn_keras.model.architectures import ARCHITECTURES
from crnn_keras.model.crnn import build_crnn
from crnn_keras.model.ctc import CTCLoss, ctc_loss


def loss_and_gradient(logits, labels, input_lengths, *, compiled=False):
    """Computes losses, and the gradient of their sum with respect to the logits, as numpy arrays.

    `compiled` is how training runs it: as a graph (TensorFlow, JAX). torch knows no difference.
    """
    arrays = (
        np.asarray(logits, np.float32),
        np.asarray(labels, np.int32),
        np.asarray(input_lengths, np.int32),
    )
    backend = keras.backend.backend()
    if backend == "torch":
        return _by_torch(*arrays)
    return {"tensorflow": _by_tensorflow, "jax": _by_jax}[backend](*arrays, compiled=compiled)


def _by_tensorflow(logits, labels, input_lengths, *, compiled):
    import tensorflow as tf

    def both(values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            losses = ctc_loss(values, labels, input_lengths)
        return losses, tape.gradient(losses, values)

    losses, gradient = (tf.function(both) if compiled else both)(tf.constant(logits))
    return losses.numpy(), gradient.numpy()


def _by_jax(logits, labels, input_lengths, *, compiled):
    import jax

    def total(values):
        losses = ctc_loss(values, labels, input_lengths)
        return losses.sum(), losses

    both = jax.grad(total, has_aux=True)
    gradient, losses = (jax.jit(both) if compiled else both)(jax.numpy.asarray(logits))
    return np.asarray(losses), np.asarray(gradient)


def _by_torch(logits, labels, input_lengths):
    import torch

    values = torch.tensor(logits, requires_grad=True)
    losses = ctc_loss(values, torch.tensor(labels), torch.tensor(input_lengths))
    losses.sum().backward()
    return keras.ops.convert_to_numpy(losses), values.grad.numpy()


def few_classes():
    """Draws logits, labels and their lengths: repeats, an empty label, one too long, short rows."""
    logits = np.random.default_rng(0).normal(size=(6, 12, 8)) * 2
    labels = np.zeros((6, 7), np.int32)
    for row, label in zip(labels, ([1, 2, 3], [5, 5, 5, 7], [], [6], [1] * 7, [4, 2]), strict=True):
        row[: len(label)] = label
    return logits, labels, np.array([12, 12, 5, 1, 12, 7])


def many_classes():
    """Draws the same for 6,600 classes: 4 rows of 30 frames, as a network half trained gives them.

    Before any training the loss is some 300 nats. In float32 torch's own kernel then has an error
    of 1e-4 in the gradient (TensorFlow and JAX: 1e-5), measured against float64.
    """
    rng = np.random.default_rng(1)
    labels = rng.integers(1, 6600, size=(4, 10))
    labels[1, 6:] = 0
    labels[2, 4] = labels[2, 3]
    logits = rng.normal(size=(4, 30, 6600)) * 3
    logits[..., 0] += 9
    np.put_along_axis(logits, labels.repeat(3, axis=1)[..., None], 12.0, axis=-1)
    return logits, labels, np.array([30, 30, 22, 30])


def canvases():
    """Draws 3 canvases of 32 x 100 pixels."""
    return np.random.default_rng(2).integers(0, 256, size=(3, 32, 100, 1), dtype=np.uint8)


def rendered_words():
    """Renders 40 words as encoded images."""
    texts = synth.WordTexts(synth.read_words(), seed=1)
    fonts = synth.bundled_fonts()
    return [synth.render_jpeg(texts.text(i), fonts, seed=1, index=i) for i in range(40)]


def logits_of(model):
    return keras.ops.convert_to_numpy(model.predict_on_batch(canvases()))


def hooked_logits(model):
    """Returns a model's logits while torch runs a hook on each layer, and which layers it saw."""
    seen = []
    hooks = [
        layer.register_forward_hook(lambda layer, *_: seen.append(layer.name))
        for layer in model.layers
    ]
    logits = logits_of(model)
    for hook in hooks:
        hook.remove()
    return logits, [layer.name in seen for layer in model.layers[1:]]


def one_step(architecture):
    """Returns loss and weights after one training step from fixed weights, without dropout."""
    model = build_crnn(CharDict.from_preset("alphanumeric36"), architecture=architecture)
    set_weights(model, seed=3)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    rng = np.random.default_rng(9)
    labels = rng.integers(1, 37, size=(3, 6)).astype("int32")
    labels[1, 4:] = 0
    model.compile(training.make_optimizer("sgd", 0.1), CTCLoss())
    loss = model.train_on_batch(canvases(), labels)
    return np.float64(loss), np.concatenate([w.numpy().ravel() for w in model.weights])


def compute(model_path, out):
    found = {}
    for name, case in (("few", few_classes()), ("many", many_classes())):
        found[f"{name}_loss"], found[f"{name}_gradient"] = loss_and_gradient(*case, compiled=True)
    model = build_crnn(CharDict.from_preset("alphanumeric36"))
    set_weights(model, seed=3)
    found["set_logits"] = logits_of(model)
    if keras.backend.backend() == "torch":
        found["hooked_logits"], found["hooked"] = hooked_logits(model)
    found["loaded_logits"] = logits_of(keras.models.load_model(model_path, compile=False))
    predictions = Recognizer.load("words").read(rendered_words())
    found["texts"] = [prediction.text for prediction in predictions]
    found["confidences"] = [prediction.confidence for prediction in predictions]
    for architecture in ARCHITECTURES:
        name = f"{architecture}_step"
        found[f"{name}_loss"], found[f"{name}_weights"] = one_step(architecture)
    np.savez(out, **found)


if __name__ == "__main__":
    with zero_initializers():
        compute(*sys.argv[1:])
