"""Our layers beside Keras' own: the same outputs, gradients and statistics, on this backend.

`test_backends.py` does the same on the others.
"""

import numpy as np
import pytest
from backend_worker import LAYER_CASES, layer_twins

from crnn_keras.model.layers import ResidualConv2D


@pytest.fixture(scope="module")
def confusables():
    return layer_twins()


@pytest.mark.parametrize("case", LAYER_CASES)
def test_layer_gives_what_keras_gives(confusables, case):
    ours, theirs = confusables
    names = [name for name in ours if name.startswith(f"{case}: ")]
    assert len(names) > 4
    for name in names:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("case", LAYER_CASES)
def test_step_changes_what_the_layer_gives(confusables, case):
    ours, _ = confusables
    before, after = ours[f"{case}: used before"], ours[f"{case}: used after"]
    assert np.abs(before - after).max() > 1e-3


def test_a_residual_adds_its_convolution_to_what_it_is_given():
    layer = ResidualConv2D()
    given = np.array([[[[1.0], [-2.0], [3.0]]]], "float32")
    # A fresh one adds nothing.
    np.testing.assert_array_equal(layer(given), np.maximum(given, 0))
    kernel = np.zeros((3, 3, 1, 1))
    kernel[1, :, 0, 0] = 1, 10, 100
    layer.conv.kernel.assign(kernel)
    layer.norm.gamma.assign([2.0])
    layer.norm.epsilon = 0.0
    # Each pixel: its left neighbour, 10 times itself, 100 times its right one; the norm doubles it.
    sums = np.array([10 - 200, 1 - 20 + 300, -2 + 30])
    expected = np.maximum([1, -2, 3] + 2 * sums, 0)
    np.testing.assert_allclose(np.ravel(layer(given)), expected, rtol=1e-5)
