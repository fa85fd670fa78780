"""Batch normalization by one fused kernel.

Keras writes it as some ten operations on the activations. XLA fuses them on JAX. TensorFlow without
XLA, and torch, run each of them, but have one kernel that computes the same.
"""

import keras

from crnn_keras.utils.backend import on_gpu, use_fast_path


@keras.saving.register_keras_serializable(package="crnn_keras")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` with a fast path for images.

    The fast path is one kernel of TensorFlow (on a CPU) or torch (on a CPU or a GPU). It is taken
    for images whose last axis is normalized, with scale and offset, without a mask. Everything else
    is left to Keras.

    Args:
        **kwargs: Arguments of `keras.layers.BatchNormalization`, with the same defaults.

    Call arguments:
        inputs: A tensor of any rank.
        training: Whether the batch's own mean and variance are used, and the moving ones updated.
            Defaults to `None`.
        mask: A bool tensor of the inputs' shape without its last axis: `False` is left out of mean
            and variance. Defaults to `None`.

    Input shape:
        `(batch, height, width, channels)` for the fast path.

    Output shape:
        The same as the input shape.

    Example:

        >>> import keras
        >>> from crnn_keras.model.layers import BatchNormalization
        >>> tuple(BatchNormalization(momentum=0.9)(keras.ops.zeros((1, 32, 100, 3))).shape)
        (1, 32, 100, 3)

    Reference:
        Ioffe and Szegedy, 2015, arXiv 1502.03167.
    """

    def call(self, inputs, training=None, mask=None):
        if not self._supports_fast_path(inputs, mask):
            return super().call(inputs, training=training, mask=mask)
        weights = [self.gamma, self.beta, self.moving_mean, self.moving_variance]
        is_training = bool(training and self.trainable)
        outputs, mean, variance = _FUSED[keras.backend.backend()](
            inputs,
            [weight.value for weight in weights],
            epsilon=self.epsilon,
            is_training=is_training,
        )
        if is_training:
            for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(_move(moving.value, now, self.momentum))
        return outputs

    def _supports_fast_path(self, inputs, mask):
        return (
            keras.backend.backend() in _FUSED
            and use_fast_path(self.compute_dtype)
            and self.variable_dtype == "float32"
            and keras.backend.standardize_dtype(inputs.dtype) == self.compute_dtype
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and self.scale
            and self.center
            and mask is None
            and not self.renorm
            # Over several devices: the kernel sees the batch of one.
            and not self.synchronized
        )


def _move(moving, now, momentum):
    """Moves a statistic towards that of the batch."""
    if keras.backend.backend() == "torch" and on_gpu():
        return moving.lerp(now, 1.0 - momentum)  # one kernel instead of three
    return moving * momentum + now * (1.0 - momentum)


def _tensorflow_norm(inputs, weights, *, epsilon, is_training):
    import tensorflow as tf

    gamma, beta, moving_mean, moving_variance = weights
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=gamma,
        offset=beta,
        mean=[] if is_training else moving_mean,
        variance=[] if is_training else moving_variance,
        epsilon=epsilon,
        is_training=is_training,
    )
    # The kernel returns the unbiased variance, Keras' moving variance is made of the biased one.
    count = tf.cast(tf.size(inputs) // inputs.shape[-1], variance.dtype)
    return outputs, tf.stop_gradient(mean), tf.stop_gradient(variance * (count - 1) / count)


def _torch_norm(inputs, weights, *, epsilon, is_training):
    import torch

    gamma, beta, *moving = weights
    # None in training: the kernel would change the moving statistics in its own way.
    statistics = (None, None) if is_training else moving
    # torch has channels second. That changes the strides in memory only.
    outputs, mean, inverse = torch.native_batch_norm(
        inputs.movedim(-1, 1), gamma, beta, *statistics, is_training, 0.0, epsilon
    )
    outputs = outputs.movedim(1, -1)
    if not is_training:
        return outputs, None, None
    # The kernel returns 1 / sqrt(variance + epsilon).
    return outputs, mean.detach(), inverse.detach().pow(-2) - epsilon


_FUSED = {"tensorflow": _tensorflow_norm, "torch": _torch_norm}
