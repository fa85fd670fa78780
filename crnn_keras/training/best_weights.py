"""The weights of a run's best epoch: a part of its state."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

    from crnn_keras.model.crnn import CRNN


@dataclass
class KeptWeight:
    """A copy of a weight in main memory. `RunState` saves and loads it as it does a variable.

    Args:
        path: Name of the weight, for messages.
        value: The copy.
    """

    path: str
    value: np.ndarray

    def numpy(self) -> np.ndarray:
        """Returns the copy."""
        return self.value

    def assign(self, value: np.ndarray) -> None:
        """Sets the copy."""
        self.value = value


class BestWeights:
    """Keeps a copy of a model's weights: those of the best epoch so far.

    They are saved in each state. So no file beside it is needed to know them, whenever a run is
    killed, and `model.keras` can be written from a state at any time.

    Args:
        model: A `CRNN`. Before the first epoch its weights are the best ones.

    Attributes:
        variables: List of `KeptWeight`s.
    """

    def __init__(self, model: CRNN):
        self.variables = [KeptWeight(f"best/{w.path}", _copy(w)) for w in model.weights]

    def keep(self, model: CRNN) -> None:
        """Copies the weights of the model."""
        for kept, weight in zip(self.variables, model.weights, strict=True):
            kept.assign(_copy(weight))

    def put_into(self, model: CRNN) -> None:
        """Sets the weights of the model to the copy."""
        _assign(model.weights, [kept.value for kept in self.variables])

    @contextlib.contextmanager
    def within(self, model: CRNN) -> Iterator[None]:
        """Sets the weights of the model to the copy for as long as the context lasts."""
        own = [_copy(weight) for weight in model.weights]
        self.put_into(model)
        try:
            yield
        finally:
            _assign(model.weights, own)


def _copy(weight):
    # On torch and TensorFlow `numpy` may return the memory of the weight itself.
    return np.array(weight.numpy())


def _assign(weights: Sequence[keras.Variable], values: Sequence[np.ndarray]) -> None:
    for weight, value in zip(weights, values, strict=True):
        weight.assign(value)
