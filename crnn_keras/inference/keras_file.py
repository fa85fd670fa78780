"""Checks a `.keras` file of a stranger before Keras opens it.

Such a file is a zip archive of a config in JSON and of weights in HDF5. Each of them may be made to
take any memory: the archive by its list of names and by compression, the config by its sizes, the
weights by the shapes that they declare.
"""

from __future__ import annotations

import io
import json
import math
import os
import zipfile

import h5py

from crnn_keras.char_dict import CharDict
from crnn_keras.images import Canvas
from crnn_keras.model.architectures import ARCHITECTURES
from crnn_keras.model.calibration import Calibration
from crnn_keras.model.crnn import EARLIER_CONFIG, PRECISIONS
from crnn_keras.model.decoding import LanguageModel
from crnn_keras.model.sizes import DEFAULTS, check_architecture, measure_architecture
from crnn_keras.utils.checks import COUNT, SEED, TEXT, Of, OneOf, check_value
from crnn_keras.utils.limits import (
    MAX_METADATA_BYTES,
    MAX_MODEL_UNPACKED_BYTES,
    MAX_WEIGHT_GROUPS,
    MAX_ZIP_DIRECTORY_BYTES,
)

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_MEMBERS = ("metadata.json", _CONFIG, _WEIGHTS)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What Keras writes of a model, and what it may hold of a compiled one.
_ENTRIES = frozenset(
    ("module", "class_name", "registered_name", "config", "build_config", "compile_config")
)
_ARCHITECTURE = tuple(ARCHITECTURES["small"])
_REQUIRED = {"char_dict", "canvas", *_ARCHITECTURE} - DEFAULTS.keys()
_OPTIONAL = {
    "seed": SEED,
    "precision": OneOf(PRECISIONS),
    "calibration": Of((dict, type(None))),
    "language_model": Of((dict, type(None))),
    "name": TEXT,
}
# The filters of HDF5 by their numbers: deflate, shuffle and the checksum of Fletcher.
_FILTERS = (1, 2, 3)


class _Refusal(ValueError):
    """Error that completes a sentence which begins with the file's name."""


class _Archive(io.BufferedReader):
    """A file of which little is read at once until its archive is listed."""

    is_listed = False

    def read(self, size: int | None = -1) -> bytes:
        if not self.is_listed and size is not None and size > MAX_ZIP_DIRECTORY_BYTES:
            raise _Refusal(f"is an archive with a list of {size:,} bytes. Expected three names")
        return super().read(size)


def check_keras_file(path: str | os.PathLike, *, class_name: str, registered_name: str) -> None:
    """Checks that a file holds a model of one class, of the size that its config says.

    No layer is built, and no weight is read.

    Args:
        path: Path of the file.
        class_name: Name of the class.
        registered_name: Name by which Keras knows the class.

    Raises:
        ValueError: The file is another program's, is damaged, or would take more than a model
            needs. The message completes a sentence that begins with the file's name.
    """
    try:
        size = os.path.getsize(path)
        if size > MAX_MODEL_UNPACKED_BYTES:
            raise _Refusal(f"has {size:,} bytes, over {MAX_MODEL_UNPACKED_BYTES:,}")
        with _Archive(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
            file.is_listed = True
            _check_members(archive)
            config = _read_config(archive.read(_CONFIG), class_name, registered_name)
            _check_weights(archive.read(_WEIGHTS), _count_weights(config))
    except _Refusal:
        raise
    # What zipfile, zlib, HDF5 and the config's own classes raise has no class in common.
    except Exception as error:
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
        raise _Refusal(f"is not a .keras file, or it is damaged: {kind}{error}") from error


def _check_members(archive):
    names = [entry.filename for entry in archive.infolist()]
    if sorted(names) != sorted(_MEMBERS):
        shown = ", ".join(map(repr, names[:5]))
        raise _Refusal(f"is not a .keras file: it holds {shown}, not {', '.join(_MEMBERS)}")
    for entry in archive.infolist():
        if entry.compress_type not in _METHODS:
            raise _Refusal(
                f"is packed by the method {entry.compress_type} of zip. Expected none, or deflate"
            )
        most = MAX_MODEL_UNPACKED_BYTES if entry.filename == _WEIGHTS else MAX_METADATA_BYTES
        if entry.file_size > most:
            raise _Refusal(
                f"would unpack to {entry.file_size:,} bytes of {entry.filename}, over {most:,}"
            )


def _read_config(content, class_name, registered_name):
    """Returns the arguments of the model."""
    content = json.loads(content)
    if not isinstance(content, dict) or not _ENTRIES.issuperset(content):
        raise _Refusal("is not a .keras file: its config is not one of Keras")
    found = content.get("class_name")
    if (found, content.get("registered_name")) != (class_name, registered_name):
        raise _Refusal(f"holds a {found!s:.80} of another program, not a {class_name}")
    shape = (content.get("build_config") or {}).get("input_shape")
    if not all(size is None or COUNT.accepts(size) for size in shape or ()):
        raise _Refusal(f"is damaged: its model takes the shape {shape!s:.80}")
    return content["config"]


def _count_weights(config):
    """Returns the number of weights of a model, if its arguments are what the model takes."""
    if "preset" in config:
        raise _Refusal(EARLIER_CONFIG)
    if missing := sorted(_REQUIRED - config.keys()):
        raise _Refusal(f"is damaged: its config lacks {', '.join(missing)}")
    if unknown := sorted(config.keys() - _REQUIRED - _OPTIONAL.keys() - DEFAULTS.keys()):
        raise _Refusal(f"is another program's: its config has {', '.join(unknown)!s:.80}")
    for name, rule in _OPTIONAL.items():
        if name in config:
            check_value(name, config[name], rule)
    if config.get("calibration") is not None:
        Calibration.from_config(config["calibration"])
    if config.get("language_model") is not None:
        LanguageModel.from_config(config["language_model"])
    char_dict = CharDict.from_config(config["char_dict"])
    canvas = Canvas(**config["canvas"])
    entry = {name: config[name] for name in _ARCHITECTURE if name in config}
    architecture = check_architecture(entry)
    cost = measure_architecture(architecture, canvas, char_dict.num_classes)
    try:
        return cost.check().weights
    except ValueError as error:
        raise _Refusal(error) from None


def _check_weights(content, expected):
    """Raises a ValueError unless HDF5 declares so many weights, and nothing that is none."""
    found = total = groups = 0
    with h5py.File(io.BytesIO(content), "r") as file:
        waiting = [("", file)]
        while waiting:
            place, group = waiting.pop()
            for name in group:
                groups += 1
                path = f"{place}/{name}"
                if groups > MAX_WEIGHT_GROUPS:
                    raise _Refusal(f"has over {MAX_WEIGHT_GROUPS:,} groups of weights")
                if group.get(name, getclass=True, getlink=True) is not h5py.HardLink:
                    raise _Refusal(f"has weights outside of itself, by the link {path}")
                item = group[name]
                if isinstance(item, h5py.Group):
                    waiting.append((path, item))
                    continue
                count, size = _measure_dataset(item, path)
                total += size
                # Those of an optimizer are not loaded.
                found += count if path.startswith("/layers/") else 0
    if total > MAX_MODEL_UNPACKED_BYTES:
        raise _Refusal(f"would unpack to {total:,} bytes, over {MAX_MODEL_UNPACKED_BYTES:,}")
    if found != expected:
        raise _Refusal(f"is damaged: it has {found:,} weights, and {expected:,} by its config")


def _measure_dataset(item, path):
    """Returns the number of elements that a dataset of HDF5 declares, and of its bytes."""
    if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiu":
        raise _Refusal(f"has something else than numbers in its weights, {path}")
    if item.is_virtual or item.external:
        raise _Refusal(f"has weights outside of itself, {path}")
    creation = item.id.get_create_plist()
    filters = [creation.get_filter(index)[0] for index in range(creation.get_nfilters())]
    if not set(_FILTERS).issuperset(filters):
        raise _Refusal(f"has weights that are packed by the filters {filters} of HDF5, {path}")
    count = math.prod(item.shape)
    # A part that is larger than the whole would be unpacked all the same.
    size = max(count, math.prod(item.chunks or ())) * item.dtype.itemsize
    return count, size
