"""The readers that come with the package: their names and their files."""

from __future__ import annotations

import pathlib

_NAMES = ("words", "ascii")
_FOLDER = pathlib.Path(__file__).parents[1] / "readers"


def shipped_files(suffix: str) -> dict[str, pathlib.Path]:
    """Returns the files of the readers that come with the package.

    Args:
        suffix: Suffix of the files, `".keras"` or `".onnx"`.

    Returns:
        Dict of `name: path`.
    """
    return {name: _FOLDER / f"{name}{suffix}" for name in _NAMES}
