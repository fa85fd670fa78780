"""A training in a process of its own that is killed, as `kill -9` does, or stopped by a signal.

    python kill_worker.py WORD_SETS EPOCHS RUN_FOLDER[@MOMENT] ...

A moment is `time:STEP:SECONDS`, some time after this process' step (0: after the beginning);
`files:COUNT`, before this process makes, opens, renames or removes its COUNT-th file or folder of
the run; or `stop:STEP`, SIGTERM in that step: it ends the training, and the next run begins.
"""

import contextlib
import os
import pathlib
import signal
import sys
import threading
import time

import keras

from crnn_keras.char_dict import CharDict
from crnn_keras.data.batches import Batches
from crnn_keras.data.records import Records
from crnn_keras.images import Canvas
from crnn_keras.model.crnn import build_crnn
from crnn_keras.training import TrainingStopped, callbacks as training_callbacks, train, validate
from crnn_keras.training.curves import TensorBoardCurves

STEPS = 4
_EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}


def train_a_little(sets, epochs, folder, *, save_minutes, callbacks=()):
    """Trains epochs of four steps: augmented images, dropout, cosine schedule, TensorBoard.

    In this file's own process they end by their patience: the loss falls from epoch to epoch, and
    counts as better the higher it is, so that the first epoch is the best.
    """
    char_dict, canvas = CharDict.from_preset("alphanumeric36"), Canvas()
    order = {"seed": 5, "shuffle": True, "augment": True}
    batches = Batches(Records(f"{sets}/train"), char_dict, canvas, batch_size=8, **order)
    validation = Batches(Records(f"{sets}/validation"), char_dict, canvas, batch_size=8)
    model = build_crnn(char_dict, canvas, "small", seed=5)
    folder = pathlib.Path(folder)
    logs = folder.parent / "logs" / folder.name
    options = {"epochs": epochs + 1, "patience": epochs - 1, "save_minutes": save_minutes}
    callbacks = [TensorBoardCurves(logs), *callbacks]
    options |= {"folder": folder, "steps_per_epoch": STEPS, "callbacks": callbacks}
    train(model, batches, validation, **options)


def _validate_turned_round(*arguments, **options):
    loss, report = validate(*arguments, **options)
    return -loss, report


class AtStep(keras.callbacks.Callback):
    """Calls a function at the end of a step of this process."""

    def __init__(self, step, action):
        super().__init__()
        self.step, self.action = step, action

    def on_train_batch_end(self, batch, logs=None):
        self.step -= 1
        if self.step == 0:
            self.action()


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at_file(folder, count):
    """Python calls an audit hook before each such event."""
    left = iter(range(count - 1))

    def hook(event, arguments):
        if event not in _EVENTS:
            return
        # `rmtree` removes by names relative to the number of an open folder.
        within = event in ("os.remove", "os.rmdir") and arguments[-1] != -1
        if (within or str(arguments[0]).startswith(folder)) and next(left, None) is None:
            _die()

    sys.addaudithook(hook)


def _callbacks_of(folder, moment):
    """Returns the callbacks that end the training at a moment."""
    kind, *values = moment.split(":")
    if kind == "files":
        _die_at_file(folder, int(values[0]))
    elif kind == "time":

        def die_later():
            time.sleep(float(values[1]))
            _die()

        step, arm = int(values[0]), threading.Thread(target=die_later, daemon=True).start
        if step:
            return [AtStep(step, arm)]
        arm()
    elif kind == "stop":
        return [AtStep(int(values[0]), lambda: os.kill(os.getpid(), signal.SIGTERM))]
    return []


if __name__ == "__main__":
    training_callbacks.validate = _validate_turned_round
    sets, epochs, *runs = sys.argv[1:]
    for run in runs:
        folder, _, moment = run.partition("@")
        callbacks = _callbacks_of(folder, moment)
        options = {"callbacks": callbacks, "save_minutes": 60}
        if pathlib.Path(folder).name == "killed":
            options["save_minutes"] = 0  # after each step
        with contextlib.suppress(TrainingStopped):
            train_a_little(sets, int(epochs), folder, **options)
