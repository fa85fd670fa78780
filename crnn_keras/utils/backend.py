"""Whether a backend computes on the processor, where Keras' own ways are slow."""

import contextlib
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


def use_fast_path(compute_dtype):
    """Whether the layers compute in their own way: on a CPU, in a precision they are made for.

    Args:
        compute_dtype: of the layer, such as `"float32"`.

    Returns:
        bool: float32 on every backend; bfloat16 on torch, whose kernels know it.
    """
    torch = keras.backend.backend() == "torch"
    return on_cpu() and compute_dtype in (("float32", "bfloat16") if torch else ("float32",))


def tensorflow_for_input():
    """TensorFlow, kept off the GPU where another backend trains.

    By default TensorFlow takes nearly all memory of every GPU when it runs its first op; a JAX or
    torch that is to train in the same process would find none. Its ops that make batches run on
    the CPU on every backend, so nothing is lost.

    Returns:
        The module `tensorflow`.
    """
    import keras
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        # Refused where TensorFlow runs already: then it is too late, and no harm either.
        with contextlib.suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")
    return tf
