"""What the Keras backend of this process computes on, and with which arithmetic.

Importing this module imports neither Keras nor a backend.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator

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
        ModuleNotFoundError: Keras is not installed.
        ValueError: `keras.json`, or the backend that it or KERAS_BACKEND names, cannot be used.
    """
    try:
        import keras  # noqa: F401
    except Exception as error:  # A `keras.json` that holds no object is an AttributeError.
        if isinstance(error, ModuleNotFoundError) and error.name == "keras":
            raise ModuleNotFoundError(
                "Keras is not installed. Training and .keras files need it: "
                "pip install 'crnn_keras[train]' (TensorFlow), 'crnn_keras[torch]' or "
                "'crnn_keras[jax]'.",
                name="keras",
            ) from None
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
def device_kind() -> str:
    """Names what the backend of this process computes on.

    The answer is kept: devices do not come and go.

    Returns:
        `"cpu"`; `"gpu"` for what torch calls CUDA, JAX and TensorFlow a GPU; `"other"` for the
        rest, such as a TPU or the GPU of a Mac.
    """
    import keras

    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        kind = jax.default_backend()
    elif backend == "tensorflow":
        import tensorflow as tf

        kind = "gpu" if tf.config.list_logical_devices("GPU") else "cpu"
    elif backend == "torch":
        kind = {"cuda": "gpu"}.get(_torch_device(), _torch_device())
    else:
        kind = "other"
    return kind if kind in ("cpu", "gpu") else "other"


def _torch_device() -> str:
    """Returns the type of the device that Keras computes on with torch."""
    import torch

    # Keras takes this one whatever else there is.
    if chosen := os.environ.get("KERAS_TORCH_DEVICE"):
        return torch.device(chosen).type
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return found.type if found else "cpu"


def on_cpu() -> bool:
    """Tells whether the backend of this process has no accelerator.

    Returns:
        True if the backend computes on the CPU.
    """
    return device_kind() == "cpu"


def on_gpu() -> bool:
    """Tells whether the backend of this process computes on a GPU, see `device_kind`.

    Returns:
        True for CUDA (torch) and for a GPU of JAX or TensorFlow.
    """
    return device_kind() == "gpu"


def use_fast_path(compute_dtype: str) -> bool:
    """Tells whether the layers may compute in their own way instead of Keras'.

    Args:
        compute_dtype: What the layer computes in, such as `"float32"`.

    Returns:
        True on a CPU in float32. On torch also in what its kernels support: bfloat16 on a CPU,
        every precision on a GPU.
    """
    import keras

    if keras.backend.backend() == "torch":
        on_device = {"cpu": ("float32", "bfloat16"), "gpu": ("float32", "bfloat16", "float16")}
        return compute_dtype in on_device.get(device_kind(), ())
    return compute_dtype == "float32" and on_cpu()


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
