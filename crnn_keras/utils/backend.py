"""What the Keras backend of this process computes on, and with which arithmetic.

Importing this module imports neither Keras nor a backend.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from types import ModuleType

# What models are trained on. Keras has others, on which a model can only read.
BACKENDS = ("tensorflow", "jax", "torch")


def check_backend() -> None:
    """Raises a ValueError that names the backend of Keras unless models are trained on it."""
    import keras

    backend = keras.backend.backend()
    if backend not in BACKENDS:
        raise ValueError(
            f"The backend of Keras is {backend!r}. Expected one of {', '.join(BACKENDS)}. "
            f"{_where_keras_is_set_up()}"
        )


def import_keras() -> None:
    """Imports Keras; if it cannot start, the error says what is set up, where, and what to do.

    Raises:
        ValueError: `keras.json`, or the backend that it or KERAS_BACKEND names, cannot be used.
    """
    try:
        import keras  # noqa: F401
    except Exception as error:  # A `keras.json` that holds no object is an AttributeError.
        raise ValueError(
            f"Keras cannot start: {type(error).__name__}: {error}. Expected one of the backends "
            f"{', '.join(BACKENDS)}, installed (pip install 'crnn_keras[jax]' or "
            f"'crnn_keras[torch]'), and a keras.json as Keras writes it. {_where_keras_is_set_up()}"
        ) from error


def _where_keras_is_set_up() -> str:
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    path = os.path.join(home, "keras.json")
    return (
        f"It is set up by KERAS_BACKEND ({os.environ.get('KERAS_BACKEND') or 'not set'}) and by "
        f"{path} ({'there' if os.path.exists(path) else 'not there'}), which may be removed."
    )


@functools.cache
def on_cpu() -> bool:
    """Tells whether the backend of this process has no accelerator.

    The answer is kept: devices do not come and go.

    Returns:
        True if the backend computes on the CPU.
    """
    import keras

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


def use_fast_path(compute_dtype: str) -> bool:
    """Tells whether the layers may compute in their own way instead of Keras'.

    Args:
        compute_dtype: What the layer computes in, such as `"float32"`.

    Returns:
        True on a CPU in float32, and on torch in bfloat16, which its kernels support.
    """
    import keras

    dtypes = ("float32", "bfloat16") if keras.backend.backend() == "torch" else ("float32",)
    return compute_dtype in dtypes and on_cpu()


@contextlib.contextmanager
def keras_defaults() -> Iterator[None]:
    """Sets Keras' own defaults while the code inside runs, and restores the caller's afterwards.

    `keras.json`, the environment and the program itself may choose others: float16 for sums and
    learning rates, images with their channels first, or a cap on epochs and steps, with which a
    training would not be the one that was asked for.
    """
    from keras import config

    defaults = {
        "floatx": "float32",
        "epsilon": 1e-7,
        "image_data_format": "channels_last",
        "max_epochs": None,
        "max_steps_per_epoch": None,
    }
    before = {name: getattr(config, name)() for name in defaults}
    try:
        for name, value in defaults.items():
            getattr(config, f"set_{name}")(value)
        yield
    finally:
        for name, value in before.items():
            getattr(config, f"set_{name}")(value)


def tensorflow_for_input() -> ModuleType:
    """Imports TensorFlow, and keeps it off the GPU if another backend trains.

    By default TensorFlow takes nearly all memory of every GPU when it runs its first op. JAX or
    torch would find none left in the same process. The TensorFlow ops that make batches run on the
    CPU on every backend, so nothing is lost.

    Returns:
        The module `tensorflow`.
    """
    import keras
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        # Once TensorFlow runs, it refuses. Then it is too late, but does no harm.
        with contextlib.suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")
    return tf
