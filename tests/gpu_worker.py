"""Computes on the device of this process what `test_gpu.py` compares with the CPU.

    python gpu_worker.py device
    python gpu_worker.py numbers OUT.npz
    python gpu_worker.py read OUT.npz
    python gpu_worker.py train WORD_SETS RUN_FOLDER [STEP]

`device` prints what the backend computes on, `read` lets the shipped reader read, `train` trains a
small reader until it knows its words; with STEP it is killed at the end of that step.
"""

import os
import pathlib
import signal
import sys

import backend_worker
import keras
import numpy as np
import precision_worker
from layers_worker import set_weights
from short_runs import at_step

from crnn_keras.char_dict import CharDict
from crnn_keras.data.batches import Batches
from crnn_keras.data.records import Records
from crnn_keras.images import Canvas
from crnn_keras.inference.recognizer import Recognizer
from crnn_keras.model.crnn import PRECISIONS, build_crnn
from crnn_keras.training import train
from crnn_keras.training.distribute import detect_hardware
from crnn_keras.utils.backend import device_kind

STEP_ARCHITECTURES = ("small", "paper")
EPOCHS, STEPS = 4, 60


def numbers():
    """Computes the CTC loss and its gradient, logits, training steps, and steps in 16 bits."""
    found = {}
    cases = {"few": backend_worker.few_classes(), "many": backend_worker.many_classes()}
    for name, case in cases.items():
        both = backend_worker.loss_and_gradient(*case, compiled=True)
        found |= {f"{name} loss": both[0], f"{name} gradient": both[1]}
    model = build_crnn(CharDict.from_preset("alphanumeric36"))
    set_weights(model, seed=3)
    found["logits"] = backend_worker.logits_of(model)
    for name in STEP_ARCHITECTURES:
        found[f"{name} loss"], found[f"{name} weights"] = backend_worker.one_step(name)
    for precision in PRECISIONS:
        steps = precision_worker.steps_in(precision)
        found |= {f"{what} in {precision}": steps[what] for what in ("losses", "taken")}
    return found


def read():
    """Reads rendered words by the shipped reader: logits, texts and confidences."""
    reader = Recognizer.load("words")
    canvas = reader.model.canvas
    shape = (16, canvas.height, canvas.widths[0], 1)
    canvases = np.random.default_rng(2).integers(0, 256, shape).astype("uint8")
    predictions = reader.read(backend_worker.rendered_words())
    return {
        "logits": keras.ops.convert_to_numpy(reader.model.predict_on_batch(canvases)),
        "texts": [prediction.text for prediction in predictions],
        "confidences": [prediction.confidence for prediction in predictions],
    }


def train_reader(sets, folder, killed_at=None):
    """Trains on 48 words until the reader knows them."""
    char_dict, canvas = CharDict.from_preset("alphanumeric36"), Canvas()
    records = Records(pathlib.Path(sets, "train"))
    batches = Batches(records, char_dict, canvas, batch_size=16, seed=5, shuffle=True)
    validation = Batches(records, char_dict, canvas, batch_size=16)
    options = {"epochs": EPOCHS, "steps_per_epoch": STEPS, "learning_rate": 2e-3}
    if killed_at:
        die = at_step(int(killed_at), lambda: os.kill(os.getpid(), signal.SIGKILL))
        options |= {"callbacks": [die], "save_minutes": 0}
    model = build_crnn(char_dict, canvas, seed=5)
    train(model, batches, validation, folder=pathlib.Path(folder), **options)


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    if task == "device":
        print(device_kind(), detect_hardware(), sep="\n")
    elif task == "train":
        train_reader(*arguments)
    else:
        np.savez(arguments[0], **{"numbers": numbers, "read": read}[task]())
