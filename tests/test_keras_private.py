"""Undocumented names of Keras and torch: still there, and the slower way without them."""

import importlib.util
import inspect
import subprocess
import sys

import keras
import numpy as np
import pytest
from backends import run_worker
from layers_worker import set_weights

from crnn_keras.model.crnn import build_crnn
from crnn_keras.utils import keras_private

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed"
)


def test_importing_the_module_and_backend_helpers_imports_no_keras():
    program = (
        "import sys; import crnn_keras.utils.keras_private, crnn_keras.utils.backend;"
        "sys.exit(bool({'keras', 'tensorflow', 'torch', 'jax'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


# Keras' `_call_has_training_arg`


class WithoutName:
    """A layer of a Keras that has renamed the attribute."""

    def __init__(self, layer):
        self.call = layer.call


@pytest.mark.parametrize("layer", [keras.layers.Dropout(0.5), keras.layers.ReLU()])
def test_keras_knows_whether_a_layer_takes_training(layer):
    takes_training = "training" in inspect.signature(layer.call).parameters
    assert layer._call_has_training_arg == takes_training
    assert keras_private.has_training_argument(layer) == takes_training
    assert keras_private.has_training_argument(WithoutName(layer)) == takes_training


# torch's hooks


@pytest.fixture
def module(monkeypatch):
    """A torch module, where Keras' backend is torch."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    return torch.nn.Linear(1, 1)


@needs_torch
@pytest.mark.parametrize(
    "register",
    [
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
    ],
)
def test_each_kind_of_hook_is_seen_until_it_is_removed(module, register):
    assert not keras_private.has_hooks(module)
    hook = getattr(module, register)(lambda *_: None)
    assert keras_private.has_hooks(module)
    hook.remove()
    assert not keras_private.has_hooks(module)


@needs_torch
def test_hook_on_all_modules_is_seen_until_it_is_removed(module):
    from torch.nn.modules.module import register_module_forward_hook

    hook = register_module_forward_hook(lambda *_: None)
    assert keras_private.has_hooks(module)
    hook.remove()
    assert not keras_private.has_hooks(module)


@needs_torch
@pytest.mark.parametrize(
    "name", ["_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"]
)
def test_module_without_a_name_may_have_hooks(module, name):
    delattr(module, name)
    assert keras_private.has_hooks(module)


@needs_torch
def test_torch_without_the_name_of_global_hooks_may_have_hooks(module, monkeypatch):
    monkeypatch.delattr("torch.nn.modules.module._has_any_global_hook")
    assert keras_private.has_hooks(module)


def test_layer_of_another_backend_has_no_hooks(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert not keras_private.has_hooks(keras.layers.ReLU())


def test_model_gives_the_same_logits_without_private_names_of_keras(char_dict, monkeypatch):
    model = build_crnn(char_dict)
    set_weights(model, seed=3)
    canvases = np.random.default_rng(2).integers(0, 256, (2, 32, 100, 1)).astype("uint8")
    expected = keras.ops.convert_to_numpy(model(canvases, training=False))
    # What has lost its names: each layer is called as a whole.
    monkeypatch.setattr(keras_private, "has_hooks", lambda layer: True)
    found = keras.ops.convert_to_numpy(model(canvases, training=False))
    np.testing.assert_array_equal(found, expected)


# torch's LSTM kernel (`test_layers.py` calls Keras' own layer without it)


@needs_torch
def test_lstm_kernel_gives_what_the_module_gives():
    import torch

    lstm = torch.nn.LSTM(3, 4, batch_first=True, bidirectional=True)
    inputs = torch.randn(2, 5, 3)
    zeros = torch.zeros(2, 2, 4)
    parameters = [
        getattr(lstm, f"{name}_l0{suffix}")
        for suffix in ("", "_reverse")
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]
    outputs, _, _ = keras_private.torch_lstm()(
        inputs, (zeros, zeros), parameters, True, 1, 0.0, False, True, True
    )
    torch.testing.assert_close(outputs, lstm(inputs)[0])


@needs_torch
def test_lstm_kernel_may_be_missing(monkeypatch):
    monkeypatch.delattr("torch.lstm")
    assert keras_private.torch_lstm() is None


# Clipping on torch: the layers are told that they are on a GPU, in a process on torch


CLIPPING = """
import keras, numpy as np, torch
from unittest import mock
from crnn_keras.training import make_optimizer
from crnn_keras.utils import backend

keras_way = keras.optimizers.AdamW(1e-3, global_clipnorm=5.0)._clip_gradients
with mock.patch.object(backend, "device_kind", lambda: "gpu"):
    clip = make_optimizer("adamw", 1e-3)._clip_gradients
assert clip.__name__ == "clip"
for largest in (1.0, 100.0, 0.0, float("inf"), float("nan")):
    gradients = [torch.tensor([largest, -1.0]) * (largest != 0), torch.full((2, 3), largest)]
    here, there = clip(gradients), keras_way(gradients)
    for one, other in zip(here, there, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
norm = sum(float((g**2).sum()) for g in clip([torch.tensor([30.0, 40.0])])) ** 0.5
assert abs(norm - 5.0) < 1e-5, norm
assert make_optimizer("adamw", 1e-3)._clip_gradients.__name__ == "_clip_gradients"
del torch._foreach_norm
with mock.patch.object(backend, "device_kind", lambda: "gpu"):
    assert make_optimizer("sgd", 1e-3)._clip_gradients.__name__ == "_clip_gradients"
"""


@needs_torch
@pytest.mark.backends
def test_gradients_are_clipped_in_few_kernels_as_keras_clips_them(tmp_path):
    program = tmp_path / "clipping.py"
    program.write_text(CLIPPING)
    assert run_worker("torch", program).returncode == 0


# The end of torch's backward pass (`test_distribute.py` averages gradients without it)


@needs_torch
def test_function_runs_once_at_the_end_of_each_backward():
    import torch

    weights = [torch.ones(2, requires_grad=True) for _ in range(3)]
    seen = []
    queue = keras_private.once_after_backward(
        lambda: seen.append([weight.grad.tolist() for weight in weights])
    )
    for weight in weights:
        weight.register_post_accumulate_grad_hook(lambda _: queue())
    for factor in (1.0, 2.0):
        for weight in weights:
            weight.grad = None
        (factor * sum(weight.sum() for weight in weights)).backward()
    assert seen == [[[1.0, 1.0]] * 3, [[2.0, 2.0]] * 3]


@needs_torch
def test_function_runs_after_a_backward_that_failed_half_way():
    import torch

    weight, other = (torch.ones(1, requires_grad=True) for _ in range(2))
    calls = []
    queue = keras_private.once_after_backward(lambda: calls.append(1))
    weight.register_post_accumulate_grad_hook(lambda _: queue())

    def fail(_):
        raise ArithmeticError

    other.register_hook(fail)
    with pytest.raises(ArithmeticError):
        (weight + other.exp()).sum().backward()
    assert not calls
    weight.sum().backward()
    assert calls == [1]


@needs_torch
@pytest.mark.parametrize(
    "name", ["torch._C._current_graph_task_id", "torch.autograd.Variable._execution_engine"]
)
def test_end_of_backward_may_be_unknown(monkeypatch, name):
    monkeypatch.delattr(name)
    assert keras_private.once_after_backward(print) is None
