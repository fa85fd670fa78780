"""What a run leaves for others: its history and its reader. What is said of a full disk."""

import contextlib
import csv
import errno
import io
import os
import pathlib
import shutil

from crnn_keras.utils import files

HISTORY_COLUMNS = (
    "epoch",
    "steps",
    "learning_rate",
    "train_loss",
    "loss",
    "sequence_distance",
    "word_accuracy",
    "character_accuracy",
    "skipped",
    "seconds",
)


@contextlib.contextmanager
def explain_full_disk(what, folder, wanted):
    """Says of a full disk which folder it holds, how much was wanted and that no state is lost.

    Args:
        what: what is being written, in a word or two.
        folder: where it is written.
        wanted: its size in bytes.

    Raises:
        OSError: the disk is full. Other errors pass unchanged.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free = shutil.disk_usage(folder).free
        raise OSError(
            error.errno,
            f"No space left on the disk or in the quota: {what} takes {wanted:,} bytes, and the "
            f"disk of {folder} has {free:,} free. The states saved before are untouched: make "
            "room and start the same training again, it continues after the newest of them",
        ) from error


def write_history(path, history):
    """Writes a history as csv, whole or not at all.

    Args:
        path: file to write.
        history: list of dicts with the keys of `HISTORY_COLUMNS`.

    Raises:
        OSError: the disk is full, and the like.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, HISTORY_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    content = buffer.getvalue().encode()
    path = pathlib.Path(path)
    with explain_full_disk(path.name, path.parent, len(content)):
        files.write_atomic(path, content)


def save_model(model, path):
    """Saves a reader with its char dict, canvas and calibration, whole or not at all.

    Args:
        model: a `CRNN`.
        path: file to write; must end in `.keras`.

    Raises:
        OSError: the disk is full, and the like.
    """
    path = pathlib.Path(path)
    part = path.with_name("part-" + path.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    wanted = sum(weight.numpy().nbytes for weight in model.weights)
    try:
        with explain_full_disk(path.name, path.parent, wanted):
            model.save(part)
            files.sync(part)
            os.replace(part, path)
            files.sync(path.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
