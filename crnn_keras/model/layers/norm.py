"""Batch normalization by one fused kernel.

Keras writes it out in some ten passes over the activations, which XLA fuses on JAX; TensorFlow
without XLA, and torch, run each of them. Both have one kernel that computes the same.
"""

import keras

from crnn_keras.utils.backend import use_fast_path


@keras.saving.register_keras_serializable(package="crnn_keras")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` of the last axis with scale and offset; see there."""

    def call(self, inputs, training=None, mask=None):
        fused = _FUSED.get(keras.backend.backend())
        if not (fused and use_fast_path(self.compute_dtype)):
            return super().call(inputs, training=training, mask=mask)
        weights = [w.value for w in (self.gamma, self.beta, self.moving_mean, self.moving_variance)]
        learns = bool(training and self.trainable)
        outputs, mean, variance = fused(inputs, *weights, self.epsilon, learns)
        if learns:
            for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving.value * self.momentum + now * (1.0 - self.momentum))
        return outputs


def _tensorflow(inputs, gamma, beta, moving_mean, moving_variance, epsilon, learns):
    import tensorflow as tf

    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=gamma,
        offset=beta,
        mean=[] if learns else moving_mean,
        variance=[] if learns else moving_variance,
        epsilon=epsilon,
        is_training=learns,
    )
    # The kernel gives the variance of the population that the batch stands for.
    count = tf.cast(tf.size(inputs) // inputs.shape[-1], variance.dtype)
    return outputs, tf.stop_gradient(mean), tf.stop_gradient(variance * (count - 1) / count)


def _torch(inputs, gamma, beta, moving_mean, moving_variance, epsilon, learns):
    import torch

    # Of the batch alone while it learns: the kernel would change what it is given.
    given = (None, None) if learns else (moving_mean, moving_variance)
    # Channels stand second for torch; only the strides are changed.
    outputs, mean, inverse = torch.native_batch_norm(
        inputs.movedim(-1, 1), gamma, beta, *given, learns, 0.0, epsilon
    )
    return outputs.movedim(1, -1), mean.detach(), inverse.detach().pow(-2) - epsilon


_FUSED = {"tensorflow": _tensorflow, "torch": _torch}
