"""Trainings on words that are drawn meanwhile: stopped, killed and continued."""

import csv
import pathlib
import re
import signal
import string

import keras
import pytest
from backends import run_worker, skip_unless_installed
from drawn_worker import EPOCHS, STEPS, train_on_drawn_words
from short_runs import assert_same_end, at_step, send

from crnn_keras import cli
from crnn_keras.training import TrainingStopped

WORKER = pathlib.Path(__file__).with_name("drawn_worker.py")


@pytest.mark.slow
def test_a_stopped_training_continues_to_the_same_end(tmp_path, word_sets, capsys):
    records = word_sets / "validation"
    unbroken = train_on_drawn_words(records, tmp_path / "unbroken")
    # In the first turn of a pool, whose second turn comes later, and in the next pool.
    for step in (1, 4):
        with pytest.raises(TrainingStopped):
            stop = at_step(step, send(signal.SIGTERM))
            train_on_drawn_words(records, tmp_path / "stopped", callbacks=[stop])
    assert "after step 5 of 6 in epoch 1 of 2" in capsys.readouterr().out
    with pytest.raises(ValueError, match="repeats"):
        train_on_drawn_words(records, tmp_path / "stopped", repeats=3)
    assert_same_end(unbroken, train_on_drawn_words(records, tmp_path / "stopped"))


def _end_of(run):
    with open(run / "history.csv", newline="") as file:
        history = [row | {"seconds": ""} for row in csv.DictReader(file)]
    model = keras.models.load_model(run / "last.keras")
    return history, [weight.numpy().tobytes() for weight in model.weights]


@pytest.mark.backends
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_killed_training_continues_to_the_same_end(backend, tmp_path, word_sets):
    skip_unless_installed(backend)

    def work(*runs):
        return run_worker(backend, WORKER, word_sets / "validation", *runs)

    killed = tmp_path / "killed"
    done = work(tmp_path / "unbroken", f"{killed}@3")
    assert done.returncode == -signal.SIGKILL, done.stdout
    assert work(f"{killed}@6").returncode == -signal.SIGKILL
    done = work(killed)
    assert done.returncode == 0
    (epoch,) = re.findall(r"continues after step \d of 6 in epoch (\d) of 2", done.stdout)
    assert epoch in "12"
    history, weights = _end_of(tmp_path / "unbroken")
    assert [int(row["steps"]) for row in history] == [STEPS, EPOCHS * STEPS]
    assert (history, weights) == _end_of(killed)


# ---- crnn-keras train --synth ------------------------------------------------------------------


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Function that runs `crnn-keras train` in an empty folder: `(exit code, stdout, stderr)`."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        capsys.readouterr()
        code = cli.main(["train", *map(str, words)])
        return code, *capsys.readouterr()

    return run


@pytest.mark.slow
def test_the_command_trains_on_drawn_words_and_continues(run, tmp_path):
    (tmp_path / "letters.txt").write_text("\n".join(string.ascii_letters))
    words = ["--synth", "--epochs", 2, "--steps-per-epoch", 3, "--batch-size", 8, "--processes", 1]
    words += ["--validation-words", 40, "--schedule", "constant", "--characters", "letters.txt"]
    code, output, errors = run(*words[:1], "--epochs", 1, *words[3:])
    assert code == 0 and output.endswith("model: data/mine/train/model.keras\n")
    assert "Processes that draw words: 1." in errors
    assert re.search(r"\d+ images cannot be trained on .* outside the char dict of 52", errors)
    assert (tmp_path / "data/mine/synth/validation/set.json").is_file()
    code, output, errors = run(*words)
    assert code == 0 and "data/mine/train continues after epoch 1 of 2" in errors
    assert [line.split()[0] for line in output.splitlines()[1:3]] == ["1", "2"]
    code, _, errors = run(*words, "--repeats", 2)
    assert code == 2 and "repeats" in errors


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--repeats", "2"], "--repeats belongs to --synth"),
        (["--canvas-width", "100"], "--canvas-width belongs to --synth"),
        (["--synth", "--records", "x"], "--records and --replay"),
        (["--synth", "--recipe", "none.json"], "none.json"),
    ],
)
def test_options_without_effect_are_refused(run, words, message):
    code, output, errors = run(*words)
    assert (code, output) == (2, "") and message in errors
