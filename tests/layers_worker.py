"""Our layers and Keras' own on the backend of this process: same weights, same inputs.

python layers_worker.py OUT.npz
"""

import contextlib
import sys
from unittest import mock

import keras
import numpy as np

from crnn_keras.model import layers

BATCH = 6


def _conv(shape, kernel_size, strides, padding, use_bias=False):
    options = {"kernel_size": kernel_size, "strides": strides, "padding": padding}
    return shape, "Conv2D", {"filters": 4, "use_bias": use_bias, **options}


# What the fast paths support: shape of an image or a sequence, name of the layer, its options.
FAST_CASES = {
    "conv 3 by 3": _conv((9, 13, 2), 3, 1, "same", use_bias=True),
    "conv 5 by 5, strides 2": _conv((8, 10, 1), 5, 2, "same"),
    "conv of odd height, strides 2 and 1": _conv((7, 10, 3), 3, (2, 1), "same"),
    "conv of many channels": _conv((5, 6, 9), 3, (2, 1), "same"),
    "conv of even kernel": _conv((5, 6, 2), 2, 1, "same"),
    "conv as high as the image": _conv((2, 9, 3), (2, 3), 1, "valid"),
    "conv that leaves rows over": _conv((10, 11, 2), (3, 2), (4, 3), "valid"),
    "conv of strides wider than the kernel": _conv((9, 9, 2), 2, 3, "same"),
    "pool": ((4, 6, 2), "MaxPooling2D", {"pool_size": (2, 3)}),
    "pool that leaves rows over": ((5, 4, 2), "MaxPooling2D", {"pool_size": 2}),
    "norm of images": ((4, 5, 3), "BatchNormalization", {"momentum": 0.7}),
    "norm of one row": ((1, 6, 2), "BatchNormalization", {"epsilon": 0.1}),
    "lstm": ((7, 3), "Bidirectional", {"units": 5}),
    "lstm of one frame": ((1, 3), "Bidirectional", {"units": 4}),
}


def _lstm(units=4, **options):
    return keras.layers.LSTM(units, **{"return_sequences": True, "seed": 1, **options})


def _image_case(name, *arguments, shape=(6, 6, 4), dtype="float32", call=None, **options):
    return shape, dtype, lambda wing: getattr(wing, name)(*arguments, **options), call or {}


def _lstm_case(make=_lstm, dtype="float32", call=None, **options):
    """A case of `Bidirectional`. `make` makes the inner layer, or a pair of them."""

    def build(wing):
        inner = make()
        forward, backward = inner if isinstance(inner, tuple) else (inner, None)
        return wing.Bidirectional(forward, backward_layer=backward, **options)

    return (4, 4), dtype, build, call or {}


def _draw(*shape):
    return np.random.default_rng(11).normal(size=shape).astype("float32")


_MASK = np.random.default_rng(12).random((BATCH, 4)) < 0.7
_IMAGE_MASK = np.random.default_rng(13).random((BATCH, 6, 6)) < 0.7

# Options for which a layer must call Keras' own: shape and dtype of the inputs, a function of the
# module (`layers` or `keras.layers`) that makes the layer, arguments of its call. Equal shapes
# spare JAX from compiling.
KERAS_CASES = {
    "conv, dilated": _image_case("Conv2D", 4, 3, dilation_rate=2),
    "conv, two groups": _image_case("Conv2D", 4, 3, groups=2, padding="same"),
    "conv, channels first": _image_case("Conv2D", 4, 3, data_format="channels_first"),
    "conv, activation": _image_case("Conv2D", 4, 3, activation="tanh"),
    "conv, LoRA": _image_case("Conv2D", 4, 3, lora_rank=2),
    "conv of whole numbers": _image_case("Conv2D", 4, 3, dtype="uint8"),
    "pool, small strides": _image_case("MaxPooling2D", 2, strides=1),
    "pool, small strides, padded": _image_case("MaxPooling2D", 2, strides=1, padding="same"),
    "pool, large strides": _image_case("MaxPooling2D", 2, strides=3),
    "pool, padded": _image_case("MaxPooling2D", (2, 3), padding="same"),
    "pool, channels first": _image_case("MaxPooling2D", (2, 1), data_format="channels_first"),
    "norm, first axis": _image_case("BatchNormalization", axis=1),
    "norm, last axis by its number": _image_case("BatchNormalization", axis=3),
    "norm, no scale": _image_case("BatchNormalization", scale=False),
    "norm, no offset": _image_case("BatchNormalization", center=False),
    "norm, renorm": _image_case("BatchNormalization", renorm=True),
    "norm, mask": _image_case("BatchNormalization", call={"mask": _IMAGE_MASK}),
    "norm, 16 bits": _image_case("BatchNormalization", dtype="bfloat16"),
    "norm of rows": _image_case("BatchNormalization", shape=(4,)),
    "norm of sequences": _image_case("BatchNormalization", shape=(4, 4)),
    "norm of sequences, mask": _image_case(
        "BatchNormalization", shape=(4, 4), call={"mask": _MASK}
    ),
    "norm of whole numbers": _image_case("BatchNormalization", dtype="uint8"),
    "lstm, summed": _lstm_case(merge_mode="sum"),
    "lstm, multiplied": _lstm_case(merge_mode="mul"),
    "lstm, averaged": _lstm_case(merge_mode="ave"),
    "lstm, not merged": _lstm_case(merge_mode=None),
    "lstm, last frame only": _lstm_case(lambda: _lstm(return_sequences=False)),
    "lstm, state": _lstm_case(lambda: _lstm(return_state=True)),
    "lstm, stateful": _lstm_case(lambda: _lstm(stateful=True)),
    "lstm, backwards first": _lstm_case(lambda: (_lstm(go_backwards=True), _lstm())),
    "lstm, sizes differ": _lstm_case(lambda: (_lstm(4), _lstm(2, go_backwards=True))),
    "lstm, activation": _lstm_case(lambda: _lstm(activation="relu")),
    "lstm, recurrent activation": _lstm_case(lambda: _lstm(recurrent_activation="relu")),
    "lstm, no bias": _lstm_case(lambda: _lstm(use_bias=False)),
    "lstm, dropout": _lstm_case(lambda: _lstm(dropout=0.5)),
    "lstm, recurrent dropout": _lstm_case(lambda: _lstm(recurrent_dropout=0.5)),
    "lstm, unrolled": _lstm_case(lambda: _lstm(unroll=True)),
    "lstm, cuDNN": _lstm_case(lambda: _lstm(use_cudnn=True)),
    "lstm, regularized outputs": _lstm_case(lambda: _lstm(activity_regularizer="l2")),
    "lstm, inner 16 bits": _lstm_case(lambda: _lstm(dtype="mixed_bfloat16")),
    "lstm, mask": _lstm_case(call={"mask": _MASK}),
    "lstm, initial state": _lstm_case(call={"initial_state": list(_draw(4, BATCH, 4))}),
    "lstm of whole numbers": _lstm_case(dtype="uint8"),
    "gru": _lstm_case(lambda: keras.layers.GRU(4, return_sequences=True)),
    "simple rnn": _lstm_case(lambda: keras.layers.SimpleRNN(4, return_sequences=True)),
}


def set_weights(layer, seed):
    """Gives a layer or a model weights that depend on nothing but the seed."""
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        values = rng.normal(size=weight.shape) * 0.1
        positive = "variance" in weight.path or "stddev" in weight.path
        weight.assign(np.abs(values) + 0.5 if positive else values)


@contextlib.contextmanager
def zero_initializers():
    """Lets layers begin with zeros, for `set_weights`: JAX compiles for seconds to draw them."""

    def zeros(self, shape, dtype=None):
        return keras.ops.zeros(shape, dtype)

    with contextlib.ExitStack() as stack:
        for initializer in (keras.initializers.VarianceScaling, keras.initializers.Orthogonal):
            stack.enter_context(mock.patch.object(initializer, "__call__", zeros))
        yield


def _pair(name, precision, **options):
    """A layer of ours and the one of Keras that it stands for."""
    options |= {"dtype": precision}
    if name == "Bidirectional":
        return [
            wing.Bidirectional(keras.layers.LSTM(return_sequences=True, **options), dtype=precision)
            for wing in (layers, keras.layers)
        ]
    return [getattr(wing, name)(**options) for wing in (layers, keras.layers)]


def fast_cases(precision="float32"):
    """Computes what each layer of ours, and Keras' own, make of the same weights and images.

    They compute in a precision. Each is behind a dense layer, whose step shows the gradient of the
    layer's inputs. All are branches of one model, since compiling is what takes long.

    Returns:
        Two dicts of arrays, by `"case: what"`: outputs before and after a training step, and each
        weight before and after it.
    """
    rng = np.random.default_rng(4)
    images = {
        case: rng.normal(size=(BATCH, *shape)).astype("float32")
        for case, (shape, _, _) in FAST_CASES.items()
    }
    both = []
    for index in range(2):
        inputs = [keras.Input(shape) for shape, _, _ in FAST_CASES.values()]
        branches = [
            _pair(name, precision, **options)[index](keras.layers.Dense(shape[-1])(tensor))
            for tensor, (shape, name, options) in zip(inputs, FAST_CASES.values(), strict=True)
        ]
        models = {
            case: keras.Model(tensor, branch)
            for case, tensor, branch in zip(FAST_CASES, inputs, branches, strict=True)
        }
        found = {}

        def collect(when, models=models, found=found):
            for case, model in models.items():
                outputs = model(images[case], training=False)
                found[f"{case}: outputs {when}"] = _array(outputs)
                for position, weight in enumerate(model.weights):
                    found[f"{case}: weight {position} {when}"] = _array(weight)

        for model in models.values():
            set_weights(model, seed=7)
        collect("before")
        rng = np.random.default_rng(8)
        targets = [rng.normal(size=found[f"{case}: outputs before"].shape) for case in models]
        joint = keras.Model(inputs, branches)
        joint.compile(keras.optimizers.SGD(1.0), loss=["mse"] * len(branches))
        joint.train_on_batch(list(images.values()), [t.astype("float32") for t in targets])
        collect("after")
        both.append(found)
    return both


def _array(tensor):
    return np.array(keras.ops.convert_to_numpy(tensor)).astype("float32")


def keras_case(case, wing):
    """Calls a layer twice in use and once in training, and computes the gradient of its inputs.

    Returns:
        Dict of arrays: outputs, the gradient (unless inputs are whole numbers), losses, weights
        afterwards, and how often a recurrent cell was called. It ends with the type of an error.
    """
    shape, dtype, make, call = KERAS_CASES[case]
    rng = np.random.default_rng(21)
    drawn = rng.integers(0, 9, (BATCH, *shape)) if dtype == "uint8" else _draw(BATCH, *shape)
    inputs = keras.ops.convert_to_tensor(drawn, dtype)
    call = {
        name: keras.tree.map_structure(keras.ops.convert_to_tensor, value)
        for name, value in call.items()
    }
    layer = make(wing)
    found, calls = {}, []
    try:
        layer.build((BATCH, *shape))
        set_weights(layer, seed=7)
        _count_calls_of_cell(layer, calls)
        for when in ("used", "used again"):
            outputs = _call(layer, inputs, training=False, **call)
            found |= {f"{when} {i}": _array(output) for i, output in enumerate(outputs)}
        found["calls"] = np.array(len(calls))
        outputs, gradient, losses = _train(layer, inputs, call)
    except Exception as error:
        return found | {"error": np.array(type(error).__name__)}
    found |= {f"trained {i}": _array(output) for i, output in enumerate(outputs)}
    found |= {f"weight {i}": _array(weight) for i, weight in enumerate(layer.weights)}
    if gradient is not None:
        found["gradient"] = _array(gradient)
    return found | {"losses": np.array(losses)}


def _count_calls_of_cell(layer, calls):
    if hasattr(layer, "forward_layer"):
        cell = layer.forward_layer.cell
        original = cell.call

        def counted(*arguments, **options):
            calls.append(1)
            return original(*arguments, **options)

        cell.call = counted


def _call(layer, inputs, training, **call):
    """Returns the outputs of a layer as a list."""
    if isinstance(layer, (keras.layers.Conv2D, keras.layers.MaxPooling2D)):
        return [layer(inputs)]
    return keras.tree.flatten(layer(inputs, training=training, **call))


def _total(outputs):
    """A number to which each output contributes with another weight."""
    total = 0.0
    for output in outputs:
        weights = 1 + 0.1 * np.arange(np.prod(output.shape), dtype="float32")
        weights = keras.ops.convert_to_tensor(weights.reshape(output.shape))
        total += keras.ops.sum(keras.ops.cast(output, "float32") * weights)
    return total


def _train(layer, inputs, call):
    """Returns outputs, gradient of the inputs and losses of a call in training."""
    found = {"tensorflow": _by_tensorflow, "jax": _by_jax, "torch": _by_torch}
    differentiable = keras.backend.standardize_dtype(inputs.dtype) != "uint8"
    return found[keras.backend.backend()](layer, inputs, call, differentiable=differentiable)


def _by_tensorflow(layer, inputs, call, *, differentiable):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = _call(layer, inputs, training=True, **call)
        total = _total(outputs)
    gradient = tape.gradient(total, inputs) if differentiable else None
    return outputs, gradient, [float(loss) for loss in layer.losses]


def _by_jax(layer, inputs, call, *, differentiable):
    # Without the gradient: to compile those of all cases takes longer than everything else here.
    return _call(layer, inputs, training=True, **call), None, [float(x) for x in layer.losses]


def _by_torch(layer, inputs, call, *, differentiable):
    inputs.requires_grad_(differentiable)
    outputs = _call(layer, inputs, training=True, **call)
    if differentiable:
        _total(outputs).backward()
    return outputs, inputs.grad, [float(loss.detach()) for loss in layer.losses]


def synchronized_norms():
    """Computes means over two TensorFlow devices: what our layer and Keras' make of two halves."""
    import tensorflow as tf

    halves = np.random.default_rng(5).normal(size=(2, 3, 4, 5, 2)).astype("float32")
    halves[1] += 3
    found = []
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        for wing in (layers, keras.layers):
            layer = wing.BatchNormalization(synchronized=True)
            layer.build(halves.shape[1:])
            values = strategy.experimental_distribute_values_from_function(
                lambda context: tf.constant(halves[context.replica_id_in_sync_group])
            )
            call = tf.function(lambda values, layer=layer: layer(values, training=True))
            outputs = strategy.run(call, args=(values,))
            arrays = [_array(o) for o in strategy.experimental_local_results(outputs)]
            found.append({"outputs": np.stack(arrays), "mean": _array(layer.moving_mean)})
    return found


def residual_with_channels_first():
    """Computes a residual layer, and the same by Keras' layers, where channels are first."""
    inputs = keras.ops.convert_to_tensor(_draw(2, 4, 5, 3))
    keras.config.set_image_data_format("channels_first")
    try:
        layer = layers.ResidualConv2D(momentum=0.8)
        layer.build(inputs.shape)
        set_weights(layer, seed=7)
        ours = layer(inputs, training=True)
    finally:
        keras.config.set_image_data_format("channels_last")
    conv = keras.layers.Conv2D(3, 3, padding="same", use_bias=False)
    norm = keras.layers.BatchNormalization(momentum=0.8)
    model = keras.Sequential([keras.Input(inputs.shape[1:]), conv, norm])
    conv.kernel.assign(layer.conv.kernel)
    norm.gamma.assign(layer.norm.gamma)
    norm.beta.assign(layer.norm.beta)
    theirs = keras.ops.relu(inputs + model(inputs, training=True))
    return [{"outputs": _array(outputs)} for outputs in (ours, theirs)]


def without_torch_lstm():
    """Computes our BiLSTM and Keras' on a torch without its LSTM kernel."""
    import torch

    with mock.patch.object(torch, "lstm"):
        del torch.lstm
        found = []
        for wing in (layers, keras.layers):
            layer = wing.Bidirectional(_lstm())
            layer.build((BATCH, 4, 4))
            set_weights(layer, seed=7)
            found.append({"outputs": _array(layer(_draw(BATCH, 4, 4)))})
    return found


def hooks_called():
    """Counts the hooks on the inner layers of a BiLSTM that are called."""
    layer = layers.Bidirectional(_lstm())
    layer.build((BATCH, 4, 4))
    seen = []
    for inner in (layer.forward_layer, layer.backward_layer):
        inner.register_forward_hook(lambda *_: seen.append(1))
    layer(_draw(BATCH, 4, 4))
    return np.array(len(seen))


def _by_maker(prefix, pair):
    """Names a pair of dicts of arrays: ours and Keras'."""
    return {
        f"{maker} {prefix}{name}": value
        for maker, arrays in zip(("ours", "keras"), pair, strict=True)
        for name, value in arrays.items()
    }


def compute(out):
    backend = keras.backend.backend()
    found = {}
    if backend == "tensorflow":
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        halves = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, halves)
        found |= _by_maker("synchronized: ", synchronized_norms())
    with zero_initializers():
        found |= _by_maker("", fast_cases())
        if backend == "torch":
            found |= _by_maker("in 16 bits ", fast_cases("mixed_bfloat16"))
            found |= _by_maker("without kernel: ", without_torch_lstm())
            found["hooks"] = hooks_called()
        with _no_jit():
            for case in KERAS_CASES:
                pair = [keras_case(case, wing) for wing in (layers, keras.layers)]
                found |= _by_maker(f"{case}: ", pair)
            found |= _by_maker("residual: ", residual_with_channels_first())
    np.savez(out, **found)


def _no_jit():
    """Lets JAX run each operation by itself: compiling its loops takes minutes."""
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    import jax

    return jax.disable_jit()


if __name__ == "__main__":
    compute(*sys.argv[1:])
