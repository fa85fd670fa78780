"""Our layers beside Keras' own: the same outputs, gradients and statistics, on this backend.

`test_backends.py` runs `layer_twins` on the others.
"""

import numpy as np
import pytest
from backend_worker import LAYER_CASES, layer_twins


@pytest.mark.parametrize("case", LAYER_CASES)
def test_layer_gives_what_keras_gives(case):
    ours, theirs = layer_twins(case)
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        np.testing.assert_allclose(values, theirs[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_step_of_the_twins_changes_every_weight():
    ours, _ = layer_twins("conv 5 by 5, strides 2")
    names = [name.removesuffix(" before") for name in ours if name.endswith(" before")]
    assert names
    assert all(
        np.abs(ours[f"{name} before"] - ours[f"{name} after"]).max() > 1e-4 for name in names
    )
