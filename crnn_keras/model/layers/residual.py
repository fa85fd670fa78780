"""A convolution whose output is added to its input."""

import keras

from crnn_keras.model.layers.conv import Conv2D
from crnn_keras.model.layers.norm import BatchNormalization


@keras.saving.register_keras_serializable(package="crnn_keras")
class ResidualConv2D(keras.layers.Layer):
    """`relu(x + batch norm(convolution(x)))`, with as many channels as `x`.

    The batch norm's scale begins at 0, so that a fresh layer gives `relu(x)`: put behind another
    ReLU of a trained network it changes nothing before it has learnt.

    Args:
        kernel_size: integer, the sides of the kernel.
        momentum: of the batch norm's running mean and variance.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        The same.

    Reference:
        He et al., 2015, arXiv 1512.03385; the scale of 0: Goyal et al., 2017, arXiv 1706.02677.
    """

    def __init__(self, kernel_size=3, momentum=0.9, **kwargs):
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
            use_bias=False,
            name="conv",
            dtype=self.dtype_policy,
        )
        self.conv.build(input_shape)
        self.norm.build(input_shape)

    def call(self, inputs, training=None):
        return keras.ops.relu(inputs + self.norm(self.conv(inputs), training=training))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = {"kernel_size": self.kernel_size, "momentum": self.momentum}
        return {**super().get_config(), **config}
