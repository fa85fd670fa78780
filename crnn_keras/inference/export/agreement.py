"""Holds an exported model against the one that it was made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from crnn_keras.inference.base import BaseRecognizer
    from crnn_keras.model.crnn import CRNN


def to_float32(model: CRNN) -> CRNN:
    """Returns a model with the same weights that computes in float32, as exports do."""
    if model.dtype_policy.name == "float32":
        return model
    plain = type(model).from_config({**model.get_config(), "precision": "float32"})
    plain.set_weights(model.get_weights())
    return plain


def check_agreement(
    exported: BaseRecognizer, recognizer: BaseRecognizer, *, tolerance: float
) -> float:
    """Compares logits on noise and on strokes, for each width of the canvas.

    Args:
        exported: The exported model.
        recognizer: The recognizer of the model that it was made of.
        tolerance: The largest difference that is allowed.

    Returns:
        The largest difference.

    Raises:
        ValueError: It is larger than the tolerance, or not a number.
    """
    random = np.random.default_rng(0)
    height = recognizer.canvas.height
    largest = 0.0
    for width in recognizer.canvas.widths:
        noise = random.integers(0, 256, (4, height, width, 1))
        strokes = np.where(random.random((3, height, width // 4, 1)) < 0.3, 30, 220).repeat(4, 2)
        canvases = np.concatenate([noise, strokes]).astype(np.uint8)
        logits, expected = exported.predict_logits(canvases), recognizer.predict_logits(canvases)
        difference = float(np.abs(logits - expected).max())
        # Not max(): nan must not get lost.
        largest = difference if not difference <= largest else largest
    if not largest <= tolerance:
        raise ValueError(
            f"The logits of the export would differ from those of the model by {largest:.1e}, "
            f"allowed are {tolerance:.0e}: nothing was written. Please report this with the model."
        )
    return largest
