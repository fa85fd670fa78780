"""The optimizer of a run and how its learning rate goes."""

import keras

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "step", "constant")


def make_schedule(schedule, learning_rate, total_steps):
    """Learning rate as a function of the step.

    Args:
        schedule: `"cosine"`: up in a twentieth of the steps, then down to 0 along a cosine;
            `"step"`: times 0.1 every 10,000 steps, the old project's; `"constant"`.
        learning_rate: the largest value.
        total_steps: steps of the whole run, used by `"cosine"`.

    Returns:
        A Keras schedule or a float.

    Raises:
        ValueError: the schedule is unknown.
    """
    if schedule == "cosine":
        warmup = max(total_steps // 20, 1)
        return keras.optimizers.schedules.CosineDecay(
            learning_rate / 100,
            max(total_steps - warmup, 1),
            warmup_target=learning_rate,
            warmup_steps=warmup,
        )
    if schedule == "step":
        return keras.optimizers.schedules.ExponentialDecay(
            learning_rate, decay_steps=10_000, decay_rate=0.1, staircase=True
        )
    if schedule == "constant":
        return learning_rate
    raise ValueError(f"Schedule {schedule!r} is unknown. Expected one of {SCHEDULES}.")


def make_optimizer(optimizer, learning_rate):
    """An optimizer with clipped gradients.

    Args:
        optimizer: `"adamw"` or `"sgd"` (momentum 0.9, as in the old project).
        learning_rate: float or Keras schedule.

    Returns:
        A Keras optimizer.

    Raises:
        ValueError: the optimizer is unknown.
    """
    if optimizer == "adamw":
        return keras.optimizers.AdamW(learning_rate, weight_decay=0.01, global_clipnorm=5.0)
    if optimizer == "sgd":
        return keras.optimizers.SGD(learning_rate, momentum=0.9, global_clipnorm=5.0)
    raise ValueError(f"Optimizer {optimizer!r} is unknown. Expected one of {OPTIMIZERS}.")
