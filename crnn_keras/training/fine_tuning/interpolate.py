"""Weights between a reader's and those that it was fine-tuned to."""

from __future__ import annotations

import numpy as np

from crnn_keras.char_dict import BLANK
from crnn_keras.model.crnn import CRNN
from crnn_keras.training.fine_tuning.load import HEAD, find_columns
from crnn_keras.utils.checks import FRACTION, check_arguments


@check_arguments(fraction=FRACTION)
def interpolate_weights(start: CRNN, model: CRNN, *, fraction: float) -> None:
    """Moves a fine-tuned model a part of the way back to the weights that it began with.

    A model between the two keeps more of the old task for each point that it loses on the new one
    than a training that stops earlier. The columns of characters that the start does not have stay
    as they were learned.

    Args:
        start: The `CRNN` that the fine-tuning began with.
        model: The `CRNN` that came out of it, of the same layers; it is changed.
        fraction: Where the weights end: 0 is the start, 1 the fine-tuned model.

    Raises:
        ValueError: The models have different layers.

    Reference:
        Wortsman et al., 2022, Robust fine-tuning of zero-shot models (WiSE-FT), arXiv 2109.01903.
    """
    old_layers = {layer.name: layer.get_weights() for layer in start.layers}
    columns = find_columns(start.char_dict, model.char_dict)
    is_shared = columns != BLANK
    is_shared[BLANK] = True
    for layer in model.layers:
        learned, old = layer.get_weights(), old_layers.get(layer.name, [])
        if layer.name == HEAD:
            old = [
                np.where(is_shared, o[..., columns], n) for o, n in zip(old, learned, strict=False)
            ]
        if [weights.shape for weights in old] != [weights.shape for weights in learned]:
            raise ValueError(
                f"{layer.name} has other weights in the start, which is {start.architecture_name}, "
                f"than in the model, which is {model.architecture_name}. Expected the model that "
                "the fine-tuning began with."
            )
        layer.set_weights([o + fraction * (n - o) for o, n in zip(old, learned, strict=True)])
