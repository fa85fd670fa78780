"""Keras' own layers with fast paths: same weights, same numbers, same files.

Each layer is a subclass that computes in another way where Keras' way is slow. It checks whether
its fast path supports what is asked for, and otherwise calls Keras' own. On a GPU the ones of torch
are taken; JAX and TensorFlow compute Keras' way there, so that cuDNN is used, but for an LSTM in 16
bits on JAX. `benchmarks/training.py` compares with plain torch loops.

| file | layer | fast path |
|---|---|---|
| `conv` | `Conv2D` | products (JAX) or a convolution (TensorFlow) as gradients, no copies (torch) |
| `norm` | `BatchNormalization` | one fused kernel (TensorFlow, torch) |
| `bidirectional` | `Bidirectional` | one loop for both directions (JAX), torch's LSTM kernel |
| `pool` | `MaxPooling2D` | a gradient without a search (JAX), no copies (torch on a GPU) |
| `augment` | `Augment` | not a layer of Keras: augmentation on the device that trains |
| `residual` | `ResidualConv2D` | not a layer of Keras: a convolution that is added to its input |
"""

from crnn_keras.model.layers.augment import Augment
from crnn_keras.model.layers.bidirectional import Bidirectional
from crnn_keras.model.layers.conv import Conv2D
from crnn_keras.model.layers.norm import BatchNormalization
from crnn_keras.model.layers.pool import MaxPooling2D
from crnn_keras.model.layers.residual import ResidualConv2D

__all__ = [
    "Augment",
    "BatchNormalization",
    "Bidirectional",
    "Conv2D",
    "MaxPooling2D",
    "ResidualConv2D",
]
