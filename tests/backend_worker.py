"""What the tests compute in processes of their own, one backend each.

python backend_worker.py compute MODEL.keras OUT.npz
"""

import sys

import keras
import numpy as np

from crnn_keras import synth
from crnn_keras import training as training
from crnn_keras.char_dict import CharDict
from crnn_keras.inference.recognizer import Recognizer
from crnn_keras.model import layers
from crnn_keras.model.architectures import ARCHITECTURES
from crnn_keras.model.crnn import build_crnn
from crnn_keras.model.ctc import CTCLoss, ctc_loss


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
    """Images to read: 3 canvases of 32 x 100 pixels."""
    return np.random.default_rng(2).integers(0, 256, size=(3, 32, 100, 1), dtype=np.uint8)


def rendered_words():
    """40 encoded images of words."""
    texts = synth.WordTexts(synth.read_words(), seed=1)
    fonts = synth.bundled_fonts()
    return [synth.render_jpeg(texts.text(i), fonts, seed=1, index=i) for i in range(40)]


def logits_of(model):
    return keras.ops.convert_to_numpy(model.predict_on_batch(canvases()))


def hooked_logits(model):
    """Logits of a model with a hook on each layer, as torch's tools put them, and what they saw."""
    seen = []
    hooks = [
        layer.register_forward_hook(lambda layer, *_: seen.append(layer.name))
        for layer in model.layers
    ]
    logits = logits_of(model)
    for hook in hooks:
        hook.remove()
    return logits, [layer.name in seen for layer in model.layers[1:]]


def _twin(kind, precision, **options):
    """A layer of ours and the one of Keras that it stands for."""
    options |= {"dtype": precision}
    if kind == "Bidirectional":
        return [
            bidirectional(keras.layers.LSTM(return_sequences=True, **options), dtype=precision)
            for bidirectional in (layers.Bidirectional, keras.layers.Bidirectional)
        ]
    return [getattr(room, kind)(**options) for room in (layers, keras.layers)]


def _conv_case(shape, kernel_size, strides, padding, use_bias=False):
    options = {"kernel_size": kernel_size, "strides": strides, "padding": padding}
    return shape, "Conv2D", {"filters": 4, "use_bias": use_bias, **options}


# Input shape of an image or a sequence, name of the layer, its options.
LAYER_CASES = {
    "conv 3 by 3": _conv_case((9, 13, 2), 3, 1, "same", use_bias=True),
    "conv 5 by 5, strides 2": _conv_case((8, 10, 1), 5, 2, "same"),
    "conv of odd height, strides 2 and 1": _conv_case((7, 10, 3), 3, (2, 1), "same"),
    "conv of many channels": _conv_case((5, 6, 9), 3, (2, 1), "same"),
    "conv of even kernel": _conv_case((5, 6, 2), 2, 1, "same"),
    "conv as high as the image": _conv_case((2, 9, 3), (2, 3), 1, "valid"),
    "conv that leaves rows over": _conv_case((10, 11, 2), (3, 2), (4, 3), "valid"),
    "conv of strides wider than the kernel": _conv_case((9, 9, 2), 2, 3, "same"),
    "pool": ((4, 6, 2), "MaxPooling2D", {"pool_size": (2, 3)}),
    "pool that leaves rows over": ((5, 4, 2), "MaxPooling2D", {"pool_size": 2}),
    "norm of images": ((4, 5, 3), "BatchNormalization", {"momentum": 0.7}),
    "norm of one row": ((1, 6, 2), "BatchNormalization", {"epsilon": 0.1}),
    "lstm": ((7, 3), "Bidirectional", {"units": 5}),
    "lstm of one frame": ((1, 3), "Bidirectional", {"units": 4}),
}


def layer_twins(precision="float32"):
    """What each layer of ours, and Keras' own, make of the same weights and images.

    They compute in a precision. Each stands behind a dense layer, whose step shows the gradient to
    the layer's inputs. All are branches of one model, since compiling is what takes long.

    Returns:
        Two dicts of arrays, by `"case: what"`: outputs in use before and after a training step, and
        each weight before and after it.
    """
    rng = np.random.default_rng(4)
    images = {
        case: rng.normal(size=(6, *shape)).astype("float32")
        for case, (shape, _, _) in LAYER_CASES.items()
    }
    both = []
    for maker in range(2):
        inputs = [keras.Input(shape) for shape, _, _ in LAYER_CASES.values()]
        branches = [
            _twin(kind, precision, **options)[maker](keras.layers.Dense(shape[-1])(given))
            for given, (shape, kind, options) in zip(inputs, LAYER_CASES.values(), strict=True)
        ]
        parts = {
            case: keras.Model(given, branch)
            for case, given, branch in zip(LAYER_CASES, inputs, branches, strict=True)
        }
        found = {}

        def look(when, parts=parts, found=found):
            for case, part in parts.items():
                used = part(images[case], training=False)
                found[f"{case}: used {when}"] = keras.ops.convert_to_numpy(used).astype("float32")
                for number, weight in enumerate(part.weights):
                    found[f"{case}: weight {number} {when}"] = weight.numpy()

        for part in parts.values():
            set_weights(part, seed=7)
        look("before")
        rng = np.random.default_rng(8)
        targets = [rng.normal(size=found[f"{case}: used before"].shape) for case in parts]
        whole = keras.Model(inputs, branches)
        whole.compile(keras.optimizers.SGD(1.0), loss=["mse"] * len(branches))
        whole.train_on_batch(list(images.values()), [t.astype("float32") for t in targets])
        look("after")
        both.append(found)
    return both


def one_step(architecture):
    """Loss and weights after one training step from given weights, without dropout."""
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


def compute(model_file, out):
    found = {}
    for name, case in (("few", few_classes()), ("many", many_classes())):
        found[f"{name}_loss"], found[f"{name}_gradient"] = loss_and_gradient(*case, compiled=True)
    model = build_crnn(CharDict.from_preset("alphanumeric36"))
    set_weights(model, seed=3)
    found["set_logits"] = logits_of(model)
    if keras.backend.backend() == "torch":
        found["hooked_logits"], found["hooked"] = hooked_logits(model)
    found["loaded_logits"] = logits_of(keras.models.load_model(model_file, compile=False))
    readings = Recognizer.load("words").read(rendered_words())
    found["texts"] = [reading.text for reading in readings]
    found["confidences"] = [reading.confidence for reading in readings]
    for architecture in ARCHITECTURES:
        name = f"{architecture}_step"
        found[f"{name}_loss"], found[f"{name}_weights"] = one_step(architecture)
    for maker, arrays in zip(("ours", "keras"), layer_twins(), strict=True):
        found |= {f"{maker} {name}": values for name, values in arrays.items()}
    if keras.backend.backend() == "torch":
        for maker, arrays in zip(("ours", "keras"), layer_twins("mixed_bfloat16"), strict=True):
            found |= {f"{maker} in 16 bits {name}": values for name, values in arrays.items()}
    np.savez(out, **found)


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    if task == "compute":
        compute(*arguments)
