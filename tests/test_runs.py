"""`crnn-keras runs`: the figures of runs side by side; what is damaged is named."""

import csv
import io
import json
import os

import numpy as np
import PIL.Image
import pytest

from crnn_keras import CharDict, cli
from crnn_keras.cli.common import DONE, SOME_UNUSABLE
from crnn_keras.data.build import prepare_samples
from crnn_keras.data.labels import Sample
from crnn_keras.data.records import ConcatRecords, open_records
from crnn_keras.data.records.sidecar import fingerprint, read_sidecar
from crnn_keras.images import Canvas
from crnn_keras.notebook.runs import list_runs

MEASURED = {"word_accuracy": 0.9506, "interval_95": [0.9389, 0.9602], "images": 1600}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prepare(folder, run, count=4, splits=("train",)):
    """Writes the records of a run; returns what a state says of them."""
    samples = []
    for number in range(count):
        path = folder / "images" / f"{run}_{number}.png"
        path.parent.mkdir(exist_ok=True)
        noise = np.random.default_rng(len(run) * 99 + number).integers(0, 256, (32, 100), np.uint8)
        PIL.Image.fromarray(noise).save(path)
        samples.append(Sample(str(path), "ab", f"line {number}"))
    assigned = {name: samples[index :: len(splits)] for index, name in enumerate(splits)}
    prepare_samples(assigned, CharDict("ab"), Canvas(), folder=folder / "data" / run)
    return fingerprint(read_sidecar(folder / "data" / run / "records" / "train"))[:16]


def write_state(training, records, accuracies, epochs=4, number=1, **settings):
    state = {
        "settings": {
            "epochs": epochs,
            "records": records,
            "architecture": "small",
            "origin": "fresh weights",
            **settings,
        },
        "history": [{"word_accuracy": accuracy} for accuracy in accuracies],
    }
    path = training / "state" / f"{number:06d}" / "state.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(state))
    (training / "model.keras").touch()
    return path


def write_results(folder, run, **results):
    path = folder / "reports" / run / "results.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results))
    return path


@pytest.fixture
def runs(folder):
    """Runs: `first`, which is measured; `slow`, on its records, ended early; `bare`, of records."""
    records = prepare(folder, "first")
    prepare(folder, "bare", count=3)
    write_state(folder / "data/first/train", records, [0.5, 0.75, 0.7, 0.6])
    write_state(folder / "data/slow/train", records, [0.25], origin="reader 12ab")
    write_state(folder / "data/first/chinese/train", "0" * 16, [0.125], epochs=1)
    model = "data/first/train/model.keras"
    chinese = {**MEASURED, "word_accuracy": 0.99, "images": 400}
    write_results(
        folder, "first", **{"05_evaluate": {**MEASURED, "model": model}, "07_chinese": chinese}
    )
    for index, name in enumerate(("slow", "bare", "first")):
        for path in [*(folder / "data" / name).rglob("*"), folder / "reports/first/results.json"]:
            if name == "first" or "reports" not in path.parts:
                os.utime(path, (index * 60, index * 60))
    (folder / "data/README.md").touch()
    (folder / "data/my images").mkdir()
    (folder / "data/empty").mkdir()
    return folder


def test_runs_are_listed_with_what_they_were_trained_on_and_how_well_they_read(runs):
    found = {row.run: row for row in list_runs()}
    assert sorted(found) == ["bare", "first", "first/chinese", "slow"]
    first, slow, bare = found["first"], found["slow"], found["bare"]
    assert (first.records, first.images, first.epochs, first.planned) == ("own", 4, 4, 4)
    assert (first.validation, first.test, first.low, first.high) == (0.75, 0.9506, 0.9389, 0.9602)
    assert (first.test_images, first.measured) == (1600, "")
    assert first.model == "data/first/train/model.keras" and first.start == "small, fresh weights"
    assert (slow.records, slow.images, slow.epochs, slow.test) == ("first", 4, 1, None)
    assert slow.start == "small, reader 12ab"
    assert (bare.records, bare.images, bare.epochs, bare.model) == ("own", 3, None, "")
    chinese = found["first/chinese"]
    assert (chinese.records, chinese.test, chinese.test_images) == ("elsewhere", 0.99, 400)
    assert not any(row.damaged for row in found.values())


def test_a_fine_tuning_on_all_images_names_its_start_and_its_own_records(folder):
    train = prepare(folder, "mine", count=9, splits=("train", "validation", "test"))
    sets = [folder / "data/mine/records" / split for split in ("train", "validation", "test")]
    joined = ConcatRecords([open_records(path) for path in sets]).fingerprint[:16]
    write_state(folder / "data/mine/train", joined, [0.5], origin="reader 12ab")
    write_state(folder / "data/mine/measured", train, [0.5], origin="reader 34cd")
    model = "data/mine/train/model.keras"
    write_results(folder, "mine", fine_tune={**MEASURED, "start": "words", "model": model})
    found = {row.run: row for row in list_runs()}
    assert (found["mine"].start, found["mine"].records) == ("small, words", "own")
    assert (found["mine"].images, found["mine"].test) == (9, 0.9506)
    measured = found["mine/measured"]
    assert (measured.records, measured.images, measured.test) == ("mine", 3, None)


def test_the_reader_that_was_taught_own_images_has_its_own_row(folder):
    write_state(folder / "data/lesson/train", "0" * 16, [0.5])
    (folder / "data/lesson/taught/train").mkdir(parents=True)
    (folder / "data/lesson/taught/train/model.keras").touch()
    model = "data/lesson/taught/train/model.keras"
    write_results(folder, "lesson", **{"08_teach_it_your_images": {**MEASURED, "model": model}})
    found = {row.run: row for row in list_runs()}
    assert (found["lesson"].test, found["lesson/taught"].test) == (None, 0.9506)
    assert (found["lesson/taught"].model, found["lesson/taught"].measured) == (model, "")


def test_a_run_of_chinese_lines_alone_has_one_row(folder):
    write_state(folder / "data/zh/chinese/train", "0" * 16, [0.5])
    write_results(folder, "zh", **{"07_chinese": MEASURED})
    write_results(folder, "lesson", **{"01_characters": {"text": "hello"}})
    assert sorted(row.run for row in list_runs()) == ["lesson", "zh/chinese"]


def test_the_newest_run_is_first(runs):
    names = [row.run for row in list_runs()]
    assert names.index("first") < names.index("bare") < names.index("slow")


def test_a_measurement_of_another_model_names_it(runs, capsys):
    write_results(runs, "slow", **{"05_evaluate": {**MEASURED, "model": "words"}})
    (row,) = [row for row in list_runs() if row.run == "slow"]
    assert row.measured == "words"
    assert cli.main(["runs"]) == DONE
    (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("slow")]
    assert "n = 1,600, of words" in line and "1 of 4, ended early" in line and "25.00%" in line


def test_tables_csv_and_json_agree(runs, capsys):
    assert cli.main(["runs"]) == DONE
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 5 and table[0].split()[:2] == ["run", "when"]
    (first,) = [line for line in table if line.startswith("first ")]
    assert "95.06% (93.89% to 96.02%), n = 1,600" in first and "4 of 4 " in first
    assert cli.main(["runs", "--json"]) == DONE
    objects = json.loads(capsys.readouterr().out)
    assert cli.main(["runs", "--csv"]) == DONE
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["run"] for row in rows] == [row["run"] for row in objects]
    assert {row["run"]: row["low"] for row in rows}["first"] == "0.9389"
    assert [list(row) for row in rows] == [list(row) for row in objects]


def test_without_runs_the_command_says_where_it_looked(folder, capsys):
    assert cli.main(["runs"]) == DONE
    output = capsys.readouterr()
    assert not output.out and str(folder) in output.err
    assert cli.main(["runs", "--json"]) == DONE
    assert json.loads(capsys.readouterr().out) == []


DAMAGED = {
    "empty": b"",
    "half": b'{"settings": {"epochs": 4',
    "list": b"[1]",
    "null": b"null",
    "no settings": b'{"history": []}',
    "epochs": b'{"settings": {"epochs": "4", "records": ""}, "history": []}',
    "records": b'{"settings": {"epochs": 4, "records": [1]}, "history": []}',
    "history": b'{"settings": {"epochs": 4, "records": ""}, "history": 3}',
    "epoch": b'{"settings": {"epochs": 4, "records": ""}, "history": [3]}',
    "accuracy": b'{"settings": {"epochs": 4, "records": ""}, "history": [{"word_accuracy": 7}]}',
    "deep": b"[" * 100_000,
    "bytes": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_state_is_named_and_the_one_before_it_read(folder, capsys, content):
    write_state(folder / "data/a/train", "0" * 16, [0.5])
    path = write_state(folder / "data/a/train", "0" * 16, [0.5, 0.75], number=2)
    path.write_bytes(content)
    (row,) = list_runs()
    assert (row.epochs, row.validation) == (1, 0.5)
    assert len(row.damaged) == 1 and "data/a/train/state/000002/state.json" in row.damaged[0]
    assert cli.main(["runs"]) == SOME_UNUSABLE
    assert "000002/state.json" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"05_evaluate": 7}', b'{"05_evaluate": {"interval_95": [0, 1]}}']
    + [b'{"05_evaluate": {"interval_95": 3, "word_accuracy": 0.5, "images": 3}}']
    + [b'{"05_evaluate": {"interval_95": [0, NaN], "word_accuracy": 0.5, "images": 3}}'],
)
def test_damaged_results_are_named_and_the_training_is_listed(folder, content):
    write_state(folder / "data/a/train", "0" * 16, [0.5])
    write_results(folder, "a").write_bytes(content)
    (row,) = list_runs()
    assert row.validation == 0.5 and row.test is None
    assert len(row.damaged) == 1 and "reports/a/results.json" in row.damaged[0]


def test_a_pipe_is_not_opened(folder):
    write_state(folder / "data/a/train", "0" * 16, [0.5])
    (folder / "reports/a").mkdir(parents=True)
    os.mkfifo(folder / "reports/a/results.json")
    (row,) = list_runs()
    assert "reports/a/results.json" in row.damaged[0]


def test_a_training_without_a_state_is_read_from_its_history(folder):
    training = folder / "data/a/train"
    training.mkdir(parents=True)
    (training / "model.keras").touch()
    (training / "history.csv").write_text("epoch,word_accuracy\n1,0.25\n2,0.5\n")
    (row,) = list_runs()
    assert (row.epochs, row.planned, row.validation) == (2, None, 0.5)
    (training / "history.csv").write_text("epoch,word_accuracy\n1,x\n")
    (row,) = list_runs()
    assert row.epochs is None and "data/a/train/history.csv" in row.damaged[0]


def test_names_cannot_command_a_terminal(folder, capsys):
    write_state(folder / "data/a/train", "0" * 16, [0.5], architecture="\x1b[31m", origin="a\nb")
    assert cli.main(["runs"]) == DONE
    out = capsys.readouterr().out
    assert "\x1b" not in out and len(out.splitlines()) == 2
    assert cli.main(["runs", "--csv"]) == DONE
    out = capsys.readouterr().out
    assert "\x1b" not in out and len(out.splitlines()) == 2
