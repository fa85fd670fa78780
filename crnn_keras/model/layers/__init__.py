"""Keras' own layers with fast paths for CPUs: same weights, same numbers, same files.

Each layer is a subclass that computes in another way where Keras' way is slow on a CPU. It checks
whether its fast path supports what is asked for, and otherwise calls Keras' own. On a GPU all of
them are Keras' layers, so that cuDNN is used. `benchmarks/training.py` compares with a plain torch
loop.

| file | layer | fast path |
|---|---|---|
| `conv` | `Conv2D` | gradients by matrix products (JAX) or a convolution (TensorFlow) |
| `norm` | `BatchNormalization` | one fused kernel (TensorFlow, torch) |
| `bidirectional` | `Bidirectional` | one loop for both directions (JAX), torch's LSTM kernel |
| `pool` | `MaxPooling2D` | a gradient without a search (JAX) |
| `residual` | `ResidualConv2D` | not a layer of Keras: a convolution that is added to its input |
"""

from crnn_keras.model.layers.bidirectional import Bidirectional
from crnn_keras.model.layers.conv import Conv2D
from crnn_keras.model.layers.norm import BatchNormalization
from crnn_keras.model.layers.pool import MaxPooling2D
from crnn_keras.model.layers.residual import ResidualConv2D

__all__ = ["BatchNormalization", "Bidirectional", "Conv2D", "MaxPooling2D", "ResidualConv2D"]
