"""The network: convolutions make frames, a BiLSTM relates them, a dense layer classifies them."""

from __future__ import annotations

import contextlib
import copy
import math
import pathlib
import string
import types
from collections.abc import Iterator, Sequence
from typing import Any

import keras

from crnn_keras.char_dict import CharDict
from crnn_keras.images import Canvas
from crnn_keras.images.augmentation import Augmentation
from crnn_keras.model import layers
from crnn_keras.model.architectures import ARCHITECTURES, find_architecture
from crnn_keras.model.calibration import Calibration
from crnn_keras.model.decoding import LanguageModel
from crnn_keras.model.sizes import (
    BY_CONVOLUTION,
    check_architecture,
    measure_architecture,
    to_height_and_width,
)
from crnn_keras.utils import keras_private
from crnn_keras.utils.checks import SEED, check_arguments, check_value

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
EARLIER_CONFIG = (
    "was saved by crnn_keras 0.1.0 before its layers were part of its config. Convert the file "
    "once: python -m tools.readers convert FILE"
)
# Stated for each layer: the default of a process may be another one (`keras.json`).
_CHANNELS_LAST = {"data_format": "channels_last"}


@contextlib.contextmanager
def _dtype_policy(precision: str) -> Iterator[None]:
    """Builds layers in a precision, then restores the caller's own default."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _may_be_called_directly(layer, compute_dtype):
    """Tells whether `Layer.__call__` has nothing to add: no other precision, no hooks.

    Args:
        layer: A Keras layer.
        compute_dtype: What its inputs and its weights have been cast to.
    """
    return (
        layer.compute_dtype == compute_dtype
        and layer.dtype_policy.quantization_mode is None
        and not keras_private.has_hooks(layer)
    )


@keras.saving.register_keras_serializable(package="crnn_keras")
class CRNN(keras.Model):
    """A text reader: canvases in, logits out. It carries its char dict, canvas and calibration.

    The first arguments say what is read. The lists say of which layers the network consists: they
    hold one value for each convolution. `build_crnn` fills them in from `ARCHITECTURES`.

    Args:
        char_dict: A `CharDict`, or its config. It decides the number of classes.
        canvas: A `Canvas`, or its config.
        filters: Filters of each convolution. One more convolution, as high as what is left and with
            the filters of the last, makes the frames.
        kernel_sizes: Kernel size of each convolution, in pixels.
        strides: `[down, across]` of each convolution.
        pool_sizes: `[down, across]` of the max pooling behind each convolution. `[1, 1]`: none.
            Strides and pooling across must divide the width by 4.
        residuals: How many `ResidualConv2D` layers follow each convolution.
        batch_norm: Whether each convolution is batch normalized. One that is not has a bias.
        frame_kernel_width: Kernel width of the convolution that makes the frames.
        frame_batch_norm: Whether that convolution is batch normalized.
        lstm_units: Units of each BiLSTM, for each direction.
        dropout: Fraction of the features that is dropped in training, from 0 to 1.
        padding: `"same"` or `"symmetric"`: where zeros surround the image of a convolution with
            strides. `"same"` is that of Keras, with the odd zero behind; `"symmetric"` has as many
            in front, as torch has. Defaults to `"same"`.
        seed: Seed of the dropout. Defaults to `0`.
        precision: One of `PRECISIONS`: what the layers compute in. Weights and logits are float32
            in all of them. Defaults to `"float32"`.
        calibration: A `Calibration`, or its config. Defaults to `None`.
        language_model: The `LanguageModel` that a recognizer reads with, or its config. Defaults to
            `None`.
        augmentation: An `Augmentation`: the first layer changes the canvases at random while the
            model trains, on the device that trains. It belongs to a training and is not saved.
            Defaults to `None`: `Batches` does it on the CPU.

    Attributes:
        calibration: Turns the confidence of a prediction into the chance that it is correct. It
            holds for these weights only: set it after training, then save the model.
        origin: Where the weights come from: `"fresh weights"`, or the reader that a fine-tuning
            began with. A run's settings hold it.
        origin_path: Path of that reader's file, or `None`.

    Input shape:
        `(batch, canvas height, width, 1)`: gray levels from 0 to 255. The width is one of the
        canvas' widths, in pixels.

    Output shape:
        `(batch, width / 4, num_classes)`: logits, not normalized. Class 0 is the blank.

    Example:

        >>> from crnn_keras import CRNN, Canvas, CharDict
        >>> from crnn_keras.model.architectures import ARCHITECTURES
        >>> entry = {**ARCHITECTURES["small"], "lstm_units": [64]}
        >>> model = CRNN(CharDict.from_preset("digits"), Canvas(), **entry)
        >>> model.output_shape
        (None, 25, 11)

    Reference:
        Shi, Bai and Yao, 2015, arXiv 1507.05717.
    """

    def __init__(
        self,
        char_dict: CharDict | dict,
        canvas: Canvas | dict,
        *,
        filters: Sequence[int],
        kernel_sizes: Sequence[int],
        strides: Sequence[Sequence[int]],
        pool_sizes: Sequence[Sequence[int]],
        residuals: Sequence[int],
        batch_norm: Sequence[bool],
        frame_kernel_width: int,
        frame_batch_norm: bool,
        lstm_units: Sequence[int],
        dropout: float,
        padding: str = "same",
        seed: int = 0,
        precision: str = "float32",
        calibration: Calibration | dict | None = None,
        language_model: LanguageModel | dict | None = None,
        augmentation: Augmentation | None = None,
        **kwargs: Any,
    ):
        if precision not in PRECISIONS:
            raise ValueError(f"Precision {precision!r} is unknown. Expected one of {PRECISIONS}.")
        if not isinstance(char_dict, CharDict):
            char_dict = CharDict.from_config(char_dict)
        canvas = canvas if isinstance(canvas, Canvas) else Canvas(**canvas)
        # === Config ===
        architecture = check_architecture(
            {
                "filters": filters,
                "kernel_sizes": kernel_sizes,
                "strides": strides,
                "pool_sizes": pool_sizes,
                "residuals": residuals,
                "batch_norm": batch_norm,
                "frame_kernel_width": frame_kernel_width,
                "frame_batch_norm": frame_batch_norm,
                "lstm_units": lstm_units,
                "dropout": dropout,
                "padding": padding,
            }
        )
        check_value("seed", seed, SEED)
        try:
            measure_architecture(architecture, canvas, char_dict.num_classes).check()
        except ValueError as error:
            raise ValueError(f"The network {error}. Expected a smaller one.") from None

        # === Functional model ===
        width = canvas.widths[0] if len(canvas.widths) == 1 else None
        with _dtype_policy(precision):
            inputs = keras.Input((canvas.height, width, 1), dtype="float32", name="canvas")
            x = (
                layers.Augment(augmentation, seed, name="augment")(inputs)
                if augmentation
                else inputs
            )
            x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="rescale")(x)
            x = _build_features(x, architecture)
            x = keras.layers.Reshape((-1, x.shape[-1]), name="frames")(x)
            if dropout:
                x = keras.layers.Dropout(dropout, seed=seed, name="dropout")(x)
            for index, units in enumerate(lstm_units, start=1):
                lstm = keras.layers.LSTM(units, return_sequences=True, name="lstm")
                x = layers.Bidirectional(lstm, name=f"bilstm{index}")(x)
            # float32 in every precision: the loss needs it.
            head = keras.layers.Dense(char_dict.num_classes, dtype="float32", name="logits")
            super().__init__(inputs=inputs, outputs=head(x), **kwargs)

        self.char_dict = char_dict
        self.canvas = canvas
        # A plain dict would be wrapped by Keras, which tracks the containers that are attributes.
        self._architecture = types.MappingProxyType(architecture)
        self.seed = seed
        self.calibration = calibration
        if isinstance(language_model, dict):
            language_model = LanguageModel.from_config(language_model)
        self.language_model = language_model
        self.augmentation = augmentation
        self.origin = "fresh weights"
        self.origin_path: pathlib.Path | None = None

    @property
    def architecture(self) -> dict[str, Any]:
        """Returns the arguments that decide the layers, as plain data."""
        return copy.deepcopy(dict(self._architecture))

    @property
    def architecture_name(self) -> str:
        """Names the architecture: a key of `ARCHITECTURES`, or `"custom"`."""
        return find_architecture(self.architecture)

    @property
    def calibration(self) -> Calibration | None:
        return self._calibration

    @calibration.setter
    def calibration(self, value: Calibration | dict | None) -> None:
        if not (value is None or isinstance(value, Calibration)):
            value = Calibration.from_config(value)
        self._calibration = value

    def call(self, inputs, training=None, mask=None):
        if keras.backend.backend() != "torch" or not self._weights_are_cast():
            return super().call(inputs, training=training, mask=mask)
        # What `Layer.__call__` adds costs a tenth of a training step of `small` on torch, and most
        # of the time to read one image. The other backends pay for it once, while they trace.
        x = inputs
        for layer in self.layers[1:]:
            options = {"training": training} if keras_private.has_training_argument(layer) else {}
            direct = _may_be_called_directly(layer, self.compute_dtype)
            x = layer.call(x, **options) if direct else layer(x, **options)
        return x

    def _weights_are_cast(self):
        """Tells whether weights are in the model's precision, as while it is called as a layer."""
        weight = self.get_layer("conv1").weights[0]  # a small one
        return keras.backend.standardize_dtype(weight.value.dtype) == self.compute_dtype

    def get_config(self) -> dict[str, Any]:
        return {
            "char_dict": self.char_dict.get_config(),
            "canvas": self.canvas.get_config(),
            **self.architecture,
            "seed": self.seed,
            "precision": self.dtype_policy.name,
            "calibration": self.calibration and self.calibration.get_config(),
            "language_model": self.language_model and self.language_model.get_config(),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> CRNN:
        if "preset" in config:
            raise ValueError(f"This reader {EARLIER_CONFIG}")
        return cls(**config)


def _build_features(x, architecture):
    """Applies the convolutions: `(batch, height, width, 1)` -> `(batch, 1, width / 4, filters)`."""
    rows = zip(*(architecture[name] for name in BY_CONVOLUTION), strict=True)
    pools = 0
    for index, (filters, kernel, strides, pool, residuals, norm) in enumerate(rows, start=1):
        name = f"conv{index}"
        padding = "same"
        # Without strides, `"same"` is symmetric already.
        if architecture["padding"] == "symmetric" and math.prod(strides) > 1:
            sides = tuple(map(_zeros_around, to_height_and_width(kernel)))
            x = keras.layers.ZeroPadding2D(sides, name=f"{name}_pad", **_CHANNELS_LAST)(x)
            padding = "valid"
        x = layers.Conv2D(
            filters,
            kernel,
            tuple(strides),
            padding=padding,
            use_bias=not norm,
            name=name,
            **_CHANNELS_LAST,
        )(x)
        x = _normalize_and_rectify(x, norm, name)
        for letter in string.ascii_lowercase[:residuals]:
            x = layers.ResidualConv2D(3, name=f"{name}{letter}")(x)
        if math.prod(pool) > 1:
            pools += 1
            x = layers.MaxPooling2D(tuple(pool), name=f"pool{pools}", **_CHANNELS_LAST)(x)
    # As high as what is left, so that one row of frames remains. The width is padded by hand, since
    # the height must not be.
    name = f"conv{len(architecture['filters']) + 1}"
    width = architecture["frame_kernel_width"]
    sides = (0, 0), _zeros_around(width)
    x = keras.layers.ZeroPadding2D(sides, name=f"{name}_pad", **_CHANNELS_LAST)(x)
    filters, kernel = architecture["filters"][-1], (x.shape[1], width)
    x = layers.Conv2D(filters, kernel, use_bias=False, name=name, **_CHANNELS_LAST)(x)
    return _normalize_and_rectify(x, architecture["frame_batch_norm"], name)


def _zeros_around(kernel_size):
    """Returns the zeros in front of and behind an axis, for a kernel that is centered on pixels."""
    before = (kernel_size - 1) // 2
    return before, kernel_size - 1 - before


def _normalize_and_rectify(x, batch_norm, name):
    if batch_norm:
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


@check_arguments(seed=SEED)
def build_crnn(
    char_dict: CharDict,
    canvas: Canvas | None = None,
    architecture: str = "small",
    *,
    seed: int = 0,
    precision: str = "float32",
    augmentation: Augmentation | None = None,
) -> CRNN:
    """Builds a reader with fresh weights.

    Args:
        char_dict: A `CharDict`. Its characters and the blank are the classes.
        canvas: A `Canvas`. Defaults to `None`: 32 x 100 pixels, stretched.
        architecture: A name in `ARCHITECTURES`: `"small"` (0.6 M weights with 36 characters),
            `"mobile"` (0.7 M, a quarter less arithmetic), `"deep"` (0.9 M), `"wide"` (2.3 M, three
            times the arithmetic of `"deep"`), `"large"` (7.6 M, three times that of `"wide"`) or
            `"paper"` (8.7 M). Defaults to `"small"`.
        seed: Seed of the weights and of the dropout. It also seeds Python, NumPy and the backend,
            as `keras.utils.set_random_seed` does. Defaults to `0`.
        precision: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`. Defaults to `"float32"`.
        augmentation: See `CRNN`. Defaults to `None`.

    Returns:
        A `CRNN`.

    Raises:
        ValueError: The architecture or the precision is unknown.

    Example:

        >>> from crnn_keras import CharDict, build_crnn
        >>> model = build_crnn(CharDict.from_preset("alphanumeric36"))
        >>> model.output_shape
        (None, 25, 37)
    """
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"Architecture {architecture!r} is unknown. Expected one of {list(ARCHITECTURES)}."
        )
    keras_private.set_random_seed(seed)
    return CRNN(
        char_dict,
        canvas or Canvas(),
        **ARCHITECTURES[architecture],
        seed=seed,
        precision=precision,
        augmentation=augmentation,
    )
