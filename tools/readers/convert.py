"""Converts readers that were saved before a model's config held its layers.

Their config names an architecture (`"preset": "deep"`); now it holds the lists of layers. The
weights are the same, so the converted file reads the same texts with the same confidences.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import zipfile

from crnn_keras.model.architectures import ARCHITECTURES
from crnn_keras.utils import files

_CONFIG = "config.json"


def convert(path: str | pathlib.Path) -> bool:
    """Converts a `.keras` file in place.

    Args:
        path: File that an earlier version of crnn_keras saved.

    Returns:
        Whether the file was changed: `False` if it is in the present form already.

    Raises:
        ValueError: The file is no reader, or its architecture is unknown.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [(info, archive.read(info)) for info in archive.infolist()]
        content = json.loads(dict((info.filename, data) for info, data in entries)[_CONFIG])
        config = content["config"]
    except (zipfile.BadZipFile, KeyError, TypeError, json.JSONDecodeError, OSError) as error:
        raise ValueError(f"{path} is no .keras file: {type(error).__name__}: {error}") from None
    if "preset" not in config:
        return False
    name = config.pop("preset")
    if name not in ARCHITECTURES:
        raise ValueError(f"{path} has the architecture {name!r}, expected {list(ARCHITECTURES)}.")
    content["config"] = {**config, **ARCHITECTURES[name]}
    content["module"] = "crnn_keras.model.crnn"
    with files.atomic(path) as file, zipfile.ZipFile(file, "w") as archive:
        for info, data in entries:
            new = json.dumps(content).encode() if info.filename == _CONFIG else data
            archive.writestr(info, new)
    return True


def main(arguments: list[str]) -> None:
    """Runs `python -m tools.readers convert FILE ...`."""
    parser = argparse.ArgumentParser(prog="python -m tools.readers convert", description=__doc__)
    parser.add_argument("paths", nargs="+", metavar="FILE", help=".keras file, changed in place")
    for path in parser.parse_args(arguments).paths:
        print(f"{path}: {'converted' if convert(path) else 'nothing to convert'}")
