"""A convolution whose output is added to its input."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from crnn_keras.model.layers.conv import Conv2D
from crnn_keras.model.layers.norm import BatchNormalization
from crnn_keras.utils.checks import COUNT, FRACTION, Either, Of, check_value


@keras.saving.register_keras_serializable(package="crnn_keras")
class ResidualConv2D(keras.layers.Layer):
    """`relu(x + batch_norm(convolution(x)))`, with as many channels as `x`.

    The scale of the batch norm begins at 0, so a fresh layer computes `relu(x)`. It can be put
    behind a ReLU of a trained network, and changes nothing before it has learned.

    Its two inner layers choose their fast paths themselves. Images are channels last, whatever
    `keras.config.image_data_format()` is.

    Args:
        kernel_size: Height and width of the kernel, in pixels, or one int for both. Defaults to
            `3`.
        momentum: Momentum of the batch norm's moving mean and variance. Defaults to `0.9`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        The same as the input shape.

    Example:

        >>> import keras
        >>> from crnn_keras.model.layers import ResidualConv2D
        >>> tuple(ResidualConv2D()(keras.ops.zeros((1, 8, 25, 64))).shape)
        (1, 8, 25, 64)

    Reference:
        He et al., 2015, arXiv 1512.03385. The scale of 0: Goyal et al., 2017, arXiv 1706.02677.
    """

    def __init__(self, kernel_size: int | tuple[int, int] = 3, momentum: float = 0.9, **kwargs):
        # Not by a decorator: Keras reads the names of the arguments from this function.
        check_value("kernel_size", kernel_size, Either(COUNT, Of((tuple, list))))
        check_value("momentum", momentum, FRACTION)
        super().__init__(**kwargs)
        self.kernel_size = kernel_size
        self.momentum = momentum
        self.norm = BatchNormalization(
            momentum=momentum, gamma_initializer="zeros", name="norm", dtype=self.dtype_policy
        )

    def build(self, input_shape):
        self.conv = Conv2D(
            input_shape[-1],
            self.kernel_size,
            padding="same",
            data_format="channels_last",
            use_bias=False,
            name="conv",
            dtype=self.dtype_policy,
        )
        self.conv.build(input_shape)
        self.norm.build(input_shape)

    def call(self, inputs, training=None):
        return ops.relu(inputs + self.norm(self.conv(inputs), training=training))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = {"kernel_size": self.kernel_size, "momentum": self.momentum}
        return {**super().get_config(), **config}
