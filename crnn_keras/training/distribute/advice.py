"""Batch size and precision for a machine."""

import dataclasses

from crnn_keras.images import Canvas

# Bytes that an image of 32 x 100 pixels takes while a step is under way, by preset: the outputs of
# all layers and their gradients in float32, rounded up.
STEP_BYTES = {"paper": 16e6, "small": 3e6}
CPU_BATCH = 64
LARGEST_BATCH = 256
_PIXELS = 32 * 100


@dataclasses.dataclass(frozen=True)
class Advice:
    """What suits a machine.

    Args:
        batch_size: images in a step, on one device.
        precision: one of `model.PRECISIONS`.
        why: the reason for each, in words.
    """

    batch_size: int
    precision: str
    why: str

    def __str__(self):
        return f"batch_size = {self.batch_size}, precision = {self.precision!r}: {self.why}"


def recommend(machine, preset="small", canvas=None):
    """Batch size and precision to begin with on a machine.

    Where there are several GPUs, the batch is for one of them, the one with the least memory, and
    the precision is what the oldest can do.

    Args:
        machine: a `Machine`, such as `detect_hardware()` gives.
        preset: `"small"` or `"paper"`; a reader to start from counts as `"paper"`.
        canvas: the `images.Canvas` of the images; 32 x 100 pixels if None.

    Returns:
        `Advice`.
    """
    canvas = canvas or Canvas()
    share = canvas.height * max(canvas.widths) / _PIXELS
    step_bytes = share * STEP_BYTES.get(preset, STEP_BYTES["paper"])
    if not machine.accelerators:
        batch_size = _that_fits(machine.memory, step_bytes, CPU_BATCH)
        return Advice(
            batch_size,
            "float32",
            "on a CPU larger batches are no faster, and 16 bits are several times slower, unless "
            "it has instructions for bfloat16 and the backend uses them, as torch does",
        )
    memories = [device.memory for device in machine.accelerators]
    memory = None if None in memories else min(memories)
    batch_size = _that_fits(memory, step_bytes, LARGEST_BATCH)
    precision, why = _precision(min(machine.accelerators, key=_age))
    if memory is None:
        size = f"the memory is not known: if it is too little, take {batch_size // 2}"
    elif batch_size < LARGEST_BATCH:
        size = f"more may not fit into {memory / 2**30:.0f} GiB"
    else:
        size = "enough to keep a GPU busy"
    return Advice(batch_size, precision, f"{size}; {why}")


def _that_fits(memory, step_bytes, largest):
    """The largest power of two that leaves half of the memory free."""
    batch_size = largest
    while memory is not None and batch_size > 1 and batch_size * step_bytes > memory / 2:
        batch_size //= 2
    return batch_size


def _age(device):
    return device.capability or (0, 0)


def _precision(device):
    if device.kind == "TPU":
        return "mixed_bfloat16", "TPUs multiply in bfloat16"
    if device.capability is None:
        return "float32", "its compute capability is not known"
    if device.capability >= (8, 0):
        return "mixed_bfloat16", "from compute capability 8.0 on GPUs multiply in bfloat16"
    if device.capability >= (7, 0):
        return "mixed_float16", "compute capability 7 multiplies in float16, not in bfloat16"
    return "float32", "before compute capability 7.0 GPUs have no fast 16 bits"
