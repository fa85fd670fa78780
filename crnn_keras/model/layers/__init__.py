"""Keras' own layers with faster arithmetic on processors: same weights, same numbers, same files.

Each is a subclass that changes how a result is computed where a backend's own way is slow on a
CPU, and nothing else: a saved reader does not know of it. On GPUs all of them are Keras' layers,
so that cuDNN is used. `benchmarks/training.py` compares with a plain PyTorch loop.

- `conv.py`: convolutions whose gradients are matrix products (JAX) or convolutions (TensorFlow)
- `norm.py`: batch normalization by one fused kernel (TensorFlow, torch)
- `bidirectional.py`: two-way LSTM by one loop for both directions (JAX), by torch's kernel
- `pool.py`: max pooling whose gradient needs no search (JAX)
- `devices.py`: whether a layer computes in its own way: on a CPU, in a precision it is made for

One is not Keras': `residual.py`, a convolution added to its input, out of two of these.
"""

from crnn_keras.model.layers.bidirectional import Bidirectional
from crnn_keras.model.layers.conv import Conv2D
from crnn_keras.model.layers.norm import BatchNormalization
from crnn_keras.model.layers.pool import MaxPooling2D
from crnn_keras.model.layers.residual import ResidualConv2D

__all__ = ["BatchNormalization", "Bidirectional", "Conv2D", "MaxPooling2D", "ResidualConv2D"]
