"""The settings of a fine-tuning, and the defaults that `benchmarks/fine_tuning.py` chose."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from crnn_keras.training.schedules import LEARNING_RATE, MAX_STEPS, STEPS
from crnn_keras.utils.checks import (
    COUNT,
    FLAG,
    FRACTION,
    NATURAL,
    SEED,
    Either,
    Number,
    OneOf,
    check_arguments,
    check_value,
)

# Sets of fewer images are too small to leave some of them out of the training.
FEW_IMAGES = 300
_STEPS_FOR_ROOT, _MOST_STEPS = 25, 1000


@dataclass(frozen=True, kw_only=True)
class FineTuningSettings:
    """Holds how a reader is fine-tuned.

    Args:
        steps: Steps at most; the learning rate falls along a cosine until then. Defaults to `0`: by
            the number of images, see `default_steps`.
        steps_per_epoch: Steps between two validations. Defaults to `25`.
        patience: Validations without a better one after which the training ends. Defaults to `8`;
            with `0` it never ends before its last step.
        batch_size: Images in a step, the replayed ones included. Defaults to `64`.
        learning_rate: The largest learning rate. Defaults to `0.002`.
        train_lstm: Whether the LSTM learns too. Defaults to `False`: it keeps what it knows of the
            order of characters, while the convolutions learn the new look and the last layer the
            new characters.
        augment: Strength of the random changes to the training images, from 0 to 1. Defaults to
            `1.0`.
        replay_fraction: Fraction of each batch that are images of the old task. Defaults to `0.4`.
        replay_images: Number of rendered images to replay. Defaults to `12000`.
        interpolation: Where the weights end between those of the start, 0, and the trained ones, 1;
            see `interpolate_weights`. Defaults to `0.9`.
        finish: Whether the reader learns the images of the validation and the test too, after it
            was measured on them. Defaults to `None`: only if there are fewer than 300 images.
        seed: Seed of the splits, the order of the images, the augmentation and the replayed images.
            Defaults to `0`.

    Raises:
        ValueError: A setting is out of range.

    Example:

        >>> from crnn_keras import FineTuningSettings
        >>> FineTuningSettings(steps=200).learning_rate
        0.002
    """

    steps: int = 0
    steps_per_epoch: int = 25
    patience: int = 8
    batch_size: int = 64
    learning_rate: float = 2e-3
    train_lstm: bool = False
    augment: float = 1.0
    replay_fraction: float = 0.4
    replay_images: int = 12_000
    interpolation: float = 0.9
    finish: bool | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            check_value(field.name, getattr(self, field.name), _RULES[field.name])


_RULES = {
    "steps": Number(0, MAX_STEPS, is_whole=True),
    "steps_per_epoch": STEPS,
    "patience": NATURAL,
    "batch_size": COUNT,
    "learning_rate": LEARNING_RATE,
    "train_lstm": FLAG,
    "augment": FRACTION,
    "replay_fraction": FRACTION,
    "replay_images": COUNT,
    "interpolation": FRACTION,
    "finish": Either(FLAG, OneOf((None,))),
    "seed": SEED,
}


@check_arguments(images=COUNT)
def default_steps(images: int) -> int:
    """Returns how many steps a number of training images deserves.

    Args:
        images: Number of images to train on.

    Returns:
        25 times the square root of the images, a multiple of 25 from 100 to 1,000.

    Example:

        >>> [default_steps(images) for images in (16, 60, 250, 1000, 5000)]
        [100, 200, 400, 800, 1000]
    """
    steps = round(_STEPS_FOR_ROOT * math.sqrt(images) / 25) * 25
    return min(max(steps, 100), _MOST_STEPS)
