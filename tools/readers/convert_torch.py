"""Converts the weights of a network of plain PyTorch layers into a reader.

The network is a `torch.nn.Sequential` of an architecture's layers; block `n` of it has these keys:

| block | keys |
|---|---|
| convolution, batch norm, ReLU | `n.0`, `n.1` |
| residual convolution, its batch norm | `n.f.0`, `n.f.1` |
| convolution that makes the frames, its batch norm | `n.c`, `n.b` |
| dropout, if the architecture has it | none |
| all BiLSTMs | `n.l` |
| dense layer | `n` |

It takes `gray / 127.5 - 1` and pads with `kernel size // 2` zeros on each side, also where it has
strides. So the reader has the padding `"symmetric"`, whatever the architecture has. Its class 0 is
the blank.
"""

from __future__ import annotations

import argparse
import itertools
import os
import string
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from crnn_keras.char_dict import CharDict
from crnn_keras.images import Canvas, make_canvas
from crnn_keras.model.architectures import ARCHITECTURES

if TYPE_CHECKING:
    import keras

    from crnn_keras.model.crnn import CRNN

# That of `torch.nn.BatchNorm2d`.
_EPSILON = 1e-5
# How many batches a batch norm has seen: Keras does not count them.
_IGNORED = ".num_batches_tracked"


class _State:
    """The arrays of a state dict, which are taken from it by Keras' layers.

    Args:
        arrays: Dict of `key: array`.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self.left = {key: a for key, a in arrays.items() if not key.endswith(_IGNORED)}

    def take(self, key: str) -> np.ndarray:
        if key not in self.left:
            raise ValueError(f"the state dict has no {key!r}")
        return np.asarray(self.left.pop(key), "float32")

    def kernel(self, name: str) -> list[np.ndarray]:
        """Takes a kernel: `(filters, channels, height, width)`, with Keras the filters last."""
        return [self.take(f"{name}.weight").transpose(2, 3, 1, 0)]

    def norm(self, name: str, epsilon: float) -> list[np.ndarray]:
        """Takes a batch norm, whose scale makes up for another epsilon."""
        values = ("weight", "bias", "running_mean", "running_var")
        gamma, beta, mean, variance = (self.take(f"{name}.{value}") for value in values)
        exact = variance.astype("float64")
        gamma = gamma * np.sqrt((exact + epsilon) / (exact + _EPSILON))
        return [gamma.astype("float32"), beta, mean, variance]

    def lstm(self, name: str, index: int) -> list[np.ndarray]:
        """Takes a BiLSTM. Its gates have Keras' order; Keras has one bias, the sum of two."""
        directions = []
        for end in ("", "_reverse"):
            kernels = [self.take(f"{name}.weight_{kind}_l{index}{end}") for kind in ("ih", "hh")]
            biases = [self.take(f"{name}.bias_{kind}_l{index}{end}") for kind in ("ih", "hh")]
            directions += [*(kernel.T for kernel in kernels), sum(biases)]
        return directions


def convert_torch(
    arrays: Mapping[str, np.ndarray],
    char_dict: CharDict,
    canvas: Canvas,
    *,
    architecture: str,
) -> CRNN:
    """Builds a reader with the weights of a PyTorch network.

    Args:
        arrays: Dict of `key: array`, a state dict. Its keys are described above.
        char_dict: The `CharDict` that the network was trained with.
        canvas: The `Canvas` that it was trained with.
        architecture: Name of its architecture, which must batch normalize every convolution.

    Returns:
        A `CRNN` with the same logits but for rounding.

    Raises:
        ValueError: The arrays are not those of the architecture.
    """
    # Imported here, since it imports Keras.
    from crnn_keras.model.crnn import CRNN

    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"Architecture {architecture!r} is unknown. Expected one of {list(ARCHITECTURES)}."
        )
    model = CRNN(char_dict, canvas, **{**ARCHITECTURES[architecture], "padding": "symmetric"})
    state = _State(arrays)
    try:
        for layer, weights in _convert_layers(model, state):
            found = [weight.shape for weight in weights]
            expected = [tuple(weight.shape) for weight in layer.weights]
            if found != expected:
                raise ValueError(f"its {layer.name} would have the shapes {found}, not {expected}")
            layer.set_weights(weights)
        if state.left:
            raise ValueError(f"the state dict has {', '.join(state.left)} as well")
    except ValueError as error:
        raise ValueError(
            f"These are no weights of the architecture {architecture!r}: {error}. Expected a "
            "network of its layers, char dict and canvas."
        ) from None
    return model


def _convert_layers(
    model: CRNN, state: _State
) -> Iterator[tuple[keras.layers.Layer, list[np.ndarray]]]:
    """Yields the layers of a model, each with its weights in Keras' form."""
    entry, blocks = model.architecture, itertools.count()
    for number, residuals in enumerate(entry["residuals"], start=1):
        block = next(blocks)
        yield model.get_layer(f"conv{number}"), state.kernel(f"{block}.0")
        norm = model.get_layer(f"conv{number}_norm")
        yield norm, state.norm(f"{block}.1", norm.epsilon)
        for letter in string.ascii_lowercase[:residuals]:
            block, layer = next(blocks), model.get_layer(f"conv{number}{letter}")
            yield layer.conv, state.kernel(f"{block}.f.0")
            yield layer.norm, state.norm(f"{block}.f.1", layer.norm.epsilon)
    block, number = next(blocks), len(entry["residuals"]) + 1
    yield model.get_layer(f"conv{number}"), state.kernel(f"{block}.c")
    norm = model.get_layer(f"conv{number}_norm")
    yield norm, state.norm(f"{block}.b", norm.epsilon)
    if entry["dropout"]:
        next(blocks)
    block = next(blocks)
    for index in range(len(entry["lstm_units"])):
        yield model.get_layer(f"bilstm{index + 1}"), state.lstm(f"{block}.l", index)
    block = next(blocks)
    dense = [state.take(f"{block}.weight").T, state.take(f"{block}.bias")]
    yield model.get_layer("logits"), dense


def read_state(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads a state dict that `torch.save` wrote. Code in the file is not run.

    Args:
        path: Path of the file.

    Returns:
        Dict of `key: float32 array`.

    Raises:
        ValueError: PyTorch is not installed, or the file is no state dict.
    """
    try:
        import torch
    except ModuleNotFoundError:
        raise ValueError("PyTorch is missing. Install it by pip install torch.") from None
    try:
        # Without `map_location`, weights of a GPU can be read only where there is one.
        state = torch.load(path, weights_only=True, map_location="cpu")
        return {key: value.float().numpy() for key, value in state.items()}
    # What torch, zipfile and pickle raise has no class in common.
    except Exception as error:
        raise ValueError(
            f"{path} is no state dict of PyTorch: {type(error).__name__}: {error}"
        ) from None


def main(arguments: list[str]) -> None:
    """Runs `python -m tools.readers convert-torch FILE --architecture NAME -o FILE`."""
    from crnn_keras.model.saving import save_model

    parser = argparse.ArgumentParser(
        prog="python -m tools.readers convert-torch",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("path", metavar="FILE", help="state dict that torch.save wrote")
    add("--architecture", choices=ARCHITECTURES, required=True, help="that of the network")
    add("--characters", default="alphanumeric36", help="its char dict preset")
    add("--canvas-mode", default="stretch", help="mode of its canvas: stretch or keep")
    add("--canvas-width", type=int, default=128, help="width of its canvas in pixels")
    add("-o", "--output", metavar="FILE", required=True, help=".keras file to write")
    options = parser.parse_args(arguments)
    char_dict = CharDict.from_preset(options.characters)
    canvas = make_canvas(options.canvas_mode, options.canvas_width)
    state = read_state(options.path)
    model = convert_torch(state, char_dict, canvas, architecture=options.architecture)
    save_model(model, options.output)
    print(f"{options.output}: {model.architecture_name}, {model.count_params():,} weights")
