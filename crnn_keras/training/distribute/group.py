"""Several devices train one reader: each takes a part of every batch, all keep the same weights.

On JAX that is `keras.distribution.DataParallel`, over the GPUs of one process or of many; on
TensorFlow `tf.distribute.MirroredStrategy`, over the GPUs of one process; on torch
`torch.distributed`, over processes of one host that have a core each. `docs/many_devices.md` says
how to start each, and what Keras cannot do.
"""

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import shutil
import sys
import tempfile

import keras
import numpy as np

# Keras' own names; `keras.distribution.initialize` reads them, `launch` sets them.
ADDRESSES = "KERAS_DISTRIBUTION_JOB_ADDRESSES"
PROCESSES = "KERAS_DISTRIBUTION_NUM_PROCESSES"
RANK = "KERAS_DISTRIBUTION_PROCESS_ID"


@dataclasses.dataclass(frozen=True)
class ProcessGroup:
    """Who trains together.

    Args:
        rank: number of this process, from 0. Process 0 writes the run folder.
        processes: how many processes there are.
        devices: names of the devices of all processes.
        own_folder: where a process other than 0 keeps its copy of the run's state.
    """

    rank: int = 0
    processes: int = 1
    devices: tuple[str, ...] = ()
    own_folder: str | None = None

    @property
    def part(self):
        """Rank and number of processes, as `dataset.Batches` takes them."""
        return self.rank, self.processes

    def run_folder(self, folder):
        """The folder that this process gives to `train`.

        All processes begin from the same state, and only process 0 writes it: the others get a
        copy of the state in a temporary folder. They validate for themselves in the time in which
        they would wait for process 0, so no result has to be sent round.

        Args:
            folder: the run folder, on a disk that every process sees.

        Returns:
            Path.

        Raises:
            ValueError: the processes see different states, so it is not one folder.
        """
        folder = pathlib.Path(folder)
        if self.processes == 1:
            return folder
        if self.rank:
            own = pathlib.Path(self.own_folder)
            if (folder / "state").is_dir():
                shutil.copytree(folder / "state", own / "state")
        # Also the barrier behind which process 0 may begin to write.
        self._refuse_different_states(folder, own if self.rank else folder)
        return own if self.rank else folder

    def _refuse_different_states(self, folder, seen):
        states = [int(path.name) for path in (seen / "state").glob("*") if path.name.isdecimal()]
        newest = _of_all_processes(max(states, default=-1))
        if len(set(newest)) > 1:
            raise ValueError(
                f"The processes see different states in {folder}: the newest are {newest}, "
                "in the order of the processes (-1: none). The folder must be on a disk that all "
                "share."
            )


def _of_all_processes(number):
    """The integers that the processes give, in their order. None goes on before all are here."""
    if keras.backend.backend() == "torch":
        import torch

        found = [
            torch.zeros(1, dtype=torch.int64) for _ in range(torch.distributed.get_world_size())
        ]
        torch.distributed.all_gather(found, torch.tensor([number]))
        return [int(value) for value in found]
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(np.int32(number)).reshape(-1).tolist()


@contextlib.contextmanager
def scope(devices=None):
    """Lets all devices train one reader. Build the reader and call `train` within.

    Everything that holds weights must be made within: the reader, and `train`'s optimizer. On JAX
    with several processes it must come before anything else has used JAX.

    Args:
        devices: names of this process' devices to use, such as `["GPU:0", "GPU:1"]` (TensorFlow)
            or `["gpu:0", "gpu:1"]` (JAX); None: all GPUs there are, or those of all processes.

    Yields:
        `ProcessGroup`.

    Raises:
        ValueError: Keras cannot do it on this backend; the message says what can.
        RuntimeError: JAX was used before.

    Example:

        >>> with scope() as group:
        ...     model = build_crnn(char_dict)
        ...     batches = Batches(records, char_dict, Canvas(), batch_size=256, shard=group.part)
        ...     train(model, batches, validation, group.run_folder("data/run/train"), epochs=4)
    """
    backend, processes = keras.backend.backend(), int(os.environ.get(PROCESSES, "1"))
    if backend == "tensorflow":
        _refuse_several_processes(processes)
    if backend == "torch" and processes > 1:
        with _torch_processes(processes) as group:
            yield group
    elif backend == "torch":
        if devices is not None and len(devices) > 1:
            raise ValueError(
                f"Keras {keras.__version__} trains on one GPU under torch, but {len(devices)} "
                "devices were named. Set KERAS_BACKEND=jax or tensorflow for several."
            )
        yield ProcessGroup()
    elif backend == "tensorflow":
        with _mirrored(devices) as group:
            yield group
    else:
        with _data_parallel(devices, processes) as group:
            yield group


def _refuse_several_processes(processes):
    asked = f"{PROCESSES} is {processes}"
    if processes == 1:
        workers = json.loads(os.environ.get("TF_CONFIG", "{}")).get("cluster", {}).get("worker", [])
        asked, processes = f"TF_CONFIG names {len(workers)} workers", len(workers)
    if processes > 1:
        raise ValueError(
            f"{asked}, but on the tensorflow backend Keras {keras.__version__} trains in one "
            "process only. Set KERAS_BACKEND=jax, or torch on a host without GPU, for several "
            "processes, or use one process for all GPUs of a host."
        )


@contextlib.contextmanager
def _torch_processes(processes):
    """Meets the other processes of this host at a file, so that no port is open for it."""
    import torch

    meeting = os.environ.get(ADDRESSES, "")
    if not meeting.startswith("file://") or torch.cuda.is_available():
        raise ValueError(
            "On the torch backend several processes train together on the processors of one host "
            "without a GPU, started by `python -m crnn_keras.training.distribute`. Set KERAS_BACKEND=jax for "
            "GPUs and for several hosts."
        )
    rank = int(os.environ[RANK])
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo" if sys.platform == "linux" else "")
    torch.set_num_threads(max((os.cpu_count() or 1) // processes, 1))
    torch.distributed.init_process_group(
        "gloo", init_method=meeting, rank=rank, world_size=processes
    )
    try:
        with tempfile.TemporaryDirectory() as own:
            yield ProcessGroup(rank, processes, ("cpu",) * processes, own)
    finally:
        torch.distributed.destroy_process_group()


def average_gradients(weights):
    """On torch with several processes: every gradient becomes the mean of theirs.

    JAX and TensorFlow do that by themselves within `scope`.

    Args:
        weights: list of Keras variables that learn.
    """
    if keras.backend.backend() != "torch":
        return
    import torch

    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return
    processes = torch.distributed.get_world_size()
    averaged = None

    def average():
        gradients = [w.value.grad for w in weights if w.value.grad is not None]
        # Together: a message for each weight takes longer than the gradients themselves.
        whole = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(whole)
        whole /= processes
        parts = whole.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def queue(_):
        nonlocal averaged
        # Numbers the `backward`s, so that one that failed half-way is not waited for.
        this = torch._C._current_graph_task_id()
        if averaged != this:
            # As torch's own DistributedDataParallel has itself called at the end of `backward`.
            torch.autograd.Variable._execution_engine.queue_callback(average)
            averaged = this

    for weight in weights:
        weight.value.register_post_accumulate_grad_hook(queue)


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
    # Each process brings its own part of a batch, see `dataset.Batches`: Keras need not deal.
    parallel = keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
    with parallel.scope(), tempfile.TemporaryDirectory() as own:
        yield ProcessGroup(jax.process_index(), jax.process_count(), tuple(devices), own)


def _join(jax):
    """Meets the other processes, once."""
    if jax.distributed.is_initialized():
        return
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        keras.distribution.initialize()
    except RuntimeError as error:
        if "before any JAX" not in str(error):
            raise
        raise RuntimeError(
            "JAX was used before `distribute.scope()`, so the processes cannot meet any more. "
            "Enter it at the beginning of the program, before a model or a tensor is made."
        ) from error


def predict_local(model, canvases):
    """A reader's logits of a batch, worked out by one device of this process.

    `predict_on_batch` of a reader that trains on several devices would have every TensorFlow
    device read the whole batch, and JAX would take it for a part of a larger one.

    Args:
        model: a `CRNN`, made within `scope` or not.
        canvases: array `(batch, height, width, 1)`, grey levels.

    Returns:
        float32 array `(batch, frames, classes)`.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow" and model.distribute_strategy.num_replicas_in_sync > 1:
        return _tensorflow_reader(model)(canvases).numpy()
    if backend == "jax" and keras.distribution.distribution() is not None:
        weights = [
            [variable.value.addressable_data(0) for variable in variables]
            for variables in (model.trainable_variables, model.non_trainable_variables)
        ]
        return np.asarray(_jax_reader(model)(*weights, np.asarray(canvases)))
    return model.predict_on_batch(canvases)


# One reader trains at a time; its function is compiled once, which takes seconds.
@functools.lru_cache(maxsize=1)
def _tensorflow_reader(model):
    import tensorflow as tf

    # Outside of `strategy.run` a mirrored weight is its first copy.
    return tf.function(lambda canvases: model(canvases, training=False), reduce_retracing=True)


@functools.lru_cache(maxsize=1)
def _jax_reader(model):
    import jax

    def read(trainable, others, canvases):
        return model.stateless_call(trainable, others, canvases, training=False)[0]

    return jax.jit(read)
