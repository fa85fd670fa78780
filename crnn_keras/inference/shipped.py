"""Where a reader's file lies: the readers that come with the package, and those of others."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping

NAMES = ("words", "words-large", "ascii", "lines")
# As help texts list them.
LISTED = ", ".join(NAMES)
_FOLDER = pathlib.Path(__file__).parents[1] / "readers"


def shipped_files(suffix: str) -> dict[str, pathlib.Path]:
    """Returns the files of the readers that come with the package.

    Args:
        suffix: Suffix of the files, `".keras"` or `".onnx"`.

    Returns:
        Dict of `name: path`.
    """
    return {name: _FOLDER / f"{name}{suffix}" for name in NAMES}


def find_file(
    path: str | os.PathLike, shipped: Mapping[str, pathlib.Path], *, advice: str
) -> pathlib.Path:
    """Finds the file of a reader.

    Args:
        path: Path of a file, or the name of a shipped reader.
        shipped: Dict of `name: path` of the shipped readers.
        advice: What the error tells the user to pass.

    Returns:
        Path of the file.

    Raises:
        ValueError: There is no such file, or the path is none.
    """
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"The path of the reader is a {type(path).__name__}. {advice}")
    name = os.fsdecode(path)
    found = pathlib.Path(shipped.get(name, name))
    # Not `Path.is_file`, which raises where the name is too long for any file.
    if not os.path.isfile(found):
        known = ", ".join(shipped)
        raise ValueError(f"{found} does not exist. {advice} Or one of: {known}.")
    return found
