"""Batch size and precision for a machine."""

from __future__ import annotations

import dataclasses

from crnn_keras.images import Canvas
from crnn_keras.training.distribute.machine import Accelerator, Machine

# Bytes that an image of 32 x 100 pixels takes in a training step, by architecture: the outputs of
# all layers and their gradients in float32, rounded up. Only these two are known.
STEP_BYTES = {"paper": 16e6, "small": 3e6}
CPU_BATCH = 64
LARGEST_BATCH = 256
_PIXELS = 32 * 100


@dataclasses.dataclass(frozen=True)
class Advice:
    """What suits a machine.

    Args:
        batch_size: Images in a step, on one device.
        precision: One of `PRECISIONS` of `model.crnn`.
        reason: The reason for each, in words.
    """

    batch_size: int
    precision: str
    reason: str

    def __str__(self):
        return f"batch_size = {self.batch_size}, precision = {self.precision!r}: {self.reason}"


def recommend(
    machine: Machine, *, architecture: str = "small", canvas: Canvas | None = None
) -> Advice:
    """Recommends the batch size and the precision to begin with on a machine.

    With several GPUs, the batch is for one of them, the one with the least memory, and the
    precision is what the oldest supports.

    Args:
        machine: A `Machine`, such as `detect_hardware` returns.
        architecture: `"small"` or `"paper"`. The memory of other architectures is not known: they
            count as `"paper"`, which needs the most, and so does a model to fine-tune. Defaults to
            `"small"`.
        canvas: The `Canvas` of the images. Defaults to `None`: 32 x 100 pixels.

    Returns:
        An `Advice`.

    Example:

        >>> from crnn_keras.training.distribute import Accelerator, Machine, recommend
        >>> gpu = Accelerator("GPU", "Tesla T4", memory=15 * 2**30, capability=(7, 5))
        >>> machine = Machine(
        ...     backend="jax",
        ...     version="0.10.2",
        ...     processor="AMD EPYC",
        ...     cores=8,
        ...     memory=32 * 2**30,
        ...     accelerators=(gpu,),
        ... )
        >>> advice = recommend(machine)
        >>> advice.batch_size, advice.precision
        (256, 'mixed_float16')
    """
    canvas = canvas or Canvas()
    pixels = canvas.height * max(canvas.widths)
    step_bytes = pixels / _PIXELS * STEP_BYTES.get(architecture, STEP_BYTES["paper"])
    if not machine.accelerators:
        batch_size = _largest_batch(machine.memory, step_bytes, CPU_BATCH)
        return Advice(
            batch_size,
            "float32",
            "on a CPU larger batches are no faster, and 16 bits are several times slower, unless "
            "it has instructions for bfloat16 and the backend uses them, as torch does",
        )
    memories = [accelerator.memory for accelerator in machine.accelerators]
    memory = None if None in memories else min(memories)
    batch_size = _largest_batch(memory, step_bytes, LARGEST_BATCH)
    precision, reason = _precision(min(machine.accelerators, key=_capability))
    if memory is None:
        size = f"the memory is not known: if it is too small, take {batch_size // 2}"
    elif batch_size < LARGEST_BATCH:
        size = f"more may not fit into {memory / 2**30:.0f} GiB"
    else:
        size = "enough to keep a GPU busy"
    return Advice(batch_size, precision, f"{size}; {reason}")


def _largest_batch(memory, step_bytes, largest):
    """Returns the largest power of two that leaves half of the memory free."""
    batch_size = largest
    while memory is not None and batch_size > 1 and batch_size * step_bytes > memory / 2:
        batch_size //= 2
    return batch_size


def _capability(accelerator: Accelerator) -> tuple[int, int]:
    return accelerator.capability or (0, 0)


def _precision(accelerator: Accelerator) -> tuple[str, str]:
    """Returns the precision that suits an accelerator, and why."""
    if accelerator.kind == "TPU":
        return "mixed_bfloat16", "TPUs multiply in bfloat16"
    if accelerator.capability is None:
        return "float32", "its compute capability is not known"
    if accelerator.capability >= (8, 0):
        return "mixed_bfloat16", "from compute capability 8.0 on GPUs multiply in bfloat16"
    if accelerator.capability >= (7, 0):
        return "mixed_float16", "compute capability 7 multiplies in float16, not in bfloat16"
    return "float32", "before compute capability 7.0 GPUs have no fast 16 bits"
