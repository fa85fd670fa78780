"""A few steps of training in each precision, on the backend of this process.

python precision_worker.py OUT.json
"""

import json
import sys

import keras
import numpy as np

from crnn_keras.char_dict import CharDict
from crnn_keras.images import Canvas
from crnn_keras.model.crnn import PRECISIONS, build_crnn
from crnn_keras.training import make_optimizer, training_model

STEPS, BATCH, LONGEST = 5, 8, 4


def batch():
    """Images of noise with labels of 4 different characters: 8 frames of 32 x 32 pixels."""
    rng = np.random.default_rng(0)
    return {
        "canvas": rng.integers(0, 256, (BATCH, 32, 32, 1), dtype=np.uint8),
        "labels": np.stack([rng.permutation(36)[:LONGEST] + 1 for _ in range(BATCH)]).astype(
            "int32"
        ),
        "frames": np.full(BATCH, 8, np.int32),
    }


def steps_in(precision):
    """Losses of some steps, and what is computed in which dtype."""
    model = build_crnn(
        CharDict.from_preset("alphanumeric36"), Canvas(widths=(32,)), seed=1, precision=precision
    )
    whole = training_model(model, LONGEST)
    whole.compile(make_optimizer("adamw", 2e-3), loss=lambda _, losses: keras.ops.mean(losses))
    losses = [float(whole.train_on_batch(batch(), np.zeros(BATCH))) for _ in range(STEPS)]
    names = ("conv1", "bilstm1", "logits")
    return {
        "losses": losses,
        "taken": int(whole.optimizer.iterations),
        "computes": {name: model.get_layer(name).compute_dtype for name in names},
        "weights": sorted({weight.dtype for weight in model.weights if "float" in weight.dtype}),
        "logits": keras.backend.standardize_dtype(model.outputs[0].dtype),
        "loss": keras.backend.standardize_dtype(whole.outputs[0].dtype),
        "optimizer": type(whole.optimizer).__name__,
        "finite": bool(all(np.isfinite(weight.numpy()).all() for weight in model.weights)),
    }


if __name__ == "__main__":
    found = {precision: steps_in(precision) for precision in PRECISIONS}
    with open(sys.argv[1], "w") as file:
        json.dump(found, file)
