"""Trainings on words that are drawn meanwhile: stopped, killed and continued."""

import csv
import dataclasses
import pathlib
import re
import signal
import string

import keras
import pytest
from backends import run_worker
from drawn_worker import EPOCHS, STEPS, train_on_drawn_words
from short_runs import assert_same_end, at_step, send

from crnn_keras import cli, synth
from crnn_keras.char_dict import CharDict
from crnn_keras.data.drawn import draw_batches
from crnn_keras.data.records import open_records
from crnn_keras.images import Canvas
from crnn_keras.notebook.runs import list_runs
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
    with pytest.raises(ValueError, match="repeats"):
        train_on_drawn_words(records, tmp_path / "stopped", repeats=3)
    assert_same_end(unbroken, train_on_drawn_words(records, tmp_path / "stopped"))
    assert "after step 5 of 6 in epoch 1 of 2" in capsys.readouterr().out


def _end_of(run):
    with open(run / "history.csv", newline="") as file:
        history = [row | {"seconds": ""} for row in csv.DictReader(file)]
    model = keras.models.load_model(run / "last.keras")
    return history, [weight.numpy().tobytes() for weight in model.weights]


@pytest.mark.backends
def test_a_killed_training_continues_to_the_same_end(tmp_path, word_sets):
    # What is drawn and in which order is the same on every backend.
    def work(*runs):
        return run_worker("jax", WORKER, word_sets / "validation", *runs)

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


@pytest.mark.slow
def test_no_word_to_validate_on_is_trained_on(tmp_path):
    recipe = synth.Recipe(fonts=synth.bundled_fonts()[:3], seed=2)
    char_dict = CharDict.from_preset("ascii")
    options = {"folder": tmp_path, "validation_words": 300, "processes": 1, "batch_size": 50}
    training, validation = draw_batches(recipe, char_dict, Canvas(), **options)
    with training:
        drawn = {char_dict.decode(row) for step in range(6) for row in training.make_batch(step)[1]}
    kept = {text.lower() for text in validation.texts}
    assert len(kept) > 250 and len(drawn) > 250
    assert not kept & {text.lower() for text in drawn}
    own = dataclasses.replace(recipe, fractions={"train": 0.5, "validation": 0.3, "test": 0.2})
    again, _ = draw_batches(own, char_dict, Canvas(), **options)
    assert again.recipe.fractions == own.fractions and again.recipe.split == "train"


@pytest.mark.slow
def test_the_command_validates_on_labelled_images(run, tmp_path, words):
    rows = []
    for word in words[:8]:
        image = synth.render_word(word, synth.bundled_fonts()[0])
        image.save(tmp_path / f"{word}.png")
        rows.append(f"{word}.png\t{word}\n")
    (tmp_path / "labels.tsv").write_text("".join(rows))
    options = ["--epochs", 1, "--steps-per-epoch", 1, "--batch-size", 4, "--processes", 1]
    code, _, errors = run("--synth", "--validation-labels", "labels.tsv", *options)
    assert code == 0, errors
    records = open_records(tmp_path / "data/mine/synth/records/validation")
    assert sorted(record.text for record in records) == sorted(words[:8])
    (row,) = list_runs()
    assert (row.run, row.epochs, row.damaged) == ("mine", 1, [])


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
