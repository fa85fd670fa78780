"""Trains some steps in each precision, on the backend of this process.

python precision_worker.py OUT.json
"""

import json
import sys

import keras
import numpy as np

from crnn_keras.char_dict import CharDict
from crnn_keras.images import Canvas
from crnn_keras.model.crnn import CRNN, PRECISIONS
from crnn_keras.model.ctc import CTCLoss
from crnn_keras.training import make_optimizer

STEPS, BATCH, LONGEST = 5, 8, 4
# A layer of each kind: JAX compiles for half a minute what `small` has.
ARCHITECTURE = {
    "filters": [16, 32],
    "kernel_sizes": [3, 3],
    "strides": [[2, 2], [2, 1]],
    "pool_sizes": [[1, 1], [2, 2]],
    "residuals": [0, 1],
    "batch_norm": [False, True],
    "frame_kernel_width": 3,
    "frame_batch_norm": True,
    "lstm_units": [64],
    "dropout": 0.1,
}


def batch():
    """Draws images of 32 x 32 pixels of noise, 8 frames, and labels of 4 different characters."""
    rng = np.random.default_rng(0)
    canvases = rng.integers(0, 256, (BATCH, 32, 32, 1), dtype=np.uint8)
    labels = [rng.permutation(36)[:LONGEST] + 1 for _ in range(BATCH)]
    return canvases, np.stack(labels).astype("int32")


def steps_in(precision):
    """Returns the losses of some steps, and what is computed in which dtype."""
    keras.utils.set_random_seed(1)
    char_dict, canvas = CharDict.from_preset("alphanumeric36"), Canvas(widths=(32,))
    model = CRNN(char_dict, canvas, **ARCHITECTURE, seed=1, precision=precision)
    model.compile(make_optimizer("adamw", 4e-3), CTCLoss())
    canvases, labels = batch()
    losses = [float(model.train_on_batch(canvases, labels)) for _ in range(STEPS)]
    loss = CTCLoss()(labels, model(canvases, training=False))
    names = ("conv1", "bilstm1", "logits")
    return {
        "losses": losses,
        "taken": int(model.optimizer.iterations),
        "computes": {name: model.get_layer(name).compute_dtype for name in names},
        "weights": sorted({weight.dtype for weight in model.weights if "float" in weight.dtype}),
        "logits": keras.backend.standardize_dtype(model.outputs[0].dtype),
        "loss": keras.backend.standardize_dtype(loss.dtype),
        "optimizer": type(model.optimizer).__name__,
        "finite": bool(all(np.isfinite(weight.numpy()).all() for weight in model.weights)),
    }


if __name__ == "__main__":
    found = {precision: steps_in(precision) for precision in PRECISIONS}
    with open(sys.argv[1], "w") as file:
        json.dump(found, file)
