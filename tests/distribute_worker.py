"""Runs of two epochs, by one device or by several, on the backend of this process.

python distribute_worker.py WORD_SETS OUT.json RUN_FOLDER[@DEVICE,DEVICE] ...
"""

import json
import sys

import keras
import numpy as np

from crnn_keras.char_dict import CharDict
from crnn_keras.data.batches import Batches
from crnn_keras.data.records import Records
from crnn_keras.images import Canvas
from crnn_keras.model.crnn import build_crnn
from crnn_keras.training import distribute, train


def run(sets, folder, devices):
    """Trains on augmented images in batches of 8, three steps an epoch; returns what came out."""
    with distribute.scope(devices) as group:
        char_dict, canvas = CharDict.from_preset("alphanumeric36"), Canvas()
        model = build_crnn(char_dict, canvas, "small", seed=5)
        order = {"seed": 5, "shuffle": True, "augment": True, "shard": group.shard}
        batches = Batches(Records(f"{sets}/train"), char_dict, canvas, batch_size=8, **order)
        validation = Batches(Records(f"{sets}/validation"), char_dict, canvas, batch_size=8)
        own = group.run_folder(folder)
        history = train(model, batches, validation, folder=own, epochs=2, steps_per_epoch=3)
        canvases = np.random.default_rng(0).integers(0, 256, (8, 32, 100, 1), dtype=np.uint8)
        return {
            "rank": group.rank,
            "processes": group.processes,
            "devices": len(group.devices),
            "losses": [[row["train_loss"], row["loss"]] for row in history],
            "logits": distribute.predict_local(model, canvases).tolist(),
        }


def two_tensorflow_devices():
    """Makes two devices of the CPU, as if it were two GPUs."""
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, halves)


if __name__ == "__main__":
    sets, out, *runs = sys.argv[1:]
    if keras.backend.backend() == "tensorflow":
        two_tensorflow_devices()
    found = []
    for words in runs:
        folder, _, devices = words.partition("@")
        found.append(run(sets, folder, devices.split(",") if devices else None))
    if found[0]["rank"] == 0:
        with open(out, "w") as file:
            json.dump(found, file)
