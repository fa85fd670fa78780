"""Trainings of some seconds, for looking at what goes wrong: tiny images, a network of 50,000
weights without an LSTM, one loop for all."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from crnn_keras.char_dict import BLANK, CharDict
from crnn_keras.images import Canvas, to_canvas
from crnn_keras.model.ctc import CTCLoss
from crnn_keras.model.decoding.best_path import best_path
from crnn_keras.synth import Style, render_word
from crnn_keras.utils.checks import COUNT, NATURAL, SEED, Number, OneOf, check_arguments

CHAR_DICT = CharDict.from_preset("digits")
CANVAS = Canvas("stretch", 16, (64,))
_SHORTEST, _LONGEST = 2, 5
_FILTERS = (16, 32, 48, 64)
# Frames, and the strides across of the third and the fourth convolution.
_STRIDES = {16: (1, 1), 8: (1, 2), 4: (2, 2)}
# Steps between two points of a curve.
_EVERY = 10


@dataclass(frozen=True)
class Codes:
    """Holds images of codes, such as *0415*, and what they show. `+` joins two, `[a:b]` cuts.

    Args:
        canvases: uint8 array of shape `(count, 16, 64, 1)`.
        labels: Integer array of shape `(count, 5)`: ids from 1, padded with 0.
        texts: Tuple of the codes.
    """

    canvases: np.ndarray
    labels: np.ndarray
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, rows: slice) -> Codes:
        return Codes(self.canvases[rows], self.labels[rows], self.texts[rows])

    def __add__(self, other: Codes) -> Codes:
        canvases = np.concatenate([self.canvases, other.canvases])
        return Codes(
            canvases, np.concatenate([self.labels, other.labels]), self.texts + other.texts
        )


@dataclass(frozen=True)
class SmallTraining:
    """Holds the curves of a training and its last readings.

    Args:
        losses: Tuples `(step, loss)`: the mean of the ten steps up to there, in nats an image.
        accuracies: Dict of `name: [(step, accuracy), ...]` for each test.
        texts: Dict of `name: texts` that were read at the end of each test.
    """

    losses: list[tuple[int, float]]
    accuracies: dict[str, list[tuple[int, float]]]
    texts: dict[str, list[str]]

    def final_loss(self) -> float:
        """Returns the mean loss of the last steps."""
        return self.losses[-1][1]

    def final_accuracy(self, test: str) -> float:
        """Returns the fraction of the codes of a test that were read correctly at the end.

        Args:
            test: Name of the test.
        """
        return self.accuracies[test][-1][1]


@check_arguments(count=COUNT, seed=SEED)
def draw_codes(count: int, fonts: Sequence[str], *, seed: int) -> Codes:
    """Draws codes of two to five digits on canvases of 16 x 64 pixels.

    Args:
        count: Number of images.
        fonts: Paths of fonts, taken in turn.
        seed: Seed; image `i` is a pure function of the seed, the fonts and `i`.

    Returns:
        `Codes`.

    Example:

        >>> from crnn_keras.synth import bundled_fonts
        >>> codes = draw_codes(3, bundled_fonts(), seed=1)
        >>> codes.canvases.shape, len(codes)
        ((3, 16, 64, 1), 3)
    """
    canvases, texts = [], []
    labels = np.full((count, _LONGEST), BLANK, "int32")
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        text = "".join(map(str, rng.integers(0, 10, rng.integers(_SHORTEST, _LONGEST + 1))))
        font = fonts[index % len(fonts)]
        image = render_word(text, font, Style.plain(), seed=seed, index=index)
        canvases.append(to_canvas(image, CANVAS))
        labels[index, : len(text)] = CHAR_DICT.encode(text)
        texts.append(text)
    return Codes(np.stack(canvases), labels, tuple(texts))


@check_arguments(frames=OneOf(tuple(_STRIDES)), seed=SEED)
def build_network(frames: int = 16, seed: int = 0) -> keras.Sequential:
    """Builds a network of four convolutions that reads codes, with fresh weights.

    It has no LSTM, so that it trains in seconds.

    Args:
        frames: Number of frames, 16, 8 or 4: with fewer, convolutions have larger strides across.
            Defaults to `16`.
        seed: Seed of the weights. Defaults to `0`.

    Returns:
        Model from canvases to logits of shape `(batch, frames, 11)`.
    """
    keras.utils.set_random_seed(seed)
    network = keras.Sequential([keras.Input((CANVAS.height, *CANVAS.widths, 1))])
    network.add(keras.layers.Rescaling(1 / 127.5, offset=-1))
    third, fourth = _STRIDES[frames]
    strides = [(2, 2), (2, 2), (2, third), (2, fourth)]
    for filters, stride in zip(_FILTERS, strides, strict=True):
        options = {"padding": "same", "use_bias": False, "data_format": "channels_last"}
        network.add(keras.layers.Conv2D(filters, 3, stride, **options))
        network.add(keras.layers.BatchNormalization(momentum=0.9))
        network.add(keras.layers.ReLU())
    network.add(keras.layers.Reshape((frames, _FILTERS[-1])))
    network.add(keras.layers.Dense(CHAR_DICT.num_classes, dtype="float32"))
    return network


@check_arguments(steps=COUNT, batch_size=COUNT, learning_rate=Number(0, 10), seed=NATURAL)
def train_network(
    network: keras.Model,
    codes: Codes,
    tests: Mapping[str, Codes],
    *,
    steps: int,
    loss: Callable[[Any, Any], Any] | None = None,
    learning_rate: float = 0.005,
    batch_size: int = 32,
    seed: int = 0,
) -> SmallTraining:
    """Trains a network by Adam, and reads the tests every ten steps.

    A training whose loss is not finite any more ends there.

    Args:
        network: What `build_network` returned.
        codes: `Codes` to train on. Each step draws its images from them at random.
        tests: Dict of `name: Codes` to read.
        steps: Number of steps.
        loss: Function of labels and logits, with a loss for each row. Defaults to `None`:
            `CTCLoss`.
        learning_rate: Of each step. Defaults to `0.005`.
        batch_size: Images in a step. Defaults to `32`.
        seed: Seed of what each step draws. Defaults to `0`.

    Returns:
        `SmallTraining`.
    """
    optimizer = keras.optimizers.Adam(learning_rate)
    # Compiling by XLA would take longer than the training.
    network.compile(optimizer, loss or CTCLoss(), jit_compile=False)
    rng, recent = np.random.default_rng(seed), []
    trained = SmallTraining([], {name: [] for name in tests}, {name: [] for name in tests})
    for step in range(1, steps + 1):
        rows = rng.integers(0, len(codes), batch_size)
        recent.append(float(network.train_on_batch(codes.canvases[rows], codes.labels[rows])))
        is_finite = math.isfinite(recent[-1])
        if is_finite and step % _EVERY and step < steps:
            continue
        trained.losses.append((step, float(np.mean(recent))))
        recent.clear()
        for name, test in tests.items():
            trained.texts[name][:] = read_codes(network, test)
            pairs = zip(trained.texts[name], test.texts, strict=True)
            accuracy = float(np.mean([read == text for read, text in pairs]))
            trained.accuracies[name].append((step, accuracy))
        if not is_finite:
            break
    return trained


def read_codes(network: keras.Model, codes: Codes) -> list[str]:
    """Reads images by the best path, with the blank at 0.

    Args:
        network: What `build_network` returned.
        codes: `Codes`.

    Returns:
        List of texts.
    """
    logits = keras.ops.convert_to_numpy(network.predict_on_batch(codes.canvases))
    # Weights that are not finite read nothing.
    return [found.text for found in best_path(np.nan_to_num(logits), CHAR_DICT)]
