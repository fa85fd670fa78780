"""TensorFlow as the maker of batches, beside whatever backend trains."""

import contextlib


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
