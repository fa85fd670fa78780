import csv
import json
import math
import shutil
import zipfile

import keras
import numpy as np
import pytest

from crnn_keras.char_dict import CharDict
from crnn_keras.data.batches import Batches
from crnn_keras.data.records import Records
from crnn_keras.images import Canvas, to_canvas
from crnn_keras.model.crnn import build_crnn
from crnn_keras.model.decoding.best_path import best_path
from crnn_keras.training import (
    HISTORY_COLUMNS,
    make_optimizer,
    make_schedule,
    train,
    validate,
    write_history,
)

pytestmark = [pytest.mark.loop, pytest.mark.slow]

EPOCHS, STEPS = 4, 20


def arrays_of(variables):
    return [variable.numpy() for variable in variables]


def assert_same(here, there):
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one, other)


def rate_at(schedule, step):
    return float(keras.ops.convert_to_numpy(schedule(step)))


# The old project's: a tenth every 10,000 steps.
@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 0.1),
        (9_999, 0.1),
        (10_000, 0.01),
        (19_999, 0.01),
        (20_000, 0.001),
        (30_000, 0.0001),
    ],
)
def test_step_schedule_divides_by_ten_every_ten_thousand_steps(step, rate):
    assert rate_at(make_schedule("step", 0.1, 40_000), step) == pytest.approx(rate, rel=1e-5)


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 0.002 / 100),
        (25, 0.002 * 0.505),
        (50, 0.002),
        (50 + 475 // 2, 0.002 * (1 + math.cos(math.pi * 237 / 950)) / 2),
        (50 + 475, 0.001),
        (1000, 0.0),
        (2000, 0.0),
    ],
)
def test_cosine_schedule_warms_up_for_a_twentieth_and_ends_at_zero(step, rate):
    found = rate_at(make_schedule("cosine", 0.002, 1000), step)
    assert found == pytest.approx(rate, rel=1e-4, abs=1e-9)


def test_cosine_schedule_is_that_of_keras_and_comes_back_from_its_config():
    own = make_schedule("cosine", 0.002, 1000)
    keras_own = keras.optimizers.schedules.CosineDecay(
        0.002 / 100, 950, warmup_target=0.002, warmup_steps=50
    )
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(own))
    for step in (*range(0, 1010, 17), 49, 50, 51):
        expected = pytest.approx(rate_at(keras_own, step), rel=1e-5, abs=1e-9)
        assert rate_at(own, step) == rate_at(again, step) == expected


@pytest.mark.parametrize("total", [1, 2, 3])
def test_cosine_schedule_is_finite_for_a_run_of_few_steps(total):
    schedule = make_schedule("cosine", 0.002, total)
    assert all(0 <= rate_at(schedule, step) <= 0.002001 for step in range(total + 1))


def test_constant_schedule_is_the_rate_itself():
    assert make_schedule("constant", 0.003, 10) == 0.003


def test_optimizers_are_those_of_their_names():
    adamw, sgd = make_optimizer("adamw", 0.002), make_optimizer("sgd", 0.1)
    assert isinstance(adamw, keras.optimizers.AdamW)
    assert adamw.weight_decay > 0
    assert isinstance(sgd, keras.optimizers.SGD)
    assert sgd.momentum == 0.9
    assert adamw.global_clipnorm == sgd.global_clipnorm == 5.0


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_optimizers_clip_huge_gradients(name):
    weight = keras.Variable(np.zeros(2, np.float32))
    optimizer = make_optimizer(name, 0.1)
    optimizer.apply([keras.ops.convert_to_tensor(np.array([3e6, 4e6], np.float32))], [weight])
    step = np.linalg.norm(weight.numpy())
    assert 0 < step <= 0.1 * 5.001


@pytest.mark.parametrize(
    ("make", "name", "known"),
    [(make_schedule, "linear", "cosine.*step.*constant"), (make_optimizer, "adam", "adamw.*sgd")],
)
def test_unknown_names_are_refused_with_the_known_ones(make, name, known):
    with pytest.raises(ValueError, match=f"'{name}' is unknown.*{known}"):
        make(name, 0.1, *([10] if make is make_schedule else []))


@pytest.fixture(scope="module")
def sixteen(tmp_path_factory, words, write_words):
    """Records of 16 words, and of one that no reader of letters and digits can learn."""
    folder = tmp_path_factory.mktemp("sixteen") / "records"
    write_words(folder, [*words[:16], "a-b"])
    return folder


def batches_of(folder, char_dict, canvas=None, batch_size=16, **options):
    return Batches(Records(folder), char_dict, canvas or Canvas(), batch_size=batch_size, **options)


def run(records, folder, char_dict, batch_options=None, model=None, **options):
    """Trains on some records, and validates on them."""
    batches = batches_of(records, char_dict, **{"shuffle": True, **(batch_options or {})})
    model = model or build_crnn(char_dict)
    settings = {"epochs": EPOCHS, "steps_per_epoch": STEPS, "learning_rate": 3e-3, **options}
    validation = batches_of(records, char_dict)
    return model, train(model, batches, validation, folder=folder, **settings)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, sixteen, char_dict):
    """A finished run on 16 words: its folder, model and history."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    return folder, *run(sixteen, folder, char_dict)


def test_sixteen_words_are_learned_by_heart(finished):
    _, _, history = finished
    assert history[0]["word_accuracy"] < 0.5
    assert history[-1]["word_accuracy"] > 0.9
    assert history[-1]["character_accuracy"] > 0.95
    assert history[-1]["loss"] < 1 < history[0]["loss"]
    assert history[-1]["train_loss"] < history[0]["train_loss"] / 4
    assert history[-1]["sequence_distance"] < 0.5


def test_history_counts_epochs_steps_and_what_was_skipped(finished):
    _, _, history = finished
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert [row["steps"] for row in history] == [20, 40, 60, 80]
    # One unreadable label in the training set and the same one in the validation set.
    assert {row["skipped"] for row in history} == {2}
    rates = [row["learning_rate"] for row in history]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-8)
    assert all(row["seconds"] > 0 for row in history)


def test_history_file_has_a_line_for_each_epoch_and_every_column(finished):
    folder, _, history = finished
    with open(folder / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == HISTORY_COLUMNS
    assert [{name: float(row[name]) for name in row} for row in rows] == history


def test_run_folder_holds_the_model_the_history_and_the_last_two_states(finished):
    folder, _, _ = finished
    names = ["history.csv", "last.keras", "model.keras", "state"]
    assert sorted(path.name for path in folder.iterdir()) == names
    states = sorted(path.name for path in (folder / "state").iterdir())
    assert states == ["000004", "000005"]


def test_saved_model_is_the_trained_one_without_its_optimizer(finished, char_dict):
    folder, model, _ = finished
    loaded = keras.models.load_model(folder / "model.keras")
    assert_same(arrays_of(loaded.weights), arrays_of(model.weights))
    assert loaded.char_dict == char_dict
    assert loaded.output_shape == (None, 25, 37)
    assert not loaded.compiled
    with zipfile.ZipFile(folder / "model.keras") as file:
        config = json.loads(file.read("config.json"))
        size = sum(member.file_size for member in file.infolist())
    assert not config.get("compile_config")
    weights = sum(array.nbytes for array in arrays_of(model.weights))
    # The optimizer's variables would make it three times as large.
    assert weights < size < 1.2 * weights
    # Saving leaves the trained model compiled.
    assert model.compiled and isinstance(model.optimizer, keras.optimizers.AdamW)


def test_finished_run_is_not_trained_again(finished, sixteen, char_dict, capsys):
    folder, model, history = finished
    before = arrays_of(model.weights)
    again, same = run(sixteen, folder, char_dict)
    assert same == history
    assert_same(arrays_of(again.weights), before)
    assert f"{folder} has ended after epoch 4 of 4. Nothing is trained." in capsys.readouterr().out


def test_run_with_a_damaged_newest_state_still_ends_with_the_same_weights(
    tmp_path, finished, sixteen, char_dict
):
    folder, model, history = finished
    shutil.copytree(folder, tmp_path / "run")
    weights = tmp_path / "run" / "state" / "000005" / "variables.npz"
    weights.write_bytes(weights.read_bytes()[:-1])
    again, rows = run(sixteen, tmp_path / "run", char_dict)
    assert_same(arrays_of(again.weights), arrays_of(model.weights))
    assert without_seconds(rows) == without_seconds(history)


def without_seconds(history):
    return [{name: row[name] for name in row if name != "seconds"} for row in history]


@pytest.mark.parametrize(
    ("options", "batch_options", "names"),
    [
        ({"learning_rate": 1e-3}, {}, ["learning_rate"]),
        ({"epochs": 5, "steps_per_epoch": 10}, {}, ["epochs", "steps_per_epoch"]),
        ({"optimizer": "sgd", "schedule": "step"}, {}, ["optimizer", "schedule"]),
        ({}, {"seed": 1}, ["seed"]),
        ({}, {"shuffle": False}, ["shuffle"]),
        ({}, {"augment": True, "batch_size": 8}, ["augment", "batch_size"]),
    ],
)
def test_other_settings_are_refused_by_name(
    finished, sixteen, char_dict, options, batch_options, names
):
    with pytest.raises(ValueError, match=str(finished[0])) as error:
        run(sixteen, finished[0], char_dict, batch_options, **options)
    lines = str(error.value).splitlines()[1:-1]
    assert sorted(line.split(":")[0].strip() for line in lines) == sorted(names)


def test_other_records_or_another_model_are_refused(finished, word_sets, sixteen, char_dict):
    with pytest.raises(ValueError, match="records: "):
        run(word_sets / "train", finished[0], char_dict)
    with pytest.raises(ValueError, match="model_seed: 0 saved, 1 now"):
        run(sixteen, finished[0], char_dict, model=build_crnn(char_dict, seed=1))
    with pytest.raises(ValueError, match="architecture: 'small' saved, 'paper' now"):
        run(sixteen, finished[0], char_dict, model=build_crnn(char_dict, None, "paper"))


def test_model_of_another_dictionary_than_the_batches_is_refused(tmp_path, sixteen, char_dict):
    with pytest.raises(ValueError, match="'!'"):
        run(sixteen, tmp_path, char_dict, model=build_crnn(CharDict(char_dict.characters + "!")))
    assert list(tmp_path.iterdir()) == []


def test_model_of_another_canvas_than_the_batches_is_refused(tmp_path, sixteen, char_dict):
    with pytest.raises(ValueError, match="120"):
        run(sixteen, tmp_path, char_dict, model=build_crnn(char_dict, Canvas(widths=(120,))))
    assert list(tmp_path.iterdir()) == []


def test_history_is_written_in_the_order_of_the_columns(tmp_path):
    row = {name: index for index, name in enumerate(HISTORY_COLUMNS)}
    write_history(tmp_path / "history.csv", [dict(reversed(row.items()))])
    lines = (tmp_path / "history.csv").read_text().splitlines()
    assert lines == [",".join(HISTORY_COLUMNS), ",".join(map(str, range(len(row))))]


def test_sgd_with_the_step_schedule_lowers_the_loss(tmp_path, sixteen, char_dict):
    _, history = run(
        sixteen, tmp_path, char_dict,
        epochs=2, steps_per_epoch=8, optimizer="sgd", schedule="step", learning_rate=0.01,
    )  # fmt: skip
    assert history[1]["train_loss"] < history[0]["train_loss"]
    assert history[1]["learning_rate"] == pytest.approx(0.01)


def test_an_epoch_has_every_record_once_by_default(tmp_path, word_sets, char_dict):
    batches = batches_of(word_sets / "train", char_dict, batch_size=20)
    validation = batches_of(word_sets / "validation", char_dict, batch_size=12)
    history = train(build_crnn(char_dict), batches, validation, folder=tmp_path, epochs=1)
    assert [row["steps"] for row in history] == [3]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(
    "canvas", [Canvas(), Canvas("keep", 32, (64, 100, 160))], ids=lambda c: c.mode
)
def test_validation_reads_each_image_under_its_own_label(word_sets, char_dict, canvas, shuffle):
    model = build_crnn(char_dict, canvas, seed=3)
    batches = batches_of(word_sets / "train", char_dict, canvas, 5, shuffle=shuffle, seed=2)
    loss, report = validate(model, batches)
    assert [case.target for case in report.cases] == batches.texts
    for position in range(0, 48, 7):
        pixels = to_canvas(batches.records[position].encoded, canvas)[None]
        logits = keras.ops.convert_to_numpy(model.predict_on_batch(pixels))
        alone = best_path(logits, char_dict, input_lengths=[logits.shape[1]])[0]
        case = report.cases[position]
        assert case.text == alone.text
        assert case.confidence == pytest.approx(alone.confidence, rel=1e-3)
    assert 10 < loss < 300
