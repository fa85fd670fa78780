"""The history of a run as a csv file."""

from __future__ import annotations

import csv
import io
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
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


def best_epoch(history: Sequence[Mapping[str, Any]]) -> int:
    """Returns the number of the best epoch of a history.

    It is the one with the highest word accuracy on the validation set; of those with the same, the
    one with the lowest loss; of these, the first.

    Args:
        history: Dicts with the keys of `HISTORY_COLUMNS`, one for each epoch.

    Returns:
        The number, counted from 1; 0 if there is no epoch.

    Example:

        >>> best_epoch([{"word_accuracy": 0.5, "loss": 2.0}, {"word_accuracy": 0.5, "loss": 1.0}])
        2
    """
    ranks = [_rank(row) for row in history]
    return ranks.index(max(ranks)) + 1 if ranks else 0


def _rank(row):
    """Returns what is larger for a better epoch. A loss that is not finite is the worst."""
    loss = row["loss"] if math.isfinite(row["loss"]) else math.inf
    return row["word_accuracy"], -loss


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
