"""A run folder: one process trains in it, from what, with which settings, and for how long."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
from short_runs import EPOCHS, STEPS, assert_same_end, at_step, send, start

from crnn_keras.char_dict import CharDict
from crnn_keras.images import Canvas
from crnn_keras.inference.recognizer import Recognizer
from crnn_keras.model.crnn import build_crnn
from crnn_keras.model.saving import save_model
from crnn_keras.training import TrainingStopped
from crnn_keras.training.start import make_model
from crnn_keras.utils.locks import LockedError

pytestmark = [pytest.mark.loop, pytest.mark.slow]

# Trains in a folder, and says so in each step of the first epoch until a file allows the next one.
HOLD = """
import pathlib, sys, time
from short_runs import at_step, start
sets, folder = map(pathlib.Path, sys.argv[1:])
def wait():
    print("training", flush=True)
    while not folder.with_name("go").exists():
        time.sleep(0.05)
model, history = start(sets, folder, callbacks=[at_step(2, wait)])
print(history)
"""


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, word_sets):
    """A finished run of its own: its folder, and its model and history."""
    folder = tmp_path_factory.mktemp("runs") / "unbroken"
    return folder, start(word_sets, folder)


def test_second_training_in_a_folder_is_told_who_holds_it_and_the_first_goes_on(
    tmp_path, word_sets, unbroken
):
    folder = tmp_path / "run"
    tests = pathlib.Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, word_sets, folder],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert any(line == "training\n" for line in holder.stdout)
        (tmp_path / "link").symlink_to(folder)
        for same in (folder, tmp_path / "x" / ".." / "run", tmp_path / "link"):
            with pytest.raises(LockedError, match=f"run: .* process {holder.pid} on "):
                start(word_sets, same)
        # Its model can be read meanwhile, and another run begun.
        shutil.copy(unbroken[0] / "model.keras", folder)
        assert Recognizer.load(folder / "model.keras").char_dict
        start(word_sets, tmp_path / "other", epochs=1, steps_per_epoch=1)
        (tmp_path / "go").touch()
        rest = holder.stdout.read()
        assert holder.wait(timeout=120) == 0
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert f"'steps': {EPOCHS * STEPS}" in rest
    # It ended as a run of its own, and its folder is free again.
    assert_same_end(unbroken[1], start(word_sets, folder))


def test_training_within_a_training_of_the_same_folder_is_refused(tmp_path, word_sets):
    refused = []

    def train_again():
        with pytest.raises(LockedError, match=f"process {os.getpid()} on "):
            start(word_sets, tmp_path)
        refused.append(True)

    history = start(word_sets, tmp_path, callbacks=[at_step(2, train_again)], epochs=1)[1]
    assert refused and [row["steps"] for row in history] == [STEPS]


def test_lock_is_free_after_an_error_and_a_signal(tmp_path, word_sets):
    with pytest.raises(ZeroDivisionError):
        start(word_sets, tmp_path, callbacks=[at_step(1, lambda: 1 / 0)])
    with pytest.raises(TrainingStopped):
        start(word_sets, tmp_path, callbacks=[at_step(1, send(signal.SIGTERM))])
    assert len(start(word_sets, tmp_path)[1]) == EPOCHS


# === The reader that a run begins with ===


def fine_tune(sets, folder, path, **options):
    """Trains in a folder from a reader, as `crnn-keras train --start` does."""
    model = make_model(path, CharDict.from_preset("alphanumeric36"), Canvas(), seed=5)
    return start(sets, folder, model, **options)


def stop_after(step):
    """Returns a callback that stops the training after some steps of its call."""
    return at_step(step, send(signal.SIGTERM))


@pytest.fixture(scope="module")
def reader(tmp_path_factory, word_sets):
    """A trained reader, and the run that goes on from it unbroken."""
    folder = tmp_path_factory.mktemp("readers")
    path = folder / "reader.keras"
    model = build_crnn(CharDict.from_preset("alphanumeric36"), seed=3)
    save_model(model, path)
    return path, fine_tune(word_sets, folder / "run", path)


@pytest.mark.parametrize("spelling", ["own", "relative", "linked folder", "own is a link", "copy"])
def test_run_that_began_with_its_own_model_continues(
    tmp_path, monkeypatch, word_sets, reader, spelling
):
    folder = tmp_path / "run"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    own = folder / "model.keras"
    if spelling == "own is a link":
        own.symlink_to(reader[0])
    else:
        shutil.copy(reader[0], own)
    (tmp_path / "linked").symlink_to(folder)
    shutil.copy(reader[0], tmp_path / "copy.keras")
    path = {
        "relative": pathlib.Path("run/../run/model.keras"),
        "linked folder": tmp_path / "linked" / "model.keras",
        "copy": tmp_path / "copy.keras",
    }.get(spelling, own)
    before = own.read_bytes()
    with pytest.raises(TrainingStopped):
        fine_tune(word_sets, folder, path, callbacks=[stop_after(STEPS + 1)])
    assert own.read_bytes() != before and not own.is_symlink()
    assert_same_end(reader[1], fine_tune(word_sets, folder, path))
    # Once more: it is finished, and says the same.
    assert_same_end(reader[1], fine_tune(word_sets, folder, path))


def test_run_that_began_with_another_reader_is_not_taken_for_that_of_its_own(
    tmp_path, word_sets, reader, unbroken
):
    """A finished run whose own model is to be trained further: that is another run."""
    for finished in (unbroken[0], reader[0].with_name("run")):
        folder = tmp_path / finished.name
        shutil.copytree(finished, folder)
        with pytest.raises(ValueError, match=f"(?s)origin: .*`start` set to {folder}/model.keras"):
            fine_tune(word_sets, folder, folder / "model.keras")
    history = fine_tune(word_sets, tmp_path / "new", folder / "model.keras", epochs=1)[1]
    assert len(history) == 1


# === More epochs ===


@pytest.mark.parametrize("schedule", ["constant", "step"])
def test_more_epochs_of_an_endless_schedule_end_as_one_run(tmp_path, word_sets, schedule):
    options = {"schedule": schedule, "learning_rate": 1e-3}
    whole = start(word_sets, tmp_path / "whole", epochs=3, **options)
    for epochs in (1, 3):
        parts = start(word_sets, tmp_path / "parts", epochs=epochs, **options)
    assert_same_end(whole, parts)
    with pytest.raises(ValueError, match=r"epochs is 2, .* 9 steps of 3 .* at least 3"):
        start(word_sets, tmp_path / "parts", epochs=2, **options)
    assert len(start(word_sets, tmp_path / "parts", epochs=3, **options)[1]) == 3


def test_more_epochs_of_a_cosine_are_a_new_run_from_its_model(tmp_path, word_sets, unbroken):
    folder = tmp_path / "run"
    shutil.copytree(unbroken[0], folder)
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=f"epochs: {EPOCHS} saved, 3 now\n.*{folder}/model.keras"):
        start(word_sets, folder, epochs=3)
    with pytest.raises(ValueError, match="learning_rate: .*\n.*`run` with `records`"):
        start(word_sets, folder, learning_rate=1e-4)
    assert files == {path: path.read_bytes() for path in files}
    history = fine_tune(word_sets, tmp_path / "more", folder / "model.keras", epochs=1)[1]
    assert history[0]["train_loss"] < unbroken[1][1][0]["train_loss"]


# === Wrong and odd numbers ===


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("epochs", value) for value in (0, -1, 1.0, "2", True, None, np.nan, 2**31)),
        *(("steps_per_epoch", value) for value in (-1, 0.5, "3", False, 2**31)),
        *(("learning_rate", value) for value in (0, -0.1, np.nan, np.inf, "0.1", True, 1e39)),
        *(("save_minutes", value) for value in (-1, np.nan, "10", None)),
        *(("optimizer", value) for value in ("adam", "", None, 3)),
        *(("schedule", value) for value in ("linear", None, ["cosine"])),
    ],
)
def test_wrong_settings_are_refused_by_name_before_anything_is_written(
    tmp_path, word_sets, name, value
):
    with pytest.raises(ValueError, match=rf"(?i)^{name}\b.*Expected"):
        start(word_sets, tmp_path / "run", **{name: value})
    assert list(tmp_path.iterdir()) == []


def test_backend_that_cannot_train_is_named(tmp_path, monkeypatch, word_sets, char_dict):
    model = build_crnn(char_dict)
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    with pytest.raises(ValueError, match="'numpy'. Expected one of tensorflow, jax, torch"):
        start(word_sets, tmp_path / "run", model)
    assert list(tmp_path.iterdir()) == []


def test_steps_beyond_what_backends_count_are_refused(tmp_path, word_sets):
    with pytest.raises(ValueError, match=r"epochs times .* is 2147483648\..* 2,147,483,647"):
        start(word_sets, tmp_path / "run", epochs=2**16, steps_per_epoch=2**15)
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_numpy_are_plain_numbers(tmp_path, word_sets, unbroken):
    numbers = {"epochs": np.int64(EPOCHS), "steps_per_epoch": np.uint8(STEPS)}
    ended = start(word_sets, tmp_path, **numbers, learning_rate=np.float64(2e-3))
    assert_same_end(unbroken[1], ended)
    assert_same_end(ended, start(word_sets, tmp_path))


def test_caps_of_keras_do_not_shorten_a_training(tmp_path, word_sets, unbroken):
    """With a cap on epochs `fit` does nothing, and the training would never end."""
    keras.config.set_max_epochs(1)
    keras.config.set_max_steps_per_epoch(1)
    try:
        ended = start(word_sets, tmp_path)
        assert (keras.config.max_epochs(), keras.config.max_steps_per_epoch()) == (1, 1)
    finally:
        keras.config.set_max_epochs(None)
        keras.config.set_max_steps_per_epoch(None)
    assert_same_end(unbroken[1], ended)
