"""Measures what a run of an ONNX file would cost, before ONNX Runtime runs it.

The operators are those of `export_onnx`. Each computes the shape of its output from those of its
inputs; of shapes that the network itself computes with, also the numbers. So a file that makes a
small image into a large tensor is found by arithmetic.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crnn_keras.model.sizes import Cost
from crnn_keras.utils.math import ceil_div

if TYPE_CHECKING:
    from crnn_keras.inference.onnx_file import Node

# Shapes and indices have a few numbers; in larger tensors they are not followed.
_FEW = 64
# Numbers that this leaves could be others in the runtime, which may compute in 32 bits.
_RANGE = 2**31
_FLOAT, _INT32, _INT64 = 1, 6, 7
_MOST_AXES = 8


class Tensor(NamedTuple):
    """A tensor of a network, without its floats.

    Args:
        shape: Its shape.
        values: int64 array of its numbers, if it may be a shape or an index; None otherwise.
    """

    shape: tuple[int, ...]
    values: np.ndarray | None = None

    @classmethod
    def make(cls, shape: Iterable[int], values: np.ndarray | None = None) -> Tensor:
        """Makes a tensor that is computed; values that are many or large are not followed."""
        shape = tuple(int(size) for size in shape)
        if values is None or math.prod(shape) > _FEW:
            return cls(shape)
        if any(abs(value) >= _RANGE for value in np.ravel(values).tolist()):
            return cls(shape)
        return cls(shape, np.asarray(values, np.int64).reshape(shape))

    @property
    def size(self) -> int:
        """Returns the number of elements."""
        return math.prod(self.shape)


class _Failure(Exception):
    """Raised for an operator that would fail when it runs, and so costs nothing."""


def measure(
    nodes: Sequence[Node], weights: Mapping[str, Tensor], inputs: Mapping[str, Sequence[int]]
) -> Cost:
    """Measures a run of a network.

    An operator whose inputs do not fit fails when it runs, and so do those that wait for it: they
    cost nothing.

    Args:
        nodes: The operators of a `Network`.
        weights: The weights of a `Network`.
        inputs: Dict of `name: shape` of its inputs.

    Returns:
        `Cost`.

    Raises:
        ValueError: The cost cannot be told. The message completes a sentence that begins with the
            file's name.
    """
    known: dict[str, Tensor | None] = dict(weights)
    known |= {name: Tensor.make(shape) for name, shape in inputs.items()}
    known[""] = None
    values = operations = 0
    for node in nodes:
        if missing := [name for name in node.inputs if name not in known]:
            raise ValueError(f"is damaged: {node.op_type} reads {missing[0]!r}, which is not there")
        tensors = [known[name] for name in node.inputs]
        failed = any(name and known[name] is None for name in node.inputs)
        try:
            if failed:
                raise _Failure
            outputs, more = _OPERATORS[node.op_type](tensors, **node.attributes)
            _check_outputs(outputs, len(node.outputs))
        except _Failure:
            outputs, more = [], 0
        except (TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            # Too few inputs, an input that is no constant, or an attribute of another type.
            raise ValueError(f"has an operator {node.op_type} of another form: {error}") from None
        values += sum(tensor.size for tensor in outputs)
        operations += more
        known |= dict.fromkeys(node.outputs)
        known |= zip(node.outputs, outputs, strict=False)
    return Cost(values, operations)


def _check_outputs(outputs, names):
    if names > len(outputs):
        raise ValueError(f"{names} outputs")
    if any(len(tensor.shape) > _MOST_AXES or not tensor.size for tensor in outputs):
        raise ValueError(f"a tensor that is empty or has over {_MOST_AXES} axes")


def _broadcast(*shapes):
    # Not `np.broadcast_shapes`, which takes no shapes of very many elements.
    axes = itertools.zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1)
    sizes = [{size for size in axis if size != 1} or {1} for axis in axes]
    if any(len(axis) > 1 for axis in sizes):
        raise _Failure
    return tuple(axis.pop() for axis in reversed(sizes))


def _numbers(tensor):
    """Returns the numbers of a tensor that says how another is shaped."""
    if tensor.values is None:
        raise ValueError("a shape, an index or an axis that is not known before it runs")
    return tensor.values


def _axis(axis, rank):
    if not -rank <= axis < rank:
        raise _Failure
    return axis % rank


def _cast(inputs, *, to):
    (data,) = inputs
    if to not in (_FLOAT, _INT32, _INT64):
        raise ValueError(f"the type {to}")
    return [Tensor.make(data.shape, None if to == _FLOAT else data.values)], 0


def _elementwise(compute):
    def operator(inputs):
        left, right = inputs
        shape = _broadcast(left.shape, right.shape)
        values = None
        if left.values is not None and right.values is not None and math.prod(shape) <= _FEW:
            values = compute(left.values, right.values)
        return [Tensor.make(shape, values)], 0

    return operator


def _relu(inputs):
    (data,) = inputs
    return [Tensor.make(data.shape)], 0


def _reshape(inputs):
    data, target = inputs
    sizes = _numbers(target).tolist()
    rank = len(data.shape)
    sizes = [
        data.shape[axis] if size == 0 and axis < rank else size for axis, size in enumerate(sizes)
    ]
    if min(sizes, default=0) < -1 or sizes.count(-1) > 1:
        raise _Failure
    rest = math.prod(size for size in sizes if size != -1)
    if -1 in sizes:
        if not rest or data.size % rest:
            raise _Failure
        sizes[sizes.index(-1)] = data.size // rest
    if math.prod(sizes) != data.size:
        raise _Failure
    return [Tensor.make(sizes, data.values)], 0


def _expand(inputs):
    data, target = inputs
    sizes = _numbers(target).tolist()
    if min(sizes, default=0) < 0:
        raise _Failure
    return [Tensor.make(_broadcast(data.shape, sizes))], 0


def _transpose(inputs, *, perm=None):
    (data,) = inputs
    axes = tuple(reversed(range(len(data.shape)))) if perm is None else perm
    if sorted(axes) != list(range(len(data.shape))):
        raise _Failure
    return [Tensor.make(data.shape[axis] for axis in axes)], 0


def _shape(inputs):
    (data,) = inputs
    return [Tensor.make((len(data.shape),), np.array(data.shape, np.int64))], 0


def _gather(inputs, *, axis=0):
    data, indices = inputs
    axis = _axis(axis, len(data.shape))
    shape = data.shape[:axis] + indices.shape + data.shape[axis + 1 :]
    values = None
    if data.values is not None and indices.values is not None and math.prod(shape) <= _FEW:
        values = np.take(data.values, indices.values, axis)
    return [Tensor.make(shape, values)], 0


def _slice(inputs):
    data, starts, ends, *others = inputs
    axes, steps = (
        _numbers(other).tolist() if other else None for other in (*others, None, None)[:2]
    )
    starts, ends = _numbers(starts).tolist(), _numbers(ends).tolist()
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    places = [slice(None)] * len(data.shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        places[_axis(axis, len(data.shape))] = slice(start, end, step)
    shape = [len(range(*place.indices(n))) for place, n in zip(places, data.shape, strict=True)]
    return [Tensor.make(shape, None if data.values is None else data.values[tuple(places)])], 0


def _concat(inputs, *, axis):
    axis = _axis(axis, len(inputs[0].shape))
    others = {tensor.shape[:axis] + tensor.shape[axis + 1 :] for tensor in inputs}
    if len(others) > 1 or len({len(tensor.shape) for tensor in inputs}) > 1:
        raise _Failure
    length = sum(tensor.shape[axis] for tensor in inputs)
    shape = (*inputs[0].shape[:axis], length, *inputs[0].shape[axis + 1 :])
    values = [tensor.values for tensor in inputs]
    known = length <= _FEW and not any(value is None for value in values)
    return [Tensor.make(shape, np.concatenate(values, axis) if known else None)], 0


def _unsqueeze(inputs):
    data, axes = inputs
    axes = _numbers(axes).ravel().tolist()
    rank = len(data.shape) + len(axes)
    shape = list(data.shape)
    for axis in sorted(_axis(axis, rank) for axis in axes):
        shape.insert(axis, 1)
    return [Tensor.make(shape, data.values)], 0


def _squeeze(inputs):
    data, axes = inputs
    gone = {_axis(axis, len(data.shape)) for axis in _numbers(axes).ravel().tolist()}
    if any(data.shape[axis] != 1 for axis in gone):
        raise _Failure
    shape = [size for axis, size in enumerate(data.shape) if axis not in gone]
    return [Tensor.make(shape, data.values)], 0


def _reduce_prod(inputs, *, axes=None, keepdims=1):
    (data,) = inputs
    rank = len(data.shape)
    gone = set(range(rank)) if axes is None else {_axis(axis, rank) for axis in axes}
    shape = [1 if axis in gone else size for axis, size in enumerate(data.shape)]
    shape = shape if keepdims else [n for axis, n in enumerate(shape) if axis not in gone]
    values = None
    if data.values is not None and len(gone) == rank:
        values = np.array(math.prod(data.values.ravel().tolist()), object)
    return [Tensor.make(shape, values)], data.size


def _matmul(inputs):
    left, right = inputs
    if not (len(left.shape) >= 2 and len(right.shape) >= 2):
        raise ValueError("a vector")
    if left.shape[-1] != right.shape[-2]:
        raise _Failure
    shape = (*_broadcast(left.shape[:-2], right.shape[:-2]), left.shape[-2], right.shape[-1])
    return [Tensor.make(shape)], math.prod(shape) * left.shape[-1]


def _windows(sizes, kernel, *, strides, pads, auto_pad, dilations=(1, 1)):
    """Returns the height and width of the output of a convolution or a pooling."""
    if not len(sizes) == len(kernel) == len(strides) == len(dilations) == len(pads) / 2 == 2:
        raise ValueError("a convolution over other axes than height and width")
    if min(*kernel, *strides, *dilations) < 1 or min(pads) < 0:
        raise ValueError("a step below 1, or a negative padding")
    if auto_pad in (b"SAME_UPPER", b"SAME_LOWER"):
        return [ceil_div(size, stride) for size, stride in zip(sizes, strides, strict=True)]
    if auto_pad == b"VALID":
        pads = (0, 0, 0, 0)
    elif auto_pad != b"NOTSET":
        raise ValueError(f"the padding {auto_pad!r}")
    reach = [(k - 1) * dilation + 1 for k, dilation in zip(kernel, dilations, strict=True)]
    found = [
        (size + before + after - far) // stride + 1
        for size, before, after, far, stride in zip(
            sizes, pads[:2], pads[2:], reach, strides, strict=True
        )
    ]
    return found


def _conv(
    inputs,
    *,
    kernel_shape=None,
    strides=(1, 1),
    pads=(0, 0, 0, 0),
    auto_pad=b"NOTSET",
    dilations=(1, 1),
    group=1,
):
    data, kernel, *_ = inputs
    (batch, channels, *sizes), (filters, own, *kernel_sizes) = data.shape, kernel.shape
    if (
        group < 1
        or own * group != channels
        or tuple(kernel_shape or kernel_sizes) != tuple(kernel_sizes)
    ):
        raise _Failure
    options = {"strides": strides, "pads": pads, "auto_pad": auto_pad, "dilations": dilations}
    found = _windows(sizes, kernel_sizes, **options)
    shape = batch, filters, *found
    return [Tensor.make(shape)], math.prod(shape) * own * math.prod(kernel_sizes)


def _max_pool(inputs, *, kernel_shape, strides=(1, 1), pads=(0, 0, 0, 0), auto_pad=b"NOTSET"):
    (data,) = inputs
    batch, channels, *sizes = data.shape
    found = _windows(sizes, kernel_shape, strides=strides, pads=pads, auto_pad=auto_pad)
    shape = batch, channels, *found
    return [Tensor.make(shape)], math.prod(shape) * math.prod(kernel_shape)


def _lstm(inputs, *, hidden_size, direction=b"forward", activations=()):
    data, kernel, recurrent, *_ = inputs
    frames, batch, features = data.shape
    directions = {b"forward": 1, b"reverse": 1, b"bidirectional": 2}.get(direction, 0)
    expected = (directions, 4 * hidden_size, features), (directions, 4 * hidden_size, hidden_size)
    if not set(activations).issubset((b"Sigmoid", b"Tanh")):
        raise ValueError(f"the activations {activations}")
    if (kernel.shape, recurrent.shape) != expected:
        raise ValueError(f"weights of shape {kernel.shape} and {recurrent.shape}")
    steps = frames * directions * batch
    state = Tensor.make((directions, batch, hidden_size))
    # The gates of all frames are kept as well.
    gates = Tensor.make((frames, directions, batch, 4 * hidden_size))
    outputs = [Tensor.make((frames, directions, batch, hidden_size)), state, state, gates]
    return outputs, steps * 4 * hidden_size * (features + hidden_size)


_OPERATORS: dict[str, Callable[..., tuple[list[Tensor], int]]] = {
    "Add": _elementwise(np.add),
    "Cast": _cast,
    "Concat": _concat,
    "Conv": _conv,
    "Expand": _expand,
    "Gather": _gather,
    "LSTM": _lstm,
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "Mul": _elementwise(np.multiply),
    "ReduceProd": _reduce_prod,
    "Relu": _relu,
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}

# The attributes that an operator may have, by its name.
ATTRIBUTES = {
    name: tuple(
        parameter.name
        for parameter in inspect.signature(operator).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    )
    for name, operator in _OPERATORS.items()
}
