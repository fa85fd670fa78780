"""Arithmetic of whole numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    Integers = int | np.ndarray | tf.Tensor


def ceil_div(numerator: Integers, denominator: Integers) -> Integers:
    """Divides and rounds up.

    Args:
        numerator: An int, or an integer array or tensor.
        denominator: An int, or an integer array or tensor. It must be positive.

    Returns:
        The smallest whole numbers that are at least `numerator / denominator`, of the type that
        `//` gives. They are exact, whatever their size.

    Example:

        >>> from crnn_keras.utils.math import ceil_div
        >>> ceil_div(10, 4)
        3
    """
    return -(-numerator // denominator)
