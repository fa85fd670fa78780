"""The check of papermill's parameters, the run's folders and its results."""

import json

import pytest
from matplotlib.figure import Figure

from crnn_keras.notebook.run import NotebookRun, ParameterError, check_parameters

CELL = 'epochs = 6  # passes\nrate = 0.003\nrun = "walkthrough"\naugment = True'


def injected(text):
    return [CELL, f"# Parameters\n{text}\n", "import crnn_keras"]


@pytest.mark.parametrize(
    "text", ["epochs = 9", "rate = 1", "rate = 1e-3", 'run = "mine"\naugment = False', ""]
)
def test_known_parameters_pass(text):
    check_parameters(injected(text))


def test_without_papermill_nothing_is_checked():
    check_parameters([CELL, "import crnn_keras"])
    check_parameters([])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 9", r"Unknown parameter epoch\. .*knows: epochs, rate, run, augment"),
        ("epochs = 9\nzz = 1\naa = 2", "Unknown parameter aa, zz"),
        ("epochs = 1.5", r"epochs is 1\.5\. Expected a int"),
        ('epochs = "many"', "epochs is 'many'"),
        ("epochs = True", "epochs is True"),
        ("augment = 1", "augment is 1. Expected a bool"),
        ("run = 2026", "run is 2026.*-r instead of -p"),
    ],
)
def test_wrong_parameters_stop_the_run(text, message):
    with pytest.raises(ParameterError, match=message):
        check_parameters(injected(text))


def test_results_of_all_notebooks_stand_in_one_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    NotebookRun("05_evaluate", "mine").finish(cer=0.012345678, images=3)
    NotebookRun("04_train", "mine").finish(steps=7)
    NotebookRun("05_evaluate", "mine").finish(images=4)
    content = json.loads((tmp_path / "reports/mine/results.json").read_text())
    assert content == {"04_train": {"steps": 7}, "05_evaluate": {"images": 4}}
    assert list(content) == ["04_train", "05_evaluate"]
    assert "cer: 0.01235" in capsys.readouterr().out


def test_figures_are_kept_small_and_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    figure = Figure()
    figure.subplots().plot([1, 2])
    shown = NotebookRun("04_train", "mine").show(figure, "curves")
    path = tmp_path / "reports/mine/figures/04_train_curves.png"
    assert path.read_bytes() == shown.data
    assert shown.data.startswith(b"\x89PNG")
