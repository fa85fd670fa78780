"""Bidirectional LSTM with one fused loop, or one kernel, for both directions."""

import functools

import keras
from keras import ops

from crnn_keras.utils.backend import on_cpu, on_gpu
from crnn_keras.utils.keras_private import has_hooks, torch_lstm


@keras.saving.register_keras_serializable(package="crnn_keras")
class Bidirectional(keras.layers.Bidirectional):
    """`keras.layers.Bidirectional` with a fast path for an LSTM.

    On a CPU, Keras runs one loop forwards and another one backwards. The fast path is one loop for
    both on JAX, and torch's own kernel on torch. It is taken for two LSTMs of equal size with
    biases and the default activations, without dropout, state or mask, whose whole sequences are
    concatenated. Everything else is left to Keras, and so is TensorFlow: the export to ONNX
    recognizes its loops.

    On a GPU, torch's kernel is cuDNN's, here with its weights in one piece of memory, as cuDNN
    wants them. JAX has cuDNN's kernel in no 16 bits, and Keras calls it in every precision: in 16
    bits the fast path computes the LSTM in float32, from weights and inputs rounded to 16 bits.

    The class has the name of Keras', since saved models hold the weights under it.

    Args:
        layer: A `keras.layers.RNN` such as `keras.layers.LSTM(units, return_sequences=True)`.
        merge_mode: How outputs of both directions are combined: `"concat"`, `"sum"`, `"mul"`,
            `"ave"`, or `None` to return them as a list. Defaults to `"concat"`.
        weights: Initial weights, forward ones first. Defaults to `None`.
        backward_layer: The layer that runs backwards. Defaults to a copy of `layer`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        sequences: A tensor `(batch, frames, features)`.
        initial_state: List of the states that both directions begin with. Defaults to zeros.
        mask: A bool tensor `(batch, frames)`: frames with `False` are skipped. Defaults to `None`.
        training: Whether dropout of the inner layers is applied. Defaults to `None`.

    Input shape:
        `(batch, frames, features)`.

    Output shape:
        `(batch, frames, 2 * units)` for an LSTM that returns its sequences, concatenated.

    Example:

        >>> import keras
        >>> from crnn_keras.model.layers import Bidirectional
        >>> layer = Bidirectional(keras.layers.LSTM(96, return_sequences=True))
        >>> tuple(layer(keras.ops.zeros((1, 25, 128))).shape)
        (1, 25, 192)

    Reference:
        Hochreiter and Schmidhuber, 1997, Long Short-Term Memory.
    """

    def call(self, sequences, initial_state=None, mask=None, training=None):
        if not self._supports_fast_path(sequences, initial_state, mask):
            return super().call(sequences, initial_state, mask, training)
        # The weights are cast as Keras' cells cast them: to the layer's precision.
        directions = [
            [
                ops.cast(weight, self.compute_dtype)
                for weight in (cell.kernel, cell.recurrent_kernel, cell.bias)
            ]
            for cell in (self.forward_layer.cell, self.backward_layer.cell)
        ]
        fused = _FUSED[keras.backend.backend(), "cpu" if on_cpu() else "gpu"]
        return fused(sequences, *directions)

    def _supports_fast_path(self, sequences, initial_state, mask):
        backend = keras.backend.backend()
        forward, backward = self.forward_layer, self.backward_layer
        return (
            _has_fast_path(backend, self.compute_dtype)
            and initial_state is None
            and mask is None
            and self.merge_mode == "concat"
            and keras.backend.standardize_dtype(sequences.dtype) == self.compute_dtype
            and all(_is_plain_lstm(layer, self.compute_dtype) for layer in (forward, backward))
            and forward.units == backward.units
            # A backward layer given by the user may be the one that runs forwards.
            and not forward.go_backwards
            and (backend != "torch" or torch_lstm() is not None)
        )


def _has_fast_path(backend, compute_dtype):
    """Tells whether an LSTM has a fast path on what this process computes on."""
    if backend == "jax":
        # In float32 on a GPU Keras' way is cuDNN's.
        return on_cpu() or (on_gpu() and compute_dtype in ("bfloat16", "float16"))
    return backend == "torch" and (on_cpu() or on_gpu())


def _is_plain_lstm(layer, compute_dtype):
    """Tells whether a layer is an LSTM that returns its sequence and has no options."""
    # Not a subclass of an LSTM: it may compute anything.
    return type(layer) is keras.layers.LSTM and (
        layer.activation is keras.activations.tanh
        and layer.recurrent_activation is keras.activations.sigmoid
        and layer.use_bias
        and layer.return_sequences
        and not (layer.return_state or layer.stateful or layer.unroll)
        and not (layer.dropout or layer.recurrent_dropout)
        # Keras refuses `True` on a CPU. On a GPU the fast paths are cuDNN's.
        and (layer.use_cudnn == "auto" or (on_cpu() and layer.use_cudnn is False))
        and layer.activity_regularizer is None
        and layer.compute_dtype == compute_dtype
        and not has_hooks(layer)
    )


def _jax_lstm(sequences, forward, backward):
    import jax
    import jax.numpy as jnp

    kernels, recurrent, biases = (jnp.stack(pair) for pair in zip(forward, backward, strict=True))
    units = recurrent.shape[1]
    both = jnp.stack([sequences, sequences[:, ::-1]])
    # All frames' input products at once: only the recurrent ones must wait for each other.
    projected = jnp.einsum("dbtf,dfu->tdbu", both, kernels) + biases[:, None]

    def step(state, inputs):
        hidden, cell = state
        gates = inputs + jnp.einsum("dbu,duv->dbv", hidden, recurrent)
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
        hidden = jax.nn.sigmoid(o) * jnp.tanh(cell)
        return (hidden, cell), hidden

    zeros = jnp.zeros((2, sequences.shape[0], units), projected.dtype)
    _, hidden = jax.lax.scan(step, (zeros, zeros), projected)
    outputs = jnp.concatenate([hidden[:, 0], hidden[::-1, 1]], axis=-1)
    return outputs.swapaxes(0, 1)


def _jax_cudnn_lstm(sequences, forward, backward):
    """Computes the LSTM in float32 by cuDNN; by `_jax_lstm` where JAX does not offer that."""
    import jax.numpy as jnp

    try:
        from jax.experimental.rnn import lstm
    except ImportError:
        return _jax_lstm(sequences, forward, backward)
    directions = [[array.astype("float32") for array in arrays] for arrays in (forward, backward)]
    # cuDNN's order: the matrices of both directions, then their biases. It has a second bias.
    matrices = [matrix.T for kernel, recurrent, _ in directions for matrix in (kernel, recurrent)]
    biases = [vector for *_, bias in directions for vector in (bias, jnp.zeros_like(bias))]
    batch, frames, features = sequences.shape
    units = forward[1].shape[0]
    zeros = jnp.zeros((2, batch, units), "float32")
    outputs, _, _ = lstm(
        sequences.astype("float32"),
        zeros,
        zeros,
        jnp.concatenate([array.ravel() for array in matrices + biases]),
        jnp.full((batch,), frames, "int32"),
        input_size=features,
        hidden_size=units,
        num_layers=1,
        dropout=0.0,
        bidirectional=True,
    )
    return outputs.astype(sequences.dtype)


def _torch_lstm(sequences, forward, backward):
    import torch

    parameters = []
    for kernel, recurrent, bias in (forward, backward):
        # torch transposes the weights and has a second bias. The gates are in the same order.
        parameters += [kernel.T, recurrent.T, bias, torch.zeros_like(bias)]
    return _call_torch_lstm(sequences, parameters)


def _torch_cudnn_lstm(sequences, forward, backward):
    """Computes the LSTM from weights that are views of one buffer, in cuDNN's order.

    cuDNN would copy them into one at each call otherwise, and torch warns of it.
    """
    return _call_torch_lstm(sequences, _packing().apply(*forward, *backward))


def _call_torch_lstm(sequences, parameters):
    import torch

    units = parameters[1].shape[1]
    zeros = sequences.new_zeros((2, sequences.shape[0], units))
    outputs, _, _ = torch_lstm()(
        sequences,
        (zeros, zeros),
        parameters,
        True,  # has biases
        1,  # layers
        0.0,  # dropout
        torch.is_grad_enabled(),
        True,  # bidirectional
        True,  # batch first
    )
    return outputs


@functools.cache
def _packing():
    """Makes the function that puts Keras' six weights into one buffer, and gradients back."""
    import torch

    class Packing(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *weights):
            kernels, biases = [weights[i] for i in (0, 1, 3, 4)], [weights[2], weights[5]]
            sizes = [kernel.numel() for kernel in kernels] + 4 * [biases[0].numel()]
            buffer = kernels[0].new_zeros(sum(sizes))
            # The matrices of both directions, then their biases. cuDNN has a second bias, of zeros.
            *matrices, bias, zeros, bias_back, zeros_back = buffer.split(sizes)
            matrices = [
                matrix.view(kernel.shape[::-1]).copy_(kernel.T)
                for matrix, kernel in zip(matrices, kernels, strict=True)
            ]
            bias.copy_(biases[0])
            bias_back.copy_(biases[1])
            return *matrices[:2], bias, zeros, *matrices[2:], bias_back, zeros_back

        @staticmethod
        def backward(ctx, *gradients):
            kernel, recurrent, bias, _, kernel_back, recurrent_back, bias_back, _ = gradients
            return kernel.T, recurrent.T, bias, kernel_back.T, recurrent_back.T, bias_back

    return Packing


_FUSED = {
    ("jax", "cpu"): _jax_lstm,
    ("jax", "gpu"): _jax_cudnn_lstm,
    ("torch", "cpu"): _torch_lstm,
    ("torch", "gpu"): _torch_cudnn_lstm,
}
