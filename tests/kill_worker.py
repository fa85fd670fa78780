"""A training in a process of its own that is killed, as `kill -9` does.

    python kill_worker.py WORD_SETS EPOCHS RUN_FOLDER[@MOMENT] ...

A moment is `time:STEP:SECONDS`, some time after this process' step (0: after the beginning), or
`files:COUNT`, before this process makes, opens, renames or removes its COUNT-th file or folder of
the run.
"""

import os
import signal
import sys
import threading
import time

from crnn_keras.char_dict import CharDict
from crnn_keras.data.batches import Batches
from crnn_keras.data.records import Records
from crnn_keras.images import Canvas
from crnn_keras.model.crnn import build_crnn
from crnn_keras.training import callbacks as running
from crnn_keras.training import train

STEPS = 4
_EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}


def train_a_little(sets, epochs, folder, save_minutes):
    """Epochs of four steps: augmented images, dropout, cosine schedule."""
    char_dict, canvas = CharDict.from_preset("alphanumeric36"), Canvas()
    training = Batches(
        Records(f"{sets}/train"), char_dict, canvas, batch_size=8, seed=5, shuffle=True, augment=True
    )
    validation = Batches(Records(f"{sets}/validation"), char_dict, canvas, batch_size=8)
    model = build_crnn(char_dict, canvas, "small", seed=5)
    train(model, training, validation, folder, epochs, STEPS, save_minutes=save_minutes)


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def _die_in_time(step, seconds):
    def die_later():
        time.sleep(seconds)
        _die()

    arm = threading.Thread(target=die_later, daemon=True).start
    if step == 0:
        arm()
        return
    steps = iter(range(1, step + 1))

    class DeadlyLine(running.ProgressLine):
        def step(self, done, note=""):
            if next(steps, None) == step:
                arm()

    running.ProgressLine = DeadlyLine


def _die_at_file(folder, count):
    """Python tells an audit hook of each such event before it does it."""
    left = iter(range(count - 1))

    def hook(event, arguments):
        if event not in _EVENTS:
            return
        # `rmtree` removes by names relative to the number of an open folder.
        within = event in ("os.remove", "os.rmdir") and arguments[-1] != -1
        if (within or str(arguments[0]).startswith(folder)) and next(left, None) is None:
            _die()

    sys.addaudithook(hook)


if __name__ == "__main__":
    sets, epochs, *runs = sys.argv[1:]
    for run in runs:
        folder, _, moment = run.partition("@")
        kind, *numbers = moment.split(":")
        if kind == "time":
            _die_in_time(int(numbers[0]), float(numbers[1]))
        elif kind == "files":
            _die_at_file(folder, int(numbers[0]))
        # The run that is never killed is saved at the ends of its epochs only.
        train_a_little(sets, int(epochs), folder, save_minutes=0 if "broken" in folder else 60)
