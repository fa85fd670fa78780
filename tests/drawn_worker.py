"""A training on words that are drawn meanwhile, in a process that may be killed.

    python drawn_worker.py VALIDATION FOLDER[@STEP] ...

It dies in the step, of this process, as `kill -9` would end it; the processes that draw are named
before.
"""

import os
import signal
import sys

from kill_worker import AtStep

from crnn_keras import synth
from crnn_keras.char_dict import CharDict
from crnn_keras.data.batches import Batches
from crnn_keras.data.drawn import SynthBatches
from crnn_keras.data.records import Records
from crnn_keras.images import Canvas
from crnn_keras.model.crnn import build_crnn
from crnn_keras.training import train

EPOCHS, STEPS = 2, 6


def train_on_drawn_words(records, folder, *, repeats=2, processes=1, **options):
    """Trains two epochs of six steps: pools of two steps, each twice, and augmentation.

    Returns:
        The model and the history.
    """
    char_dict, canvas = CharDict.from_preset("alphanumeric36"), Canvas()
    recipe = synth.Recipe(fonts=synth.bundled_fonts()[:3], seed=5)
    validation = Batches(Records(records), char_dict, canvas, batch_size=8)
    model = build_crnn(char_dict, canvas, "small", seed=5)
    data = {"batch_size": 8, "pool_words": 16, "repeats": repeats, "processes": processes}
    settings = {"epochs": EPOCHS, "steps_per_epoch": STEPS, **options}
    with SynthBatches(recipe, char_dict, canvas, seed=5, augment=1.0, **data) as batches:
        return model, train(model, batches, validation, folder=folder, **settings)


if __name__ == "__main__":
    records, *runs = sys.argv[1:]
    for run in runs:
        folder, _, step = run.partition("@")
        options = {"save_minutes": 0, "processes": 2}
        if step:
            die = AtStep(int(step), lambda: os.kill(os.getpid(), signal.SIGKILL))
            options["callbacks"] = [die]
        train_on_drawn_words(records, folder, **options)
