"""The promises that hold across processes: the same numbers on every backend, and runs that are
killed and go on. Each backend works in processes of its own, see `backend_worker.py`."""

import csv
import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
from backend_worker import few_classes, logits_of, many_classes, set_weights

from crnn_keras.model import build_crnn
from crnn_keras.train import save_model

WORKER = pathlib.Path(__file__).with_name("backend_worker.py")
PACKAGES = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}


def skip_unless_installed(backend):
    if importlib.util.find_spec(PACKAGES[backend]) is None:
        pytest.skip(f"{backend} is not installed")


def work(backend, *arguments):
    """Runs the worker on a backend; gives its return code and what it printed."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["PYTHONPATH"] = str(WORKER.parent.parent)
    if backend == "torch":
        environment["OMP_NUM_THREADS"] = "1"  # see conftest.py
    done = subprocess.run(
        [sys.executable, WORKER, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode not in (0, -signal.SIGKILL):
        pytest.fail(f"The worker on {backend} failed:\n{done.stderr[-3000:]}")
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def saved_here(tmp_path_factory, char_dict):
    """A reader that this process saved: the file and the logits it gives here."""
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    model = build_crnn(char_dict)
    set_weights(model, seed=6)
    save_model(model, path)
    return path, logits_of(model)


@pytest.fixture(scope="module")
def computed(tmp_path_factory, saved_here):
    """Function that gives a backend's numbers, worked out once."""
    folder, found = tmp_path_factory.mktemp("computed"), {}

    def numbers(backend):
        if backend not in found:
            skip_unless_installed(backend)
            out = folder / f"{backend}.npz"
            work(backend, "compute", saved_here[0], out)
            found[backend] = dict(np.load(out))
        return found[backend]

    return numbers


@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize("case", ["few", "many"])
def test_ctc_is_the_same_as_on_tensorflow(computed, backend, case):
    here, there = computed("tensorflow"), computed(backend)
    loss, gradient = f"{case}_loss", f"{case}_gradient"
    np.testing.assert_allclose(there[loss], here[loss], rtol=1e-4)
    np.testing.assert_allclose(there[gradient], here[gradient], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("backend", PACKAGES)
def test_label_without_room_has_no_loss_on_any_backend(computed, backend):
    found = computed(backend)
    assert list(found["few_loss"] == 0) == [False] * 4 + [True, False]
    assert (found["few_gradient"][4] == 0).all()


@pytest.mark.parametrize("backend", PACKAGES)
def test_gradient_stops_at_the_last_frame_on_every_backend(computed, backend):
    found = computed(backend)
    for name, (_, _, frames) in (("few", few_classes()), ("many", many_classes())):
        for gradient, count in zip(found[f"{name}_gradient"], frames, strict=True):
            assert (gradient[count:] == 0).all()


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_logits_are_the_same_as_on_tensorflow(computed, backend):
    here, there = computed("tensorflow")["set_logits"], computed(backend)["set_logits"]
    assert here.std() > 0.1
    np.testing.assert_allclose(there, here, atol=1e-4)


@pytest.mark.parametrize("backend", PACKAGES)
def test_reader_saved_here_reads_the_same_there(computed, saved_here, backend):
    assert saved_here[1].std() > 0.1
    np.testing.assert_allclose(computed(backend)["loaded_logits"], saved_here[1], atol=1e-4)


def arrays_of(run, epoch=3):
    """Weights, optimizer and seeds of a run after an epoch."""
    with np.load(run / "state" / f"epoch-{epoch:05d}" / "variables.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


def history_of(run):
    state = json.loads((run / "state" / "epoch-00003" / "state.json").read_text())
    return [{k: v for k, v in row.items() if k != "seconds"} for row in state["history"]]


def csv_of(run):
    with open(run / "history.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def assert_same_to_the_last_bit(here, there):
    one, other = arrays_of(here), arrays_of(there)
    assert one.keys() == other.keys()
    differ = {
        name: (one[name].shape, float(np.abs(one[name] * 1.0 - other[name]).max()))
        for name in one
        if one[name].tobytes() != other[name].tobytes()
    }
    assert not differ
    assert history_of(here) == history_of(there)
    assert csv_of(here) == csv_of(there)
    readers = [keras.models.load_model(run / "model.keras") for run in (here, there)]
    for one, other in zip(*(reader.weights for reader in readers), strict=True):
        assert one.numpy().tobytes() == other.numpy().tobytes()


# What is on the disk after each death: the moment, the state that is whole, and the leftovers.
DEATHS = {
    "tensorflow": [
        ("step:2:1", 1, []),
        ("state:2", 1, ["epoch-00002.part"]),
        ("step:3:4", 2, []),
        ("model", 3, []),
    ],
    "jax": [("step:2:3", 1, [])],
    "torch": [("step:2:3", 1, [])],
}


@pytest.mark.parametrize("backend", PACKAGES)
def test_killed_run_ends_with_the_weights_of_one_never_killed(tmp_path, word_sets, backend):
    skip_unless_installed(backend)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    first, *others = DEATHS[backend]
    # The unbroken run comes first in the same process: it saves the time of starting one more.
    deaths = [((whole, f"{broken}@{first[0]}"), *first[1:])]
    deaths += [((f"{broken}@{moment}",), epoch, parts) for moment, epoch, parts in others]
    before = 0
    for runs, epoch, parts in deaths:
        code, printed = work(backend, "train", word_sets, *runs)
        assert code == -signal.SIGKILL
        assert (f"stands after epoch {before} of 3" in printed) == (before > 0)
        states = sorted(path.name for path in (broken / "state").iterdir())
        assert [name for name in states if name.endswith(".part")] == parts
        assert [name for name in states if not name.endswith(".part")][-1] == f"epoch-{epoch:05d}"
        before = epoch
    code, printed = work(backend, "train", word_sets, broken)
    assert code == 0
    assert f"stands after epoch {before} of 3" in printed
    assert [row["steps"] for row in history_of(whole)] == [6, 12, 18]
    assert_same_to_the_last_bit(whole, broken)
    assert sorted(path.name for path in broken.iterdir()) == sorted(
        path.name for path in whole.iterdir()
    )
