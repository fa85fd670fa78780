"""Checks an ONNX file of a stranger before ONNX Runtime opens it.

The file is parsed by protobuf, with the few messages that `export_onnx` writes; the package `onnx`
is not needed. A file that has anything else is refused: other operators, subgraphs, functions,
weights in other files. So is one that protobuf would write in another way, which two readers might
understand differently.
"""

from __future__ import annotations

import functools
import json
import math
from typing import Any, NamedTuple

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from crnn_keras.inference.onnx_sizes import ATTRIBUTES, Tensor
from crnn_keras.utils.limits import (
    MAX_METADATA_BYTES,
    MAX_MODEL_BYTES,
    MAX_MODEL_OPERATORS,
    MAX_MODEL_WEIGHTS,
)

INPUT, OUTPUT, METADATA = "canvases", "logits", "crnn_keras"

# The operators mean the same in all of them. `export_onnx` writes 15.
_OPSETS = range(13, 18)
# tf2onnx names the second, and uses no operator of it.
_DOMAINS = ("", "ai.onnx.ml")
# What `export_onnx` stores: weights, shapes and indices.
_TYPES = {1: np.float32, 3: np.int8, 6: np.int32, 7: np.int64, 10: np.float16}
# The kinds of attributes, by `AttributeProto.type`, and the field that holds their value.
_VALUES = {2: "i", 3: "s", 7: "ints", 8: "strings"}

# The messages of onnx.proto, which is in the documents of ONNX: number, name and type of each
# field that an export fills. "*": repeated. A capital letter: a message.
_MESSAGES = {
    "Model": "1 ir_version int64, 2 producer_name string, 3 producer_version string, "
    "4 domain string, 5 model_version int64, 6 doc_string string, 7 graph Graph, "
    "8 opset_import *Opset, 14 metadata_props *Entry",
    "Opset": "1 domain string, 2 version int64",
    "Entry": "1 key string, 2 value string",
    "Graph": "1 node *Node, 2 name string, 5 initializer *Weights, 10 doc_string string, "
    "11 input *Value, 12 output *Value, 13 value_info *Value",
    "Node": "1 input *string, 2 output *string, 3 name string, 4 op_type string, "
    "5 attribute *Attribute, 6 doc_string string, 7 domain string",
    "Attribute": "1 name string, 3 i int64, 4 s bytes, 8 ints *int64, 9 strings *bytes, "
    "13 doc_string string, 20 type int32",
    "Weights": "1 dims *int64, 2 data_type int32, 8 name string, 9 raw_data bytes, "
    "12 doc_string string, 13 external_data *Entry, 14 data_location int32",
    "Value": "1 name string, 2 type Type, 3 doc_string string",
    "Type": "1 tensor_type TensorType, 6 denotation string",
    "TensorType": "1 elem_type int32, 2 shape Shape",
    "Shape": "1 dim *Dimension",
    "Dimension": "1 dim_value int64, 2 dim_param string, 3 denotation string",
}


class Node(NamedTuple):
    """An operator of a network.

    Args:
        op_type: Name of the operator.
        inputs: Names of its inputs; `""` for one that is left out.
        outputs: Names of its outputs.
        attributes: Dict of `name: value`.
    """

    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


class Network(NamedTuple):
    """What an ONNX file holds.

    Args:
        content: The bytes of the file.
        metadata: Dict that the file carries under the key `METADATA`.
        weights: Sizes of the weights by their names, with the values of those that may be shapes.
        nodes: The operators, in the order in which they run.
    """

    content: bytes
    metadata: dict[str, Any]
    weights: dict[str, Tensor]
    nodes: list[Node]


def read_onnx(content: bytes) -> Network:
    """Reads an ONNX file of a stranger.

    Args:
        content: Bytes of the file.

    Returns:
        `Network`.

    Raises:
        ValueError: The file is damaged or too large, or has something that `export_onnx` does not
            write. The message completes a sentence that begins with the file's name.
    """
    if len(content) > MAX_MODEL_BYTES:
        raise ValueError(f"has {len(content):,} bytes, over {MAX_MODEL_BYTES:,}")
    model = _message_class()()
    try:
        model.ParseFromString(content)
    except (message.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"is not an ONNX file, or it is damaged: {error}") from None
    _check_text(model)
    return _read_model(model, content)


def replace_metadata(content: bytes, text: str) -> bytes:
    """Returns an ONNX file with other metadata under the key `METADATA`.

    Args:
        content: Bytes of a file that `read_onnx` has read.
        text: The metadata, as JSON.

    Returns:
        Bytes of the file, with the same network.
    """
    model = _message_class()()
    model.ParseFromString(content)
    (entry,) = (entry for entry in model.metadata_props if entry.key == METADATA)
    entry.value = text
    return model.SerializeToString()


def _read_model(model, content):
    graph = model.graph
    if len(graph.node) > MAX_MODEL_OPERATORS:
        raise ValueError(f"has {len(graph.node):,} operators, over {MAX_MODEL_OPERATORS:,}")
    if not graph.node:
        raise ValueError("is not an ONNX file, or it is damaged: it has no operators")
    nodes = [_read_node(node) for node in graph.node]
    weights = {tensor.name: _read_weights(tensor) for tensor in graph.initializer}
    names = [*weights, *(name for node in nodes for name in node.outputs if name)]
    if len(weights) < len(graph.initializer) or len(set(names)) < len(names):
        raise ValueError("has two values of one name")
    _check_versions(model.opset_import)
    metadata = _read_metadata(model.metadata_props)
    # What is left out is in none of the messages above.
    model.DiscardUnknownFields()
    if model.SerializeToString() != content:
        raise ValueError(
            "has parts other than a network (functions, subgraphs, ...), or is written in another "
            "way than ONNX writes"
        )
    return Network(content, metadata, weights, nodes)


def _check_text(part):
    """Raises a ValueError if a name is no text: protobuf gives bytes, the runtime an error."""
    for field, value in part.ListFields():
        is_one = isinstance(value, int | float | str | bytes | message.Message)
        values = [value] if is_one else value
        if field.name == "initializer":
            # Not by their fields, of which one holds the numbers: it would be copied.
            names = [text for tensor in values for text in (tensor.name, tensor.doc_string)]
            _check_names(names)
        elif field.message_type is not None:
            for inner in values:
                _check_text(inner)
        elif field.type == field.TYPE_STRING:
            _check_names(values)


def _check_names(names):
    if any(isinstance(name, bytes) for name in names):
        raise ValueError("is not an ONNX file, or it is damaged: a name is no text")


def _read_node(node):
    kind = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
    if kind not in ATTRIBUTES:
        raise ValueError(f"has the operator {kind!r}, which is none of {', '.join(ATTRIBUTES)}")
    attributes = {}
    for attribute in node.attribute:
        field = _VALUES.get(attribute.type)
        if attribute.name not in ATTRIBUTES[kind] or field is None or attribute.name in attributes:
            raise ValueError(
                f"has an operator {kind!r} with the attribute {attribute.name!r}, which is none of "
                f"{list(ATTRIBUTES[kind])}, is given twice or is no number"
            )
        value = getattr(attribute, field)
        attributes[attribute.name] = value if isinstance(value, int | bytes) else tuple(value)
    return Node(kind, tuple(node.input), tuple(node.output), attributes)


def _read_weights(tensor):
    if tensor.external_data or tensor.data_location:
        raise ValueError("has weights outside of itself")
    if tensor.data_type not in _TYPES:
        raise ValueError(f"has weights of the type {tensor.data_type}, none of {list(_TYPES)}")
    shape = tuple(tensor.dims)
    count = math.prod(shape)
    dtype = np.dtype(_TYPES[tensor.data_type])
    # Once: protobuf makes a copy of it each time.
    raw = tensor.raw_data
    if any(size < 0 for size in shape) or count * dtype.itemsize != len(raw):
        raise ValueError(f"is damaged: weights of shape {list(shape)} with {len(raw):,} bytes")
    if count > MAX_MODEL_WEIGHTS:
        raise ValueError(f"has {count:,} weights in one tensor, over {MAX_MODEL_WEIGHTS:,}")
    is_index = dtype in (np.int32, np.int64)
    values = np.frombuffer(raw, dtype.newbyteorder("<")) if is_index else None
    return Tensor(shape, None if values is None else values.astype(np.int64).reshape(shape))


def _check_versions(imports):
    versions = {entry.domain: entry.version for entry in imports}
    if len(versions) < len(imports) or versions.get("") not in _OPSETS:
        raise ValueError(
            f"needs the operators of {versions}. Expected a version of ONNX's from {_OPSETS[0]} to "
            f"{_OPSETS[-1]}"
        )
    if others := versions.keys() - set(_DOMAINS):
        raise ValueError(f"needs operators of another library: {', '.join(map(repr, others))}")


def _read_metadata(entries):
    texts = [entry.value for entry in entries if entry.key == METADATA]
    if len(texts) != 1:
        raise ValueError(f"has no metadata {METADATA!r}, or has it twice: another program's")
    if len(texts[0]) > MAX_METADATA_BYTES:
        raise ValueError(f"has metadata of {len(texts[0]):,} bytes, over {MAX_METADATA_BYTES:,}")
    try:
        return json.loads(texts[0])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"has damaged metadata ({type(error).__name__}: {error})") from None


@functools.cache
def _message_class():
    """Returns protobuf's class of `Model`, made from `_MESSAGES`."""
    types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="crnn_keras/onnx_file.proto", package="crnn_keras.onnx_file"
    )
    for name, fields in _MESSAGES.items():
        described = file.message_type.add(name=name)
        for number, field, kind in map(str.split, fields.split(", ")):
            plain = kind.removeprefix("*")
            is_message = plain in _MESSAGES
            described.field.add(
                number=int(number),
                name=field,
                label=types.LABEL_OPTIONAL if plain == kind else types.LABEL_REPEATED,
                type=types.TYPE_MESSAGE if is_message else getattr(types, f"TYPE_{plain.upper()}"),
                type_name=f".{file.package}.{plain}" if is_message else None,
            )
    # A pool of its own: the package `onnx` registers its messages in the common one.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.Model"))
