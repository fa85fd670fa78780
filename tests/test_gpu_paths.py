"""The ways of computing that are taken on a GPU only, computed on the CPU: `gpu_paths_worker.py`.

Whether a GPU computes the same is what `make test-gpu` tells, on a machine that has one.
"""

import pathlib
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from backends import run_worker, skip_unless_installed
from gpu_paths_worker import KEPT, PRECISIONS
from layers_worker import FAST_CASES

from crnn_keras.training.distribute.advice import STEP_BYTES
from crnn_keras.utils import backend

WORKER = pathlib.Path(__file__).with_name("gpu_paths_worker.py")
MIXED = PRECISIONS[1:]
# A number of 8 (bfloat16) or 11 bits errs by up to half of its last one; some sums add up.
ROUNDING = {"float32": 1e-5, "mixed_bfloat16": 0.01, "mixed_float16": 0.00125}


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """Function that gives a backend's arrays, computed once."""
    folder, found = tmp_path_factory.mktemp("gpu_paths"), {}

    def arrays(name):
        if name not in found:
            skip_unless_installed(name)
            out = folder / f"{name}.npz"
            assert run_worker(name, WORKER, out).returncode == 0
            found[name] = dict(np.load(out))
        return found[name]

    return arrays


def starting(found, prefix):
    return {
        name.removeprefix(prefix): array for name, array in found.items() if name.startswith(prefix)
    }


# JAX


@pytest.mark.backends
@pytest.mark.parametrize("precision", PRECISIONS)
def test_jax_lowers_an_lstm_to_cudnn_for_cuda_in_every_precision(computed, precision):
    found = computed("jax")
    assert found[f"{precision} lowered, ours"] == "cudnn_rnn_ffi cudnn_rnn_bwd_ffi"


@pytest.mark.backends
@pytest.mark.parametrize("precision", MIXED)
def test_jax_cannot_lower_what_keras_asks_for_in_16_bits(computed, precision):
    """If this fails, Keras or JAX has mended it, and `_jax_cudnn_lstm` may go."""
    dtype = precision.removeprefix("mixed_")
    assert computed("jax")[f"{precision} lowered, keras"] == f"Unknown output type {dtype}"


@pytest.mark.backends
@pytest.mark.parametrize("precision", MIXED)
def test_jax_calls_cudnn_in_float32_and_returns_the_dtype_of_the_layer(computed, precision):
    found = computed("jax")
    assert found[f"{precision} seen"].tolist() == ["float32"]
    for way in ("", "without cuDNN "):
        assert found[f"{precision} {way}dtype"] == precision.removeprefix("mixed_")
    assert found["float32 seen"].size == 0  # Keras' own way


@pytest.mark.backends
@pytest.mark.parametrize("precision", MIXED)
@pytest.mark.parametrize(("way", "errors"), [("", 1), ("without cuDNN ", 2)])
def test_jax_lstm_in_16_bits_is_that_of_float32_but_for_rounding(computed, precision, way, errors):
    found = computed("jax")
    names = ["outputs", "inputs", *(f"weight {i}" for i in range(6))]
    for name in names:
        exact = found[f"float32 {name}"]
        bound = errors * ROUNDING[precision] * np.abs(exact).max()
        here = found[f"{precision} {way}{name}"]
        np.testing.assert_allclose(here, exact, rtol=0, atol=bound, err_msg=name)


# torch


@pytest.mark.backends
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("case", FAST_CASES)
def test_torch_gives_what_keras_gives(computed, precision, case):
    found = computed("torch")
    ours, theirs, exact = (
        starting(found, f"{prefix} {case}: ")
        for prefix in (f"{precision} ours", f"{precision} keras", "float32 keras")
    )
    assert len(ours) > 4
    assert ours.keys() == theirs.keys()
    for name in ours:
        bound = ROUNDING[precision] * max(np.abs(exact[name]).max(), 1)
        np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=bound, err_msg=name)
        np.testing.assert_allclose(ours[name], exact[name], rtol=0, atol=bound, err_msg=name)


@pytest.mark.backends
@pytest.mark.parametrize("precision", PRECISIONS)
def test_torch_lstm_of_packed_weights_gives_what_keras_gives(computed, precision):
    found = computed("torch")
    assert found[f"lstm in {precision}, calls"] == 1
    ours, theirs = (starting(found, f"lstm in {precision}, {who}: ") for who in ("ours", "keras"))
    assert len(ours) == 8
    for name in ours:
        bound = 2 * ROUNDING[precision] * np.abs(theirs[name]).max()  # both err
        np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=bound, err_msg=name)


@pytest.mark.backends
def test_torch_weights_are_packed_in_the_order_of_cudnn(computed):
    """Matrices of both directions, transposed, then biases, of which the second ones are 0."""
    found = starting(computed("torch"), "packed ")
    weights = [found[f"weight {i}"] for i in range(6)]
    zeros = np.zeros(8)
    pieces = [weights[i].T for i in (0, 1, 3, 4)] + [weights[2], zeros, weights[5], zeros]
    np.testing.assert_array_equal(found["buffer"], np.concatenate([np.ravel(p) for p in pieces]))
    # torch wants kernel, recurrent kernel and two biases of each direction.
    assert found["begins"].tolist() == [0, 24, 80, 88, 40, 64, 96, 104]
    assert found["whole"].all()
    # The gradient of `i * sum(view i)` is i: the second biases, 4 and 8, have no weight.
    assert found["gradients"].tolist() == [1, 2, 3, 5, 6, 7]


@pytest.mark.backends
def test_torch_copies_no_image_to_change_its_layout(computed):
    found = computed("torch")
    assert found["copies"].tolist() == []
    assert found["contiguous"].tolist() == [True] * 4


@pytest.mark.backends
@pytest.mark.parametrize("precision", PRECISIONS[:2])
def test_torch_layers_called_directly_give_what_hooked_ones_give(computed, precision):
    direct, hooked = (
        starting(computed("torch"), f"{precision} {way} ") for way in ("direct", "hooked")
    )
    assert direct["loss"] > 1
    assert np.abs(direct["logits"]).max() > 0.1
    for name in direct:
        np.testing.assert_array_equal(direct[name], hooked[name], err_msg=name)


@pytest.mark.backends
def test_torch_loss_copies_no_number_to_the_device(computed):
    assert computed("torch")["numbers copied"] == 0


@pytest.mark.backends
@pytest.mark.parametrize("architecture", KEPT)
def test_advice_knows_what_a_step_needs(computed, architecture):
    kept = computed("torch")[f"{architecture} kept"]
    assert 0.7 * STEP_BYTES[architecture] < 2 * kept <= STEP_BYTES[architecture]


# The device


@pytest.fixture
def on(monkeypatch):
    """Function that makes this process one of a backend with a device."""

    def pretend(name, **facts):
        monkeypatch.setattr(keras.backend, "backend", lambda: name)
        if name == "jax":
            jax = pytest.importorskip("jax")
            monkeypatch.setattr(jax, "default_backend", lambda: facts["platform"])
        if name == "torch":
            torch = pytest.importorskip("torch")
            found = facts["found"]
            monkeypatch.setattr(torch.accelerator, "is_available", lambda: found is not None)
            current = SimpleNamespace(type=found)
            monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: current)
            if "chosen" in facts:
                monkeypatch.setenv("KERAS_TORCH_DEVICE", facts["chosen"])
        backend.device_kind.cache_clear()

    yield pretend
    backend.device_kind.cache_clear()


@pytest.mark.parametrize(
    ("name", "facts", "kind", "fast"),
    [
        ("jax", {"platform": "cpu"}, "cpu", ["float32"]),
        ("jax", {"platform": "gpu"}, "gpu", []),
        ("jax", {"platform": "tpu"}, "other", []),
        ("torch", {"found": None}, "cpu", ["float32", "bfloat16"]),
        ("torch", {"found": "cuda"}, "gpu", ["float32", "bfloat16", "float16"]),
        ("torch", {"found": "cuda", "chosen": "cpu"}, "cpu", ["float32", "bfloat16"]),
        ("torch", {"found": None, "chosen": "cuda:1"}, "gpu", ["float32", "bfloat16", "float16"]),
        ("torch", {"found": "mps"}, "other", []),
        ("numpy", {}, "other", []),
    ],
)
def test_fast_paths_are_taken_where_they_were_made_for(on, name, facts, kind, fast):
    on(name, **facts)
    assert backend.device_kind() == kind
    assert (backend.on_cpu(), backend.on_gpu()) == (kind == "cpu", kind == "gpu")
    dtypes = ("float32", "bfloat16", "float16")
    assert [dtype for dtype in dtypes if backend.use_fast_path(dtype)] == fast
