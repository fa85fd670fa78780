"""Time of the CTC loss and its gradient: ours beside Keras' own, on every installed backend.

    python benchmarks/ctc.py

Each backend runs in a process of its own. The two losses take turns, so that a busy machine slows
both. Printed are medians of a batch in milliseconds, smallest to largest in brackets.
"""

import importlib.util
import os
import statistics
import subprocess
import sys
import time

import numpy as np

BACKENDS = ("tensorflow", "jax", "torch")
# Images, frames, longest label, classes: a word in lower case, a line of Chinese.
CASES = ((64, 25, 14, 37), (16, 64, 12, 6600))
ROUNDS = 15


def keras_loss(logits, labels, input_lengths):
    """Computes the loss that Keras has."""
    from keras import ops

    from crnn_keras.model.ctc import label_lengths

    return ops.ctc_loss(labels, logits, label_lengths(labels), input_lengths)


def loss_and_gradient(loss, inputs):
    """Makes a function that computes a loss and its gradient as numpy arrays."""
    import keras

    logits, labels, input_lengths = inputs
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        @tf.function
        def compute(logits):
            with tf.GradientTape() as tape:
                tape.watch(logits)
                losses = loss(logits, tf.constant(labels), tf.constant(input_lengths))
            return losses, tape.gradient(losses, logits)

        return lambda: [value.numpy() for value in compute(tf.constant(logits))]
    if keras.backend.backend() == "jax":
        import jax

        def total(logits):
            losses = loss(logits, labels, input_lengths)
            return losses.sum(), losses

        compute = jax.jit(jax.value_and_grad(total, has_aux=True))

        def run():
            (_, losses), gradient = compute(logits)
            return [np.asarray(losses), np.asarray(gradient)]

        return run
    import torch

    def compute():
        values = torch.tensor(logits, requires_grad=True)
        losses = loss(values, torch.tensor(labels), torch.tensor(input_lengths))
        losses.sum().backward()
        return [losses.detach().numpy(), values.grad.numpy()]

    return compute


def measure():
    """Prints a line for each case on the backend of this process."""
    import keras

    from crnn_keras.model.ctc import ctc_loss

    rng = np.random.default_rng(0)
    for batch, frames, longest, num_classes in CASES:
        logits = rng.normal(0, 3, (batch, frames, num_classes)).astype("float32")
        lengths = rng.integers(1, longest + 1, batch)
        labels = rng.integers(1, num_classes, (batch, longest)).astype("int32")
        labels[np.arange(longest)[None] >= lengths[:, None]] = 0
        inputs = (logits, labels, np.full(batch, frames, "int32"))
        runs = {
            name: loss_and_gradient(loss, inputs)
            for name, loss in (("ours", ctc_loss), ("keras", keras_loss))
        }
        first = {name: run() for name, run in runs.items()}
        apart = np.abs(first["ours"][0] / first["keras"][0] - 1).max()
        times = {name: [] for name in runs}
        for _ in range(ROUNDS):
            for name, run in runs.items():
                started = time.perf_counter()
                run()
                times[name].append(1000 * (time.perf_counter() - started))
        columns = [
            f"{name} {statistics.median(t):6.1f} [{min(t):.1f} to {max(t):.1f}]"
            for name, t in times.items()
        ]
        ratio = statistics.median(times["keras"]) / statistics.median(times["ours"])
        print(
            f"{keras.backend.backend():10} {num_classes:5} classes: {', '.join(columns)} ms, "
            f"keras / ours {ratio:.1f}, losses {apart:.0e} apart",
            flush=True,
        )


if __name__ == "__main__":
    if "--here" in sys.argv:
        measure()
    else:
        print(f"{os.cpu_count()} cores, n = {ROUNDS} rounds")
        for backend in BACKENDS:
            if importlib.util.find_spec(backend) is None:
                print(f"{backend:10} is not installed")
                continue
            settings = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
            subprocess.run(
                [sys.executable, __file__, "--here"],
                env=os.environ | settings,
                stderr=subprocess.DEVNULL,
                check=True,
            )
