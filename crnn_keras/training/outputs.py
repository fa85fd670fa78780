"""The history of a run as a csv file."""

import csv
import io
import pathlib

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
    with files.explain_full_disk(path.name, path.parent, len(content)):
        files.write_atomic(path, content)
