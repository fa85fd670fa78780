"""Several devices train one model: each takes a shard of every batch, all keep the same weights.

On JAX that is `keras.distribution.DataParallel`, over the GPUs of one process or of many; on
TensorFlow `tf.distribute.MirroredStrategy`, over the GPUs of one process; on torch
`torch.distributed`, over processes of one host that have a core each. `docs/many_devices.md`
explains how to start each, and what Keras cannot do.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np

from crnn_keras.training.settings import OWN_MODELS
from crnn_keras.utils import keras_private
from crnn_keras.utils.cores import count_cores

if TYPE_CHECKING:
    from crnn_keras.model.crnn import CRNN

# Keras' own names: `launch` sets them, `keras.distribution.initialize` reads them.
ADDRESSES = "KERAS_DISTRIBUTION_JOB_ADDRESSES"
PROCESSES = "KERAS_DISTRIBUTION_NUM_PROCESSES"
RANK = "KERAS_DISTRIBUTION_PROCESS_ID"


@dataclasses.dataclass(frozen=True)
class ProcessGroup:
    """The processes and devices that train one model.

    Args:
        rank: Index of this process. Process 0 writes the run folder. Defaults to `0`.
        processes: Number of processes. Defaults to `1`.
        devices: Names of the devices of all processes. Defaults to `()`.
        own_folder: Where a process other than 0 keeps its copy of the run's state. Defaults to
            `None`, for a process alone.
    """

    rank: int = 0
    processes: int = 1
    _: dataclasses.KW_ONLY
    devices: tuple[str, ...] = ()
    own_folder: str | None = None

    @property
    def shard(self) -> tuple[int, int]:
        """Returns the rank and the number of processes, as `Batches` takes them."""
        return self.rank, self.processes

    def run_folder(self, folder: str | os.PathLike) -> pathlib.Path:
        """Returns the folder that this process passes to `train`.

        All processes begin from the same state, and only process 0 writes it: the others get a
        copy of the state in a temporary folder. Each validates for itself, in the time in which it
        would wait for process 0, so no result has to be sent.

        Args:
            folder: The run folder, on a disk that every process sees.

        Returns:
            The folder itself for process 0, a temporary folder for the others.

        Raises:
            ValueError: The processes see different states, so it is not one folder.
        """
        folder = pathlib.Path(folder)
        if self.processes == 1:
            return folder
        seen = folder
        if self.rank:
            seen = pathlib.Path(self.own_folder)
            if (folder / "state").is_dir():
                shutil.copytree(folder / "state", seen / "state")
            # A start from the run's own model is known by its path, see `model_settings`.
            for own in OWN_MODELS:
                with contextlib.suppress(OSError):
                    (seen / own).symlink_to((folder / own).resolve())
        # It is also the barrier that process 0 must pass before it writes.
        _check_same_state(folder, seen)
        return seen


def _check_same_state(folder, seen):
    """Raises a ValueError if the newest states that the processes see are different."""
    states = [int(path.name) for path in (seen / "state").glob("*") if path.name.isdecimal()]
    newest = _gather(max(states, default=-1))
    if len(set(newest)) > 1:
        raise ValueError(
            f"The processes see different states in {folder}: the newest are {newest}, by rank "
            "(-1: none). Expected one folder, on a disk that all processes share."
        )


def _gather(value):
    """Returns the integers that the processes pass, by rank. Each waits until all are here."""
    if keras.backend.backend() == "torch":
        import torch

        processes = torch.distributed.get_world_size()
        gathered = [torch.zeros(1, dtype=torch.int64) for _ in range(processes)]
        torch.distributed.all_gather(gathered, torch.tensor([value]))
        return [int(tensor) for tensor in gathered]
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(np.int32(value)).reshape(-1).tolist()


@contextlib.contextmanager
def scope(devices: Sequence[str] | None = None) -> Iterator[ProcessGroup]:
    """Lets all devices train one model. Build the model and call `train` within it.

    Everything that holds weights must be made within: the model, and the optimizer of `train`. On
    JAX with several processes, nothing may have used JAX before.

    Args:
        devices: Names of this process' devices to use, such as `["GPU:0", "GPU:1"]` (TensorFlow)
            or `["gpu:0", "gpu:1"]` (JAX). Defaults to `None`: all GPUs of all processes.

    Yields:
        The `ProcessGroup`.

    Raises:
        ValueError: Keras cannot do it on this backend. The message names a backend that can.
        RuntimeError: JAX was used before.

    Example:

        >>> from crnn_keras import Batches, Canvas, build_crnn, train
        >>> from crnn_keras.training import distribute
        >>> with distribute.scope() as group:  # doctest: +SKIP
        ...     model = build_crnn(char_dict)
        ...     batches = Batches(records, char_dict, Canvas(), batch_size=256, shard=group.shard)
        ...     train(model, batches, validation, folder=group.run_folder("data/run"), epochs=4)
    """
    backend, processes = keras.backend.backend(), int(os.environ.get(PROCESSES, "1"))
    if backend == "tensorflow":
        _check_one_process(processes)
        make_group = _mirrored(devices)
    elif backend == "jax":
        make_group = _data_parallel(devices, processes)
    elif processes > 1:
        make_group = _torch_processes(processes)
    else:
        _check_one_device(devices)
        make_group = contextlib.nullcontext(ProcessGroup())
    with make_group as group:
        yield group


def _check_one_process(processes):
    """Raises a ValueError if TensorFlow is to train in several processes."""
    found = f"{PROCESSES} is {processes}"
    if processes == 1:
        workers = json.loads(os.environ.get("TF_CONFIG", "{}")).get("cluster", {}).get("worker", [])
        found, processes = f"TF_CONFIG names {len(workers)} workers", len(workers)
    if processes > 1:
        raise ValueError(
            f"{found}, but on the tensorflow backend Keras {keras.__version__} trains in one "
            "process only. Set KERAS_BACKEND=jax, or torch on a host without GPU, for several "
            "processes, or use one process for all GPUs of a host."
        )


def _check_one_device(devices):
    """Raises a ValueError if a torch process is to train on several devices."""
    if devices is not None and len(devices) > 1:
        raise ValueError(
            f"Keras {keras.__version__} trains on one GPU under torch, got {len(devices)} devices. "
            "Set KERAS_BACKEND=jax or tensorflow for several."
        )


@contextlib.contextmanager
def _torch_processes(processes):
    """Joins the other processes of this host at a file, so that no port is open for it."""
    import torch

    address = os.environ.get(ADDRESSES, "")
    if not address.startswith("file://") or torch.cuda.is_available():
        raise ValueError(
            "On the torch backend several processes train together on the CPU cores of one host "
            "without a GPU, started by `crnn-keras launch`. Set KERAS_BACKEND=jax for GPUs and for "
            "several hosts."
        )
    rank = int(os.environ[RANK])
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo" if sys.platform == "linux" else "")
    torch.set_num_threads(max(count_cores() // processes, 1))
    torch.distributed.init_process_group(
        "gloo", init_method=address, rank=rank, world_size=processes
    )
    try:
        with tempfile.TemporaryDirectory() as own_folder:
            devices = ("cpu",) * processes
            yield ProcessGroup(rank, processes, devices=devices, own_folder=own_folder)
    finally:
        torch.distributed.destroy_process_group()


@contextlib.contextmanager
def average_gradients(weights: Sequence[keras.Variable]) -> Iterator[None]:
    """Makes every gradient the mean of all processes' gradients, on torch with several processes.

    JAX and TensorFlow do that by themselves within `scope`. The hooks are removed at the end, so
    that a model may be trained twice.

    Args:
        weights: The Keras variables that are trained.
    """
    hooks = []
    if _is_torch_group():
        hook = _make_hook(weights)
        hooks = [weight.value.register_post_accumulate_grad_hook(hook) for weight in weights]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _is_torch_group():
    """Tells whether this process trains with others on torch."""
    if keras.backend.backend() != "torch":
        return False
    import torch

    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _make_hook(weights):
    """Returns a gradient hook that averages all gradients at once, at the end of `backward`."""
    import torch

    processes = torch.distributed.get_world_size()

    def average():
        gradients = [w.value.grad for w in weights if w.value.grad is not None]
        # Together: a message for each weight takes longer than the gradients themselves.
        joined = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(joined)
        joined /= processes
        means = joined.split([gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view_as(gradient))

    def average_one(parameter):
        torch.distributed.all_reduce(parameter.grad)
        parameter.grad /= processes

    queue = keras_private.once_after_backward(average)
    return average_one if queue is None else lambda _: queue()


@contextlib.contextmanager
def _mirrored(devices):
    import tensorflow as tf

    if devices is None:
        devices = [device.name for device in tf.config.list_logical_devices("GPU")]
    if len(devices) < 2:
        yield ProcessGroup(devices=tuple(devices))
        return
    with tf.distribute.MirroredStrategy(list(devices)).scope():
        yield ProcessGroup(devices=tuple(devices))


@contextlib.contextmanager
def _data_parallel(devices, processes):
    import jax

    if processes > 1:
        _join(jax)
    devices = keras.distribution.list_devices() if devices is None else devices
    if len(devices) < 2:
        yield ProcessGroup(devices=tuple(devices))
        return
    # Each process brings its own shard of a batch, see `Batches`: Keras must not divide it again.
    parallel = keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
    with parallel.scope(), tempfile.TemporaryDirectory() as own_folder:
        yield ProcessGroup(
            jax.process_index(),
            jax.process_count(),
            devices=tuple(devices),
            own_folder=own_folder,
        )


def _join(jax):
    """Joins the other processes, once."""
    if jax.distributed.is_initialized():
        return
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        keras.distribution.initialize()
    except RuntimeError as error:
        if "before any JAX" not in str(error):
            raise
        raise RuntimeError(
            "JAX was used before `distribute.scope()`, so the processes can no longer join. Enter "
            "it at the beginning of the program, before a model or a tensor is made."
        ) from error


def predict_local(model: CRNN, canvases: np.ndarray) -> np.ndarray:
    """Computes the logits of a batch on one device of this process.

    `predict_on_batch` of a model that trains on several devices would have every TensorFlow device
    read the whole batch, and JAX would take it for a shard of a larger one.

    Args:
        model: A `CRNN`, made within `scope` or not.
        canvases: Array of shape `(batch, height, width, 1)`, gray levels from 0 to 255.

    Returns:
        float32 array of shape `(batch, frames, num_classes)`.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow" and model.distribute_strategy.num_replicas_in_sync > 1:
        return _tensorflow_function(model)(canvases).numpy()
    if backend == "jax" and keras.distribution.distribution() is not None:
        weights = [
            [variable.value.addressable_data(0) for variable in variables]
            for variables in (model.trainable_variables, model.non_trainable_variables)
        ]
        return np.asarray(_jax_function(model)(*weights, np.asarray(canvases)))
    return model.predict_on_batch(canvases)


# One model trains at a time. Its function is compiled once, which takes seconds.
@functools.lru_cache(maxsize=1)
def _tensorflow_function(model: CRNN) -> Callable:
    import tensorflow as tf

    # Outside of `strategy.run` a mirrored weight is its first copy.
    return tf.function(lambda canvases: model(canvases, training=False), reduce_retracing=True)


@functools.lru_cache(maxsize=1)
def _jax_function(model: CRNN) -> Callable:
    import jax

    def predict(trainable, non_trainable, canvases):
        return model.stateless_call(trainable, non_trainable, canvases, training=False)[0]

    return jax.jit(predict)
