"""Undocumented names of Keras and torch: all that the package uses.

A release of Keras or torch may rename them without notice. Each function below says what the
package does then: it goes on, by a slower way that is documented. `tests/test_keras_private.py`
tells that a name is gone, and that the slower way gives the same result.

Importing this module imports neither Keras nor torch.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras
    import torch


def has_training_argument(layer: keras.Layer) -> bool:
    """Tells whether a layer's `call` takes `training`.

    Reads `keras.Layer._call_has_training_arg`. Without it, the signature is inspected at each call.

    Args:
        layer: A Keras layer.

    Returns:
        True if `layer.call(inputs, training=True)` is understood.
    """
    known = getattr(layer, "_call_has_training_arg", None)
    if known is None:
        return "training" in inspect.signature(layer.call).parameters
    return known


def set_random_seed(seed: int) -> None:
    """Does what `keras.utils.set_random_seed` does, but seeds TensorFlow on its own backend only.

    Keras' function imports TensorFlow wherever it is installed, which takes seconds. This sets
    Keras' global state by `keras.src.backend.common.global_state`. Without it, Keras' function is
    called.

    Args:
        seed: The seed, from 0 to 2**32 - 1.
    """
    import keras

    backend = keras.backend.backend()
    try:
        from keras.src.backend.common import global_state
    except ImportError:
        global_state = None
    if backend == "tensorflow" or global_state is None:
        keras.utils.set_random_seed(seed)
        return
    random.seed(seed)
    np.random.seed(seed)
    if backend == "torch":
        import torch

        torch.manual_seed(seed)
    global_state.set_global_attribute("global_random_seed", seed)
    # It is made anew from the seed.
    global_state.set_global_attribute("global_seed_generator", None)


def has_hooks(layer: keras.Layer) -> bool:
    """Tells whether torch runs hooks when a layer is called, which `layer.call` would skip.

    Reads the same names as `torch.nn.Module.__call__`: four dicts of the module, and those of all
    modules. Without them the answer is True, so that the layer is called as a whole.

    Args:
        layer: A Keras layer.

    Returns:
        True if a hook may be waiting. False on every other backend: their layers have no hooks.
    """
    import keras

    if keras.backend.backend() != "torch":
        return False
    from torch.nn.modules import module

    try:
        return bool(
            layer._forward_hooks
            or layer._forward_pre_hooks
            or layer._backward_hooks
            or layer._backward_pre_hooks
            or module._has_any_global_hook()
        )
    except AttributeError:
        return True


def torch_lstm() -> Callable[..., tuple[torch.Tensor, ...]] | None:
    """Returns torch's LSTM kernel, `torch.lstm`, which takes its weights as an argument.

    Without it, `Bidirectional` calls Keras' own loops.

    Returns:
        The function that `torch.nn.LSTM` calls too, or None if torch has no such name.
    """
    import torch

    return getattr(torch, "lstm", None)


def clip_in_few_kernels(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Lets an optimizer clip gradients by their global norm in few kernels, on a GPU with torch.

    Keras launches three kernels for each weight. Replaces `keras.optimizers.Optimizer`'s
    `_clip_gradients`, by `torch._foreach_norm` and `torch._foreach_mul`. Without one of these
    names, the optimizer stays as it is.

    Args:
        optimizer: An optimizer with a `global_clipnorm`.

    Returns:
        The optimizer.
    """
    import keras

    from crnn_keras.utils.backend import on_gpu

    if keras.backend.backend() != "torch" or not on_gpu():
        return optimizer
    import torch

    norms, times = (getattr(torch, name, None) for name in ("_foreach_norm", "_foreach_mul"))
    if norms is None or times is None or not hasattr(optimizer, "_clip_gradients"):
        return optimizer

    def clip(gradients):
        gradients = list(gradients)
        norm = torch.linalg.vector_norm(torch.stack(norms(gradients)))
        scale = torch.clamp(optimizer.global_clipnorm / norm, max=1.0)
        # As in Keras: an infinite norm makes NaN, which ends the training.
        return times(gradients, scale + (norm - norm))

    optimizer._clip_gradients = clip
    return optimizer


def once_after_backward(function: Callable[[], None]) -> Callable[[], None] | None:
    """Makes a function run at the end of torch's backward pass, once for each of them.

    Uses `torch._C._current_graph_task_id` and `torch.autograd.Variable._execution_engine`, as
    torch's own DistributedDataParallel does. Without them, `average_gradients` sends each gradient
    on its own as soon as it is there.

    Args:
        function: A function without arguments.

    Returns:
        A function for gradient hooks: the first call in a backward pass puts `function` at its end.
        None if torch has no such names.
    """
    import torch

    current_task = getattr(torch._C, "_current_graph_task_id", None)
    engine = getattr(torch.autograd.Variable, "_execution_engine", None)
    queue_callback = getattr(engine, "queue_callback", None)
    if current_task is None or queue_callback is None:
        return None
    queued = None

    def queue():
        nonlocal queued
        # Each pass has a number of its own, so one that failed half-way is not waited for.
        task = current_task()
        if queued != task:
            queue_callback(function)
            queued = task

    return queue
