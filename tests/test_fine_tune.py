"""Fine-tuning on a user's images: characters, replay, interpolation, and the whole of it."""

import csv
import dataclasses
import json
import logging
import pathlib

import numpy as np
import pytest
from backends import run_worker, skip_unless_installed
from fine_tune_worker import learn

from crnn_keras import (
    Canvas,
    CharDict,
    FineTuningSettings,
    Recipe,
    Recognizer,
    build_crnn,
    cli,
    fine_tune,
    load_for_fine_tuning,
    open_records,
    read_samples,
    save_model,
)
from crnn_keras.data.build import prepare_rendered
from crnn_keras.data.labels import Sample
from crnn_keras.synth import bundled_fonts
from crnn_keras.training.fine_tuning import interpolate_weights
from crnn_keras.training.fine_tuning.load import freeze_lstm
from crnn_keras.training.fine_tuning.readers import score_readers
from crnn_keras.training.fine_tuning.replay import render_replay
from crnn_keras.training.fine_tuning.settings import default_steps
from crnn_keras.training.fine_tuning.tune import _choose_characters
from crnn_keras.training.settings import model_settings

pytestmark = pytest.mark.loop

WORKER = pathlib.Path(__file__).with_name("fine_tune_worker.py")
ALPHANUMERIC = CharDict.from_preset("alphanumeric36")
TINY = {
    "steps": 4,
    "steps_per_epoch": 2,
    "batch_size": 8,
    "replay_images": 16,
    "learning_rate": 1e-4,
}


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """A label file of 30 rendered words."""
    folder = tmp_path_factory.mktemp("own")
    recipe = Recipe({"kind": "words", "labels": "alphanumeric"}, bundled_fonts()[:2], seed=3)
    rows = []
    for index in range(30):
        encoded, text = recipe.open().sample(index)
        (folder / f"{index}.jpg").write_bytes(encoded)
        rows.append(f"{index}.jpg\t{text}\n")
    (folder / "labels.tsv").write_text("".join(rows))
    return folder / "labels.tsv"


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A reader with fresh weights: what it reads is not asked."""
    path = tmp_path_factory.mktemp("start") / "start.keras"
    save_model(build_crnn(ALPHANUMERIC, Canvas(), seed=1), path)
    return path


def _splits(texts):
    return {"train": [Sample(f"{i}.png", text, f"line {i}") for i, text in enumerate(texts)]}


# === Characters ===


def test_extended_characters_keep_the_ids_of_the_reader():
    char_dict, splits = _choose_characters("extend", ALPHANUMERIC, _splits(["DATE:", "1.50"]))
    assert char_dict.characters == ALPHANUMERIC.characters + ".:"
    assert char_dict.fold_case
    assert [sample.text for sample in splits["train"]] == ["DATE:", "1.50"]


def test_characters_of_the_reader_drop_others_and_say_so(caplog):
    with caplog.at_level(logging.WARNING):
        char_dict, splits = _choose_characters(
            "reader", ALPHANUMERIC, _splits(["DATE:", "1.50", "total"])
        )
    assert char_dict == ALPHANUMERIC
    assert [sample.text for sample in splits["train"]] == ["date", "150", "total"]
    assert "2 characters" in caplog.text and "2 labels" in caplog.text


@pytest.mark.parametrize(
    "characters, texts, expected",
    [
        ("0123456789", ["7.10", "$3"], "0123456789$."),
        ("0123456789", ["42"], "0123456789"),
        ("ab", ["ba", "\u00e9", "e\u0301"], "ab\u00e9"),
        ("ab", [], "ab"),
    ],
)
def test_char_dict_extended_by_labels(characters, texts, expected):
    assert CharDict(characters).extend(texts).characters == expected


def test_char_dict_extended_by_hebrew_becomes_visual(capsys):
    extended = CharDict.from_preset("digits").extend(["\u05d0\u05d1 12"])
    assert extended.direction != "logical" and extended.characters[:10] == "0123456789"
    assert not extended.unknown("\u05d0\u05d1 12")


@pytest.mark.parametrize(
    "text, expected", [("Total: $7.10", "total710"), ("", ""), ("::", ""), ("a\u00e9b", "ab")]
)
def test_text_without_unknown_characters(text, expected):
    assert ALPHANUMERIC.without_unknown(text) == expected


# === Replay ===


def test_replay_and_reference_have_no_text_in_common(tmp_path):
    folders = render_replay(ALPHANUMERIC, Canvas(), folder=tmp_path, images=40)
    replay, reference = (
        [record.text for record in open_records(folders[name])] for name in ("replay", "reference")
    )
    assert (len(replay), len(reference)) == (40, 10)
    assert not set(replay) & set(reference)


def test_replay_of_a_reader_of_digits_holds_digits(tmp_path):
    folders = render_replay(CharDict.from_preset("digits"), Canvas(), folder=tmp_path, images=12)
    texts = [record.text for record in open_records(folders["replay"])]
    assert len(texts) == 12 and all(text.isdigit() for text in texts)


def test_replay_of_a_script_without_a_font_is_said_to_be_missing(tmp_path, caplog):
    cuneiform = CharDict("".join(map(chr, range(0x12000, 0x12020))))
    assert render_replay(cuneiform, Canvas(), folder=tmp_path, images=12) == {}
    assert "nothing is replayed" in caplog.text


# === Weights ===


def _weights(model):
    return {layer.name: layer.get_weights() for layer in model.layers}


def test_interpolated_weights_are_between_those_of_both(start):
    old = Recognizer.load(start).model
    wider = ALPHANUMERIC.extend(["-"])
    model = load_for_fine_tuning(start, wider, Canvas())
    for layer in model.layers:
        layer.set_weights([weights + 1 for weights in layer.get_weights()])
    learned = _weights(model)
    interpolate_weights(old, model, fraction=0.25)
    before, after = _weights(old), _weights(model)
    for name, values in before.items():
        for was, now in zip(values, after[name], strict=True):
            if name == "logits":
                now = now[..., : was.shape[-1]]
            np.testing.assert_allclose(now, was + 0.25, atol=1e-6)
    # What only the new reader has stays as it was learned.
    for now, new in zip(after["logits"], learned["logits"], strict=True):
        np.testing.assert_array_equal(now[..., -1], new[..., -1])


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_an_interpolation_to_an_end_is_that_end(start, fraction):
    old, model = (Recognizer.load(start).model for _ in range(2))
    for layer in model.layers:
        layer.set_weights([weights * 2 + 0.5 for weights in layer.get_weights()])
    expected = [weights.copy() for weights in (model if fraction else old).get_weights()]
    interpolate_weights(old, model, fraction=fraction)
    for now, then in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(now, then, rtol=1e-6)


def test_models_of_other_layers_are_not_interpolated():
    small, mobile = (build_crnn(ALPHANUMERIC, architecture=name) for name in ("small", "mobile"))
    with pytest.raises(ValueError, match="small"):
        interpolate_weights(small, mobile, fraction=0.5)


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """The folder of records of words with marks, which the start does not know."""
    folder = tmp_path_factory.mktemp("marked")
    recipe = Recipe(
        {"kind": "words", "marks": 1.0},
        bundled_fonts()[:2],
        fractions={"train": 0.5, "validation": 0.5},
    )
    prepare_rendered(recipe, CharDict.from_preset("ascii"), Canvas(), folder=folder, rows=32)
    return folder / "records"


def test_new_characters_are_learned_and_known_columns_stay(start, marked):
    before, after, names = learn(start, marked)
    is_new = np.array([False, *(c in ".,!" for c in CharDict.from_preset("ascii").characters)])
    for was, now in zip(before, after, strict=True):
        np.testing.assert_array_equal(now[..., ~is_new], was[..., ~is_new])
        assert not np.allclose(now[..., is_new], was[..., is_new])
    assert "bilstm1" not in names and {"conv1", "logits"} <= set(names)


@pytest.mark.backends
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_new_characters_are_learned_alike_on_every_backend(tmp_path, start, marked, backend):
    skip_unless_installed(backend)
    out = tmp_path / "learned.npz"
    assert run_worker(backend, WORKER, start, marked, out).returncode == 0
    before, after, names = learn(start, marked)
    there = np.load(out)
    assert there["names"].tolist() == names
    for name, was, now in zip(("kernel", "bias"), before, after, strict=True):
        here = now - was
        assert np.abs(here).max() > 0.01
        # Adam makes a step of the same size of the smallest gradients, whatever their sign.
        assert np.corrcoef(here.ravel(), there[name].ravel())[0, 1] > 0.99


# === Settings and start ===


@pytest.mark.parametrize(
    "images, steps", [(1, 100), (25, 125), (60, 200), (250, 475), (1000, 1000), (10**6, 1000)]
)
def test_steps_grow_more_slowly_than_the_images(images, steps):
    assert default_steps(images) == steps


@pytest.mark.parametrize(
    "images, replayed", [(1, 4000), (250, 12_000), (100, 7040), (10**6, 12_000)]
)
def test_as_many_words_are_rendered_as_the_steps_replay(images, replayed):
    complete = FineTuningSettings().complete(images=images, known=36, new=0)
    assert complete.replay_images == replayed
    if images == 100:
        assert replayed == round(complete.steps * 64 * 0.4)


@pytest.mark.parametrize(
    "new, train_lstm, learning_rate",
    [(0, False, 0.002), (18, False, 0.002), (19, True, 0.001), (31, True, 0.001)],
)
def test_the_lstm_learns_only_where_many_characters_are_new(new, train_lstm, learning_rate):
    complete = FineTuningSettings().complete(images=60, known=36, new=new)
    assert (complete.train_lstm, complete.learning_rate) == (train_lstm, learning_rate)
    assert complete.interpolation == (0.8 if train_lstm else 0.95)
    assert complete.steps == 200 and complete.complete(images=1, known=1, new=1) == complete
    stated = FineTuningSettings(
        steps=7, learning_rate=0.1, train_lstm=not train_lstm, interpolation=0.5, replay_images=9
    )
    assert stated.complete(images=60, known=36, new=new) == stated


def test_an_lstm_that_stays_is_a_setting_of_the_run(start):
    model = Recognizer.load(start).model
    assert "frozen" not in model_settings(model, "run")
    freeze_lstm(model)
    assert model_settings(model, "run")["frozen"] == ["bilstm1"]


@pytest.mark.parametrize(
    "name, value",
    [
        ("steps", -1),
        ("learning_rate", -0.1),
        ("interpolation", 1.1),
        ("finish", 1),
        ("patience", 0.5),
    ],
)
def test_settings_out_of_range_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        FineTuningSettings(**{name: value})


@pytest.mark.slow
def test_the_reader_that_keeps_case_comes_first_where_case_matters(labels):
    samples = read_samples(labels).samples[:8]
    scores = score_readers(samples)
    assert [score.images for score in scores] == [8, 8]
    assert scores[0].word_accuracy >= scores[1].word_accuracy > 0
    mixed = [dataclasses.replace(sample, text=sample.text.title()) for sample in samples]
    assert score_readers(mixed)[0].name == "ascii"
    assert [score.word_accuracy for score in score_readers(mixed, most=4)]
    spaced = [dataclasses.replace(sample, text=f"{sample.text} 1") for sample in samples]
    assert {score.name for score in score_readers(spaced)} == {"words", "ascii", "lines"}


# === The whole ===


@pytest.mark.slow
def test_fine_tuning_from_labels_to_a_reader_that_was_measured(tmp_path, labels, start):
    settings = FineTuningSettings(**TINY)
    result = fine_tune(labels, folder=tmp_path, start=start, settings=settings)
    assert result.model_path == tmp_path / "train" / "model.keras"
    assert sum(result.sizes.values()) == 30 == len(result.readings)
    assert result.is_finished and not result.is_calibrated
    own, old = result.comparisons
    assert own.images == result.sizes["test"] and old.images == 4
    assert (
        own.before.word_accuracy
        == own.after.word_accuracy + (own.broken - own.repaired) / own.images
    )
    reader = Recognizer.load(result.model_path)
    assert reader.char_dict == ALPHANUMERIC and reader.canvas == Canvas()
    # The same call continues: nothing is left to train, and the reader is the same.
    weights = reader.model.get_weights()
    again = fine_tune(labels, folder=tmp_path, start=start, settings=settings)
    assert again.comparisons == result.comparisons
    for one, other in zip(
        Recognizer.load(again.model_path).model.get_weights(), weights, strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_folds_test_every_image_once(tmp_path, labels, start):
    settings = FineTuningSettings(**TINY)
    result = fine_tune(labels, folder=tmp_path, start=start, folds=2, settings=settings)
    assert result.comparisons[0].images == 30
    assert {reading.split for reading in result.readings} == {"test"}
    assert (tmp_path / "folds" / "2" / "train" / "model.keras").is_file()


def test_a_set_without_an_image_to_test_is_refused(tmp_path, labels, start):
    samples = read_samples(labels).samples
    with pytest.raises(ValueError, match="validation and test"):
        fine_tune({"train": samples}, folder=tmp_path, start=start)


@pytest.mark.slow
def test_the_command_writes_a_reader_a_page_and_the_readings(
    tmp_path, labels, start, monkeypatch, capsys
):
    damaged = labels.parent / "damaged.tsv"
    damaged.write_text(labels.read_text() + "missing.jpg\tword\n")
    monkeypatch.chdir(tmp_path)
    words = ["fine-tune", "--labels", str(damaged), "--run", "own", "--start", str(start)]
    words += ["--steps", "2", "--batch-size", "8", "--replay-fraction", "0.25", "--no-finish"]
    words += ["--characters", "labels", "--reference", str(labels)]
    assert cli.main(words) == 1
    printed, said = capsys.readouterr()
    assert "labels.tsv, 30 images" in printed and "data/own/train/model.keras" in printed
    assert "missing.jpg" in said and "damaged.tsv, line 31" in said
    # The characters that are dropped have a price.
    assert "are dropped" in said and "% of the words of its old task" in said
    rows = list(csv.DictReader((tmp_path / "reports/own/readings.csv").open()))
    assert len(rows) == 30 and {row["split"] for row in rows} == {"train", "validation", "test"}
    results = json.loads((tmp_path / "reports/own/results.json").read_text())["fine_tune"]
    tested = sum(row["split"] == "test" for row in rows)
    assert results["images"] == tested and results["start"] == str(start)
    page = (tmp_path / "reports/own/fine_tuning.html").read_text()
    assert "labels.tsv" in page and "data_check.html" in page and "http" not in page
    assert (tmp_path / "reports/own/data_check.html").is_file()
    assert not (tmp_path / "data/own/measured").exists()
    # Fewer steps than lie between two validations are all that is trained.
    (epoch,) = csv.DictReader((tmp_path / "data/own/train/history.csv").open())
    assert epoch["steps"] == "2"


@pytest.mark.parametrize(
    "words, expected",
    [
        ([], "--labels"),
        (["a.tsv", "--labels", "b.tsv"], "--labels"),
        (["a.tsv", "--folds", "1"], "--folds"),
        (["a.tsv", "--folds", "3", "--test-labels", "b.tsv"], "--test-labels"),
        (["missing.tsv"], "missing.tsv"),
    ],
)
def test_what_a_command_lacks_is_named(words, expected, capsys):
    assert cli.main(["fine-tune", *words]) == 2
    assert expected in capsys.readouterr().err
