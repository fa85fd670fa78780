"""Batch size and precision for a machine."""

from __future__ import annotations

import dataclasses

from crnn_keras.images import Canvas
from crnn_keras.training.distribute.machine import Machine

# Bytes that an image of 32 x 100 pixels takes in a training step in float32, by architecture: what
# torch keeps for the backward pass, as counted on a CPU, twice (for the gradients), rounded up.
STEP_BYTES = {
    "small": 3e6,
    "mobile": 3e6,
    "deep": 4e6,
    "wide": 6e6,
    "large": 14e6,
    "paper": 17e6,
}
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

    With several GPUs, the batch is for one of them, the one with the least memory. The precision is
    float32 everywhere: 16 bits were faster on no device that they were tried on, and most devices
    have not been tried, as the reason says.

    Args:
        machine: A `Machine`, such as `detect_hardware` returns.
        architecture: A name in `ARCHITECTURES`. The memory of other networks is not known: they
            count as `"paper"`, which needs the most, and so does a model to fine-tune. Defaults to
            `"small"`.
        canvas: The `Canvas` of the images. Defaults to `None`: 32 x 100 pixels.

    Returns:
        An `Advice`.

    Example:

        >>> from crnn_keras.training.distribute import Machine, recommend
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
        (256, 'float32')
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
    if memory is None:
        size = f"the memory is not known: if it is too small, take {batch_size // 2}"
    elif batch_size < LARGEST_BATCH:
        size = f"more may not fit into {memory / 2**30:.0f} GiB"
    else:
        size = "more keep a large GPU busier, with a learning rate to match"
    return Advice(batch_size, "float32", f"{size}; {_what_was_run(machine)}")


def _largest_batch(memory, step_bytes, largest):
    """Returns the largest power of two that leaves half of the memory free."""
    batch_size = largest
    while memory is not None and batch_size > 1 and batch_size * step_bytes > memory / 2:
        batch_size //= 2
    return batch_size


def _what_was_run(machine: Machine) -> str:
    """Says what is known of 16 bits on a machine's accelerators: see docs/gpu.md."""
    if any(accelerator.kind != "GPU" for accelerator in machine.accelerators):
        return "nothing was run on a TPU"
    if machine.backend == "tensorflow":
        return "nothing was run on a GPU with TensorFlow"
    # Only NVIDIA's have one, and the only one that was tried has 9.0.
    capabilities = {accelerator.capability or (0, 0) for accelerator in machine.accelerators}
    if capabilities != {(9, 0)}:
        return "mixed precision was not run on such a GPU"
    if machine.backend == "jax":
        return "mixed precision was not run on a GPU with JAX since it failed there"
    return "on an H100 mixed_bfloat16 was slower in batches of 256"
