"""A set of records read once and compared with its labels."""

import keras

from crnn_keras.evaluation.metrics import evaluate
from crnn_keras.model.ctc import ctc_loss
from crnn_keras.model.decoding.best_path import best_path
from crnn_keras.training.distribute import predict_local


def check_batches(model, batches):
    """Stops before a model meets batches that were made for another one.

    Args:
        model: a `CRNN`.
        batches: a `dataset.Batches`.

    Raises:
        ValueError: the batches have another char dict or canvas than the model.
    """
    if batches.char_dict != model.char_dict:
        differ = model.char_dict.difference(batches.char_dict)
        raise ValueError(f"The model and the batches have other characters: {differ}.")
    if batches.canvas != model.canvas:
        raise ValueError(f"The model reads {model.canvas}, the batches hold {batches.canvas}.")


def validate(model, batches, after_batch=lambda: None):
    """Reads every record of a set once and compares with the labels.

    Args:
        model: a `CRNN`.
        batches: a `dataset.Batches`.
        after_batch: called after each batch; an error that it raises ends the reading.

    Returns:
        Tuple of the mean CTC loss in nats and an `evaluate.Report` in the order of
        `batches.texts`.

    Raises:
        ValueError: the batches have another char dict or canvas than the model.
    """
    check_batches(model, batches)
    total, decoded = 0.0, [None] * len(batches)
    for canvases, labels, positions in batches.iter_once():
        logits = predict_local(model, canvases)
        losses = ctc_loss(logits, labels, inputs["frames"])
        total += float(keras.ops.convert_to_numpy(losses)[: len(positions)].sum())
        for position, reading in zip(
            positions, best_path(logits, inputs["frames"], model.char_dict), strict=False
        ):
            decoded[position] = reading
        after_batch()
    report = evaluate(
        batches.texts, [reading.text for reading in decoded], [r.confidence for r in decoded]
    )
    return total / len(batches), report
