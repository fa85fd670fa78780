"""One ONNX file: canvases in, logits out; char dict, canvas and calibration are inside."""

import pathlib

from crnn_keras.inference.export.process import export_in_process
from crnn_keras.utils import files

# Later ones measured no faster on ONNX Runtime; older runtimes take this one.
OPSET = 15
# How far the logits of the two may be apart: with whole weights a thousandth of what sways a
# reading, else what rounding to 11 and to 8 bits adds up to.
TOLERANCES = {"float32": 1e-4, "float16": 0.1, "int8": 1.0}
# Smaller tensors are shapes, scales and biases.
_WORTH_ROUNDING = 1024
# Where the operators keep their large weights, and the axes of these that are units: outputs of a
# convolution, directions and gates of an LSTM, columns of a matrix.
_UNITS = {("Conv", 1): (0,), ("LSTM", 1): (0, 1), ("LSTM", 2): (0, 1), ("MatMul", 1): (-1,)}


def export_onnx(reader, path, weights="float32"):
    """Writes a reader as one ONNX file, for `onnx_reader.OnnxRecognizer` and for other runtimes.

    Its input `canvases` is uint8 `(batch, canvas height, width, 1)`, of any batch and, in the
    canvas' mode `"keep"`, of any width; its output `logits` is float32 `(batch, width / 4,
    classes)`. The metadata under `crnn_keras` is JSON with the char dict, the canvas and, if there
    is one, the calibration. Before the file appears under its name it is held against the reader. A
    reader that computes in mixed precision is exported, and compared, in float32.

    Args:
        reader: path of a `.keras` file, or the name of a shipped reader.
        path: file to write, whole or not at all.
        weights: what the file keeps them in. `"float16"` makes it half as large, `"int8"` a
            quarter, with a scale for each unit; it computes in float32 all the same, so it reads
            as fast.

    Returns:
        The largest difference between the logits of the file and of the reader, on a few canvases
        of each width.

    Raises:
        ValueError: the file is not a reader, a package of the extra `onnx` is missing, `weights` is
            none of the three, or the logits are more than 1e-4 apart (0.1 with `"float16"`, 1.0
            with `"int8"`).
        RuntimeError: the export failed; the message ends with what the process printed.
    """
    if weights not in TOLERANCES:
        raise ValueError(f"Weights are {weights!r}. Expected one of {list(TOLERANCES)}.")
    return float(export_in_process("onnx", reader, path, weights))


def write_onnx(reader, path, weights="float32"):
    """What `export_onnx` does in its process, with the same arguments and result."""
    import keras

    from crnn_keras.inference.recognizer import Recognizer

    try:
        import onnx
        import tf2onnx  # noqa: F401

        from crnn_keras.inference.onnx_recognizer import (
            INPUT,
            METADATA,
            OUTPUT,
            OnnxRecognizer,
            describe,
        )
    except ModuleNotFoundError as error:
        raise ValueError(
            f"The package {error.name} is missing. Install it by pip install 'crnn_keras[onnx]'."
        ) from None

    recognizer = Recognizer(_in_float32(Recognizer.load(reader).model))
    canvas = recognizer.canvas
    width = canvas.widths[0] if len(canvas.widths) == 1 else None
    signature = keras.InputSpec(shape=(None, canvas.height, width, 1), dtype="uint8", name=INPUT)
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.exported")
    try:
        recognizer.model.export(
            part, format="onnx", input_signature=[signature], opset_version=OPSET, verbose=False
        )
        model = onnx.load(part)
    finally:
        part.unlink(missing_ok=True)
    _name_the_ends(model.graph, OUTPUT)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA, describe(recognizer)
    if weights != "float32":
        {"float16": _halve_weights, "int8": _quarter_weights}[weights](model.graph)
    onnx.checker.check_model(model)
    content = model.SerializeToString()
    apart = _largest_difference(recognizer, OnnxRecognizer(content, str(path)))
    if not apart <= TOLERANCES[weights]:
        raise ValueError(
            f"The logits of {path} would be {apart:.1e} from those of {reader}, allowed are "
            f"{TOLERANCES[weights]:.0e}: nothing was written. Please report this with the reader."
        )
    files.write_atomic(path, content)
    return apart


def _in_float32(model):
    """A reader with the same weights that computes in float32, as tf2onnx needs it."""
    if model.dtype_policy.name == "float32":
        return model
    plain = type(model).from_config({**model.get_config(), "precision": "float32"})
    plain.set_weights(model.get_weights())
    return plain


def _halve_weights(graph):
    """Keeps large weights in float16; the runtime widens them once, when it loads the file."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    nodes = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < _WORTH_ROUNDING:
            continue
        whole = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{whole}_half"))
        nodes.append(helper.make_node("Cast", [tensor.name], [whole], to=TensorProto.FLOAT))
    _put_first(graph, nodes)


def _quarter_weights(graph):
    """Keeps large weights in int8 with a scale for each unit, multiplied as the file is loaded."""
    from onnx import TensorProto, helper, numpy_helper

    units = {
        name: _UNITS[node.op_type, place]
        for node in graph.node
        for place, name in enumerate(node.input)
        if (node.op_type, place) in _UNITS
    }
    nodes = []
    for tensor in list(graph.initializer):
        values = numpy_helper.to_array(tensor)
        if tensor.name not in units or values.size < _WORTH_ROUNDING:
            continue
        whole = tensor.name
        rounded, scales = _in_eight_bits(values, units[whole])
        tensor.CopyFrom(numpy_helper.from_array(rounded, f"{whole}_eight"))
        graph.initializer.append(numpy_helper.from_array(scales, f"{whole}_scales"))
        cast = helper.make_node("Cast", [tensor.name], [f"{whole}_cast"], to=TensorProto.FLOAT)
        scale = helper.make_node("Mul", [f"{whole}_cast", f"{whole}_scales"], [whole])
        nodes += [cast, scale]
    _put_first(graph, nodes)


def _in_eight_bits(values, units):
    """Whole numbers from -127 to 127 and the scales that bring them nearest to the values.

    Weights that lie on such a grid already, see `readers.ship`, are found again exactly.

    Args:
        values: float32 array.
        units: axes along which each place has a scale of its own.

    Returns:
        Tuple of an int8 array of the same shape, and a float32 array of the scales.
    """
    import numpy as np

    units = {axis % values.ndim for axis in units}
    others = tuple(axis for axis in range(values.ndim) if axis not in units)
    largest = np.abs(values).max(axis=others, keepdims=True)
    largest[largest == 0] = 1
    best, nearest = np.full(largest.shape, np.inf), largest / 127
    # The largest weight as 64 steps, as 65, ...: one of them is a multiple of any coarser grid.
    for steps in range(64, 128):
        scales = largest / steps
        errors = np.square(np.rint(values / scales) * scales - values).sum(others, keepdims=True)
        nearest = np.where(errors < best, scales, nearest)
        best = np.minimum(errors, best)
    return np.rint(values / nearest).astype(np.int8), nearest


def _put_first(graph, nodes):
    """Nodes must stand before those that use what they give."""
    nodes = [*nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _name_the_ends(graph, name):
    """Calls the output and the free sizes by their names: tf2onnx calls them Identity:0, unk__7."""
    (output,) = graph.output
    for node in graph.node:
        for values in (node.input, node.output):
            values[:] = [name if value == output.name else value for value in values]
    output.name = name
    ends = ((graph.input[0], ("batch", "height", "width")), (output, ("batch", "frames")))
    for value, sizes in ends:
        for dimension, size in zip(value.type.tensor_type.shape.dim, sizes, strict=False):
            if dimension.HasField("dim_param"):
                dimension.dim_param = size
    # What tf2onnx wrote of the values between would no longer fit the names.
    del graph.value_info[:]


def _largest_difference(recognizer, exported):
    import numpy as np

    random = np.random.default_rng(0)
    height = recognizer.canvas.height
    apart = 0.0
    for width in recognizer.canvas.widths:
        noise = random.integers(0, 256, (4, height, width, 1))
        strokes = np.where(random.random((3, height, width // 4, 1)) < 0.3, 30, 220).repeat(4, 2)
        canvases = np.concatenate([noise, strokes]).astype(np.uint8)
        difference = np.abs(recognizer.logits(canvases) - exported.logits(canvases)).max()
        # Not max(): what is no number must not get lost.
        apart = float(difference) if not difference <= apart else apart
    return apart
