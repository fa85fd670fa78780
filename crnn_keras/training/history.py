"""The history of a run as a csv file."""

from __future__ import annotations

import csv
import io
import os
import pathlib
from collections.abc import Sequence
from typing import Any

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


def write_history(path: str | os.PathLike, history: Sequence[dict[str, Any]]) -> None:
    """Writes a history as csv, completely or not at all.

    Args:
        path: File to write.
        history: Dicts with the keys of `HISTORY_COLUMNS`, one for each epoch.

    Raises:
        OSError: The disk is full, or cannot be written to.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, HISTORY_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    content = buffer.getvalue().encode()
    path = pathlib.Path(path)
    with files.explain_full_disk(path.name, path.parent, len(content)):
        files.write_atomic(path, content)
