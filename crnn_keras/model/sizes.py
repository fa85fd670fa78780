"""Checks the lists of a network, and measures what it would cost, before a layer is built.

A config may come from a stranger: its numbers decide how much memory a network takes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from crnn_keras.images import PIXELS_PER_FRAME, Canvas
from crnn_keras.utils.checks import FLAG, FRACTION, Number, OneOf, Rule, check_value
from crnn_keras.utils.limits import (
    MAX_CANVAS_WIDTH,
    MAX_MODEL_OPERATIONS,
    MAX_MODEL_VALUES,
    MAX_MODEL_WEIGHTS,
)
from crnn_keras.utils.math import ceil_div

# The residual layers of a convolution are named by a letter each.
_RESIDUALS = Number(0, 26, is_whole=True)
_PIXELS = Number(1, MAX_CANVAS_WIDTH, is_whole=True)
_UNITS = Number(1, MAX_MODEL_WEIGHTS, is_whole=True)
BY_CONVOLUTION: dict[str, Rule] = {
    "filters": _UNITS,
    "kernel_sizes": _PIXELS,
    "strides": _PIXELS,
    "pool_sizes": _PIXELS,
    "residuals": _RESIDUALS,
    "batch_norm": FLAG,
}
_PAIRS = ("strides", "pool_sizes")
_OTHERS: dict[str, Rule] = {
    "frame_kernel_width": Number(1, MAX_CANVAS_WIDTH, is_whole=True),
    "frame_batch_norm": FLAG,
    "dropout": FRACTION,
    "padding": OneOf(("same", "symmetric")),
}
# What the files do not say that were saved before there was a choice.
DEFAULTS = {"padding": "same"}
# Height and width of the kernels of `ResidualConv2D`.
_RESIDUAL_KERNEL = 3 * 3


class Cost(NamedTuple):
    """What a network costs.

    Args:
        values: Number of elements of all tensors that it computes of a batch.
        operations: Number of multiplications of its layers.
        weights: Number of its weights. Defaults to `0`: they are there already.
    """

    values: int
    operations: int
    weights: int = 0

    def check(self) -> Cost:
        """Checks the cost of one image.

        Returns:
            The same `Cost`.

        Raises:
            ValueError: It is over a bound. The message completes a sentence that begins with the
                network's name.
        """
        for found, most, what in (
            (self.weights, MAX_MODEL_WEIGHTS, "have {:,} weights"),
            (self.values, MAX_MODEL_VALUES, "compute {:,} numbers of an image"),
            (self.operations, MAX_MODEL_OPERATIONS, "compute {:,} products of an image"),
        ):
            if found > most:
                raise ValueError(f"would {what.format(found)}, over {most:,}")
        return self

    @property
    def largest_batch(self) -> int:
        """Returns how many images may be computed at once, if this is the cost of one."""
        return max(MAX_MODEL_VALUES // max(self.values, 1), 1)


def check_architecture(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """Checks the arguments of `CRNN` that decide its layers.

    Args:
        architecture: Dict with the keys of an entry of `ARCHITECTURES`. Those of `DEFAULTS` may be
            missing.

    Returns:
        All of them as plain data: lists, numbers and bools.

    Raises:
        ValueError: A value is none of its kind, the lists do not have one value for each
            convolution, or the frames would not be 4 pixels wide.
    """
    architecture = {**DEFAULTS, **architecture}
    checked = {}
    for name, rule in BY_CONVOLUTION.items():
        values = _to_list(name, architecture[name])
        for index, value in enumerate(values):
            is_pair = name in _PAIRS or name == "kernel_sizes" and isinstance(value, list | tuple)
            place = f"{name}[{index}]"
            values[index] = _to_pair(place, value) if is_pair else value
            for number in values[index] if is_pair else [value]:
                check_value(place, number, rule)
        checked[name] = values
    for name, rule in _OTHERS.items():
        check_value(name, architecture[name], rule)
        checked[name] = architecture[name]
    checked["lstm_units"] = _to_list("lstm_units", architecture["lstm_units"])
    for index, units in enumerate(checked["lstm_units"]):
        check_value(f"lstm_units[{index}]", units, _UNITS)

    lengths = {name: len(checked[name]) for name in BY_CONVOLUTION}
    if len(set(lengths.values())) > 1 or not checked["filters"]:
        raise ValueError(f"Expected lists with one value for each convolution, got {lengths}.")
    across = math.prod(pair[1] for name in _PAIRS for pair in checked[name])
    if across != PIXELS_PER_FRAME:
        raise ValueError(
            f"Strides and pooling divide the width by {across}. Expected {PIXELS_PER_FRAME}, since "
            f"a frame is {PIXELS_PER_FRAME} pixels wide."
        )
    if not checked["lstm_units"]:
        raise ValueError("lstm_units is empty. Expected the units of at least one BiLSTM.")
    return {name: checked[name] for name in architecture}


def to_height_and_width(kernel_size: int | Sequence[int]) -> tuple[int, int]:
    """Returns height and width of a kernel, which one number may stand for."""
    is_pair = isinstance(kernel_size, list | tuple)
    return tuple(kernel_size) if is_pair else (kernel_size, kernel_size)


def _to_list(name, values):
    if not isinstance(values, list | tuple):
        raise ValueError(f"{name} is a {type(values).__name__}. Expected a list.")
    return list(values)


def _to_pair(name, value):
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f"{name} is {value!r:.80}. Expected [down, across].")
    return list(value)


def measure_architecture(architecture: Mapping[str, Any], canvas: Canvas, num_classes: int) -> Cost:
    """Measures the network of an architecture, as `CRNN` builds it.

    Args:
        architecture: What `check_architecture` returned.
        canvas: A `Canvas`. Its widest canvas counts.
        num_classes: Number of classes, with the blank.

    Returns:
        `Cost` of one image. The number of weights is exact.

    Raises:
        ValueError: Strides and pooling leave nothing of the height.
    """
    height, width, channels = canvas.height, canvas.widths[-1], 1
    weights, operations, values = 0, 0, height * width
    rows = zip(*(architecture[name] for name in BY_CONVOLUTION), strict=True)
    for filters, kernel, (down, across), pool, residuals, norm in rows:
        kernel = to_height_and_width(kernel)
        area = math.prod(kernel)
        if architecture["padding"] == "symmetric" and down * across > 1:
            values += (height + kernel[0] - 1) * (width + kernel[1] - 1) * channels
        height, width = ceil_div(height, down), ceil_div(width, across)
        kernels = [area * channels * filters] + [_RESIDUAL_KERNEL * filters**2] * residuals
        channels, pixels = filters, height * width
        # A residual layer is batch normalized, a convolution may have a bias instead.
        weights += sum(kernels) + channels * (4 * residuals + (4 if norm else 1))
        operations += pixels * sum(kernels)
        # Of each layer, its convolution, its norm and its rectified sum.
        values += 3 * pixels * channels * len(kernels)
        height, width = height // pool[0], width // pool[1]
        values += height * width * channels
    if not height or not width:
        raise ValueError(
            "Strides and pooling leave nothing of the canvas. Expected a row of frames."
        )
    kernel = height * architecture["frame_kernel_width"] * channels**2
    weights += kernel + 4 * channels * architecture["frame_batch_norm"]
    operations += width * kernel
    values += 3 * width * channels
    for units in architecture["lstm_units"]:
        gates = 2 * 4 * units
        weights += gates * (channels + units + 1)
        operations += width * gates * (channels + units)
        values += width * (gates + 2 * units)
        channels = 2 * units
    weights += (channels + 1) * num_classes
    operations += width * channels * num_classes
    values += width * num_classes
    return Cost(values, operations, weights)
