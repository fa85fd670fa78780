"""Trainings that are killed at random moments or stopped, on each backend that is installed.

The callback that writes curves for TensorBoard is in all of them.

The environment sets the number of kills on each backend:

    CRNN_KERAS_KILLS=20 python -m pytest tests/test_kills.py
"""

import csv
import hashlib
import json
import os
import pathlib
import random
import signal

import keras
import numpy as np
import pytest
from backends import run_worker, skip_unless_installed
from kill_worker import STEPS

from crnn_keras.training import best_epoch

pytestmark = pytest.mark.backends

KILLS = int(os.environ.get("CRNN_KERAS_KILLS", "2"))
# A process does at most 3 steps before it is killed, and an epoch has 4.
EPOCHS = KILLS + 1
WORKER = pathlib.Path(__file__).with_name("kill_worker.py")


def moments():
    """Half of the kills are among the files of a state, half at any time of a step."""
    rng = random.Random(7)
    for index in range(KILLS):
        if index % 2:
            step = rng.randint(0, 2)
            # A step takes a fifth of a second, the time before the first one some seconds.
            yield f"time:{step}:{rng.uniform(0, 0.4 if step else 3):.3f}"
        else:
            # The first two are the state that is read; some 18 belong to each that is saved.
            yield f"files:{rng.randint(3, 40)}"


def states_of(run):
    """Lists the states under final names, the newest last: their content and their variables."""
    found = []
    for folder in sorted(run.glob("state/[0-9]*[0-9]")):
        content = (folder / "variables.npz").read_bytes()
        state = json.loads((folder / "state.json").read_text())
        assert hashlib.sha256(content).hexdigest() == state["sha256"], f"{folder} is damaged"
        found.append((state, folder / "variables.npz"))
    return found


def without_seconds(rows):
    return [{name: row[name] for name in row if name != "seconds"} for row in rows]


def end_of(run):
    """Reads what a finished run left, but for its seconds."""
    state, variables = states_of(run)[-1]
    with np.load(variables) as arrays:
        values = [arrays[f"arr_{index}"] for index in range(len(arrays.files))]
    with open(run / "history.csv", newline="") as file:
        history = without_seconds(csv.DictReader(file))
    weights = {
        name: [weight.numpy().tobytes() for weight in keras.models.load_model(run / name).weights]
        for name in ("model.keras", "last.keras")
    }
    return {
        "step": state["step"],
        "history": without_seconds(state["history"]),
        "history.csv": history,
        "variables": [(array.dtype, array.shape, array.tobytes()) for array in values],
        **weights,
        "files": sorted(path.name for path in run.iterdir()),
        "settings": state["settings"],
    }


@pytest.fixture(scope="module", params=["tensorflow", "jax", "torch"])
def runs(request, tmp_path_factory, word_sets):
    """Folder of finished runs: `unbroken`, `resumed` in one process, `stopped`, `killed`."""
    backend = request.param
    skip_unless_installed(backend)
    folder = tmp_path_factory.mktemp(backend)
    killed = folder / "killed"

    def work(*runs):
        names = [f"{folder}/{run}" for run in runs]
        return run_worker(backend, WORKER, word_sets, EPOCHS, *names)

    # Whatever needs no process of its own comes first, in the process of the first kill.
    lives = [[f"killed@{moment}"] for moment in moments()]
    lives[0] = ["unbroken", "resumed@stop:2", "resumed", "stopped@stop:6", *lives[0]]
    newest = -1
    for life in lives:
        done = work(*life)
        assert done.returncode == -signal.SIGKILL, f"{life} was not killed:\n{done.stdout}"
        states = states_of(killed)
        # Before the first state is complete there is none; from then on there is always one.
        assert states or newest < 0
        if states:
            assert states[-1][0]["step"] >= newest
            newest = states[-1][0]["step"]
    assert [state["step"] for state, _ in states_of(folder / "stopped")] == [4, 6]
    done = work("killed", "stopped")
    assert done.returncode == 0
    assert (f"{killed} continues after" in done.stdout) == (newest > 0)
    assert f"{folder}/stopped continues after step 2 of 4 in epoch 2 of {EPOCHS + 1}" in done.stdout
    return folder


@pytest.mark.parametrize("name", ["killed", "resumed", "stopped"])
def test_run_that_was_interrupted_ends_as_one_that_was_not(runs, name):
    unbroken, interrupted = end_of(runs / "unbroken"), end_of(runs / name)
    # By its patience, one epoch before the last.
    assert unbroken["step"] == EPOCHS * STEPS
    assert best_epoch(unbroken["history"]) == 1 < EPOCHS == len(unbroken["history"])
    assert unbroken["model.keras"] != unbroken["last.keras"]
    assert [key for key in unbroken if unbroken[key] != interrupted[key]] == []
    assert list((runs / "logs" / name).rglob("events.*"))
