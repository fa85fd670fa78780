"""Max pooling without a search for the gradient on JAX, and without copies on a GPU with torch.

On a CPU, JAX searches each window a second time for its largest value, which takes longer than the
convolutions around it. An image that is reshaped into windows side by side needs no search.

On torch, Keras copies the image so that its channels are second in memory. torch's kernel for GPUs
takes them last as well.
"""

import keras
from keras import ops

from crnn_keras.utils.backend import on_cpu, on_gpu


@keras.saving.register_keras_serializable(package="crnn_keras")
class MaxPooling2D(keras.layers.MaxPooling2D):
    """`keras.layers.MaxPooling2D` with a fast path for JAX on a CPU and for torch on a GPU.

    JAX' fast path is taken for windows side by side (`strides` equal to `pool_size`) that divide an
    image, channels last. Nothing is padded then, whatever `padding` is. torch's is taken for
    `padding="valid"`, channels last. Everything else is left to Keras.

    If the largest value of a window is in it more than once, JAX' fast path gives each of these
    pixels an equal fraction of the gradient. Everywhere else the first one gets all of it.

    Args:
        pool_size: Height and width of a window, or one int for both. Defaults to `(2, 2)`.
        **kwargs: The other arguments of `keras.layers.MaxPooling2D`, with the same defaults.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        `(batch, height / pool_size[0], width / pool_size[1], channels)` for JAX' fast path.

    Example:

        >>> import keras
        >>> from crnn_keras.model.layers import MaxPooling2D
        >>> tuple(MaxPooling2D((2, 1))(keras.ops.zeros((1, 32, 100, 3))).shape)
        (1, 16, 100, 3)
    """

    def call(self, inputs):
        if self._supports_torch_path():
            return _torch_pool(inputs, self.pool_size, self.strides)
        if not self._supports_jax_path(inputs):
            return super().call(inputs)
        _, height, width, channels = inputs.shape
        rows, columns = self.pool_size
        windows = (-1, height // rows, rows, width // columns, columns, channels)
        return ops.max(ops.reshape(inputs, windows), axis=(2, 4))

    def _supports_torch_path(self):
        return (
            keras.backend.backend() == "torch"
            and on_gpu()
            and self.data_format == "channels_last"
            and self.padding == "valid"
        )

    def _supports_jax_path(self, inputs):
        return (
            keras.backend.backend() == "jax"
            and on_cpu()
            and self.data_format == "channels_last"
            and self.strides == self.pool_size
            and None not in inputs.shape[1:]
            and all(s % w == 0 for s, w in zip(inputs.shape[1:3], self.pool_size, strict=True))
        )


def _torch_pool(inputs, pool_size, strides):
    import torch

    # torch has channels second. That changes the strides in memory only.
    pooled = torch.nn.functional.max_pool2d(inputs.movedim(-1, 1), pool_size, strides)
    return pooled.movedim(1, -1)
