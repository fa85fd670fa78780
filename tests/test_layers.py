"""Our layers beside Keras' own: the same outputs, gradients and weights, on every backend.

Each backend computes in a process of its own: see `layers_worker.py`.
"""

import pathlib

import keras
import numpy as np
import pytest
from backends import run_worker, skip_unless_installed
from layers_worker import FAST_CASES, KERAS_CASES

from crnn_keras.model.layers import ResidualConv2D

WORKER = pathlib.Path(__file__).with_name("layers_worker.py")
OTHERS = [pytest.param(name, marks=pytest.mark.backends) for name in ("jax", "torch")]
BACKENDS = ["tensorflow", *OTHERS]


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """Function that gives a backend's arrays, computed once."""
    folder, found = tmp_path_factory.mktemp("layers"), {}

    def arrays(backend):
        if backend not in found:
            skip_unless_installed(backend)
            out = folder / f"{backend}.npz"
            assert run_worker(backend, WORKER, out).returncode == 0
            found[backend] = dict(np.load(out))
        return found[backend]

    return arrays


def both(found, case):
    """Arrays of a case, ours and Keras', by what they are."""
    return [
        {
            name.removeprefix(prefix): values
            for name, values in found.items()
            if name.startswith(prefix)
        }
        for prefix in (f"ours {case}: ", f"keras {case}: ")
    ]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", FAST_CASES)
def test_fast_path_gives_what_keras_gives(computed, backend, case):
    ours, theirs = both(computed(backend), case)
    assert len(ours) > 4
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("case", FAST_CASES)
def test_fast_path_gives_the_same_as_on_tensorflow(computed, backend, case):
    there, here = (both(computed(name), case)[0] for name in (backend, "tensorflow"))
    assert there.keys() == here.keys()
    for name in there:
        np.testing.assert_allclose(there[name], here[name], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", FAST_CASES)
def test_step_changes_the_outputs(computed, backend, case):
    ours, _ = both(computed(backend), case)
    assert np.abs(ours["outputs before"] - ours["outputs after"]).max() > 1e-3


@pytest.mark.backends
@pytest.mark.parametrize("case", FAST_CASES)
def test_fast_path_gives_in_16_bits_what_keras_gives_on_torch(computed, case):
    """bfloat16 keeps 8 bits: each number errs by up to 0.4 % of the largest that it was made of."""
    found = computed("torch")
    ours, theirs = both(found, f"in 16 bits {case}")
    exact, _ = both(found, case)
    assert len(ours) > 4
    for name in ours:
        bound = 0.01 * max(np.abs(exact[name]).max(), 1)
        np.testing.assert_allclose(ours[name], theirs[name], atol=bound, err_msg=name)
        np.testing.assert_allclose(ours[name], exact[name], atol=bound, err_msg=name)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", KERAS_CASES)
def test_option_gives_what_keras_gives(computed, backend, case):
    """What Keras refuses, we refuse too."""
    ours, theirs = both(computed(backend), case)
    assert ours.keys() == theirs.keys()
    assert ours.pop("error", None) == theirs.pop("error", None)
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("backend", BACKENDS)
def test_options_that_are_compared_are_supported_by_keras(computed, backend):
    found = computed(backend)
    refused = {case for case in KERAS_CASES if f"keras {case}: error" in found}
    expected = {
        "tensorflow": {"conv of whole numbers", "lstm, cuDNN"},
        "jax": {"lstm, cuDNN"},
        # Keras cannot train a stateful layer there.
        "torch": {"conv of whole numbers", "lstm, stateful"},
    }
    assert refused == expected[backend]
    state = [found[f"keras lstm, stateful: used{again} 0"] for again in ("", " again")]
    assert np.abs(state[0] - state[1]).max() > 1e-3
    assert found["keras lstm, regularized outputs: losses"].sum() > 1e-4
    if backend == "jax":  # torch calls its own kernel even then
        assert found["keras lstm, unrolled: calls"] == 8


def test_synchronized_norm_has_the_mean_over_both_devices(computed):
    ours, theirs = both(computed("tensorflow"), "synchronized")
    # The second half is 3 larger, so its own mean would move by 1 % of that too.
    np.testing.assert_allclose(ours["mean"], theirs["mean"], rtol=1e-5)
    np.testing.assert_allclose(ours["outputs"], theirs["outputs"], rtol=1e-4, atol=1e-5)
    first, second = ours["outputs"]
    assert second.mean() - first.mean() > 1


@pytest.mark.backends
def test_bidirectional_calls_keras_where_torch_has_no_lstm_kernel(computed):
    ours, theirs = both(computed("torch"), "without kernel")
    np.testing.assert_allclose(ours["outputs"], theirs["outputs"], rtol=1e-5, atol=1e-6)


@pytest.mark.backends
def test_hooks_on_both_layers_of_a_bidirectional_are_called(computed):
    assert computed("torch")["hooks"] == 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_residual_has_channels_last_whatever_keras_is_set_to(computed, backend):
    ours, theirs = both(computed(backend), "residual")
    np.testing.assert_allclose(ours["outputs"], theirs["outputs"], rtol=1e-4, atol=1e-5)


def test_residual_adds_its_convolution_to_its_input():
    layer = ResidualConv2D()
    inputs = np.array([[[[1.0], [-2.0], [3.0]]]], "float32")
    # A fresh one adds nothing.
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer(inputs)), np.maximum(inputs, 0))
    kernel = np.zeros((3, 3, 1, 1))
    kernel[1, :, 0, 0] = 1, 10, 100
    layer.conv.kernel.assign(kernel)
    layer.norm.gamma.assign([2.0])
    layer.norm.epsilon = 0.0
    # Each pixel: its left neighbour, 10 times itself, 100 times its right one; the norm doubles it.
    sums = np.array([10 - 200, 1 - 20 + 300, -2 + 30])
    expected = np.maximum([1, -2, 3] + 2 * sums, 0)
    outputs = keras.ops.convert_to_numpy(layer(inputs))
    np.testing.assert_allclose(np.ravel(outputs), expected, rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"kernel_size": [3, 1], "momentum": 0.5}])
def test_residual_has_a_config_that_makes_it_again(options):
    layer = ResidualConv2D(**options)
    again = ResidualConv2D.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.compute_output_shape((None, 8, 25, 4)) == (None, 8, 25, 4)
