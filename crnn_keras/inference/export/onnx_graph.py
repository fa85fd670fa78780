"""Changes the graph of an ONNX file: smaller weights, names of the input and the output.

Only the process of an export imports it: the package `onnx` is an extra.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

# Smaller tensors are shapes, scales and biases.
_LARGE = 1024
# Inputs of operators that hold large weights, and the axes of these that are units: outputs of a
# convolution, directions and gates of an LSTM, columns of a matrix.
_UNIT_AXES = {("Conv", 1): (0,), ("LSTM", 1): (0, 1), ("LSTM", 2): (0, 1), ("MatMul", 1): (-1,)}


def shrink_weights(graph: GraphProto, weights: str) -> None:
    """Stores the large weights of a graph in a smaller type; the runtime widens them on loading.

    Args:
        graph: The graph; it is changed.
        weights: `"float32"` (no change), `"float16"` or `"int8"`.
    """
    if weights == "float16":
        _to_float16(graph)
    elif weights == "int8":
        _quantize_int8(graph)


def _to_float16(graph):
    """Stores large weights in float16, each followed by a cast to float32."""
    nodes = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < _LARGE:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        nodes.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    _insert_first(graph, nodes)


def _quantize_int8(graph):
    """Stores large weights in int8, each followed by a product with a scale for each unit."""
    unit_axes = {
        name: _UNIT_AXES[node.op_type, position]
        for node in graph.node
        for position, name in enumerate(node.input)
        if (node.op_type, position) in _UNIT_AXES
    }
    nodes = []
    for tensor in list(graph.initializer):
        values = numpy_helper.to_array(tensor)
        if tensor.name not in unit_axes or values.size < _LARGE:
            continue
        name = tensor.name
        quantized, scales = quantize_per_channel(values, unit_axes[name])
        tensor.CopyFrom(numpy_helper.from_array(quantized, f"{name}_eight"))
        graph.initializer.append(numpy_helper.from_array(scales, f"{name}_scales"))
        cast = helper.make_node("Cast", [tensor.name], [f"{name}_cast"], to=TensorProto.FLOAT)
        scale = helper.make_node("Mul", [f"{name}_cast", f"{name}_scales"], [name])
        nodes += [cast, scale]
    _insert_first(graph, nodes)


def quantize_per_channel(
    values: np.ndarray, unit_axes: Iterable[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Finds integers from -127 to 127 and the scales that bring them nearest to the values.

    Weights that already lie on such a grid, as those of the shipped readers do, are found exactly.

    Args:
        values: float32 array.
        unit_axes: Axes along which each index has a scale of its own.

    Returns:
        Tuple of an int8 array of the same shape, and a float32 array of the scales, which
        broadcasts with it.
    """
    unit_axes = {axis % values.ndim for axis in unit_axes}
    others = tuple(axis for axis in range(values.ndim) if axis not in unit_axes)
    largest = np.abs(values).max(axis=others, keepdims=True)
    largest[largest == 0] = 1
    least_error, best = np.full(largest.shape, np.inf), largest / 127
    # The largest weight as 64 steps, as 65, ...: one of these is a multiple of any coarser grid.
    for steps in range(64, 128):
        scales = largest / steps
        errors = np.square(np.rint(values / scales) * scales - values).sum(others, keepdims=True)
        best = np.where(errors < least_error, scales, best)
        least_error = np.minimum(errors, least_error)
    return np.rint(values / best).astype(np.int8), best


def rename_io(graph: GraphProto, output_name: str) -> None:
    """Names the output and the sizes that vary; tf2onnx calls them `Identity:0` and `unk__7`.

    Args:
        graph: The graph, with one input and one output; it is changed.
        output_name: Name of the output.
    """
    (output,) = graph.output
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [output_name if name == output.name else name for name in names]
    output.name = output_name
    sizes = ((graph.input[0], ("batch", "height", "width")), (output, ("batch", "frames")))
    for value, names in sizes:
        for dimension, name in zip(value.type.tensor_type.shape.dim, names, strict=False):
            if dimension.HasField("dim_param"):
                dimension.dim_param = name
    # What tf2onnx recorded about inner values would no longer fit the names.
    del graph.value_info[:]


def _insert_first(graph: GraphProto, nodes: list[NodeProto]) -> None:
    """Inserts nodes before all others: a node comes before those that use its output."""
    nodes = [*nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
