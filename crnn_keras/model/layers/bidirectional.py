"""A two-way LSTM whose directions run together."""

import keras
from keras import ops

from crnn_keras.utils.backend import on_cpu


@keras.saving.register_keras_serializable(package="crnn_keras")
class Bidirectional(keras.layers.Bidirectional):
    """`keras.layers.Bidirectional` around an LSTM that returns its sequence, concatenated.

    It has Keras' name, since saved readers hold the weights under it.

    Keras runs one loop forwards and another backwards. On a CPU, JAX gets one loop for both, and
    torch its own kernel; TensorFlow keeps Keras' loops, which the export to ONNX recognises.

    Args:
        layer: a `keras.layers.LSTM` with Keras' default activations.
        kwargs: see `keras.layers.Bidirectional`.
    """

    def call(self, sequences, initial_state=None, mask=None, training=None):
        together = _TOGETHER.get(keras.backend.backend())
        if not (together and on_cpu() and mask is None and initial_state is None):
            return super().call(sequences, initial_state, mask, training)
        cells = [self.forward_layer.cell, self.backward_layer.cell]
        # As the cells of Keras compute: in the layer's precision.
        weights = [
            [ops.cast(weight, self.compute_dtype) for weight in weights]
            for weights in ((c.kernel, c.recurrent_kernel, c.bias) for c in cells)
        ]
        return together(sequences, *weights)


def _jax(sequences, forward, backward):
    import jax
    import jax.numpy as jnp

    kernels, recurrent, biases = (jnp.stack(pair) for pair in zip(forward, backward, strict=True))
    units = recurrent.shape[1]
    both = jnp.stack([sequences, sequences[:, ::-1]])
    # All frames' input products at once; only the recurrent ones must wait for each other.
    projected = jnp.einsum("dbtf,dfu->tdbu", both, kernels) + biases[:, None]

    def step(state, given):
        hidden, cell = state
        gates = given + jnp.einsum("dbu,duv->dbv", hidden, recurrent)
        take, forget, offer, show = jnp.split(gates, 4, axis=-1)
        cell = jax.nn.sigmoid(forget) * cell + jax.nn.sigmoid(take) * jnp.tanh(offer)
        hidden = jax.nn.sigmoid(show) * jnp.tanh(cell)
        return (hidden, cell), hidden

    start = jnp.zeros((2, sequences.shape[0], units), projected.dtype)
    _, hidden = jax.lax.scan(step, (start, start), projected)
    ahead, back = hidden[:, 0], hidden[::-1, 1]
    return jnp.concatenate([ahead, back], axis=-1).swapaxes(0, 1)


def _torch(sequences, forward, backward):
    import torch

    parameters = []
    for kernel, recurrent, bias in (forward, backward):
        # torch has a second bias, and the weights turned; the gates stand in the same order.
        parameters += [kernel.T, recurrent.T, bias, torch.zeros_like(bias)]
    units = forward[1].shape[0]
    start = sequences.new_zeros((2, sequences.shape[0], units))
    outputs, _, _ = torch._VF.lstm(
        sequences,
        (start, start),
        parameters,
        True,  # biases
        1,  # layers
        0.0,  # dropout
        torch.is_grad_enabled(),
        True,  # two-way
        True,  # batch first
    )
    return outputs


_TOGETHER = {"jax": _jax, "torch": _torch}
