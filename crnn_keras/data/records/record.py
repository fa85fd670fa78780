"""One labelled image as it is stored: a `tf.train.Example`, written without TensorFlow.

Its features are `image/encoded`, `image/format`, `image/height`, `image/width`, `image/text` and
`image/source`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from crnn_keras.images import open_image, to_gray, upright_size
from crnn_keras.utils.limits import MAX_SIDE

# The formats that TensorFlow decodes as Pillow does; others are stored again as png.
_STORED_FORMATS = ("JPEG", "PNG")
# The features that are read, and the lists that hold their one value.
_FEATURES = {
    "image/encoded": "bytes_list",
    "image/text": "bytes_list",
    "image/source": "bytes_list",
    "image/height": "int64_list",
    "image/width": "int64_list",
}


@dataclass(frozen=True)
class Record:
    """Holds one labelled image as it is stored.

    Args:
        encoded: bytes of a jpeg or png.
        text: the label.
        source: where the image came from, for messages.
        height: int, height in pixels.
        width: int, width in pixels.
    """

    encoded: bytes
    text: str
    source: str
    height: int
    width: int


def make_record(encoded: bytes, text: str, source: str, *, decode: bool = True) -> Record:
    """Makes a record from the bytes of any image that Pillow reads.

    Args:
        encoded: bytes of an encoded image. A gray or RGB jpeg or png is stored as it is, any other
            image as a gray png.
        text: the label.
        source: where the image came from, for messages.
        decode: bool, whether a jpeg or png that is stored as it is gets decoded, to find damage.
            Defaults to `True`.

    Returns:
        `Record`.

    Raises:
        ImageError: the bytes are not an image, or cannot be decoded.
    """
    with open_image(encoded) as image:
        keep = image.format in _STORED_FORMATS and image.mode in ("L", "RGB")
        gray = None if keep and not decode else to_gray(image)
        width, height = gray.size if gray else upright_size(image)
    if not keep:
        buffer = io.BytesIO()
        gray.save(buffer, "PNG")
        encoded = buffer.getvalue()
    return Record(encoded, text, source, height, width)


def _example_class():
    """Builds the message class of `tf.train.Example` as TensorFlow's example.proto defines it.

    Importing TensorFlow for it would cost each process that writes records seconds and half a
    gigabyte.
    """
    package = "crnn_keras.records"
    file = descriptor_pb2.FileDescriptorProto(
        name="crnn_keras/example.proto", package=package, syntax="proto3"
    )
    field = descriptor_pb2.FieldDescriptorProto

    def message(parent, name, *fields):
        added = parent.add(name=name)
        for number, (label, kind, type_name) in enumerate(fields, start=1):
            added.field.add(
                name=label,
                number=number,
                type=kind,
                label=field.LABEL_REPEATED if label in ("value", "feature") else None,
                type_name=type_name and f".{package}.{type_name}",
            )
        return added

    top = file.message_type
    message(top, "BytesList", ("value", field.TYPE_BYTES, None))
    message(top, "FloatList", ("value", field.TYPE_FLOAT, None))
    message(top, "Int64List", ("value", field.TYPE_INT64, None))
    kinds = ("bytes_list", "BytesList"), ("float_list", "FloatList"), ("int64_list", "Int64List")
    message(top, "Feature", *((label, field.TYPE_MESSAGE, name) for label, name in kinds))
    features = message(top, "Features", ("feature", field.TYPE_MESSAGE, "Features.FeatureEntry"))
    entry = message(
        features.nested_type,
        "FeatureEntry",
        ("key", field.TYPE_STRING, None),
        ("value", field.TYPE_MESSAGE, "Feature"),
    )
    entry.field[1].label = field.LABEL_OPTIONAL
    entry.options.map_entry = True
    message(top, "Example", ("features", field.TYPE_MESSAGE, "Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.Example"))


_Example = _example_class()


def to_example(record: Record) -> bytes:
    """Serialises a record as a `tf.train.Example`; the same record gives the same bytes."""
    example = _Example()
    feature = example.features.feature
    image_format = b"jpeg" if record.encoded.startswith(b"\xff\xd8") else b"png"
    feature["image/encoded"].bytes_list.value.append(record.encoded)
    feature["image/format"].bytes_list.value.append(image_format)
    feature["image/height"].int64_list.value.append(record.height)
    feature["image/width"].int64_list.value.append(record.width)
    feature["image/text"].bytes_list.value.append(record.text.encode())
    # It may name a folder whose name is not UTF-8.
    feature["image/source"].bytes_list.value.append(
        record.source.encode("utf-8", "backslashreplace")
    )
    return example.SerializeToString(deterministic=True)


def from_example(payload: bytes) -> Record:
    """Reads a record from what `to_example` returned.

    Args:
        payload: bytes of a `tf.train.Example`, of whatever origin.

    Returns:
        `Record`. Its image is not opened.

    Raises:
        ValueError: the bytes are no such example, or a feature is missing, is there twice or holds
            what no record has.
    """
    try:
        feature = _Example.FromString(payload).features.feature
    except DecodeError as error:
        raise ValueError(f"it is no tf.train.Example ({error})") from None
    values = {}
    for name, kind in _FEATURES.items():
        found = getattr(feature[name], kind).value if name in feature else ()
        if len(found) != 1:
            raise ValueError(f"{name!r} has {len(found)} values, expected 1")
        values[name] = found[0]
    height, width = values["image/height"], values["image/width"]
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise ValueError(f"its image has {width} x {height} pixels")
    return Record(
        encoded=values["image/encoded"],
        text=values["image/text"].decode(),
        source=values["image/source"].decode(),
        height=height,
        width=width,
    )
