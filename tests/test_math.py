"""Arithmetic of whole numbers."""

import numpy as np
import pytest

from crnn_keras.utils.math import ceil_div


@pytest.mark.parametrize(
    ("numerator", "denominator", "expected"),
    [(0, 3, 0), (1, 3, 1), (3, 3, 1), (4, 3, 2), (10**18 + 1, 10, 10**17 + 1)],
)
def test_division_is_exact_and_rounded_up(numerator, denominator, expected):
    assert ceil_div(numerator, denominator) == expected


def test_arrays_are_divided_element_by_element():
    found = ceil_div(5 * np.arange(4), 4)
    assert found.dtype.kind == "i"
    assert found.tolist() == [0, 2, 3, 4]
