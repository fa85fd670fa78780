"""The machine as the backend sees it, described in the same way on every backend."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING

import keras

from crnn_keras.utils.cores import count_cores
from crnn_keras.utils.machine import find_memory, find_processor

if TYPE_CHECKING:
    import jax


@dataclasses.dataclass(frozen=True)
class Accelerator:
    """A GPU or TPU.

    Args:
        kind: `"GPU"` or `"TPU"`.
        name: Name of the product, such as `"NVIDIA A100-SXM4-40GB"`.
        memory: Bytes that the backend may use. Defaults to `None`: the backend does not tell.
        capability: Compute capability of an NVIDIA GPU, such as `(8, 0)`. Defaults to `None`, for
            all others.
    """

    kind: str
    name: str
    _: dataclasses.KW_ONLY
    memory: int | None = None
    capability: tuple[int, int] | None = None

    def __str__(self):
        facts = [f"{self.memory / 2**30:.0f} GiB"] if self.memory else []
        if self.capability:
            facts.append("compute capability {}.{}".format(*self.capability))
        return f"{self.kind} {self.name}" + (f" ({', '.join(facts)})" if facts else "")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """What this process runs on.

    Args:
        backend: `"tensorflow"`, `"jax"` or `"torch"`.
        version: Version of the backend.
        processor: Name of the CPU.
        cores: Number of cores that this process may use.
        memory: Bytes of main memory that this process may use, or `None` if unknown.
        accelerators: The `Accelerator`s that the backend sees. Defaults to `()`.
    """

    backend: str
    version: str
    processor: str
    cores: int
    memory: int | None
    accelerators: tuple[Accelerator, ...] = ()

    def __str__(self):
        memory = f", {self.memory / 2**30:.0f} GiB of memory" if self.memory else ""
        devices = "; ".join(map(str, self.accelerators)) or "no GPU"
        cores = "1 core" if self.cores == 1 else f"{self.cores} cores"
        return (
            f"Keras {keras.__version__} on {self.backend} {self.version}: "
            f"{cores} of {self.processor}{memory}; {devices}"
        )


def detect_hardware() -> Machine:
    """Detects the CPU, the memory and the accelerators that this process may use.

    Returns:
        The `Machine`.

    Example:

        >>> from crnn_keras.training import distribute
        >>> machine = distribute.detect_hardware()
        >>> machine.backend, machine.cores  # doctest: +SKIP
        ('tensorflow', 2)
    """
    backend = keras.backend.backend()
    module, accelerators = _BACKENDS[backend]()
    return Machine(
        backend=backend,
        version=module.__version__,
        processor=find_processor(),
        cores=count_cores(),
        memory=find_memory(),
        accelerators=tuple(accelerators),
    )


def _tensorflow():
    import tensorflow as tf

    return tf, find_tensorflow_gpus(tf.config)


def _jax():
    import jax

    return jax, find_jax_accelerators(jax.devices())


def _torch():
    import torch

    return torch, find_torch_gpus(torch.cuda)


_BACKENDS: dict[str, Callable[[], tuple[ModuleType, list[Accelerator]]]] = {
    "tensorflow": _tensorflow,
    "jax": _jax,
    "torch": _torch,
}


def find_tensorflow_gpus(config: ModuleType) -> list[Accelerator]:
    """Describes the GPUs that TensorFlow sees. It does not tell their memory.

    Args:
        config: The module `tf.config`.

    Returns:
        List of `Accelerator`s.
    """
    found = []
    for device in config.get_visible_devices("GPU"):
        details = config.experimental.get_device_details(device)
        name = details.get("device_name", device.name)
        found.append(Accelerator("GPU", name, capability=details.get("compute_capability")))
    return found


def find_jax_accelerators(devices: Sequence[jax.Device]) -> list[Accelerator]:
    """Describes the GPUs and TPUs among JAX' devices. Their memory is what JAX has reserved.

    Args:
        devices: What `jax.devices()` returned.

    Returns:
        List of `Accelerator`s.
    """
    found = []
    for device in devices:
        if device.platform == "cpu":
            continue
        kind = "TPU" if device.platform == "tpu" else "GPU"
        capability = getattr(device, "compute_capability", None)
        if capability is not None:
            numbers = str(capability).split(".")
            # On an AMD GPU it is a name such as "gfx90a".
            is_numeric = len(numbers) == 2 and all(number.isdigit() for number in numbers)
            capability = tuple(map(int, numbers)) if is_numeric else None
        memory = (device.memory_stats() or {}).get("bytes_limit")
        name = device.device_kind
        found.append(Accelerator(kind, name, memory=memory, capability=capability))
    return found


def find_torch_gpus(cuda: ModuleType) -> list[Accelerator]:
    """Describes the GPUs that torch sees.

    Args:
        cuda: The module `torch.cuda`.

    Returns:
        List of `Accelerator`s.
    """
    found = []
    for index in range(cuda.device_count()):
        properties = cuda.get_device_properties(index)
        # ROCm fills in numbers of its own that are no compute capability.
        is_amd = getattr(properties, "gcnArchName", "").startswith("gfx")
        capability = None if is_amd else (properties.major, properties.minor)
        memory = properties.total_memory
        found.append(Accelerator("GPU", properties.name, memory=memory, capability=capability))
    return found
