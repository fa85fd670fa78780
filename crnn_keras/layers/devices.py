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


def own_arithmetic(compute_dtype):
    """Whether the layers compute in their own way: on a CPU, in a precision they are made for.

    Args:
        compute_dtype: of the layer, such as `"float32"`.

    Returns:
        bool: float32 on every backend; bfloat16 on torch, whose kernels know it.
    """
    torch = keras.backend.backend() == "torch"
    return on_cpu() and compute_dtype in (("float32", "bfloat16") if torch else ("float32",))
