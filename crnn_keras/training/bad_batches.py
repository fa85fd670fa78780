"""Errors that name the images of a step: numbers that are not finite, images that are gone."""

from crnn_keras.data.records import RecordError

_NAMED = 5


def describe_batch(batches, step):
    """The images of a step, for a message.

    Args:
        batches: a `dataset.Batches`.
        step: number of the step, from 0.

    Returns:
        String: a line for each of the first images, and how many more there are.
    """
    names = batches.describe_step(step)
    lines = [f"  {name}" for name in names[:_NAMED]]
    more = len(names) - _NAMED
    return "\n".join(lines + ([f"  and {more} more"] if more > 0 else []))


def describe_nan_loss(loss, batches, step):
    """Says of a loss that is nan or infinite where it came from.

    It was computed with the weights that the step before had left, so either may be the cause.

    Args:
        loss: the loss.
        batches: the `dataset.Batches` of the training.
        step: number of the step, from 0.

    Returns:
        String.
    """
    lines = [
        f"The loss became {loss} in step {step + 1:,}. Its batch:",
        describe_batch(batches, step),
    ]
    if step:
        lines += [
            f"The batch of step {step:,}, by which the weights were changed last:",
            describe_batch(batches, step - 1),
        ]
    return "\n".join(lines)


def describe_nan_weights(problem, batches, step):
    """Says of weights that are nan or infinite, while the loss was not, where they came from.

    Args:
        problem: sentence that names the weights.
        batches: the `dataset.Batches` of the training.
        step: number of the step that changed them last, from 0.

    Returns:
        String.
    """
    return f"{problem} The batch of step {step + 1:,}:\n{describe_batch(batches, step)}"


def unreadable(what, batches, steps):
    """The error of images that could not be read, named by reading them once more.

    TensorFlow, which runs the input on every backend, would give the stack of its own process.

    Args:
        what: which images, in a word or two.
        batches: a `dataset.Batches`.
        steps: iterable of the numbers of the steps whose images to read, from 0.

    Returns:
        `RecordError`; None if all images can be read.
    """
    for step in steps:
        try:
            batches.describe_step(step)
        except (OSError, ValueError) as error:
            found = str(error)
            if isinstance(error, FileNotFoundError):
                found = f"{error.filename} is missing. Prepare the records again (notebook 02)."
            checks = [f"records.verify({str(folder)!r})" for folder in batches.records.folders]
            return RecordError(
                f"The {what} cannot be read. {found} To have every bad shard named: "
                f"{', '.join(checks)}. Then start the same training again: it continues after its "
                "newest state."
            )
    return None
