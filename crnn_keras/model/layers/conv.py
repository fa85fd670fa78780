"""Convolutions whose gradients are computed by what is fast on a CPU.

On JAX the gradient to the kernel takes ten times as long as the convolution, on TensorFlow that to
a low image four times. Both are the same sums in another order: the first as one matrix product
for each position in the kernel, the second as a convolution with the kernel turned round.
"""

import functools

import keras
from keras import ops

from crnn_keras.utils.backend import use_fast_path

# With fewer channels one product for all positions is faster than one for each.
_FEW = 8


@keras.saving.register_keras_serializable(package="crnn_keras")
class Conv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` of one group, not dilated, channels last; see there for arguments."""

    def convolution_op(self, inputs, kernel):
        convolution = _CONVOLUTIONS.get(keras.backend.backend())
        known = None not in inputs.shape[1:]
        if not (convolution and known and use_fast_path(self.compute_dtype)):
            return super().convolution_op(inputs, kernel)
        pads = tuple(
            _padding(size, width, stride) if self.padding == "same" else (0, 0)
            for size, width, stride in zip(
                inputs.shape[1:3], self.kernel_size, self.strides, strict=True
            )
        )
        return convolution(self.strides, pads)(inputs, ops.convert_to_tensor(kernel))


def _padding(size, width, stride):
    """Rows before and after an image so that its size is divided by the stride, rounded up."""
    rows = max((-(-size // stride) - 1) * stride + width - size, 0)
    return rows // 2, rows - rows // 2


def _gradient_padding(size, outputs, width, stride, pads):
    """Padding of a gradient spread by the stride, so that the turned kernel gives the image's."""
    before = width - 1 - pads[0]
    return before, size + width - 1 - before - ((outputs - 1) * stride + 1)


@functools.cache
def _jax_convolution(strides, pads):
    """A function of inputs and kernel, with gradients of its own."""
    import jax
    import jax.numpy as jnp

    @jax.custom_vjp
    def convolve(inputs, kernel):
        return jax.lax.conv_general_dilated(
            inputs, kernel, strides, pads, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def forward(inputs, kernel):
        return convolve(inputs, kernel), (inputs, kernel)

    def backward(kept, gradient):
        inputs, kernel = kept
        rows, columns, channels, filters = kernel.shape
        high, wide = gradient.shape[1:3]
        padded = jnp.pad(inputs, ((0, 0), *pads, (0, 0)))
        spans = [(high - 1) * strides[0] + 1, (wide - 1) * strides[1] + 1]
        flat = gradient.reshape(-1, filters)
        # What each output sends to each input under the kernel, then every share to its place.
        fractions = (flat @ kernel.reshape(-1, filters).T).reshape(
            *gradient.shape[:3], rows, columns, channels
        )
        seen, to_padded = [], 0.0
        for row in range(rows):
            for column in range(columns):
                part = padded[
                    :,
                    row : row + spans[0] : strides[0],
                    column : column + spans[1] : strides[1],
                ]
                seen.append(part.reshape(-1, channels))
                rest = [
                    size - start - span
                    for size, start, span in zip(
                        padded.shape[1:3], (row, column), spans, strict=True
                    )
                ]
                to_padded += jax.lax.pad(
                    fractions[:, :, :, row, column],
                    0.0,
                    (
                        (0, 0, 0),
                        (row, rest[0], strides[0] - 1),
                        (column, rest[1], strides[1] - 1),
                        (0, 0, 0),
                    ),
                )
        (top, _), (left, _) = pads
        to_inputs = to_padded[:, top : top + inputs.shape[1], left : left + inputs.shape[2]]
        if channels < _FEW:
            to_kernel = jnp.concatenate(seen, axis=1).T @ flat
        else:
            to_kernel = jnp.stack([part.T @ flat for part in seen])
        return to_inputs, to_kernel.reshape(kernel.shape)

    convolve.defvjp(forward, backward)
    return convolve


@functools.cache
def _tensorflow_convolution(strides, pads):
    """A function of inputs and kernel, with gradients of its own."""
    import tensorflow as tf

    all_pads = ((0, 0), *pads, (0, 0))

    @tf.custom_gradient
    def convolve(inputs, kernel):
        outputs = tf.nn.conv2d(inputs, kernel, strides, all_pads)

        def backward(gradient):
            to_kernel = tf.raw_ops.Conv2DBackpropFilter(
                input=inputs,
                filter_sizes=kernel.shape,
                out_backprop=gradient,
                strides=(1, *strides, 1),
                padding="EXPLICIT",
                explicit_paddings=[rows for pair in all_pads for rows in pair],
            )
            spread = _spread(tf, gradient, strides)
            turned = tf.transpose(tf.reverse(kernel, [0, 1]), (0, 1, 3, 2))
            around = [
                _gradient_padding(*sizes)
                for sizes in zip(
                    inputs.shape[1:3],
                    outputs.shape[1:3],
                    kernel.shape[:2],
                    strides,
                    pads,
                    strict=True,
                )
            ]
            to_inputs = tf.nn.conv2d(spread, turned, 1, ((0, 0), *around, (0, 0)))
            return to_inputs, to_kernel

        return outputs, backward

    # A tensor, not a variable, which would count as captured.
    return lambda inputs, kernel: convolve(inputs, tf.convert_to_tensor(kernel))


def _spread(tf, gradient, strides):
    """Puts `stride - 1` zeros between rows and between columns."""
    for axis, stride in zip((1, 2), strides, strict=True):
        if stride > 1:
            between = [tf.zeros_like(gradient)] * (stride - 1)
            shape = [tf.shape(gradient)[0], *gradient.shape[1:]]
            shape[axis] *= stride
            gradient = tf.reshape(tf.stack([gradient, *between], axis + 1), shape)
            keep = [slice(None)] * 4
            keep[axis] = slice(shape[axis] - stride + 1)
            gradient = gradient[tuple(keep)]
    return gradient


@functools.cache
def _torch_convolution(strides, pads):
    """A function of inputs and kernel that changes strides in memory only, where Keras copies."""
    import torch

    (top, down), (left, right) = pads
    symmetric = top == down and left == right

    def convolve(inputs, kernel):
        images = inputs.movedim(-1, 1)
        if not symmetric:
            images = torch.nn.functional.pad(images, (left, right, top, down))
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
