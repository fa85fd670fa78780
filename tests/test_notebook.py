"""The check of papermill's parameters, the run's folders and its results."""

import concurrent.futures
import io
import json
import multiprocessing
import os
import types

import numpy as np
import PIL.Image
import pytest
from matplotlib.figure import Figure

from crnn_keras import notebook
from crnn_keras.inference.base import Prediction
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


TYPES = 'run = "walkthrough"  # x\nrate = 0.003\nepochs = 6\nclean = False\nkeep = True\n'
TYPES += 'name = ""\nwidths = [100]\nsplits = {"test": 0.1}\n'


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("rate", '"1e-3"', 0.001),
        ("rate", "1", 1.0),
        ("rate", '"2"', 2.0),
        ("epochs", '"12"', 12),
        ("epochs", '" 12 "', 12),
        ("clean", '"true"', True),
        ("clean", '"Yes"', True),
        ("clean", '"1"', True),
        ("keep", '"no"', False),
        ("keep", '"FALSE"', False),
        ("keep", '"0"', False),
        ("name", '"2024_05_01"', "2024_05_01"),
        ("name", '"null"', "null"),
        ("name", '"1e-3"', "1e-3"),
        ("name", '""', ""),
        ("widths", '"[100, 200]"', [100, 200]),
        ("splits", "\"{'test': 0.2}\"", {"test": 0.2}),
    ],
)
def test_text_becomes_of_the_type_of_the_default_if_nothing_is_lost(name, text, value):
    found = check_parameters([TYPES, f"# Parameters\n{name} = {text}\n"])
    assert found == {name: value} and type(found[name]) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rate", '"fast"'),
        ("rate", '"nan"'),
        ("rate", 'float("nan")'),
        ("rate", 'float("inf")'),
        ("rate", "True"),
        ("rate", "None"),
        ("rate", '""'),
        ("epochs", '"1.5"'),
        ("epochs", "2.0"),
        ("epochs", '""'),
        ("clean", '"maybe"'),
        ("clean", '""'),
        ("clean", "1"),
        ("name", "20240501"),
        ("name", "None"),
        ("name", "False"),
        ("name", '["a"]'),
        ("widths", '"100"'),
        ("widths", '"[100"'),
        ("splits", "[1]"),
    ],
)
def test_a_value_that_is_not_of_the_type_of_its_default_is_refused(name, text):
    with pytest.raises(ParameterError, match=f"Parameter {name} is .*default"):
        check_parameters([TYPES, f"# Parameters\n{name} = {text}\n"])


def test_parameters_are_found_in_whatever_order_cells_were_run():
    injection, other = "# Parameters\nepochs = '9'\n", "x = print(1)"
    assert check_parameters([CELL, injection, other, injection, other]) == {"epochs": 9}
    assert check_parameters([other, CELL, other, injection, "1 +", other]) == {"epochs": 9}
    # Run once more, perhaps after a change, the cell of parameters has the last word.
    assert check_parameters([CELL, injection, other, CELL]) == {}
    assert check_parameters([CELL, injection, "epochs = 3"]) == {}
    assert check_parameters([injection, other]) == {}


def test_a_start_converts_the_parameters_of_the_kernel(monkeypatch):
    import IPython

    own = {"In": ["", CELL, '# Parameters\nrate = "1e-3"\naugment = "no"\n']}
    own |= {"rate": "1e-3", "augment": "no", "epochs": 6}
    shell = types.SimpleNamespace(user_ns=own)
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    monkeypatch.setattr("crnn_keras.notebook.run.import_keras_quietly", lambda: None)
    monkeypatch.setattr("crnn_keras.notebook.run.align_tables", lambda shell: None)
    for _ in range(2):
        notebook.start("04_train", "mine")
        assert (own["rate"], own["augment"], own["epochs"]) == (0.001, False, 6)


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a b", "-p", "a\n", "x" * 101, 5])
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


def finish_each(barrier, own):
    """Ends one notebook in each of 50 runs, at the same time as another process."""
    for index in range(50):
        barrier.wait()
        NotebookRun(own, f"run_{index}").finish(pid=os.getpid(), index=index)


@pytest.mark.slow
def test_results_of_two_notebooks_that_end_at_once_both_survive(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    context = multiprocessing.get_context("spawn")
    barrier, names = context.Barrier(2), ["04_train", "05_evaluate"]
    processes = [context.Process(target=finish_each, args=(barrier, name)) for name in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    for index in range(50):
        content = json.loads((tmp_path / f"reports/run_{index}/results.json").read_text())
        assert list(content) == names and {each["index"] for each in content.values()} == {index}
        left = [path.name for path in (tmp_path / f"reports/run_{index}").iterdir()]
        assert left == ["results.json"]


def test_results_of_many_threads_all_survive(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [f"{index:02}_x" for index in range(12)]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda name: NotebookRun(name, "mine").finish(x=1), names))
    assert list(json.loads((tmp_path / "reports/mine/results.json").read_text())) == names


@pytest.mark.parametrize(
    "damaged",
    [b"", b'{"04_train": {"steps": 7', b"[1]", b'{"04_train": 7}', b"\xff\xfe{}", b"null"],
)
def test_damaged_results_are_named_and_left_as_they_are(tmp_path, monkeypatch, capsys, damaged):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "reports/mine/results.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"reports/mine/results\.json.*remove"):
        NotebookRun("05_evaluate", "mine").finish(images=4)
    assert path.read_bytes() == damaged and "images: 4" in capsys.readouterr().out


def test_what_a_notebook_needs_names_the_notebook_that_makes_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = NotebookRun("05_evaluate", "mine")
    with pytest.raises(FileNotFoundError, match=r"data/mine/train/model\.keras.*04_train.*'mine'"):
        run.find_model()
    with pytest.raises(FileNotFoundError, match="data/mine/records/test.*02_prepare.*test_split"):
        run.find_records(splits=["test"])
    with pytest.raises(FileNotFoundError, match="other/train holds no records.*02_prepare_data"):
        run.find_records("other", splits=["train", "validation"])
    assert run.find_model("words") == "words"
    for name in ("longer", "walkthrough"):
        (tmp_path / f"data/{name}/train").mkdir(parents=True)
        (tmp_path / f"data/{name}/train/model.keras").touch()
    with pytest.raises(FileNotFoundError, match="runs have one: .*(longer|walkthrough), "):
        run.find_model()
    (tmp_path / "data/mine/train").mkdir(parents=True)
    (tmp_path / "data/mine/train/model.keras").touch()
    assert run.find_model() == "data/mine/train/model.keras"


def test_images_of_which_none_can_be_read_are_an_error_that_names_the_first():
    read = Prediction("x", 0.9, "b.png")
    missing = Prediction(None, 0.0, "a.png", error="no such file")
    assert notebook.find_readable([missing, read], "mine") == [1]
    with pytest.raises(ValueError, match="mine: none of 2 images.*a.png: no such file"):
        notebook.find_readable([missing, missing], "mine")
    with pytest.raises(ValueError, match="mine: there are no images"):
        notebook.find_readable([], "mine")


def shown_figure(tmp_path, monkeypatch, title):
    monkeypatch.chdir(tmp_path)
    figure = Figure()
    axes = figure.subplots()
    axes.plot([1, 2])
    axes.set_title(title, loc="left")
    return NotebookRun("04_train", "mine").show(figure, "loss_curves")


def test_figures_are_shown_and_kept_with_twice_the_pixels(tmp_path, monkeypatch):
    shown = shown_figure(tmp_path, monkeypatch, "")
    path = tmp_path / "reports/mine/figures/04_train_loss_curves.png"
    assert shown.data == path.read_bytes()
    with PIL.Image.open(path) as kept:
        assert (kept.format, kept.mode, kept.width) == ("PNG", "P", 2 * shown.width)
        assert kept.info["dpi"][0] == pytest.approx(2 * Figure().dpi, rel=1e-3)


def test_a_figure_of_many_bytes_is_shown_with_its_plain_pixels(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    figure = Figure(figsize=(8, 4))
    noise = np.random.default_rng(0).random((400, 800))
    figure.add_axes((0, 0, 1, 1)).imshow(noise, aspect="auto")
    shown = NotebookRun("04_train", "mine").show(figure, "noise")
    with PIL.Image.open(tmp_path / "reports/mine/figures/04_train_noise.png") as kept:
        assert kept.width == 2 * shown.width
    assert PIL.Image.open(io.BytesIO(shown.data)).width == shown.width


def test_a_caption_describes_a_figure_instead_of_its_title(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = NotebookRun("02_prepare_data", "mine").show(Figure(), "pairs", caption="Pairs of é")
    path = tmp_path / "reports/mine/figures/02_prepare_data_pairs.png"
    assert shown.alt == PIL.Image.open(path).info["Title"] == "Pairs of é"


@pytest.mark.parametrize(("title", "text"), [("Loss (&é)", "Loss (&é)"), ("", "loss curves")])
def test_a_figure_is_described_by_its_title_or_its_name(tmp_path, monkeypatch, title, text):
    shown = shown_figure(tmp_path, monkeypatch, title)
    assert shown.alt == text
    assert PIL.Image.open(io.BytesIO(shown.data)).info["Title"] == text
