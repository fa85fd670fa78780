"""Saves a trained reader in one file."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from crnn_keras.utils import files

if TYPE_CHECKING:
    from crnn_keras.model.crnn import CRNN


def save_model(model: CRNN, path: str | os.PathLike) -> None:
    """Saves a reader with its char dict, its canvas and its calibration.

    The file is complete or not there: an earlier file of this name is replaced only after the new
    one has reached the disk. Of two writers at once, the last one wins.

    Args:
        model: A `CRNN`. Its optimizer is not saved.
        path: File to write. The name ends in `.keras`. Missing folders are created.

    Raises:
        ValueError: The name has another end.
        OSError: The disk is full, or the file cannot be written for another reason.

    Example:

        >>> from crnn_keras import CharDict, build_crnn, save_model
        >>> model = build_crnn(CharDict.from_preset("digits"))
        >>> save_model(model, "data/mine/model.keras")
    """
    path = pathlib.Path(path)
    if path.suffix != ".keras":
        raise ValueError(f"{path} does not end in .keras. Expected a name such as model.keras.")
    path.parent.mkdir(parents=True, exist_ok=True)
    # A folder of its own, since Keras looks at the end of the file's name.
    folder = files.temporary_path(path)
    temporary = folder / path.name
    size = sum(weight.numpy().nbytes for weight in model.weights)
    try:
        with files.explain_full_disk(path.name, path.parent, size), _without_optimizer(model):
            folder.mkdir()
            model.save(temporary)
            files.sync(temporary)
            os.replace(temporary, path)
            files.sync(path.parent)
    finally:
        files.remove(folder)


@contextlib.contextmanager
def _without_optimizer(model: CRNN) -> Iterator[None]:
    """Hides what `compile` has set: Keras would triple the file with the optimizer's variables."""
    if not model.compiled:
        yield
        return
    optimizer = model.optimizer
    model.optimizer, model.compiled = None, False
    try:
        yield
    finally:
        model.optimizer, model.compiled = optimizer, True
