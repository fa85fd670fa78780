"""The machine as the backend sees it. The backends say their devices differently; this is one."""

import dataclasses
import os
import pathlib
import platform

import keras


@dataclasses.dataclass(frozen=True)
class Accelerator:
    """A GPU or TPU.

    Args:
        kind: `"GPU"` or `"TPU"`.
        name: the maker's name, such as `"NVIDIA A100-SXM4-40GB"`.
        memory: bytes the backend may use, or None where it does not say.
        capability: compute capability of an NVIDIA GPU, such as `(8, 0)`; None for others.
    """

    kind: str
    name: str
    memory: int | None = None
    capability: tuple[int, int] | None = None

    def __str__(self):
        facts = [f"{self.memory / 2**30:.0f} GiB"] if self.memory else []
        if self.capability:
            facts.append("compute capability {}.{}".format(*self.capability))
        return f"{self.kind} {self.name}" + (f" ({', '.join(facts)})" if facts else "")


@dataclasses.dataclass(frozen=True)
class Machine:
    """What this process runs on.

    Args:
        backend: `"tensorflow"`, `"jax"` or `"torch"`.
        version: the backend's version.
        processor: name of the CPU.
        cores: cores this process may use.
        memory: bytes of main memory this process may use, or None where that is not said.
        accelerators: tuple of `Accelerator`s that the backend sees.
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


def detect_hardware():
    """Asks the system and the backend.

    Returns:
        `Machine`.
    """
    backend = keras.backend.backend()
    module, accelerators = _BACKENDS[backend]()
    return Machine(
        backend=backend,
        version=module.__version__,
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        memory=_memory(),
        accelerators=tuple(accelerators),
    )


def _tensorflow():
    import tensorflow as tf

    return tf, from_tensorflow(tf.config)


def _jax():
    import jax

    return jax, from_jax(jax.devices())


def _torch():
    import torch

    return torch, from_torch(torch.cuda)


_BACKENDS = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}


def from_tensorflow(config):
    """GPUs as `tf.config` names them; it does not say their memory.

    Args:
        config: the module `tf.config`.

    Returns:
        List of `Accelerator`s.
    """
    found = []
    for device in config.get_visible_devices("GPU"):
        details = config.experimental.get_device_details(device)
        name = details.get("device_name", device.name)
        found.append(Accelerator("GPU", name, None, details.get("compute_capability")))
    return found


def from_jax(devices):
    """GPUs and TPUs among JAX' devices; their memory is what JAX has set aside.

    Args:
        devices: what `jax.devices()` gives.

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
            numeric = len(numbers) == 2 and all(part.isdigit() for part in numbers)
            capability = tuple(map(int, numbers)) if numeric else None
        memory = (device.memory_stats() or {}).get("bytes_limit")
        found.append(Accelerator(kind, device.device_kind, memory, capability))
    return found


def from_torch(cuda):
    """GPUs as torch names them.

    Args:
        cuda: the module `torch.cuda`.

    Returns:
        List of `Accelerator`s.
    """
    found = []
    for number in range(cuda.device_count()):
        facts = cuda.get_device_properties(number)
        # ROCm fills in numbers of its own that are no compute capability.
        amd = hasattr(facts, "gcnArchName") and facts.gcnArchName.startswith("gfx")
        capability = None if amd else (facts.major, facts.minor)
        found.append(Accelerator("GPU", facts.name, facts.total_memory, capability))
    return found


def _processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory():
    """Main memory, or the container's limit where that is lower."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
    try:
        limit = pathlib.Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return memory
    return min(memory, int(limit)) if limit.isdigit() else memory
