"""Whether a backend computes on the processor, where Keras' own ways are slow."""

import functools

import keras


@functools.cache
def on_cpu():
    """Whether the backend of this process has no accelerator.

    Returns:
        bool. It is asked once: devices do not come and go.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.default_backend() == "cpu"
    if backend == "tensorflow":
        import tensorflow as tf

        return not tf.config.list_logical_devices("GPU")
    if backend == "torch":
        import torch

        return not torch.accelerator.is_available()
    return False
