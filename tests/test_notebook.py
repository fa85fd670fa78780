"""The check of papermill's parameters, the run's folders and its results."""

import io
import json

import PIL.Image
import pytest
from matplotlib.figure import Figure

from crnn_keras import notebook
from crnn_keras.notebook import NotebookRun, ParameterError, check_parameters

CELL = 'epochs = 6  # epochs\nrate = 0.003\nrun = "walkthrough"\naugment = True'


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
    ("text", "fact"),
    [
        ("epoch = 9", r"epoch\..*: epochs, rate, run, augment"),
        ("epochs = 9\nzz = 1\naa = 2", "aa, zz"),
        ("epochs = 1.5", r"epochs is 1\.5\..*int.*6"),
        ('epochs = "many"', "epochs is 'many'"),
        ("epochs = True", "epochs is True"),
        ("augment = 1", r"augment is 1\..*bool"),
        ("run = 2026", "run is 2026.*str.*-r"),
    ],
)
def test_wrong_parameters_stop_the_run(text, fact):
    with pytest.raises(ParameterError, match=fact):
        check_parameters(injected(text))


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a b", "-p"])
def test_a_run_is_called_by_a_name_not_by_a_path(name):
    with pytest.raises(ParameterError, match="letters, digits"):
        NotebookRun("04_train", name)


@pytest.mark.parametrize("name", ["mine", "2026-05-01", "a_1.2", "中文"])
def test_a_run_may_have_any_plain_name(name):
    assert NotebookRun("04_train", name).data.parts == ("data", name)


def test_a_start_goes_to_the_project_once_however_often_it_is_called(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.setattr("crnn_keras.notebook.run.import_keras_quietly", lambda: None)
    first, second = (notebook.start("04_train", "mine") for _ in range(2))
    assert first == second
    second.finish(steps=7)
    assert (tmp_path / "reports/mine/results.json").is_file()


def test_results_of_all_notebooks_are_in_one_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    NotebookRun("05_evaluate", "mine").finish(cer=0.012345678, images=3)
    NotebookRun("04_train", "mine").finish(steps=7)
    NotebookRun("05_evaluate", "mine").finish(images=4)
    content = json.loads((tmp_path / "reports/mine/results.json").read_text())
    assert content == {"04_train": {"steps": 7}, "05_evaluate": {"images": 4}}
    assert list(content) == ["04_train", "05_evaluate"]
    assert "cer: 0.01235" in capsys.readouterr().out


def shown_figure(tmp_path, monkeypatch, title):
    monkeypatch.chdir(tmp_path)
    figure = Figure()
    axes = figure.subplots()
    axes.plot([1, 2])
    axes.set_title(title, loc="left")
    return NotebookRun("04_train", "mine").show(figure, "loss_curves")


def test_figures_are_kept_small_and_shown(tmp_path, monkeypatch):
    shown = shown_figure(tmp_path, monkeypatch, "")
    path = tmp_path / "reports/mine/figures/04_train_loss_curves.png"
    assert path.read_bytes() == shown.data
    image = PIL.Image.open(io.BytesIO(shown.data))
    assert (image.format, image.mode) == ("PNG", "P")


@pytest.mark.parametrize(("title", "text"), [("Loss (&é)", "Loss (&é)"), ("", "loss curves")])
def test_a_figure_is_described_by_its_title_or_its_name(tmp_path, monkeypatch, title, text):
    shown = shown_figure(tmp_path, monkeypatch, title)
    assert shown.alt == text
    assert PIL.Image.open(io.BytesIO(shown.data)).info["Title"] == text
