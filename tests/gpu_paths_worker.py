"""What layers and loss do on a GPU, computed on the CPU: they are told that they are on one.

python gpu_paths_worker.py OUT.npz
"""

import functools
import sys
from unittest import mock

import keras
import numpy as np
from layers_worker import BATCH, fast_cases, set_weights, zero_initializers

from crnn_keras.char_dict import CharDict
from crnn_keras.images import Canvas
from crnn_keras.model import layers
from crnn_keras.model.crnn import CRNN, build_crnn
from crnn_keras.model.ctc import CTCLoss
from crnn_keras.utils import backend

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
KEPT = ("small", "wide", "paper")
ARCHITECTURE = {
    "filters": [8, 12],
    "kernel_sizes": [3, 3],
    "strides": [[2, 2], [2, 1]],
    "pool_sizes": [[1, 1], [2, 2]],
    "residuals": [0, 1],
    "batch_norm": [False, True],
    "frame_kernel_width": 3,
    "frame_batch_norm": True,
    "lstm_units": [6],
    "dropout": 0.1,
}


def as_on_a_gpu():
    """Tells the layers that this process computes on a GPU."""
    return mock.patch.object(backend, "device_kind", lambda: "gpu")


def _lstm(wing, precision, units=5):
    lstm = keras.layers.LSTM(units, return_sequences=True, dtype=precision)
    layer = wing.Bidirectional(lstm, dtype=precision)
    layer.build((BATCH, 7, 3))
    set_weights(layer, seed=7)
    return layer


def _sequences():
    return np.random.default_rng(3).normal(size=(BATCH, 7, 3)).astype("float32")


# JAX


def reference_lstm(seen):
    """Makes JAX' own reference in place of cuDNN's LSTM, which notes what it is called with."""
    from jax.experimental import rnn

    def lstm(x, h_0, c_0, weights, seq_lengths, **options):
        seen.append(sorted({str(array.dtype) for array in (x, h_0, c_0, weights)}))
        sizes = {name: value for name, value in options.items() if name != "dropout"}
        unpacked = rnn.unpack_lstm_weights(weights, **sizes)
        return rnn.lstm_ref(x, h_0, c_0, *unpacked, seq_lengths, **options)

    return mock.patch.object(rnn, "lstm", lstm)


def jax_values(precision):
    """Computes outputs, their dtype and all gradients of a BiLSTM."""
    import jax

    layer = _lstm(layers, precision)
    state = [variable.value for variable in layer.non_trainable_variables]

    def total(weights, sequences):
        # Keras casts no inputs of a Bidirectional: in a model they are in its precision already.
        sequences = keras.ops.cast(sequences, layer.compute_dtype)
        outputs, _ = layer.stateless_call(weights, state, sequences)
        factors = 1 + 0.01 * np.arange(outputs.size, dtype="float32").reshape(outputs.shape)
        return (outputs.astype("float32") * factors).sum(), outputs

    weights = [variable.value for variable in layer.trainable_variables]
    gradients, outputs = jax.grad(total, argnums=(0, 1), has_aux=True)(weights, _sequences())
    named = {f"weight {i}": np.asarray(array) for i, array in enumerate(gradients[0])}
    named |= {"inputs": np.asarray(gradients[1]), "outputs": np.asarray(outputs, "float32")}
    return named | {"dtype": np.array(str(outputs.dtype))}


def lower_for_cuda(wing, precision):
    """Lowers a step of a BiLSTM for CUDA, which needs no GPU; returns its calls of cuDNN."""
    import jax
    from jax.experimental import rnn
    from jax.interpreters import mlir
    from jaxlib import gpu_rnn

    # What JAX' plugin for CUDA would compute.
    plugin = mock.Mock(build_rnn_descriptor=lambda *_: "descriptor")
    for primitive, lowering in (
        (rnn.rnn_fwd_p, gpu_rnn._rnn_fwd_lowering),
        (rnn.rnn_bwd_p, gpu_rnn._rnn_bwd_lowering),
    ):
        lowering = functools.partial(lowering, plugin, "cu")
        mlir.register_lowering(primitive, lowering, platform="cuda")
    sizes = mock.patch.object(
        gpu_rnn, "compute_rnn_workspace_reserve_space_sizes", lambda *_: (16, 16), create=True
    )
    with sizes, as_on_a_gpu(), mock.patch.object(jax, "default_backend", lambda: "gpu"):
        layer = _lstm(wing, precision)
        weights = [variable.value for variable in layer.trainable_variables]
        state = [variable.value for variable in layer.non_trainable_variables]

        def total(weights, sequences):
            sequences = keras.ops.cast(sequences, layer.compute_dtype)
            return layer.stateless_call(weights, state, sequences)[0].sum().astype("float32")

        gradient = jax.grad(total)
        calls = ("cudnn_rnn_ffi", "cudnn_rnn_bwd_ffi")
        checks = [jax.export.DisabledSafetyCheck.custom_call(name) for name in calls]
        try:
            exported = jax.export.export(
                jax.jit(gradient), platforms=["cuda"], disabled_checks=checks
            )(weights, _sequences())
        except ValueError as error:
            return str(error)
    program = str(exported.mlir_module())
    return " ".join(name for name in calls if f"@{name}" in program)


def on_jax():
    found = {}
    for precision in PRECISIONS:
        seen = []
        with as_on_a_gpu(), reference_lstm(seen):
            values = jax_values(precision)
        with as_on_a_gpu(), mock.patch.dict(sys.modules, {"jax.experimental.rnn": None}):
            without = jax_values(precision)
        for way, arrays in (("", values), ("without cuDNN ", without)):
            found |= {f"{precision} {way}{name}": array for name, array in arrays.items()}
        found[f"{precision} seen"] = np.array([name for names in seen for name in names], "U")
        for maker, wing in (("ours", layers), ("keras", keras.layers)):
            found[f"{precision} lowered, {maker}"] = np.array(lower_for_cuda(wing, precision))
    return found


# torch


def one_step(precision, *, hooked):
    """Computes logits, loss and weights of a training step; with hooks Keras calls each layer."""
    keras.utils.set_random_seed(1)
    char_dict = CharDict.from_preset("digits")
    model = CRNN(char_dict, Canvas(widths=(32,)), **ARCHITECTURE, precision=precision)
    set_weights(model, seed=3)
    if hooked:
        for layer in model.layers:
            layer.register_forward_hook(lambda *_: None)
    rng = np.random.default_rng(9)
    canvases = rng.integers(0, 256, (4, 32, 32, 1)).astype("uint8")
    labels = rng.integers(1, 11, (4, 3)).astype("int32")
    model.compile(keras.optimizers.SGD(0.1), CTCLoss())
    found = {"logits": keras.ops.convert_to_numpy(model(canvases, training=False))}
    # A call that skips `Layer.__call__` has no weights of 16 bits.
    found["not as a layer"] = keras.ops.convert_to_numpy(model.call(canvases, training=False))
    found["loss"] = np.float64(model.train_on_batch(canvases, labels))
    return found | {"weights": np.concatenate([weight.numpy().ravel() for weight in model.weights])}


def lstm_on_torch(precision):
    """Computes a BiLSTM by weights packed for cuDNN, and by Keras: outputs, gradients, calls."""
    import torch

    from crnn_keras.model.layers import bidirectional

    packed, calls = bidirectional._torch_cudnn_lstm, []

    def counted(*arguments):
        calls.append(1)
        return packed(*arguments)

    found = {}
    with mock.patch.dict(bidirectional._FUSED, {("torch", "gpu"): counted}):
        for maker, wing in (("ours", layers), ("keras", keras.layers)):
            layer = _lstm(wing, precision)
            sequences = torch.tensor(_sequences(), requires_grad=True)
            outputs = layer(sequences.to(getattr(torch, layer.compute_dtype))).float()
            factors = torch.linspace(1, 2, outputs.numel()).reshape(outputs.shape)
            (outputs * factors).sum().backward()
            arrays = {"outputs": outputs.detach(), "inputs": sequences.grad}
            arrays |= {f"weight {i}": v.value.grad for i, v in enumerate(layer.trainable_variables)}
            found |= {f"lstm in {precision}, {maker}: {n}": a.numpy() for n, a in arrays.items()}
    return found | {f"lstm in {precision}, calls": np.array(len(calls))}


def copies_of_images():
    """Counts copies of an image in convolution, norm and pooling, and whether memory stays NHWC."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    seen = []

    class Record(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            seen.append(function.overloadpacket.__name__)
            return function(*args, **(kwargs or {}))

    images = torch.randn(BATCH, 8, 12, 6)
    chain = [
        layers.Conv2D(6, 3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.MaxPooling2D((2, 1)),
        layers.Conv2D(6, (4, 3), use_bias=False),
    ]
    inner = []
    with torch.no_grad():
        for layer in chain:
            layer(images[:, :, :])
        with Record():
            for layer in chain:
                images = layer.call(images)
                inner.append(images.is_contiguous())
    copies = [name for name in seen if name in ("clone", "copy_", "_to_copy", "contiguous")]
    return {"copies": np.array(copies, "U"), "contiguous": np.array(inner)}


def packed_weights():
    """Packs six weights: returns the buffer, and where in it each view begins."""
    import torch

    from crnn_keras.model.layers.bidirectional import _packing

    rng = np.random.default_rng(5)
    shapes = [(3, 8), (2, 8), (8,)] * 2
    weights = [torch.tensor(rng.normal(size=shape), requires_grad=True) for shape in shapes]
    views = _packing().apply(*weights)
    buffer = torch.empty(0, dtype=torch.float64).set_(views[0].untyped_storage())
    sum(i * view.sum() for i, view in enumerate(views, start=1)).backward()
    return {
        "buffer": buffer.numpy(),
        "begins": np.array([view.storage_offset() for view in views]),
        "whole": np.array([view.is_contiguous() for view in views]),
        "gradients": np.array([float(weight.grad.mean()) for weight in weights]),
        **{f"weight {i}": weight.detach().numpy() for i, weight in enumerate(weights)},
    }


def bytes_kept_for_the_backward_pass(architecture):
    """Counts what torch keeps of an image until the backward pass, in bytes."""
    model = build_crnn(CharDict.from_preset("alphanumeric36"), None, architecture)
    few, more = (_bytes_kept(model, count) for count in (2, 6))
    # Without what does not depend on the number of images, such as packed weights.
    return np.array((more - few) / 4)


def _bytes_kept(model, count):
    import torch

    weights = {weight.value.untyped_storage().data_ptr() for weight in model.weights}
    rng = np.random.default_rng(0)
    canvases = rng.integers(0, 256, (count, 32, 100, 1)).astype("uint8")
    labels = torch.tensor(rng.integers(1, 37, (count, 8)))
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = CTCLoss()(labels, model(canvases, training=True))
    assert loss.requires_grad
    return sum(kept.values())


def numbers_copied_by_the_loss():
    """Counts numbers that the CTC loss makes tensors of, or reads from one."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    from crnn_keras.model.ctc import ctc_loss

    seen = []

    class Record(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            if function.overloadpacket.__name__ in ("_local_scalar_dense", "lift_fresh"):
                seen.append(str(function))
            return function(*args, **(kwargs or {}))

    logits = torch.randn(3, 9, 5, requires_grad=True)
    labels = torch.tensor([[1, 2], [3, 3], [4, 0]], dtype=torch.int32)
    with Record():
        ctc_loss(logits, labels).sum().backward()
    return np.array(len(seen))


def on_torch():
    found = {}
    with as_on_a_gpu(), zero_initializers():
        for precision in PRECISIONS:
            for maker, arrays in zip(("ours", "keras"), fast_cases(precision), strict=True):
                found |= {f"{precision} {maker} {name}": array for name, array in arrays.items()}
            found |= lstm_on_torch(precision)
        found |= copies_of_images()
        for name in KEPT:
            found[f"{name} kept"] = bytes_kept_for_the_backward_pass(name)
    for precision in PRECISIONS[:2]:
        for way in ("direct", "hooked"):
            step = one_step(precision, hooked=way == "hooked")
            found |= {f"{precision} {way} {name}": array for name, array in step.items()}
    found |= {f"packed {name}": array for name, array in packed_weights().items()}
    return found | {"numbers copied": numbers_copied_by_the_loss()}


if __name__ == "__main__":
    np.savez(sys.argv[1], **{"jax": on_jax, "torch": on_torch}[keras.backend.backend()]())
