"""A learning curve is measured training by training, and continues where it was stopped."""

import collections
import json
import shutil
import types

import pytest

from crnn_keras import (
    Canvas,
    CharDict,
    FineTuningSettings,
    build_crnn,
    evaluate,
    read_samples,
    save_model,
)
from crnn_keras.notebook.displays import draw_displays
from crnn_keras.training.fine_tuning import curve
from crnn_keras.training.fine_tuning.curve import (
    DOUBTFUL,
    FRESH,
    RANDOM,
    SHIPPED,
    measure_learning_curve,
    read_learning_curve,
)

TINY = FineTuningSettings(steps=2, steps_per_epoch=2, batch_size=8, replay_fraction=0.0)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Fourteen displays to learn from and four to measure on."""
    folder = tmp_path_factory.mktemp("displays")
    pool, test = (draw_displays(folder / str(seed), n, seed) for seed, n in enumerate((14, 4)))
    return read_samples(pool).samples, read_samples(test).samples


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    path = tmp_path_factory.mktemp("start") / "start.keras"
    save_model(build_crnn(CharDict.from_preset("alphanumeric36"), Canvas(), seed=1), path)
    return {"start": path, "replay": "", "seeds": 1, "fresh_steps": 2, "settings": TINY}


@pytest.fixture
def trainings(monkeypatch):
    """Sizes of the fine-tunings, each of which only copies the reader that it begins with."""
    sizes = []

    def copy_start(splits, *, folder, start, **options):
        sizes.append(len(splits["train"]) + len(splits["validation"]))
        (folder / "train").mkdir(parents=True)
        shutil.copy(start, folder / "train" / "model.keras")
        targets = [sample.text for sample in splits["test"]]
        report = evaluate(targets, [targets[0]] * len(targets))
        return types.SimpleNamespace(
            model_path=folder / "train" / "model.keras",
            comparisons=[types.SimpleNamespace(after=report)],
            history=[{"steps": 2}],
        )

    monkeypatch.setattr(curve, "fine_tune", copy_start)
    monkeypatch.setattr(curve, "train", lambda *args, **options: None)
    return sizes


def test_a_curve_that_was_stopped_continues(tmp_path, sets, options, trainings):
    table, sizes = tmp_path / "curve.csv", [4, 8, 12]
    options = {**options, "folder": tmp_path / "own", "table": table, "sizes": sizes}
    rows = measure_learning_curve(*sets, **options)
    assert rows == read_learning_curve(table)
    assert trainings == [4, 8, 8, 12, 12]
    counts = collections.Counter(row["series"] for row in rows)
    assert counts == {SHIPPED: 1, RANDOM: 3, DOUBTFUL: 3, FRESH: 3}
    assert {row["images"] for row in rows} == {0, *sizes} and {r["tested"] for r in rows} == {4}
    # The first images are the same in both series.
    same = [row for row in rows if row["images"] == 4 and row["series"] in (RANDOM, DOUBTFUL)]
    assert same[0]["correct"] == same[1]["correct"] == 1
    # What is left are lists of the images that were chosen.
    (own,) = (tmp_path / "own").iterdir()
    left = sorted(path.name for path in own.iterdir())
    assert left == ["doubtful_12_0.json", "doubtful_8_0.json"]
    chosen = [json.loads((own / name).read_text()) for name in left]
    assert (len(set(chosen[0])), len(set(chosen[1]))) == (12, 8)
    assert chosen[0][:8] == chosen[1] and chosen[1][:4] == [0, 1, 2, 3]
    measure_learning_curve(*sets, **options)
    assert len(trainings) == 5
    # A row that is missing is measured again, with the reader that chose its images.
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(line for line in lines if not line.startswith(f"{DOUBTFUL},12")))
    (own / "doubtful_12_0.json").unlink()
    again = measure_learning_curve(*sets, **options)
    assert trainings[5:] == [8, 12] and len(again) == len(rows)
    assert json.loads((own / "doubtful_12_0.json").read_text()) == chosen[0]


@pytest.mark.slow
def test_trainings_are_measured(tmp_path, sets, options):
    options = {**options, "folder": tmp_path / "own", "table": tmp_path / "curve.csv"}
    rows = measure_learning_curve(*sets, sizes=[8], **options)
    assert {(row["series"], row["steps"]) for row in rows} == {
        (SHIPPED, 0),
        (RANDOM, 2),
        (DOUBTFUL, 2),
        (FRESH, 2),
    }


def test_the_csv_of_other_images_is_refused(tmp_path, sets, options):
    table, options = (
        tmp_path / "curve.csv",
        {**options, "folder": tmp_path, "table": tmp_path / "curve.csv"},
    )
    table.write_text(",".join(curve.COLUMNS) + "\nrandom images,4,0,1,4,2,1,abc\n")
    with pytest.raises(ValueError, match=r"curve\.csv, line 2.*abc"):
        measure_learning_curve(*sets, sizes=[4], **options)
    table.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="columns"):
        measure_learning_curve(*sets, sizes=[4], **options)
    table.write_text(",".join(curve.COLUMNS) + "\nrandom images,four,0,1,4,2,1,abc\n")
    with pytest.raises(ValueError, match=r"curve\.csv, line 2"):
        read_learning_curve(table)


@pytest.mark.parametrize(
    ("sizes", "fact"),
    [([8, 4], "do not rise"), ([], "at least 1"), ([99], "14"), ([0, 4], "sizes")],
)
def test_wrong_sizes_are_refused(tmp_path, sets, options, sizes, fact):
    with pytest.raises(ValueError, match=fact):
        measure_learning_curve(
            *sets, folder=tmp_path, table=tmp_path / "t.csv", sizes=sizes, **options
        )
    assert not list(tmp_path.iterdir())
