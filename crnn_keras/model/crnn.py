"""The network: convolutions make frames, a two-way LSTM reads them, a dense layer names them.

`paper` is the CRNN of Shi, Bai and Yao; `small` reads rendered words after minutes on two cores;
`mobile` takes less arithmetic and learns longer, and `deep`, the shape of the shipped readers, goes
on from it with more layers.
"""

import contextlib
import itertools
import string
from collections.abc import Callable
from typing import NamedTuple

import keras

from crnn_keras.char_dict import CharDict
from crnn_keras.images import Canvas
from crnn_keras.model import layers
from crnn_keras.model.calibration import Calibration

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@contextlib.contextmanager
def _layers_in(precision):
    """Layers made within compute in a precision; afterwards the caller's own default is back."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _conv(x, filters, kernel, name, strides=1, normalize=True):
    x = layers.Conv2D(filters, kernel, strides, padding="same", use_bias=not normalize, name=name)(
        x
    )
    if normalize:
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def _collapse_height(x, filters, width, name):
    """A convolution as high as its input, so that one row of frames is left.

    The width is padded by hand: one row of the kernel must not be.
    """
    left = (width - 1) // 2
    x = keras.layers.ZeroPadding2D(((0, 0), (left, width - 1 - left)), name=f"{name}_pad")(x)
    return layers.Conv2D(filters, (x.shape[1], width), use_bias=False, name=name)(x)


def _paper_features(x):
    """VGG-7: 32 rows become 1, four columns become 1. Batch norm where the paper has it."""
    pool = layers.MaxPooling2D
    x = pool((2, 2), name="pool1")(_conv(x, 64, 3, "conv1", normalize=False))
    x = pool((2, 2), name="pool2")(_conv(x, 128, 3, "conv2", normalize=False))
    x = _conv(x, 256, 3, "conv3", normalize=False)
    x = pool((2, 1), name="pool3")(_conv(x, 256, 3, "conv4", normalize=False))
    x = _conv(x, 512, 3, "conv5")
    x = pool((2, 1), name="pool4")(_conv(x, 512, 3, "conv6"))
    x = _collapse_height(x, 512, 2, "conv7")
    return keras.layers.ReLU(name="conv7_relu")(x)


def strided_features(*convolutions, residuals=()):
    """Strided convolutions: little arithmetic, so that two cores see many words in a minute.

    Args:
        convolutions: for each, `(filters, kernel size, strides)`; the strides across must make 4.
            One more, as high as what is left and with the last one's filters, makes the frames.
        residuals: for each, how many convolutions follow it whose output is added to their input.
            They add nothing at first, so a reader without them can go on with them.

    Returns:
        Function of a tensor `(batch, height, width, 1)`: gives `(batch, 1, width / 4, filters)`.
    """

    def features(x):
        numbered = enumerate(itertools.zip_longest(convolutions, residuals, fillvalue=0), start=1)
        for number, ((filters, kernel, strides), more) in numbered:
            x = _conv(x, filters, kernel, f"conv{number}", strides)
            for letter in string.ascii_lowercase[:more]:
                x = layers.ResidualConv2D(3, name=f"conv{number}{letter}")(x)
        name = f"conv{len(convolutions) + 1}"
        x = _collapse_height(x, convolutions[-1][0], 3, name)
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
        return keras.layers.ReLU(name=f"{name}_relu")(x)

    return features


class Shape(NamedTuple):
    """The sizes of a network.

    Args:
        features: function of the canvas that gives one row of frames.
        lstm_units: units of each LSTM layer and direction.
        dropout: share of the features dropped while it learns.
    """

    features: Callable
    lstm_units: tuple
    dropout: float


SMALL = ((24, 5, 2), (48, 3, 2), (64, 3, 1), (96, 3, (2, 1)), (96, 3, 1), (128, 3, (2, 1)))
# Half of the arithmetic is in the LSTM, which gains more from it than convolutions at full width.
MOBILE = ((16, 5, 2), (32, 3, 2), (64, 3, (2, 1)), (64, 3, 1), (128, 3, (2, 1)))
# By preset. `benchmarks/shapes.py` adds others, to compare.
SHAPES = {
    "small": Shape(strided_features(*SMALL), (96,), 0.2),
    "mobile": Shape(strided_features(*MOBILE), (192,), 0.1),
    "deep": Shape(strided_features(*MOBILE, residuals=(1, 1, 0, 1, 1)), (192,), 0.1),
    "paper": Shape(_paper_features, (256, 256), 0.0),
}
PRESETS = tuple(SHAPES)


def _may_be_called_directly(layer):
    """Whether `Layer.__call__` has nothing to add: no other precision, nobody who looks on."""
    return (
        keras.backend.backend() == "torch"
        and layer.dtype_policy.name == "float32"
        and not (layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks)
    )


@keras.saving.register_keras_serializable(package="crnn_keras")
class CRNN(keras.Model):
    """A text reader: canvas in, logits out. It carries its char dict and its canvas.

    Args:
        char_dict: a `CharDict`, or its config. It decides the number of classes.
        canvas: an `images.Canvas`, or its config.
        preset: one of `PRESETS`.
        seed: seed of the dropout.
        precision: one of `PRECISIONS`: what the layers compute in. Weights and logits are float32
            in all of them. A saved reader keeps it.
        calibration: a `calibration.Calibration`, or its config; None without one.

    Attributes:
        calibration: turns the confidence of a reading into the chance of being right. It holds
            for these weights only: set it after training, and save the reader then.

    Input shape:
        `(batch, canvas height, width, 1)`, grey levels from 0 to 255; width in pixels, one of the
        canvas' widths.

    Output shape:
        `(batch, width / 4, len(char_dict) + 1)`: logits, not normalised; class 0 is the blank.

    Reference:
        Shi, Bai and Yao, 2015, arXiv 1507.05717.
    """

    def __init__(
        self,
        char_dict,
        canvas,
        preset="small",
        seed=0,
        precision="float32",
        calibration=None,
        **kwargs,
    ):
        if preset not in SHAPES:
            raise ValueError(f"Preset {preset!r} is unknown. Expected one of {tuple(SHAPES)}.")
        if precision not in PRECISIONS:
            raise ValueError(f"Precision {precision!r} is unknown. Expected one of {PRECISIONS}.")
        if not isinstance(char_dict, CharDict):
            char_dict = CharDict.from_config(char_dict)
        canvas = canvas if isinstance(canvas, Canvas) else Canvas(**canvas)
        features, lstm_units, dropout = SHAPES[preset]
        width = canvas.widths[0] if len(canvas.widths) == 1 else None

        with _layers_in(precision):
            inputs = keras.Input((canvas.height, width, 1), name="canvas")
            x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="rescale")(inputs)
            x = features(x)
            x = keras.layers.Reshape((-1, x.shape[-1]), name="frames")(x)
            if dropout:
                x = keras.layers.Dropout(dropout, seed=seed, name="dropout")(x)
            for number, units in enumerate(lstm_units, start=1):
                lstm = keras.layers.LSTM(units, return_sequences=True, name="lstm")
                x = layers.Bidirectional(lstm, name=f"bilstm{number}")(x)
            # float32 whatever the precision of the rest: the loss needs it.
            outputs = keras.layers.Dense(char_dict.num_classes, dtype="float32", name="logits")(x)
            super().__init__(inputs=inputs, outputs=outputs, **kwargs)

        self.char_dict = char_dict
        self.canvas = canvas
        self.preset = preset
        self.seed = seed
        self.calibration = calibration
        # Said in a run's settings; `extend.load_for_fine_tuning` puts a reader's name here.
        self.origin = "fresh weights"

    @property
    def calibration(self):
        return self._calibration

    @calibration.setter
    def calibration(self, given):
        if not (given is None or isinstance(given, Calibration)):
            given = Calibration.from_config(given)
        self._calibration = given

    def call(self, inputs, training=None, mask=None):
        if not all(_may_be_called_directly(layer) for layer in self.layers):
            return super().call(inputs, training=training, mask=mask)
        # What `Layer.__call__` adds costs a tenth of a training step of `small` on torch, and most
        # of the time to read one image. The other backends pay for it once, while they trace.
        x = inputs
        for layer in self.layers[1:]:
            x = layer.call(x, training=training) if layer._call_has_training_arg else layer.call(x)
        return x

    def get_config(self):
        return {
            "char_dict": self.char_dict.get_config(),
            "canvas": self.canvas.get_config(),
            "preset": self.preset,
            "seed": self.seed,
            "precision": self.dtype_policy.name,
            "calibration": self.calibration and self.calibration.get_config(),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)


def build_crnn(char_dict, canvas=None, preset="small", seed=0, precision="float32"):
    """Builds a reader with fresh weights.

    Args:
        char_dict: a `CharDict`; its characters and the blank are the classes.
        canvas: an `images.Canvas`; 32 x 100 pixels, stretched, if None.
        preset: `"small"` (0.6 M weights with 36 characters), `"mobile"` (0.7 M, a quarter less
            arithmetic), `"deep"` (0.9 M) or `"paper"` (8.7 M).
        seed: seed of the weights and the dropout. It also seeds Python, NumPy and the backend,
            as `keras.utils.set_random_seed` does.
        precision: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`; see
            `distribute.recommend` for what suits a machine.

    Returns:
        `CRNN`.

    Example:

        >>> model = build_crnn(CharDict.from_preset("alphanumeric36"))
        >>> model.output_shape
        (None, 25, 37)
    """
    keras.utils.set_random_seed(seed)
    return CRNN(char_dict, canvas or Canvas(), preset, seed, precision)
