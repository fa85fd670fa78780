"""The model that a training starts from: fresh weights, or those of a trained model."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING

from crnn_keras.inference.shipped import shipped_files
from crnn_keras.model.architectures import ARCHITECTURES
from crnn_keras.model.crnn import build_crnn
from crnn_keras.training.fine_tuning import load_for_fine_tuning

if TYPE_CHECKING:
    from crnn_keras.char_dict import CharDict
    from crnn_keras.images import Canvas
    from crnn_keras.model.crnn import CRNN


def make_model(
    start: str | os.PathLike,
    char_dict: CharDict,
    canvas: Canvas,
    *,
    seed: int = 0,
    precision: str = "float32",
) -> CRNN:
    """Builds a model with fresh weights, or loads one to fine-tune.

    Args:
        start: Name of an architecture, such as `"small"`; or a `.keras` file or the name of a
            shipped model, see `load_for_fine_tuning`.
        char_dict: The `CharDict` of the data.
        canvas: The `Canvas` of the data.
        seed: Seed of the weights and the dropout. Defaults to `0`.
        precision: What the layers compute in, see `build_crnn`. Defaults to `"float32"`.

    Returns:
        A `CRNN`.

    Raises:
        ValueError: The start is neither an architecture nor a model, or cannot take the canvas.
    """
    names = [*ARCHITECTURES, *shipped_files(".keras")]
    if str(start) not in names and not pathlib.Path(start).exists():
        raise ValueError(
            f"{start} is no file. Expected a .keras file or one of: {', '.join(names)}."
        )
    if str(start) in ARCHITECTURES:
        return build_crnn(char_dict, canvas, str(start), seed=seed, precision=precision)
    return load_for_fine_tuning(start, char_dict, canvas, seed=seed, precision=precision)
