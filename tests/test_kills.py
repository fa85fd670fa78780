"""Trainings that are killed at random moments, on each backend that is installed.

The number of kills a backend comes from the environment:

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
from kill_worker import STEPS
from test_backends import run_worker, skip_unless_installed

KILLS = int(os.environ.get("CRNN_KERAS_KILLS", "2"))
# A life does at most 3 steps before it is killed, and an epoch has 4.
EPOCHS = KILLS + 1
WORKER = pathlib.Path(__file__).with_name("kill_worker.py")


def moments():
    """Half of the deaths among the files of a state, half at any time of a step."""
    rng = random.Random(7)
    for number in range(KILLS):
        if number % 2:
            step = rng.randint(0, 2)
            # A step takes a fifth of a second, the time before the first one some seconds.
            yield f"time:{step}:{rng.uniform(0, 0.4 if step else 3):.3f}"
        else:
            # The first two are the state that is read; some 18 belong to each that is saved.
            yield f"files:{rng.randint(3, 40)}"


def states_of(run):
    """Every state under a final name, the newest last: its content and its arrays' bytes."""
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
    """What a finished run left, but for its seconds."""
    state, variables = states_of(run)[-1]
    with np.load(variables) as arrays:
        numbers = [arrays[f"arr_{number}"] for number in range(len(arrays.files))]
    with open(run / "history.csv", newline="") as file:
        history = without_seconds(csv.DictReader(file))
    reader = keras.models.load_model(run / "model.keras", compile=False)
    return {
        "step": state["step"],
        "history": without_seconds(state["history"]),
        "history.csv": history,
        "variables": [(array.dtype, array.shape, array.tobytes()) for array in numbers],
        "model.keras": [weight.numpy().tobytes() for weight in reader.weights],
        "files": sorted(path.name for path in run.iterdir()),
        "settings": state["settings"],
    }


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_run_killed_at_random_moments_ends_as_one_never_killed(tmp_path, word_sets, backend):
    skip_unless_installed(backend)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    # The unbroken run comes first in the same process: it saves the time of starting one more.
    lives = [[f"{broken}@{moment}"] for moment in moments()]
    lives[0].insert(0, whole)
    stands = -1
    for life in lives:
        done = run_worker(backend, WORKER, word_sets, EPOCHS, *life)
        assert done.returncode == -signal.SIGKILL, f"{life} was not killed:\n{done.stdout}"
        states = states_of(broken)
        # Before the first state is whole there is none; from then on there is always one.
        assert states or stands < 0
        if states:
            assert states[-1][0]["step"] >= stands
            stands = states[-1][0]["step"]
    done = run_worker(backend, WORKER, word_sets, EPOCHS, broken)
    assert done.returncode == 0
    assert (f"{broken} stands after" in done.stdout) == (stands > 0)
    here, there = end_of(whole), end_of(broken)
    assert here["step"] == EPOCHS * STEPS
    assert [name for name in here if here[name] != there[name]] == []
