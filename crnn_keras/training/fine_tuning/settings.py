"""The settings of a fine-tuning, and the defaults that `benchmarks/fine_tuning.py` chose."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

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
# New characters, as a fraction of those that the start has.
_MANY_NEW = 0.5
_RATE, _RATE_OF_ALL = 2e-3, 1e-3
_INTERPOLATION, _INTERPOLATION_OF_ALL = 0.95, 0.8
_FEWEST_STEPS, _MOST_STEPS = 100, 1000
_FEWEST_REPLAYED, _MOST_REPLAYED = 4000, 12_000


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
        train_lstm: Whether the LSTM learns too. An LSTM that stays keeps what it knows of the order
            of characters, while the convolutions learn the new look. Defaults to `None`: only if
            more than half as many characters are new as the start has, since it has no features
            that tell those apart.
        learning_rate: The largest learning rate. Defaults to `0`: 0.002, or 0.001 if the LSTM
            learns too.
        augment: Strength of the random changes to the training images, from 0 to 1. Defaults to
            `1.0`.
        replay_fraction: Fraction of each batch that are images of the old task. Defaults to `0.4`.
        replay_images: Number of rendered images to replay. Defaults to `0`: as many as the steps
            replay, from 4,000 to 12,000, since more of them would come only once.
        interpolation: Where the weights end between those of the start, 0, and the trained ones, 1;
            see `interpolate_weights`. Defaults to `None`: 0.95, or 0.8 if the LSTM learns too.
        finish: Whether the reader learns the images of the validation and the test too, after it
            was measured on them. Defaults to `None`: only if there are fewer than 300 images.
        seed: Seed of the splits, the order of the images, the augmentation and the replayed images.
            Defaults to `0`.

    Raises:
        ValueError: A setting is out of range.

    Example:

        >>> from crnn_keras import FineTuningSettings
        >>> FineTuningSettings(steps=200).batch_size
        64
    """

    steps: int = 0
    steps_per_epoch: int = 25
    patience: int = 8
    batch_size: int = 64
    train_lstm: bool | None = None
    learning_rate: float = 0.0
    augment: float = 1.0
    replay_fraction: float = 0.4
    replay_images: int = 0
    interpolation: float | None = None
    finish: bool | None = None
    seed: int = 0

    @check_arguments(images=COUNT, known=NATURAL, new=NATURAL)
    def complete(self, *, images: int, known: int, new: int) -> FineTuningSettings:
        """Fills in what depends on the images and the characters.

        Args:
            images: Number of images to train on.
            known: Number of characters of the start.
            new: Number of characters that it has to learn.

        Returns:
            `FineTuningSettings` in which the steps, the learning rate, the interpolation,
            `train_lstm` and `replay_images` are stated.

        Example:

            >>> from crnn_keras import FineTuningSettings
            >>> complete = FineTuningSettings().complete(images=206, known=36, new=12)
            >>> complete.steps, complete.learning_rate, complete.train_lstm
            (425, 0.002, False)
        """
        train_lstm, interpolation = self.train_lstm, self.interpolation
        if train_lstm is None:
            train_lstm = new > _MANY_NEW * known
        if interpolation is None:
            interpolation = _INTERPOLATION_OF_ALL if train_lstm else _INTERPOLATION
        steps = self.steps or default_steps(images)
        replayed = round(steps * self.batch_size * self.replay_fraction)
        return replace(
            self,
            steps=steps,
            replay_images=self.replay_images
            or min(max(replayed, _FEWEST_REPLAYED), _MOST_REPLAYED),
            learning_rate=self.learning_rate or (_RATE_OF_ALL if train_lstm else _RATE),
            train_lstm=train_lstm,
            interpolation=interpolation,
        )

    def __post_init__(self) -> None:
        for field in fields(self):
            check_value(field.name, getattr(self, field.name), _RULES[field.name])


_RULES = {
    "steps": Number(0, MAX_STEPS, is_whole=True),
    "steps_per_epoch": STEPS,
    "patience": NATURAL,
    "batch_size": COUNT,
    "train_lstm": Either(FLAG, OneOf((None,))),
    "learning_rate": Number(0, LEARNING_RATE.maximum),
    "augment": FRACTION,
    "replay_fraction": FRACTION,
    "replay_images": NATURAL,
    "interpolation": Either(FRACTION, OneOf((None,))),
    "finish": Either(FLAG, OneOf((None,))),
    "seed": SEED,
}


@check_arguments(images=COUNT)
def default_steps(images: int) -> int:
    """Returns how many steps a number of training images deserves.

    Args:
        images: Number of images to train on.

    Returns:
        17 times the images to the power of 0.6, a multiple of 25 from 100 to 1,000.

    Example:

        >>> [default_steps(images) for images in (16, 60, 250, 1000, 5000)]
        [100, 200, 475, 1000, 1000]
    """
    steps = round(17 * images**0.6 / 25) * 25
    return min(max(steps, _FEWEST_STEPS), _MOST_STEPS)
