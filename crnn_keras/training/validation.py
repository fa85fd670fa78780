"""Reads a set of records once and compares the texts with the labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import keras

from crnn_keras.evaluation.metrics import Report, evaluate
from crnn_keras.model.ctc import ctc_loss
from crnn_keras.model.decoding.best_path import best_path
from crnn_keras.training.distribute import predict_local

if TYPE_CHECKING:
    from crnn_keras.data.batches import Batches
    from crnn_keras.model.crnn import CRNN


def check_batches(model: CRNN, batches: Batches) -> None:
    """Checks that batches were made for a model.

    Args:
        model: A `CRNN`.
        batches: The `Batches`.

    Raises:
        ValueError: The batches have another char dict or canvas than the model.
    """
    if batches.char_dict != model.char_dict:
        difference = model.char_dict.difference(batches.char_dict)
        raise ValueError(f"The model and the batches have different characters: {difference}.")
    if batches.canvas != model.canvas:
        raise ValueError(f"The model reads {model.canvas}, the batches hold {batches.canvas}.")


def validate(
    model: CRNN, batches: Batches, *, after_batch: Callable[[], None] | None = None
) -> tuple[float, Report]:
    """Reads every record of a set once and compares the texts with the labels.

    Args:
        model: A `CRNN`.
        batches: The `Batches` of the set.
        after_batch: Function that is called after each batch. An error that it raises ends the
            validation. Defaults to `None`.

    Returns:
        Tuple of the mean CTC loss, in nats, and a `Report` in the order of `batches.texts`.

    Raises:
        ValueError: The batches have another char dict or canvas than the model.
    """
    check_batches(model, batches)
    total, decoded = 0.0, [None] * len(batches)
    for canvases, labels, positions in batches.iter_once():
        logits = predict_local(model, canvases)
        losses = keras.ops.convert_to_numpy(ctc_loss(logits, labels))
        # Rows behind these fill up the batch.
        total += float(losses[: len(positions)].sum())
        for position, row in zip(positions, best_path(logits, model.char_dict), strict=False):
            decoded[position] = row
        if after_batch:
            after_batch()
    report = evaluate(
        batches.texts, [row.text for row in decoded], [row.confidence for row in decoded]
    )
    return total / len(batches), report
