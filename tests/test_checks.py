"""The checker of arguments: each kind of number by its rule, each refusal by its name."""

import math

import numpy as np
import pytest

from crnn_keras.utils.checks import (
    COUNT,
    FLAG,
    FRACTION,
    NATURAL,
    NOT_NEGATIVE,
    POSITIVE,
    SEED,
    TEXT,
    OneOf,
    check_arguments,
    check_value,
)


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (COUNT, [1, 10**12, 10**400, np.int64(3)], [0, -1, 1.0, True, "1", None, math.nan]),
        (NATURAL, [0, np.uint8(0)], [-1, 0.5, False]),
        (SEED, [0, 2**32 - 1], [-1, 2**32, 1.5]),
        (FRACTION, [0, 1, 0.5, np.float32(0.25)], [-0.1, 1.1, math.nan, True, "0.5", [0.5]]),
        (POSITIVE, [1e-300, 3], [0, 0.0, -1, math.inf, 10**400, 10**5000]),
        (NOT_NEGATIVE, [0, 0.0], [-1e-300, math.nan]),
        (COUNT.or_none(), [None, 1], [0, False]),
        (FLAG, [True, False], [10**5000, 0, 1, "false", None]),
        (TEXT, ["", "a"], [b"a", None, 1]),
        (OneOf((1, 3, "keep")), [1, 3, "keep"], [2, True, 1.0, "Keep"]),
    ],
)
def test_a_rule_accepts_its_values_and_refuses_others_by_name(rule, good, bad):
    for value in good:
        check_value("setting", value, rule)
    for value in bad:
        with pytest.raises(ValueError, match="^setting is "):
            check_value("setting", value, rule)


def test_the_error_says_what_was_expected():
    with pytest.raises(ValueError, match=r"rate is 2\. .* at least 0 and at most 1\.$"):
        check_value("rate", 2, FRACTION)
    with pytest.raises(ValueError, match=r"^text is 'x{20,}\.\.\.\. Expected"):
        check_value("text", "x" * 10_000, COUNT)


@check_arguments(size=COUNT, rate=FRACTION.or_none())
def sample(size, *, rate=None):
    """Docstring."""
    return size, rate


def test_the_decorator_checks_positions_and_names_and_keeps_the_signature():
    assert sample(2) == (2, None) and sample(size=2, rate=0.5) == (2, 0.5)
    with pytest.raises(ValueError, match="^size is 0"):
        sample(0)
    with pytest.raises(ValueError, match="^rate is 3"):
        sample(2, rate=3)
    assert sample.__doc__ == "Docstring." and sample.__name__ == "sample"


def test_numbers_of_numpy_become_plain_ones():
    (size, rate) = sample(np.uint8(2), rate=np.float64(0.5))
    assert (size, rate) == (2, 0.5) and (type(size), type(rate)) == (int, float)


def test_a_rule_for_a_missing_parameter_is_an_error_at_once():
    with pytest.raises(TypeError, match="sample has no parameter steps"):
        check_arguments(steps=COUNT)(sample)
