"""Notebooks open elsewhere: a setup cell that does nothing here, badges, Binder, a container."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib
import types
import urllib.parse
from importlib import metadata, util

import keep_outputs
import nbformat
import papermill.iorw
import papermill.parameterize
import pytest
import yaml
from packaging.specifiers import SpecifierSet

from crnn_keras.notebook import walkthrough
from crnn_keras.notebook.executed import export_notebook, make_exporter
from tools import chinese, classroom, open_anywhere

ROOT = pathlib.Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAMES = sorted(path.name for path in open_anywhere.NOTEBOOKS.glob("*.ipynb"))
REPOSITORY = "someone/reader"


def read(path):
    return nbformat.read(path, as_version=4)


def ids_of(notebook):
    return [cell.id for cell in notebook.cells]


@pytest.fixture(scope="module")
def stripped(tmp_path_factory):
    """Folder of the notebooks without badges and setup cell. It stays as it is."""
    folder = tmp_path_factory.mktemp("stripped")
    for name in NAMES:
        notebook = open_anywhere.remove(read(open_anywhere.NOTEBOOKS / name))
        open_anywhere._number([cell for cell in notebook.cells if cell.cell_type == "code"])
        nbformat.write(notebook, folder / name)
    return folder


@pytest.fixture
def plain(stripped, tmp_path):
    """Folder of the notebooks without badges and setup cell, to be changed."""
    return pathlib.Path(shutil.copytree(stripped, tmp_path / "notebooks"))


@pytest.fixture(scope="module")
def opened(stripped, tmp_path_factory):
    """Folder of the notebooks with both, as after the project has an address."""
    folder = shutil.copytree(stripped, tmp_path_factory.mktemp("opened") / "notebooks")
    assert open_anywhere.apply(folder, REPOSITORY) == NAMES
    return pathlib.Path(folder)


def test_the_setup_cell_stands_between_parameters_and_imports(plain):
    before = {name: read(plain / name) for name in NAMES}
    assert open_anywhere.check(plain, "") == open_anywhere.apply(plain, "") == NAMES
    assert open_anywhere.check(plain, "") == open_anywhere.apply(plain, "") == []
    for name in NAMES:
        notebook = read(plain / name)
        assert ids_of(open_anywhere.remove(notebook)) == ids_of(before[name])
        parameters, setup, imports = [c for c in notebook.cells if c.cell_type == "code"][:3]
        assert parameters.metadata.tags == ["parameters"] and "notebook.start(" in imports.source
        assert setup.id == "setup" and setup.outputs == [] and setup.execution_count == 2
        assert setup.metadata.jupyter == {"source_hidden": True}
        assert sum(map(open_anywhere.is_opening, notebook.cells)) == 1
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
        results = [(o.execution_count, c.execution_count) for c in code for o in c.outputs
                   if o.output_type == "execute_result"]  # fmt: skip
        assert all(own == count for own, count in results)
        assert "badge" not in nbformat.writes(notebook)


def test_badges_lead_to_the_notebook_in_the_repository(opened):
    assert open_anywhere.check(opened, REPOSITORY) == []
    for name in NAMES:
        badges = read(opened / name).cells[1]
        assert badges.id == "badges" and badges.cell_type == "markdown"
        found = dict(re.findall(r"\[!\[Open in (\w+)\]\([^)]+\.svg\)\]\(([^)]+)\)", badges.source))
        assert [*found] == ["Colab", "Kaggle", "Binder"]
        place = f"{REPOSITORY}/blob/main/notebooks/{name}"
        assert found["Colab"] == f"https://colab.research.google.com/github/{place}"
        colab, kaggle, binder = map(urllib.parse.urlsplit, found.values())
        assert urllib.parse.parse_qs(kaggle.query) == {"src": [f"https://github.com/{place}"]}
        assert binder.path == f"/v2/gh/{REPOSITORY}/main"
        assert urllib.parse.parse_qs(binder.query) == {"urlpath": [f"lab/tree/notebooks/{name}"]}
        assert (ROOT / colab.path.partition("/blob/main/")[2]).is_file()
    # Where there is no address any more, no badge is left.
    notebook = open_anywhere.insert(read(opened / NAMES[0]), NAMES[0])
    assert "setup" in ids_of(notebook) and "badges" not in ids_of(notebook)


@pytest.mark.parametrize(
    ("urls", "repository"),
    [
        ("", ""),
        ('Repository = "https://github.com/someone/reader"', REPOSITORY),
        ('Repository = "https://github.com/someone/reader.git"', REPOSITORY),
        ('Repository = "https://github.com/someone/reader/"', REPOSITORY),
        ('Repository = "https://codeberg.org/someone/reader"', ""),
        ('Repository = "https://github.com/someone"', ""),
    ],
)
def test_the_address_is_that_of_pyproject(tmp_path, urls, repository):
    path = tmp_path / "pyproject.toml"
    path.write_text(f'[project]\nname = "a"\n[project.urls]\n{urls}\n')
    assert open_anywhere.find_repository(path) == repository


def test_another_branch_and_folder_can_be_named(plain, capsys, monkeypatch):
    monkeypatch.setattr(open_anywhere, "find_repository", lambda: REPOSITORY)
    assert open_anywhere.main(["apply", str(plain), "--at", "zh/notebooks"]) == 0
    assert (
        "someone/reader/blob/zh/notebooks/04_train.ipynb)"
        in read(plain / "04_train.ipynb").cells[1].source
    )
    assert open_anywhere.main(["check", str(plain), "--at", "zh/notebooks"]) == 0
    assert open_anywhere.main(["check", str(plain)]) == 1
    assert "04_train.ipynb" in capsys.readouterr().err
    assert open_anywhere.main(["apply", str(plain / "none")]) == 1


def test_where_the_package_is_the_setup_cell_does_and_prints_nothing(monkeypatch, capsys):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("it starts a process"))
    monkeypatch.delenv("CRNN_KERAS_WHEEL", raising=False)
    for on_index in (False, True):
        names = {}
        for _ in range(2):
            exec(open_anywhere.make_setup(on_index=on_index), names)
        assert not {"wheel", "before", "pip"} & set(names)
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""
    assert len(open_anywhere.make_setup().splitlines()) <= 20


@pytest.fixture
def run_setup(monkeypatch):
    """Function that runs the setup cell where packages are installed, but not crnn_keras.

    It returns what pip was called with. The first `failing` calls fail.
    """

    def run_setup(installed, *, on_index, failing=0, later=None):
        calls, versions = [], dict(installed)

        def run(command, *, check=False, capture_output=False):
            calls.append(command)
            assert command[:4] == [sys.executable, "-m", "pip", "install"]
            versions.update(later or {})
            failed = len(calls) <= failing
            if failed and check:
                raise subprocess.CalledProcessError(1, command)
            return types.SimpleNamespace(returncode=int(failed))

        found = [types.SimpleNamespace(name=n, version=v) for n, v in installed.items()]
        monkeypatch.setattr(util, "find_spec", lambda name: None)
        monkeypatch.setattr(metadata, "distributions", lambda: found)
        monkeypatch.setattr(metadata, "version", versions.__getitem__)
        monkeypatch.setattr(subprocess, "run", run)
        exec(open_anywhere.make_setup(on_index=on_index), {})
        return [command[4:] for command in calls]

    return run_setup


COLAB = {"numpy": "2.1.3", "tensorflow": "2.20.0", "torch": "2.9.0+cu126", "jax": "0.7.2"}


def test_a_wheel_is_installed_and_the_backends_keep_their_versions(run_setup, monkeypatch, capsys):
    wheel = "https://host.org/reader-1.0.0-py3-none-any.whl"
    monkeypatch.setenv("CRNN_KERAS_WHEEL", wheel)
    kept = ["jax==0.7.2", "tensorflow==2.20.0", "torch==2.9.0+cu126"]
    for on_index in (False, True):
        (called,) = run_setup(COLAB, on_index=on_index)
        assert called == ["papermill", f"crnn_keras[keras] @ {wheel}", *kept]
    assert capsys.readouterr().out == ""
    # Nothing fits to the backends: then pip chooses, and says so if it fails too.
    first, second = run_setup(COLAB, on_index=False, failing=1, later={"numpy": "2.3.0"})
    assert first == second + kept
    assert re.search(r"Restart the kernel: numpy now", capsys.readouterr().out)
    with pytest.raises(subprocess.CalledProcessError):
        run_setup(COLAB, on_index=False, failing=2)
    # Without a backend, one is needed.
    (called,) = run_setup({"numpy": "2.1.3"}, on_index=False)
    assert called == ["papermill", f"crnn_keras[train] @ {wheel}"]


def test_without_a_wheel_the_index_is_asked_once_it_has_the_package(run_setup, monkeypatch):
    monkeypatch.delenv("CRNN_KERAS_WHEEL", raising=False)
    with pytest.raises(ModuleNotFoundError, match="CRNN_KERAS_WHEEL"):
        run_setup(COLAB, on_index=False)
    (called,) = run_setup(COLAB, on_index=True)
    assert called[:2] == ["papermill", "crnn_keras[keras]"]
    assert open_anywhere.make_setup() == open_anywhere.make_setup(on_index=open_anywhere.ON_INDEX)


def test_papermill_puts_its_parameters_before_the_setup_cell(opened):
    path = opened / "01_characters.ipynb"
    assert walkthrough.read_parameters(path) == {"run": "lesson", "text": "hello"}
    loaded = papermill.iorw.load_notebook_node(str(path))
    injected = papermill.parameterize.parameterize_notebook(loaded, {"text": "book"})
    code = [cell for cell in injected.cells if cell.cell_type == "code"][:4]
    tags = [tag for cell in code for tag in cell.metadata.tags]
    assert tags == ["parameters", "injected-parameters", "open-anywhere"]
    assert "notebook.start(" in code[3].source


@pytest.mark.slow
def test_pages_leave_out_what_opens_a_notebook_elsewhere(opened):
    path = opened / "01_characters.ipynb"
    notebook = read(path)
    page = export_notebook(make_exporter(), notebook, path)
    assert "hello" in page
    assert "CRNN_KERAS_WHEEL" not in page and "colab" not in page
    assert "setup" in ids_of(notebook)


def test_the_site_and_its_slides_leave_it_out_too(opened):
    from tools import website

    notebook = read(opened / "01_characters.ipynb")
    chosen = website.choose_cells(notebook)
    assert not any(map(open_anywhere.is_opening, chosen.cells)) and len(chosen.cells) > 5
    website._dress(notebook)
    assert not any(map(open_anywhere.is_opening, notebook.cells)) and len(notebook.cells) > 5


def test_copies_of_a_notebook_keep_the_setup_cell(opened):
    name = "01_characters.ipynb"
    notebook = read(opened / name)
    for copied in (
        classroom.make_student_copy(notebook),
        classroom.make_teacher_copy(notebook),
        keep_outputs.clean(notebook),
    ):
        assert ids_of(copied)[:4] == ids_of(notebook)[:4]
    kept = keep_outputs.clean(notebook)
    assert open_anywhere.insert(kept, name, REPOSITORY) == kept


def test_a_chinese_notebook_has_the_setup_cell_and_no_badge_of_the_english(opened):
    for name in chinese.list_translated():
        assert chinese.find_issues(name, opened) == []
        ids = ids_of(chinese.translate(name, opened))
        assert "setup" in ids and "badges" not in ids


def shell(path):
    """What a shell script says, continued lines joined; it must be one that can be run."""
    bash = shutil.which("bash") or pytest.skip("bash is not installed")
    assert os.access(path, os.X_OK), path
    assert subprocess.run([bash, "-n", path]).returncode == 0
    text = path.read_text()
    assert text.startswith("#!/bin/bash\n")
    return text.replace("\\\n", " ")


def test_binder_installs_the_repository_and_starts_on_its_backend():
    environment = yaml.safe_load((ROOT / "binder/environment.yml").read_text())
    assert environment["name"] == PROJECT["name"]
    (python,) = [own for own in environment["dependencies"] if own.startswith("python=")]
    supported = SpecifierSet(PROJECT["requires-python"])
    assert f"{python.removeprefix('python=')}.1" in supported
    built = shell(ROOT / "binder/postBuild")
    assert "-c constraints.txt" in built
    extras = re.search(r"-e '\.\[([\w,]+)\]'", built)[1].split(",")
    assert set(extras) <= PROJECT["optional-dependencies"].keys() and "notebooks" in extras
    start = shell(ROOT / "binder/start")
    assert re.search(r"KERAS_BACKEND=(\w+)", start)[1] in extras
    assert start.splitlines()[-1] == 'exec "$@"'


def test_a_container_makes_the_environment_of_the_makefile():
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    image, _, version = container["image"].partition(":")
    assert image == "python" and version.partition("-")[0] in SpecifierSet(
        PROJECT["requires-python"]
    )
    makefile = (ROOT / "Makefile").read_text()
    target = container["postCreateCommand"].removeprefix("make ")
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    settings = container["customizations"]["vscode"]["settings"]
    made = re.search(r"^PY := (\S+)$", makefile, re.MULTILINE)[1]
    assert settings["python.defaultInterpreterPath"] == f"${{containerWorkspaceFolder}}/{made}"


def test_the_committed_notebooks_are_as_the_tool_writes_them():
    assert open_anywhere.check() == []
