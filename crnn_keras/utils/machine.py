"""The machine that this process runs on, as no backend of Keras is needed to see it."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import pathlib
import platform
import shutil
import subprocess

# The first compute capability for which TensorFlow's wheels hold no code: RTX 50 cards.
NOT_ON_TENSORFLOW = (12, 0)
# nvidia-smi answers in a second; with a driver that hangs, never.
_SECONDS = 20
_FIELDS = "name,memory.total,compute_cap,driver_version"


# The packages whose versions decide what is read.
_PACKAGES = ("numpy", "pillow", "onnxruntime", "keras", "tensorflow", "torch", "jax")


def find_version(package: str) -> str | None:
    """Returns the version of an installed package, or None; it is not imported."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def find_versions() -> dict[str, str]:
    """Returns the versions of crnn_keras, Python, and what is installed of what they run on."""
    from crnn_keras import __version__

    versions = {"crnn_keras": __version__, "Python": platform.python_version()}
    found = {name: find_version(name) for name in _PACKAGES}
    return versions | {name: version for name, version in found.items() if version}


@dataclasses.dataclass(frozen=True)
class NvidiaGPU:
    """A GPU as NVIDIA's driver describes it.

    Args:
        name: Name of the product, such as `"NVIDIA GeForce RTX 5090"`.
        mebibytes: Its memory; None if the driver does not tell.
        capability: Its compute capability, such as `(12, 0)`; None if the driver does not tell.
        driver: Version of the driver.
    """

    name: str
    mebibytes: int | None
    capability: tuple[int, int] | None
    driver: str

    @property
    def runs_tensorflow(self) -> bool:
        """Tells whether TensorFlow's wheels have code for it, as far as is known."""
        return self.capability is None or self.capability < NOT_ON_TENSORFLOW

    def __str__(self):
        facts = [f"{self.mebibytes / 2**10:.0f} GiB"] if self.mebibytes else []
        if self.capability:
            facts.append("compute capability {}.{}".format(*self.capability))
        return ", ".join([self.name, *facts, f"driver {self.driver}"])


def find_nvidia_gpus(*, seconds: float = _SECONDS) -> list[NvidiaGPU]:
    """Lists the GPUs of NVIDIA by `nvidia-smi`, which starts nothing on them.

    Args:
        seconds: Time that it may take. Defaults to 20 seconds.

    Returns:
        List of `NvidiaGPU`s; empty if there is no `nvidia-smi`.

    Raises:
        OSError: `nvidia-smi` fails, or does not answer in time. The message says so.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        # Not waited for: what hangs in a driver cannot be killed.
        process.kill()
        raise OSError(f"nvidia-smi did not answer within {seconds:g} s") from None
    if process.returncode:
        raise OSError(f"nvidia-smi failed: {' '.join(output.split()) or process.returncode}")
    return [_parse(line) for line in output.splitlines() if line.count(",") >= 3]


def _parse(line: str) -> NvidiaGPU:
    name, memory, capability, driver = (part.strip() for part in line.rsplit(",", 3))
    numbers = capability.split(".")
    is_numeric = len(numbers) == 2 and all(number.isdecimal() for number in numbers)
    return NvidiaGPU(
        name,
        int(memory) if memory.isdecimal() else None,
        (int(numbers[0]), int(numbers[1])) if is_numeric else None,
        driver,
    )


def find_processor() -> str:
    """Returns the name of the CPU."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def find_memory() -> int | None:
    """Returns the bytes of main memory, or the container's limit if that is lower.

    None where the system does not tell.
    """
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
    try:
        limit = pathlib.Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return memory
    return min(memory, int(limit)) if limit.isdigit() else memory
