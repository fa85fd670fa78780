"""The notebooks run in order, by papermill and by nbval, on small data.

Lessons are compared with their committed outputs by `--nbval`. Runs get small parameters; of their
outputs `--nbval-lax` compares the cells tagged `nbval-check-output`.
"""

import json
import os
import pathlib
import subprocess
import sys

import papermill
import pytest

from crnn_keras.notebook import walkthrough

ROOT = pathlib.Path(__file__).parent.parent
LESSONS = ["01_characters", "03_model_and_ctc"]
RUNS = ["00_read_a_word", "02_prepare_data", "04_train", "05_evaluate", "06_export_and_serve"]
RUNS += ["07_chinese"]
SMALL = {
    "words": 1200,
    "validation_split": 0.05,
    "test_split": 0.1,
    "epochs": 2,
    "steps_per_epoch": 6,
    "images": 20,
    "lines": 400,
}


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """An empty folder to run in, so that nothing is written to the project."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return tmp_path


def nbval(folder, names, *options):
    """Runs pytest with nbval on notebooks of a folder, in their order."""
    # Without the project's own settings; stderr holds what libraries say of themselves.
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "conftest.py").write_text(
        "def pytest_collectstart(collector):\n"
        "    if collector.fspath and collector.fspath.ext == '.ipynb':\n"
        "        collector.skip_compare += ('stderr',)\n"
    )
    paths = [str(folder / f"{name}.ipynb") for name in names]
    options = ["-q", "-x", "-p", "no:cacheprovider", "--nbval-kernel-name=python3", *options]
    command = [sys.executable, "-m", "pytest", *options, *paths]
    environment = os.environ | {"CRNN_KERAS_HEADLESS": "1"}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
    return result.stdout


def test_walkthrough_ends_with_a_table_and_a_page(workspace, capsys):
    small = [word for name, value in SMALL.items() for word in ("-p", name, str(value))]
    walkthrough.main(["--run", "small", *small])
    reports = workspace / "reports" / "small"
    results = json.loads((reports / "results.json").read_text())
    assert sorted(results) == sorted(LESSONS + RUNS)
    assert results["02_prepare_data"]["test_records"] == 120
    assert results["07_chinese"]["characters"] == 100
    assert results["04_train"]["steps"] == 12
    assert results["05_evaluate"]["images"] == 120
    assert results["06_export_and_serve"]["equal"] == 20

    table = capsys.readouterr().out.split("All done in")[1]
    for name in ("word accuracy", "character error rate", "images read a second", "reader"):
        assert name in table
    page = (reports / "index.html").read_text()
    for name in LESSONS + RUNS:
        assert f'href="{name}.html"' in page
        assert (reports / f"{name}.html").is_file()
    for figure in (reports / "figures").iterdir():
        assert f"figures/{figure.name}" in page
    assert (workspace / "data/small/export/reader/1/saved_model.pb").is_file()


def test_lessons_give_their_committed_outputs(workspace):
    for name in LESSONS:
        (workspace / f"{name}.ipynb").write_bytes((ROOT / f"notebooks/{name}.ipynb").read_bytes())
    nbval(workspace, LESSONS, "--nbval")


def test_runs_give_their_checked_outputs_on_small_data(workspace):
    dealt = walkthrough.deal_parameters([ROOT / f"notebooks/{name}.ipynb" for name in RUNS], SMALL)
    for path, parameters in dealt.items():
        papermill.execute_notebook(
            path, workspace / path.name, parameters, prepare_only=True, progress_bar=False
        )
    nbval(workspace, RUNS, "--nbval-lax")


def test_own_labels_are_prepared_and_bad_rows_are_counted(workspace):
    from crnn_keras import synth

    (workspace / "mine").mkdir()
    fonts = synth.bundled_fonts()
    rows = []
    for number in range(60):
        text = f"{number % 10}{number // 10}{number % 7}"
        image = synth.render_word(text, fonts[number % len(fonts)], index=number)
        image.save(workspace / "mine" / f"{number}.png")
        rows.append(f"{number}.png {text}")
    rows += ["missing.png 12", "../outside.png 34", "0.png", "1.png 1%"]
    (workspace / "mine" / "sample.txt").write_text("\n".join(rows))
    parameters = {
        "labels": "mine/sample.txt",
        "characters": "digits",
        "validation_split": 0.1,
        "test_split": 0.1,
        "canvas_mode": "keep",
        "canvas_width": 100,
    }
    walkthrough.run_notebooks("mine", parameters, only=["02"])
    results = json.loads((workspace / "reports/mine/results.json").read_text())["02_prepare_data"]
    assert results["skipped"] == 4
    sizes = [results[f"{part}_records"] for part in ("train", "validation", "test")]
    assert sum(sizes) == 60 and min(sizes) > 0
    reports = workspace / "reports/mine"
    assert "data check" in (reports / "data_check.html").read_text().lower()
    rows = [line.split("\t") for line in (reports / "issues.tsv").read_text().splitlines()]
    skipped = {kind: where for severity, kind, where, _ in rows if severity == "error"}
    kinds = ["empty label", "missing file", "path outside the folder", "unknown character"]
    assert sorted(skipped) == kinds
    assert all("sample.txt, line 6" in where for where in skipped.values())


def test_an_lmdb_is_listed_but_not_copied(workspace):
    from crnn_keras import synth
    from crnn_keras.data import lmdb_folder, records

    recipe = synth.Recipe(fonts=synth.bundled_fonts(), style=synth.Style.plain()).open()
    train = [recipe.sample(number) for number in range(20)]
    lmdb_folder.write_lmdb(workspace / "train_lmdb", [*train, train[3]])
    lmdb_folder.write_lmdb(workspace / "test_lmdb", map(recipe.sample, range(20, 30)))
    parameters = {"labels": "train_lmdb", "test_labels": "test_lmdb", "validation_split": 0.3}
    walkthrough.run_notebooks("lmdb", parameters, only=["02"])
    results = json.loads((workspace / "reports/lmdb/results.json").read_text())["02_prepare_data"]
    assert results["train_records"] + results["validation_records"] == 21
    assert results["test_records"] == 10
    folder = workspace / "data/lmdb/records/test"
    assert not list(folder.glob("*.tfrecord"))
    encoded = [record.encoded for record in records.open_records(folder)]
    assert encoded == [recipe.sample(number)[0] for number in range(20, 30)]


def test_unknown_parameter_stops_papermill_and_lists_the_known(workspace):
    with pytest.raises(papermill.PapermillExecutionError, match="Unknown parameter epoch.*epochs"):
        papermill.execute_notebook(
            ROOT / "notebooks/04_train.ipynb",
            workspace / "04_train.ipynb",
            {"epoch": 5},
            kernel_name="python3",
            progress_bar=False,
        )


def test_unknown_parameter_stops_the_walkthrough_before_it_begins(workspace, capsys):
    with pytest.raises(SystemExit):
        walkthrough.main(["--run", "x", "-p", "epoch", "5"])
    message = capsys.readouterr().err
    assert "Unknown parameter epoch." in message
    assert "epochs" in message and "canvas" in message
    assert not (workspace / "reports").exists()
