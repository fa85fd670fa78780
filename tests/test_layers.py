"""Our layers beside Keras' own: the same outputs, gradients and statistics, on this backend.

`test_backends.py` does the same on the others.
"""

import numpy as np
import pytest
from backend_worker import LAYER_CASES, layer_twins


@pytest.fixture(scope="module")
def twins():
    return layer_twins()


@pytest.mark.parametrize("case", LAYER_CASES)
def test_layer_gives_what_keras_gives(twins, case):
    ours, theirs = twins
    names = [name for name in ours if name.startswith(f"{case}: ")]
    assert len(names) > 4
    for name in names:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("case", LAYER_CASES)
def test_step_changes_what_the_layer_gives(twins, case):
    ours, _ = twins
    before, after = ours[f"{case}: used before"], ours[f"{case}: used after"]
    assert np.abs(before - after).max() > 1e-3
