"""2D convolution whose gradients are computed by what is fast on a CPU, without copies on torch.

On JAX the gradient with respect to the kernel takes ten times as long as the convolution. On
TensorFlow the gradient with respect to a low image takes four times as long. Both are the same sums
in another order: the first as one matrix product for each position in the kernel, the second as a
convolution with the kernel reversed.

On torch, Keras copies the image so that its channels are second in memory, and its output is copied
back by the next layer. torch's kernels take channels last as well, on a CPU and on a GPU.
"""

import functools

import keras
from keras import ops

from crnn_keras.utils.backend import use_fast_path
from crnn_keras.utils.math import ceil_div

# With fewer channels, one matrix product for all positions is faster than one for each.
_FEW_CHANNELS = 8


@keras.saving.register_keras_serializable(package="crnn_keras")
class Conv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` with a fast path for images: on a CPU, and on torch on a GPU.

    The fast path is taken for images of a known size, channels last, with one group and without
    dilation. Everything else is left to Keras, and so are bias and activation.

    Args:
        filters: Number of output channels.
        kernel_size: Height and width of the kernel, or one int for both.
        strides: Steps down and across, or one int for both. Defaults to `(1, 1)`.
        padding: `"valid"`, or `"same"` to pad with zeros so that the output's size is the input's
            divided by the strides, rounded up. Defaults to `"valid"`.
        **kwargs: The other arguments of `keras.layers.Conv2D`, with the same defaults.

    Input shape:
        `(batch, height, width, channels)` for the fast path.

    Output shape:
        `(batch, height, width, filters)`, with height and width as `padding` and `strides` make
        them.

    Example:

        >>> import keras
        >>> from crnn_keras.model.layers import Conv2D
        >>> tuple(Conv2D(24, 5, strides=2, padding="same")(keras.ops.zeros((1, 32, 100, 1))).shape)
        (1, 16, 50, 24)
    """

    def convolution_op(self, inputs, kernel):
        if not self._supports_fast_path(inputs):
            return super().convolution_op(inputs, kernel)
        pads = ((0, 0), (0, 0))
        if self.padding == "same":
            sizes = zip(inputs.shape[1:3], self.kernel_size, self.strides, strict=True)
            pads = tuple(_same_padding(*size) for size in sizes)
        convolve = _CONVOLUTIONS[keras.backend.backend()](self.strides, pads)
        return convolve(inputs, ops.convert_to_tensor(kernel))

    def _supports_fast_path(self, inputs):
        return (
            keras.backend.backend() in _CONVOLUTIONS
            and use_fast_path(self.compute_dtype)
            and keras.backend.standardize_dtype(inputs.dtype) == self.compute_dtype
            and len(inputs.shape) == 4
            and None not in inputs.shape[1:]
            and self.data_format == "channels_last"
            and self.groups == 1
            and self.dilation_rate == (1, 1)
        )


def _same_padding(size, kernel_size, stride):
    """Returns the zeros before and after an axis for an output of `size / stride`, rounded up."""
    zeros = max((ceil_div(size, stride) - 1) * stride + kernel_size - size, 0)
    return zeros // 2, zeros - zeros // 2


@functools.cache
def _jax_convolution(strides, pads):
    """Makes a function of inputs and kernel, with a gradient of its own."""
    import jax
    import jax.numpy as jnp

    @jax.custom_vjp
    def convolve(inputs, kernel):
        return jax.lax.conv_general_dilated(
            inputs, kernel, strides, pads, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def forward(inputs, kernel):
        return convolve(inputs, kernel), (inputs, kernel)

    def backward(saved, gradient):
        """Turns the gradient of the outputs, `dy`, into those of the inputs and of the kernel.

        With strides `(S, T)` and the padded inputs `x`, the convolution is

            y[n, i, j, f] = sum over r, s, c of x[n, i S + r, j T + s, c] * kernel[r, s, c, f]

        For each position `(r, s)` in the kernel, the pixels `x[n, i S + r, j T + s]` are a strided
        slice of `x`, here called a patch. So the gradients are matrix products over `n, i, j` and
        over `f`:

            dkernel[r, s, c, f] = sum over n, i, j of patch(r, s)[n, i, j, c] * dy[n, i, j, f]
            dpatch(r, s)[n, i, j, c] = sum over f of dy[n, i, j, f] * kernel[r, s, c, f]

        and `dx` is the sum of all `dpatch`, each put back to the place of its slice.
        """
        inputs, kernel = saved
        rows, columns, channels, filters = kernel.shape
        padded = jnp.pad(inputs, ((0, 0), *pads, (0, 0)))
        positions = [(row, column) for row in range(rows) for column in range(columns)]
        flat = gradient.reshape(-1, filters)

        # dkernel
        slices = {p: _patch_slices(p, strides, gradient.shape) for p in positions}
        patches = [padded[places].reshape(-1, channels) for places in slices.values()]
        if channels < _FEW_CHANNELS:
            to_kernel = jnp.concatenate(patches, axis=1).T @ flat
        else:
            to_kernel = jnp.stack([patch.T @ flat for patch in patches])

        # dx
        to_patches = (flat @ kernel.reshape(-1, filters).T).reshape(
            *gradient.shape[:3], rows, columns, channels
        )
        to_padded = 0.0
        for (row, column), places in slices.items():
            zeros = _padding_around(places, padded.shape)
            patch = to_patches[:, :, :, row, column]
            # A zero of the same type: a plain 0.0 is float64 where JAX_ENABLE_X64 is set.
            to_padded += jax.lax.pad(patch, jnp.zeros((), patch.dtype), zeros)
        (top, _), (left, _) = pads
        to_inputs = to_padded[:, top : top + inputs.shape[1], left : left + inputs.shape[2]]
        return to_inputs, to_kernel.reshape(kernel.shape)

    convolve.defvjp(forward, backward)
    return convolve


def _patch_slices(position, strides, output_shape):
    """Returns the slices of the padded inputs that a position in the kernel is multiplied with."""
    height_and_width = (
        slice(start, start + (size - 1) * stride + 1, stride)
        for start, stride, size in zip(position, strides, output_shape[1:3], strict=True)
    )
    return slice(None), *height_and_width


def _padding_around(patch_slices, padded_shape):
    """Returns `(before, after, between)` of each axis: the zeros that put a patch back in place."""
    height_and_width = (
        (places.start, size - places.stop, places.step - 1)
        for places, size in zip(patch_slices[1:], padded_shape[1:3], strict=True)
    )
    return (0, 0, 0), *height_and_width, (0, 0, 0)


@functools.cache
def _tensorflow_convolution(strides, pads):
    """Makes a function of inputs and kernel, with a gradient of its own."""
    import tensorflow as tf

    all_pads = ((0, 0), *pads, (0, 0))

    @tf.custom_gradient
    def convolve(inputs, kernel):
        outputs = tf.nn.conv2d(inputs, kernel, strides, all_pads)

        def backward(gradient):
            """Computes the inputs' gradient as a convolution of `gradient` by the kernel reversed.

            `gradient` is spread first, so that strides become 1. The kernel's own gradient is what
            TensorFlow computes.
            """
            to_kernel = tf.raw_ops.Conv2DBackpropFilter(
                input=inputs,
                filter_sizes=kernel.shape,
                out_backprop=gradient,
                strides=(1, *strides, 1),
                padding="EXPLICIT",
                explicit_paddings=[zeros for pair in all_pads for zeros in pair],
            )
            spread = _spread(tf, gradient, strides)
            reversed_kernel = tf.transpose(tf.reverse(kernel, [0, 1]), (0, 1, 3, 2))
            around = [
                _gradient_padding(
                    inputs.shape[axis + 1],
                    kernel.shape[axis],
                    pads[axis],
                    spread_size=(outputs.shape[axis + 1] - 1) * strides[axis] + 1,
                )
                for axis in (0, 1)
            ]
            to_inputs = tf.nn.conv2d(spread, reversed_kernel, 1, ((0, 0), *around, (0, 0)))
            return to_inputs, to_kernel

        return outputs, backward

    # A tensor: a variable would count as captured.
    return lambda inputs, kernel: convolve(inputs, tf.convert_to_tensor(kernel))


def _spread(tf, gradient, strides):
    """Puts `stride - 1` zeros between rows and between columns."""
    for axis, stride in zip((1, 2), strides, strict=True):
        if stride > 1:
            zeros = [tf.zeros_like(gradient)] * (stride - 1)
            shape = [tf.shape(gradient)[0], *gradient.shape[1:]]
            shape[axis] *= stride
            gradient = tf.reshape(tf.stack([gradient, *zeros], axis + 1), shape)
            # None behind the last one.
            keep = [slice(None)] * 4
            keep[axis] = slice(shape[axis] - stride + 1)
            gradient = gradient[tuple(keep)]
    return gradient


def _gradient_padding(input_size, kernel_size, pads, *, spread_size):
    """Returns the zeros around a spread gradient for which the reversed kernel gives the inputs."""
    before = kernel_size - 1 - pads[0]
    return before, input_size + kernel_size - 1 - before - spread_size


@functools.cache
def _torch_convolution(strides, pads):
    """Makes a function of inputs and kernel that changes strides in memory, where Keras copies."""
    import torch

    (top, bottom), (left, right) = pads
    symmetric = top == bottom and left == right

    def convolve(inputs, kernel):
        images = inputs.movedim(-1, 1)
        if not symmetric:
            images = torch.nn.functional.pad(images, (left, right, top, bottom))
        outputs = torch.nn.functional.conv2d(
            images,
            kernel.permute(3, 2, 0, 1),
            stride=strides,
            padding=(top, left) if symmetric else 0,
        )
        return outputs.movedim(1, -1)

    return convolve


_CONVOLUTIONS = {
    "jax": _jax_convolution,
    "tensorflow": _tensorflow_convolution,
    "torch": _torch_convolution,
}
