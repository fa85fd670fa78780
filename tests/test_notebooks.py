"""The notebooks run in order on small data, every cell twice; lessons give their outputs exactly.

One walkthrough with small parameters executes each notebook once; the outputs of cells tagged
`nbval-check-output` are compared with the committed ones. `nbval` compares every output of the
lessons, which are exact. Notebook 02 runs once more, with labels, which it then writes.
"""

import copy
import json
import os
import pathlib
import subprocess
import sys

import nbformat
import papermill
import pytest

from crnn_keras import cli
from crnn_keras.notebook import walkthrough
from crnn_keras.utils.progress import HEADLESS

ROOT = pathlib.Path(__file__).parent.parent
LESSONS = ["01_characters", "03_model_and_ctc"]
RUNS = ["00_read_a_word", "02_prepare_data", "04_train", "05_evaluate", "06_export_and_serve"]
RUNS += ["07_chinese"]
SMALL = {
    "words": 1200,
    "validation_split": 0.05,
    # Enough test images for the section on confidence in notebook 05.
    "test_split": 0.2,
    "epochs": 2,
    "steps_per_epoch": 6,
    "images": 20,
    "lines": 400,
}

pytestmark = pytest.mark.notebooks


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """An empty folder to run in, so that nothing is written to the project."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return tmp_path


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


@pytest.fixture
def doubled(tmp_path):
    """Folder of the notebooks with every cell of code twice, but for that of parameters."""
    folder = tmp_path / "doubled"
    folder.mkdir()
    for path in walkthrough.list_notebooks():
        notebook = read(path)
        again = [
            [cell, copy.deepcopy(cell)]
            if cell.cell_type == "code" and cell.metadata.get("tags") != ["parameters"]
            else [cell]
            for cell in notebook.cells
        ]
        notebook.cells = [cell for cells in again for cell in cells]
        for index, cell in enumerate(notebook.cells):
            cell.id = f"cell-{index}"
        nbformat.write(notebook, folder / path.name)
    return folder


def texts_of(cell):
    """What a cell printed, and the text of its result."""
    texts = [o.get("text") or o.get("data", {}).get("text/plain", "") for o in cell.outputs]
    return "".join(texts)


def test_walkthrough_runs_every_cell_twice_and_ends_with_a_page(workspace, doubled, capsys):
    small = [word for name, value in SMALL.items() for word in ("-p", name, str(value))]
    options = ["--run", "small", "--notebooks", str(doubled)]
    assert cli.main(["walkthrough", *options, *small]) == 0
    reports = workspace / "reports" / "small"
    results = json.loads((reports / "results.json").read_text())
    assert sorted(results) == sorted(LESSONS + RUNS)
    assert results["02_prepare_data"]["test_records"] == 240
    assert results["07_chinese"]["characters"] == 100
    assert results["04_train"]["steps"] == 12
    assert results["05_evaluate"]["images"] == 240
    assert results["06_export_and_serve"]["equal"] == 20

    table = capsys.readouterr().out
    for name in ("word accuracy", "character error rate", "images per second", "model", "page"):
        assert f"  {name} " in table
    page = (reports / "index.html").read_text()
    for name in LESSONS + RUNS:
        assert f'href="{name}.html"' in page
        assert (reports / f"{name}.html").is_file()
    for figure in (reports / "figures").iterdir():
        assert f"figures/{figure.name}" in page
    assert (workspace / "data/small/export/reader/1/saved_model.pb").is_file()

    for name in RUNS:
        executed = {cell.source: texts_of(cell) for cell in code_cells(reports / f"{name}.ipynb")}
        for cell in code_cells(ROOT / "notebooks" / f"{name}.ipynb"):
            if "nbval-check-output" in cell.metadata.get("tags", []):
                assert executed[cell.source] == texts_of(cell), name


def test_lessons_give_their_committed_outputs(workspace):
    paths = []
    for name in LESSONS:
        paths.append(workspace / f"{name}.ipynb")
        paths[-1].write_bytes((ROOT / f"notebooks/{name}.ipynb").read_bytes())
    # Without the project's own settings; stderr holds what libraries say about themselves.
    (workspace / "pytest.ini").write_text("[pytest]\n")
    (workspace / "conftest.py").write_text(
        "def pytest_collectstart(collector):\n"
        "    if collector.fspath and collector.fspath.ext == '.ipynb':\n"
        "        collector.skip_compare += ('stderr',)\n"
    )
    options = ["-q", "-x", "-p", "no:cacheprovider", "--nbval", "--nbval-kernel-name=python3"]
    command = [sys.executable, "-m", "pytest", *options, *map(str, paths)]
    environment = os.environ | {HEADLESS: "1"}
    result = subprocess.run(command, cwd=workspace, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]


def test_own_labels_are_written_and_bad_rows_are_counted(workspace):
    from crnn_keras import render_word
    from crnn_keras.synth import bundled_fonts

    (workspace / "mine").mkdir()
    fonts = bundled_fonts()
    rows = ["name\tword"]
    for index in range(60):
        text = f"{index % 10}{index // 10}{index % 7}"
        image = render_word(text, fonts[index % len(fonts)], index=index)
        image.save(workspace / "mine" / f"{index}.png")
        rows.append(f"{index}.png\t{text}")
    rows += ["missing.png\t12", "../outside.png\t34", "0.png\t", "1.png\t1%", "2.png\t999"]
    (workspace / "mine" / "labels.tsv").write_text("\n".join(rows))
    parameters = {
        "labels": "mine/labels.tsv",
        "image_column": "name",
        "text_column": "word",
        "characters": "digits",
        "clean": True,
        "validation_split": 0.1,
        "test_split": 0.1,
        "canvas_mode": "keep",
        "canvas_width": 100,
    }
    walkthrough.run_notebooks("mine", parameters, only=["02"])
    results = json.loads((workspace / "reports/mine/results.json").read_text())["02_prepare_data"]
    assert (results["checked"], results["rows_checked"]) == ("mine/labels.tsv", 65)
    assert results["rows_skipped"] == 4 and results["warnings"] >= 2
    sizes = [results[f"{split}_records"] for split in ("train", "validation", "test")]
    # Image 2 has two labels: both rows are dropped.
    assert sum(sizes) == 59 and min(sizes) > 0
    reports = workspace / "reports/mine"
    assert "data check" in (reports / "data_check.html").read_text().lower()
    rows = [line.split("\t") for line in (reports / "issues.tsv").read_text().splitlines()]
    skipped = {kind: where for severity, kind, where, _ in rows if severity == "error"}
    kinds = ["empty label", "missing file", "path outside the folder", "unknown character"]
    assert sorted(skipped) == kinds
    assert all("labels.tsv, line 6" in where for where in skipped.values())


def test_an_unknown_parameter_stops_papermill_and_lists_the_known(workspace):
    with pytest.raises(papermill.PapermillExecutionError, match="epoch.*epochs"):
        papermill.execute_notebook(
            ROOT / "notebooks/04_train.ipynb",
            workspace / "04_train.ipynb",
            {"epoch": 5},
            kernel_name="python3",
            progress_bar=False,
        )
