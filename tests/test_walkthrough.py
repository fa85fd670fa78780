"""The choice of notebooks, their parameters, and the page about a run; no notebook is executed."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import keras
import nbformat
import PIL.Image
import PIL.PngImagePlugin
import pytest

from crnn_keras.notebook import ParameterError, walkthrough
from crnn_keras.utils.locks import LockedError, lock

CELL = 'run = "walkthrough"  # name\nepochs = 4\nrate = 0.003\nclean = False\ntext = "hello"'


def write_notebook(path, *sources, metadata=None):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    for cell in cells:
        cell.pop("id")
    made = nbformat.v4.new_notebook(cells=cells, metadata=metadata or {}, nbformat_minor=4)
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    nbformat.write(made, path)
    return path


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    """Folder of three notebooks; the working folder is the one above."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebooks").mkdir()
    for name in ("01_one", "04_four", "04b_more"):
        write_notebook(tmp_path / "notebooks" / f"{name}.ipynb", CELL)
    return tmp_path / "notebooks"


def stems(paths):
    return [path.stem for path in paths]


@pytest.mark.parametrize(
    ("only", "names"),
    [
        ([], ["01_one", "04_four", "04b_more"]),
        (["4"], ["04_four"]),
        (["04", "1"], ["01_one", "04_four"]),
        (["4b"], ["04b_more"]),
        (["04b"], ["04b_more"]),
    ],
)
def test_notebooks_are_chosen_by_number(notebooks, only, names):
    assert stems(walkthrough.list_notebooks(only, notebooks)) == names


def test_an_unknown_number_is_refused_with_those_known(notebooks):
    with pytest.raises(ValueError, match="07.*01, 04, 04b"):
        walkthrough.list_notebooks(["4", "7"], notebooks)


def test_a_folder_without_notebooks_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no numbered notebooks"):
        walkthrough.list_notebooks(folder=tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("text", "2015", "2015"),
        ("text", "no", "no"),
        ("text", "2024_05_01", "2024_05_01"),
        ("text", "[set a]/l.tsv", "[set a]/l.tsv"),
        ("text", "", ""),
        ("text", "null", "null"),
        ("text", "{a: 1}", "{a: 1}"),
        ("text", pathlib.Path("a/b"), "a/b"),
        ("epochs", "007", 7),
        ("rate", 1, 1.0),
        ("clean", "1", True),
        ("clean", "0", False),
        ("epochs", "6", 6),
        ("rate", "1", 1.0),
        ("rate", "1e-3", 0.001),
        ("clean", "True", True),
        ("clean", "no", False),
        ("epochs", 6, 6),
    ],
)
def test_a_value_becomes_of_the_type_of_its_default(notebooks, name, text, value):
    path = notebooks / "01_one.ipynb"
    assigned = walkthrough.assign_parameters([path], {name: text})[path]
    assert assigned == {name: value} and type(assigned[name]) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [("epochs", "many", "int"), ("epochs", "1.5", "int"), ("rate", "x", "float")]
    + [("clean", "maybe", "bool"), ("rate", "nan", "float"), ("epochs", 1.5, "int")]
    + [("text", 2015, "str"), ("text", None, "str"), ("epochs", True, "int")],
)
def test_a_value_of_another_type_is_refused(notebooks, name, text, kind):
    with pytest.raises(ParameterError, match=f"{name} is {text!r}.*{kind}"):
        walkthrough.assign_parameters([notebooks / "01_one.ipynb"], {name: text})


def test_an_unknown_parameter_is_refused_before_anything_is_written(notebooks, tmp_path):
    with pytest.raises(ParameterError, match=r"epoch\..*clean, epochs, rate, run, text"):
        walkthrough.run_notebooks("mine", {"epoch": "5"}, notebooks=notebooks)
    assert not (tmp_path / "reports").exists()


def test_a_run_called_by_a_path_is_refused_before_anything_is_written(notebooks, tmp_path):
    with pytest.raises(ParameterError, match=r"\.\./x"):
        walkthrough.run_notebooks("../x", {}, notebooks=notebooks)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notebooks"]


def test_the_run_is_no_parameter(notebooks, tmp_path):
    with pytest.raises(ParameterError, match="--run"):
        walkthrough.run_notebooks("mine", {"run": "other"}, notebooks=notebooks)
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("text", ["no json", "{}", '{"cells": 3}', "[]", ""])
def test_a_file_that_is_no_notebook_is_refused_by_name(notebooks, text):
    (notebooks / "06_bad.ipynb").write_text(text)
    with pytest.raises(ValueError, match="06_bad.ipynb"):
        walkthrough.run_notebooks("mine", {}, notebooks=notebooks)


def write_run(folder, **results):
    """Folder of reports with one executed notebook, one figure and a data check."""
    (folder / "figures").mkdir(parents=True)
    metadata = {"papermill": {"duration": 90.0, "parameters": {"epochs": 2, "text": "<b>"}}}
    write_notebook(folder / "04_train.ipynb", CELL, metadata=metadata)
    info = PIL.PngImagePlugin.PngInfo()
    info.add_itxt("Title", "Loss & accuracy")
    PIL.Image.new("L", (4, 4)).save(folder / "figures" / "04_train_curves.png", pnginfo=info)
    for name in ("data_check.html", "issues.tsv"):
        (folder / name).touch()
    (folder / "results.json").write_text(json.dumps(results))
    return folder


MEASURED = {"word_accuracy": 0.5, "interval_95": [0.1, 0.9], "images": 4, "cer": 0.25}
MEASURED |= {"images_per_second": 812.4, "model": "data/mine/train/model.keras"}


def test_the_page_has_results_captions_and_links(tmp_path):
    folder = write_run(tmp_path / "mine", **{"05_evaluate": MEASURED})
    page = walkthrough.write_page(folder).read_text()
    for fact in ("50.00%", "4 images", "25.00%", "812", "data/mine/train/model.keras"):
        assert fact in page
    assert "<figcaption>Loss &amp; accuracy</figcaption>" in page
    assert 'alt="Loss &amp; accuracy"' in page
    assert 'name="viewport"' in page and '<html lang="en">' in page
    for link in ("04_train.html", "data_check.html", "issues.tsv", "results.json", "#04_train"):
        assert f'href="{link}"' in page
    assert "1.5" in page and "epochs = 2" in page
    assert "1.5 minutes in all, with crnn_keras" in page and f"keras {keras.__version__}" in page
    assert "<b>" not in page


def test_the_page_shows_parameters_that_are_not_the_defaults(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    passed = {"epochs": 2, "rate": 0.003, "run": "mine", "clean": True}
    write_notebook(folder / "04_a.ipynb", CELL, metadata={"papermill": {"parameters": passed}})
    write_notebook(folder / "05_b.ipynb", CELL, metadata={"papermill": {"parameters": {}}})
    page = walkthrough.write_page(folder).read_text()
    assert "<td>clean = True (default False)<br>epochs = 2 (default 4)</td>" in page
    assert "<td>none</td>" in page and "rate" not in page


def test_the_page_warns_of_few_test_images_and_links_to_tables(tmp_path):
    folder = write_run(tmp_path / "few", **{"05_evaluate": MEASURED})
    (folder / "readings.csv").touch()
    page = walkthrough.write_page(folder).read_text()
    assert 'class="warning"' in page and "Measured on 4 test images" in page
    assert 'href="readings.csv"' in page
    folder = write_run(tmp_path / "many", **{"05_evaluate": MEASURED | {"images": 100}})
    assert 'class="warning"' not in walkthrough.write_page(folder).read_text()


def test_the_page_of_a_notebook_describes_its_figures(tmp_path):
    folder = write_run(tmp_path / "mine")
    path = folder / "04_train.ipynb"
    notebook = nbformat.read(path, as_version=4)
    metadata = {"image/png": {"alt": "Loss & accuracy"}}
    output = nbformat.v4.new_output("display_data", {"image/png": "aGk="}, metadata=metadata)
    notebook.cells[0].outputs = [output]
    nbformat.write(notebook, path)
    walkthrough.write_page(folder)
    page = (folder / "04_train.html").read_text()
    assert 'alt="Loss &amp; accuracy"' in page and "base64,aGk=" in page
    assert "pre-wrap" in page
    # Scripts and styles of other hosts.
    assert not re.search(r"""(src|href|from|import)[=( ]+["']?https?://""", page)


def test_the_page_says_what_a_reader_was_taught(tmp_path):
    taught = {"learned_from": "drawn displays", "word_accuracy_before": 0.03, "word_accuracy": 0.9}
    folder = write_run(tmp_path / "taught", **{"08_teach_it_your_images": taught})
    shown = dict(walkthrough.result_table(folder))["fine-tuned"]
    assert shown == "drawn displays: 3.00% before, 90.00% now"


def test_a_measurement_on_few_images_says_so(tmp_path):
    folder = write_run(tmp_path / "few", **{"05_evaluate": MEASURED})
    assert "few" in dict(walkthrough.result_table(folder))["measured on"]
    folder = write_run(tmp_path / "many", **{"05_evaluate": MEASURED | {"images": 1600}})
    assert dict(walkthrough.result_table(folder))["measured on"] == "1,600 images"


def test_the_page_says_what_was_trained_on(tmp_path):
    prepared = {"trained_on": "mine/<labels>.tsv", "train_records": 1234}
    folder = write_run(tmp_path / "mine", **{"02_prepare_data": prepared})
    assert (
        dict(walkthrough.result_table(folder))["trained on"] == "mine/<labels>.tsv: 1,234 records"
    )
    assert "mine/&lt;labels&gt;.tsv: 1,234 records" in walkthrough.write_page(folder).read_text()


def test_a_run_without_results_has_a_page_too(tmp_path):
    folder = write_run(tmp_path / "mine")
    (folder / "results.json").unlink()
    assert "04_train.html" in walkthrough.write_page(folder).read_text()


def test_the_page_names_what_is_damaged(tmp_path):
    folder = write_run(tmp_path / "mine")
    (folder / "results.json").write_text('{"05_evaluate": {"images": 3}}')
    # Another process writes it just now.
    (folder / "05_evaluate.ipynb").write_text('{"cells": [')
    (folder / "figures" / "05_evaluate_x.png").write_bytes(b"no image")
    page = walkthrough.write_page(folder).read_text()
    assert "results.json is damaged" in page and "interval_95" in page
    assert "05_evaluate.ipynb cannot be shown" in page and "unreadable" in page
    with pytest.raises(ValueError, match=r"results\.json is damaged"):
        walkthrough.result_table(folder)


def test_two_walkthroughs_do_not_write_the_same_notebook(notebooks, tmp_path):
    (tmp_path / "reports/mine").mkdir(parents=True)
    with (
        lock(tmp_path / "reports/mine/01_one.ipynb", "a notebook"),
        pytest.raises(LockedError, match=f"01_one.ipynb.*process {os.getpid()}"),
    ):
        walkthrough.run_notebooks("mine", {}, ["1"], notebooks=notebooks)


def test_a_failing_notebook_names_its_executed_copy(notebooks, tmp_path, capsys):
    path = write_notebook(notebooks / "05_five.ipynb", CELL, "1 / (epochs - 2)")
    with pytest.raises(walkthrough.NotebookError) as caught:
        walkthrough.run_notebooks("mine", {"epochs": "2"}, ["5"], notebooks=notebooks)
    assert path.name in str(caught.value) and "ZeroDivisionError" in str(caught.value)
    copy = tmp_path / "reports" / "mine" / path.name
    assert str(copy.relative_to(tmp_path)) in str(caught.value) and copy.is_file()
    assert "cell [3]" in str(caught.value) and "1 / (epochs - 2)" in str(caught.value)
    output = capsys.readouterr()
    assert not output.out and path.name in output.err
    page = tmp_path / "reports" / "mine" / "index.html"
    assert str(page.relative_to(tmp_path)) in str(caught.value)
    text = page.read_text()
    assert "Stopped in cell [3]: ZeroDivisionError" in text and "<td>stopped</td>" in text
    assert "ZeroDivisionError" in copy.with_suffix(".html").read_text()


@pytest.mark.slow
def test_labels_of_any_script_are_printed_in_ascii(notebooks, tmp_path):
    write_notebook(notebooks / "05_文.ipynb", CELL, "print(text, '汉字')", "text + '汉'")
    words = ["walkthrough", "--run", "中", "--only", "5", "-p", "text", "é", "--notebooks"]
    code = "import sys; from crnn_keras import cli; sys.exit(cli.main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *words, str(notebooks)]
    own = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=own, capture_output=True)
    assert done.returncode == 0, done.stderr.decode("ascii", "replace")
    assert rb"reports/\u4e2d/index.html" in done.stdout and b"\\u6c49" in done.stderr
    assert "汉字" in (tmp_path / "reports/中/05_文.html").read_text(encoding="utf-8")


def test_a_kernel_that_dies_is_an_error_too(notebooks, tmp_path):
    write_notebook(notebooks / "05_five.ipynb", CELL, "import os\nos._exit(3)")
    with pytest.raises(walkthrough.NotebookError, match=r"05_five\.ipynb.*kernel") as caught:
        walkthrough.run_notebooks("mine", {}, ["5"], notebooks=notebooks)
    assert "reports/mine/05_five.ipynb" in str(caught.value)
    page = (tmp_path / "reports/mine/index.html").read_text()
    assert "Its kernel ended" in page and "<td>stopped</td>" in page


@pytest.fixture
def committed(notebooks):
    """Folder of notebooks that are committed to Git; a function runs Git in it."""
    if not shutil.which("git"):
        pytest.skip("git is missing")

    def git(*words):
        own = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *own, *words], cwd=notebooks, check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("commit", "-m", "notebooks")
    return notebooks


def test_defaults_that_were_saved_in_lab_are_named(committed, tmp_path, capsys):
    changed = CELL.replace("epochs = 4", "epochs = 2").replace("False", "True") + "\nnew = 1"
    changed = changed.replace('"walkthrough"', '"mine"')
    path = write_notebook(committed / "04_four.ipynb", changed, "epochs, clean")
    found = walkthrough.edited_parameters(path)
    assert found.pop("run") == "run = 'mine' here, 'walkthrough' committed"
    lines = ["epochs = 2 here, 4 committed", "clean = True here, False committed"]
    assert list(found.values()) == lines
    assert walkthrough.edited_parameters(committed / "01_one.ipynb") == {}
    # What is passed is no default.
    walkthrough.run_notebooks("x", {"clean": "yes"}, ["1", "4"], notebooks=committed)
    shown = [line for line in capsys.readouterr().err.splitlines() if "committed" in line]
    assert shown == [f"04_four: {lines[0]}"]
    assert (tmp_path / "reports/x/index.html").read_text().count(f"{lines[0]}.") == 1


@pytest.mark.parametrize("reason", ["no repository", "no commit", "no git", "no notebook there"])
def test_without_a_committed_notebook_nothing_is_compared(notebooks, monkeypatch, reason):
    if reason != "no repository" and not shutil.which("git"):
        pytest.skip("git is missing")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(notebooks.parent.parent))
    path = notebooks / "04_four.ipynb"
    own = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    steps = {
        "no commit": [["init"]],
        "no git": [["init"], ["add", "."], [*own, "commit", "-m", "x"]],
        "no notebook there": [["init"], ["add", "."], [*own, "commit", "-m", "x"]],
    }
    if reason == "no notebook there":
        path.write_text("{}")
    for words in steps.get(reason, []):
        subprocess.run(["git", *words], cwd=notebooks, check=True, capture_output=True)
    write_notebook(path, CELL.replace("4", "5"))
    if reason == "no git":
        assert walkthrough.edited_parameters(path)
        monkeypatch.setenv("PATH", str(notebooks))
    assert walkthrough.edited_parameters(path) == {}
