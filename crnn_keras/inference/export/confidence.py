"""The confidence of a prediction by Keras operations, for graphs without Python."""

from __future__ import annotations

from keras import KerasTensor, ops

from crnn_keras.model.calibration import EDGE, Calibration
from crnn_keras.model.ctc import ctc_loss


def text_probability(logits: KerasTensor, ids: KerasTensor) -> KerasTensor:
    """Computes the probability of all paths that spell a text: `Prediction.raw_confidence`.

    Args:
        logits: Float tensor of shape `(batch, frames, num_classes)`, not normalized.
        ids: Integer tensor of shape `(batch, longest text)`, padded with 0.

    Returns:
        float64 tensor of shape `(batch,)`, from 0 to 1.
    """
    # In float64: the logits of a confident model are large, and so are their rounding errors.
    loss = ctc_loss(ops.cast(logits, "float64"), ids)
    # A sum of many paths may exceed 1 by its rounding.
    return ops.minimum(ops.exp(-loss), 1.0)


def calibrate(confidences: KerasTensor, calibration: Calibration | None) -> KerasTensor:
    """Computes `Calibration.apply` in float64.

    Args:
        confidences: float64 tensor, from 0 to 1.
        calibration: A `Calibration`, or None.

    Returns:
        float64 tensor of the same shape.
    """
    if calibration in (None, Calibration()):
        return confidences
    clipped = ops.clip(confidences, EDGE, 1 - EDGE)
    log_odds = ops.log(clipped) - ops.log1p(-clipped)
    return ops.sigmoid(calibration.slope * log_odds + calibration.offset)
