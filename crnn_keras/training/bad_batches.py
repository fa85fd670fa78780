"""Errors that name the images of a step: numbers that are not finite, images that are gone."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from crnn_keras.data.records import RecordError

if TYPE_CHECKING:
    from crnn_keras.data.batches import Batches

_SHOWN = 5


def describe_batch(batches: Batches, step: int) -> str:
    """Names the images of a step for a message.

    Args:
        batches: The `Batches`.
        step: Index of the step, from 0.

    Returns:
        A line for each of the first images, and how many more there are.
    """
    names = batches.describe_step(step)
    lines = [f"  {name}" for name in names[:_SHOWN]]
    more = len(names) - _SHOWN
    return "\n".join(lines + ([f"  and {more} more"] if more > 0 else []))


def describe_nan_loss(loss: float, batches: Batches, step: int) -> str:
    """Tells in which step the loss became nan or infinite, and from which images.

    It was computed with the weights that the step before had left, so either may be the cause.

    Args:
        loss: The loss.
        batches: The `Batches` of the training.
        step: Index of the step, from 0.

    Returns:
        Several lines of text.
    """
    lines = [
        f"The loss became {loss} in step {step + 1:,}. Its batch:",
        describe_batch(batches, step),
    ]
    if step:
        lines += [
            f"The batch of step {step:,}, which changed the weights last:",
            describe_batch(batches, step - 1),
        ]
    return "\n".join(lines)


def describe_nan_weights(found: str, batches: Batches, step: int) -> str:
    """Tells which images made weights nan or infinite while the loss was finite.

    Args:
        found: Sentence that names the weights.
        batches: The `Batches` of the training.
        step: Index of the step that changed them last, from 0.

    Returns:
        Several lines of text.
    """
    return f"{found} The batch of step {step + 1:,}:\n{describe_batch(batches, step)}"


@contextlib.contextmanager
def explain_input_errors(
    split: str, batches: Batches, steps: Callable[[], Iterable[int]]
) -> Iterator[None]:
    """Replaces the error of images that cannot be read by one that says what to do.

    On the TensorFlow backend the error comes through a `tf.data.Dataset`, as one of TensorFlow's.

    Args:
        split: `"training"` or `"validation"`, for the message.
        batches: The `Batches` that are read.
        steps: Function that returns the indices of the steps whose images may be the cause.

    Raises:
        RecordError: An image cannot be read. Other errors pass unchanged.
    """
    try:
        yield
    except Exception as error:
        if not _is_of_input(error):
            raise
        found = _find_unreadable(batches, steps())
        if found is None:
            raise
        checks = [f"records.verify({str(folder)!r})" for folder in batches.records.folders]
        raise RecordError(
            f"The {split} images cannot be read. {found} To find every bad shard: "
            f"{', '.join(checks)}. Then start the same training again: it continues after its "
            "newest state."
        ) from error.__cause__


def _is_of_input(error):
    """Tells whether an error may come from the images."""
    tf = sys.modules.get("tensorflow")
    kinds = (RecordError, OSError) if tf is None else (RecordError, OSError, tf.errors.OpError)
    return isinstance(error, kinds)


def _find_unreadable(batches, steps):
    """Reads the images of some steps once more, and tells what is wrong with the first bad one."""
    for step in steps:
        try:
            batches.describe_step(step)
        except FileNotFoundError as error:
            return f"{error.filename} is missing. Prepare the records again (notebook 02)."
        except (OSError, ValueError) as error:
            return str(error)
    return None
