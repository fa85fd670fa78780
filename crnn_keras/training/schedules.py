"""Optimizers and learning rate schedules by name."""

from __future__ import annotations

import math

import keras
from keras import ops

from crnn_keras.utils.checks import Either, Number, Of, check_arguments
from crnn_keras.utils.keras_private import clip_in_few_kernels

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "step", "constant")
# Their rates do not depend on the number of steps in all.
ENDLESS_SCHEDULES = ("step", "constant")
# The backends count steps in 32 bits.
MAX_STEPS = 2**31 - 1
STEPS = Number(1, MAX_STEPS, is_whole=True)
# What float32 holds, in which every backend keeps it.
LEARNING_RATE = Number(0, 3.4e38, above=True)


@keras.saving.register_keras_serializable("crnn_keras")
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Rises to the largest rate along a line, then falls to 0 along a cosine.

    It gives the rates of `keras.optimizers.schedules.CosineDecay`, which has a `cond` instead of a
    `where`: an optimizer asks for the rate once for each weight, and TensorFlow traces two graphs
    for each `cond` and never frees them.

    Args:
        learning_rate: The largest value. The first step has a hundredth of it.
        warmup_steps: Steps of the rise, at least 1.
        decay_steps: Steps of the fall, at least 1. Later steps have a rate of 0.
    """

    def __init__(self, learning_rate: float, warmup_steps: int, decay_steps: int) -> None:
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps
        self.decay_steps = decay_steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        first = self.learning_rate / 100
        rising = (self.learning_rate - first) * (step / self.warmup_steps) + first
        done = ops.minimum((step - self.warmup_steps) / self.decay_steps, 1.0)
        falling = self.learning_rate * (0.5 * (1.0 + ops.cos(math.pi * done)))
        return ops.where(step < self.warmup_steps, rising, falling)

    def get_config(self) -> dict:
        names = ("learning_rate", "warmup_steps", "decay_steps")
        return {name: getattr(self, name) for name in names}


@check_arguments(learning_rate=LEARNING_RATE, total_steps=STEPS)
def make_schedule(
    schedule: str, learning_rate: float, total_steps: int
) -> keras.optimizers.schedules.LearningRateSchedule | float:
    """Makes a learning rate schedule.

    Args:
        schedule: `"cosine"`: warm-up over a twentieth of the steps, then down to 0 along a cosine;
            `"step"`: times 0.1 every 10,000 steps, as in CRNN_Tensorflow; `"constant"`.
        learning_rate: The largest value.
        total_steps: Steps of the whole run. `"cosine"` needs them.

    Returns:
        A Keras schedule, or a float.

    Raises:
        ValueError: The schedule is unknown, or a number is out of range.
    """
    if schedule == "cosine":
        warmup = max(total_steps // 20, 1)
        return WarmupCosine(learning_rate, warmup, max(total_steps - warmup, 1))
    if schedule == "step":
        return keras.optimizers.schedules.ExponentialDecay(
            learning_rate, decay_steps=10_000, decay_rate=0.1, staircase=True
        )
    if schedule == "constant":
        return learning_rate
    raise ValueError(f"Schedule {schedule!r} is unknown. Expected one of {SCHEDULES}.")


@check_arguments(every=STEPS)
def rates_by_step(
    schedule: str, learning_rate: float, total_steps: int, *, every: int = 20
) -> list[tuple[int, float]]:
    """Returns the learning rate of a whole run, step by step.

    Args:
        schedule: See `make_schedule`.
        learning_rate: The largest value.
        total_steps: Steps of the whole run.
        every: Steps from one point to the next. Defaults to `20`.

    Returns:
        Tuples `(step, learning rate)`, the first and the last step among them.

    Raises:
        ValueError: The schedule is unknown, or a number is out of range.

    Example:

        >>> [(step, round(rate, 5)) for step, rate in rates_by_step("cosine", 0.003, 40)]
        [(0, 3e-05), (20, 0.00162), (40, 0.0)]
    """
    rate = make_schedule(schedule, learning_rate, total_steps)
    steps = [*range(0, total_steps, every), total_steps]
    if not callable(rate):
        return [(step, rate) for step in steps]
    return [(step, float(ops.convert_to_numpy(rate(step)))) for step in steps]


@check_arguments(
    learning_rate=Either(LEARNING_RATE, Of(keras.optimizers.schedules.LearningRateSchedule))
)
def make_optimizer(
    optimizer: str, learning_rate: float | keras.optimizers.schedules.LearningRateSchedule
) -> keras.optimizers.Optimizer:
    """Makes an optimizer with clipped gradients.

    Args:
        optimizer: `"adamw"` or `"sgd"` (momentum 0.9, as in CRNN_Tensorflow).
        learning_rate: Float or Keras schedule.

    Returns:
        A Keras optimizer.

    Raises:
        ValueError: The optimizer is unknown, or the learning rate is out of range.
    """
    if optimizer == "adamw":
        made = keras.optimizers.AdamW(learning_rate, weight_decay=0.01, global_clipnorm=5.0)
        return clip_in_few_kernels(made)
    if optimizer == "sgd":
        made = keras.optimizers.SGD(learning_rate, momentum=0.9, global_clipnorm=5.0)
        return clip_in_few_kernels(made)
    raise ValueError(f"Optimizer {optimizer!r} is unknown. Expected one of {OPTIMIZERS}.")
