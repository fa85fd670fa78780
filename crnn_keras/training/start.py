"""The model that a training starts from: fresh weights, or those of a trained model."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING

from crnn_keras.inference.shipped import shipped_files
from crnn_keras.model.architectures import ARCHITECTURES
from crnn_keras.model.crnn import build_crnn
from crnn_keras.training.fine_tuning import load_for_fine_tuning
from crnn_keras.utils.checks import COUNT, NATURAL, SEED, check_arguments

if TYPE_CHECKING:
    from crnn_keras.char_dict import CharDict
    from crnn_keras.images import Canvas
    from crnn_keras.model.crnn import CRNN

# From so many images, new or repeated, fresh weights learn next to nothing: docs/guide.md.
_LEARN_NOTHING = 30_000


@check_arguments(images=NATURAL, steps=COUNT, batch=COUNT)
def find_short_training(start: str | os.PathLike, images: int, *, steps: int, batch: int) -> str:
    """Describes why a training is too short to learn to read.

    Args:
        start: See `make_model`. Only fresh weights need a long training.
        images: Number of images to train on.
        steps: Number of steps in all.
        batch: Number of images in a step.

    Returns:
        What is wrong and what to do, or `""`.

    Example:

        >>> find_short_training("small", 60, steps=4, batch=64)[:58]
        'Too short a training: 60 images in 4 steps of 64, 256 seen'
    """
    seen = steps * batch
    if str(start) not in ARCHITECTURES or seen >= _LEARN_NOTHING:
        return ""
    return (
        f"Too short a training: {images:,} images in {steps:,} steps of {batch:,}, {seen:,} seen. "
        f"From the first {_LEARN_NOTHING:,} that they see, fresh weights learn next to nothing: "
        "expect a word accuracy near 0 %. Fine-tune a shipped model instead (notebook 08, or "
        "crnn-keras fine-tune --labels PATH --run mine), or train for "
        f"{-(-4 * _LEARN_NOTHING // batch):,} steps or more, on a thousand images at least."
    )


def default_learning_rate(start: str | os.PathLike) -> float:
    """Returns the largest learning rate that suits a start.

    Args:
        start: See `make_model`.

    Returns:
        0.003 for fresh weights, 0.001 for a trained model, which a larger rate makes forget.

    Example:

        >>> default_learning_rate("small"), default_learning_rate("words")
        (0.003, 0.001)
    """
    return 0.003 if str(start) in ARCHITECTURES else 0.001


@check_arguments(seed=SEED)
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
