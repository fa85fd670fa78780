"""What is installed by `pip install crnn_keras` and its extras, and what a release holds."""

import ast
import email
import functools
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from crnn_keras.utils import extras
from crnn_keras.utils.extras import PACKAGES

ROOT = pathlib.Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
MODULES = sorted((ROOT / "crnn_keras").rglob("*.py"))
HEAVY = {"tensorflow", "keras", "torch", "jax", "jupyterlab", "scipy", "pandas", "matplotlib"}
HEAVY |= {"opencv-python-headless", "h5py", "ipython", "papermill"}

# Extras of those who work on crnn_keras itself.
DEVELOPERS = {"browser", "readers", "release", "site", "test"}
# Modules of base, by the name of their package where it differs.
BASE = {"PIL": "pillow", "bidi": "python-bidi", "google": "protobuf"}


def closure(*names):
    """The packages that extras bring, those of base left out."""
    found = set()
    for name in names:
        for requirement in map(Requirement, EXTRAS[name]):
            own = requirement.name == PROJECT["name"]
            found |= closure(*requirement.extras) if own else {requirement.name}
    return found


def base():
    return {Requirement(line).name for line in PROJECT["dependencies"]}


@functools.cache
def imported_modules():
    """Top-level modules of others that the package imports, with a place for each."""
    found = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                found[name.partition(".")[0]] = f"{path.relative_to(ROOT)}, line {node.lineno}"
    return {n: w for n, w in found.items() if n not in {*sys.stdlib_module_names, "crnn_keras"}}


def test_base_reads_and_brings_nothing_heavy():
    assert {"numpy", "pillow", "onnxruntime", "rapidfuzz"} <= base()
    assert not base() & (HEAVY | closure("data", "serve"))
    assert len(base()) <= 14


def test_every_import_is_of_base_or_of_an_extra_that_errors_name():
    for module, where in imported_modules().items():
        package = canonicalize_name(BASE.get(module, module))
        assert package in base() or module in PACKAGES, f"{where}: {module}"


def test_every_package_of_base_is_imported():
    imported = {canonicalize_name(BASE.get(module, module)) for module in imported_modules()}
    assert base() <= imported


def test_an_error_names_an_extra_that_brings_the_package():
    known = importlib.metadata.packages_distributions()
    for module, (package, extra) in PACKAGES.items():
        assert package in closure(extra) and package not in base(), module
        # starlette comes with fastapi.
        names = {canonicalize_name(name) for name in known.get(module, [package])}
        assert package in names or module == "starlette", f"{module} is of {names}"


def test_each_backend_comes_with_keras_and_without_the_others():
    backends = {"train": "tensorflow", "torch": "torch", "jax": "jax"}
    for extra, backend in backends.items():
        assert {"keras", "h5py", "scipy", "pandas", backend} <= closure(extra)
        assert closure(extra) & {*backends.values()} == {backend}
    # Data is prepared, on Beam too, and notebooks are opened whatever the backend.
    for extra in ("beam", "data", "keras", "notebooks", "parquet", "serve"):
        assert not closure(extra) & {*backends.values()}
    assert not closure("beam", "notebooks") & {"keras"}
    assert {"jupyterlab", "papermill", "matplotlib", "pandas"} <= closure("notebooks")


def test_all_brings_every_extra_of_users():
    assert closure("all") == closure(*EXTRAS.keys() - DEVELOPERS - {"all"})


def test_continuous_integration_installs_all_but_what_only_a_release_needs():
    makefile = (ROOT / "Makefile").read_text()
    made = re.search(r"-c constraints\.txt -e '\.\[(.*?)\]'", makefile)[1].split(",")
    added = re.search(r"-e '\.\[(.*?)\]' torch==", (ROOT / ".ci/run").read_text())[1].split(",")
    missing = closure(*EXTRAS) - closure(*made, *added)
    assert missing == closure("release") | {"torch"}


@pytest.fixture
def run_without(tmp_path):
    """Function that runs Python where modules are not installed, nor in its processes."""

    def run(modules, *arguments, **variables):
        blocker = tmp_path / "site" / "sitecustomize.py"
        blocker.parent.mkdir(exist_ok=True)
        blocker.write_text(
            "import sys\n"
            "class Without:\n"
            "    def __init__(self, finder):\n"
            "        self.finder = finder\n"
            "    def find_spec(self, name, path=None, target=None):\n"
            f"        if name.partition('.')[0] not in {set(modules)!r}:\n"
            "            return self.finder.find_spec(name, path, target)\n"
            "sys.meta_path[:] = map(Without, sys.meta_path)\n"
        )
        kept = {n: v for n, v in os.environ.items() if n not in ("KERAS_BACKEND", "KERAS_HOME")}
        paths = f"{blocker.parent}{os.pathsep}{ROOT}"
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            env=kept | {"PYTHONPATH": paths, "KERAS_HOME": str(tmp_path / "keras")} | variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    return run


COMMAND = "import sys; from crnn_keras.cli import main; sys.exit(main())"


@pytest.mark.parametrize(
    ("command", "package", "install"),
    [
        (("check", "labels.tsv"), None, "data"),
        (("prepare", "--words", "10"), None, "data"),
        (("train", "--run", "a"), "keras", "train"),
        (("fine-tune", "--labels", "labels.tsv"), "keras", "train"),
        (("read", "exit.png", "--model", "mine.keras"), "keras", "train"),
        (("walkthrough",), None, "notebooks,train"),
        (("serve", "words"), None, "serve"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_command_names_the_extra_that_it_needs(command, package, install, run_without, tmp_path):
    shutil.copy(ROOT / "examples" / "exit.png", tmp_path)
    shutil.copy(ROOT / "crnn_keras" / "readers" / "words.keras", tmp_path / "mine.keras")
    (tmp_path / "labels.tsv").write_text("exit.png\texit\n")
    done = run_without(PACKAGES, "-c", COMMAND, *command)
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    found = re.fullmatch(
        r"crnn-keras: error: crnn-keras (\S+) needs (\S+), which is not installed\. "
        r"Install it: pip install 'crnn_keras\[(\S+)\]'",
        line,
    )
    assert found and found[1] == command[0] and found[3] == install, line
    assert found[2] == package or (package is None and found[2] in closure(*install.split(",")))


@pytest.mark.parametrize(
    ("missing", "format", "install"),
    [({"tf2onnx"}, "onnx", "export"), ({"tensorflow"}, "saved_model", "train")],
)
@pytest.mark.slow
def test_an_export_names_the_extra_that_its_process_lacks(missing, format, install, run_without):
    done = run_without(missing, "-c", COMMAND, "export", "words", "out", "--format", format)
    assert done.returncode == 2
    assert f"{next(iter(missing))}, which is not installed" in done.stderr
    assert f"pip install 'crnn_keras[{install}]'" in done.stderr


@pytest.mark.parametrize(
    ("statement", "install"),
    [
        ("from crnn_keras import build_crnn", "train"),
        ("from crnn_keras import train", "train"),
        ("from crnn_keras import check_splits", "data"),
        ("import crnn_keras; crnn_keras.render_word", "data"),
        ("from crnn_keras.evaluation import plots", "data"),
        ("import crnn_keras; crnn_keras.Batches", "train"),
    ],
)
def test_a_public_name_names_the_extra_that_it_needs(statement, install, run_without):
    done = run_without(PACKAGES, "-c", statement)
    last = done.stderr.splitlines()[-1]
    name = re.split(r"[ .]", statement)[-1]
    assert last.startswith("ModuleNotFoundError: crnn_keras.")
    assert f".{name} needs " in last and f"pip install 'crnn_keras[{install}]'" in last
    done = run_without(PACKAGES, "-c", statement, KERAS_BACKEND="torch")
    assert f"'crnn_keras[{install.replace('train', 'torch')}]'" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_base_reads_lists_and_labels(run_without, tmp_path):
    shutil.copy(ROOT / "examples" / "exit.png", tmp_path)
    (tmp_path / "words.txt").write_text("exist\nexit\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "gt.txt").write_text("exit.png\texit\n")
    for options in (
        ["--lexicon", "words.txt", "--delta", "1"],
        ["--pattern", "[a-z]{4}", "--alternatives", "2", "--boxes"],
        ["--model", "ascii", "--tta-views", "3"],
        ["--no-language-model", "--allow", "etix"],
    ):
        done = run_without(PACKAGES, "-c", COMMAND, "read", "exit.png", "--jsonl", "-", *options)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["text"].lower() == "exit"
    assert run_without(PACKAGES, "-c", COMMAND, "runs").returncode == 0
    done = run_without(PACKAGES, "-c", COMMAND, "label", "empty", "--no-browser")
    assert done.returncode == 2 and "holds no image that can be labelled" in done.stderr
    code = "from crnn_keras import OnnxRecognizer, evaluate, read_samples\n"
    code += "sample, = read_samples('gt.txt').samples\n"
    code += "read, = OnnxRecognizer.load('words').read([sample.image])\n"
    code += "print(evaluate([sample.text], [read.text]).word_accuracy)\n"
    done = run_without(PACKAGES, "-c", code)
    assert done.stdout == "1.0\n", done.stderr
    code = "from crnn_keras.model.calibration import fit_calibration as fit\n"
    code += "fit([0.2, 0.9, 0.8] * 9, [False, True, False] * 9)"
    done = run_without(PACKAGES, "-c", code)
    assert "needs scipy" in done.stderr and "pip install 'crnn_keras[data]'" in done.stderr


def test_what_is_no_extra_is_left_as_it_is():
    names = extras.naming_extras
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_'"), names("a test"):
        import no_such_  # noqa: F401
    # A part of a package that is there: another version of it, not a missing extra.
    with pytest.raises(ModuleNotFoundError, match=r"named 'pandas\.no_such'"), names("a test"):
        import pandas.no_such  # noqa: F401
    error = ModuleNotFoundError("No module named 'jax'", name="jax")
    assert extras.describe_missing(error, "x").endswith("pip install 'crnn_keras[jax]'")


@pytest.mark.parametrize(
    ("installed", "variable", "config", "chosen"),
    [
        (["torch", "jax"], None, None, "torch"),
        (["jax"], None, None, "jax"),
        (["jax"], None, '{"backend": "tensorflow"}', "jax"),
        (["jax"], None, "damaged", "jax"),
        # Keras starts by itself, or somebody has said what to take.
        (["tensorflow", "torch"], None, None, None),
        (["torch", "jax"], None, '{"backend": "jax"}', None),
        (["torch"], "jax", None, "jax"),
        ([], None, None, None),
    ],
)
def test_the_backend_that_is_installed_is_taken(
    installed, variable, config, chosen, tmp_path, monkeypatch
):
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setattr(extras, "_is_installed", lambda name: name in installed)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", variable or "")
    if config:
        (tmp_path / "keras.json").write_text(config)
    extras.choose_backend()
    assert os.environ["KERAS_BACKEND"] == (chosen or "")


@pytest.mark.slow
def test_without_tensorflow_keras_starts_on_another_backend(run_without, tmp_path):
    other = [name for name in ("torch", "jax") if importlib.util.find_spec(name)]
    if not other:
        pytest.skip("neither torch nor jax is installed")
    # Keras itself writes a keras.json that names TensorFlow.
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras" / "keras.json").write_text('{"backend": "tensorflow"}')
    code = "import crnn_keras, keras; print(keras.backend.backend())"
    done = run_without({"tensorflow"}, "-c", code)
    assert done.stdout.strip() == other[0], done.stderr


def load_setup():
    spec = importlib.util.spec_from_file_location("crnn_keras_setup", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


README = """\
See [the guide](docs/guide.md#a), [below](#b) and [Keras](https://keras.io).

![A word](docs/reading.png)

```python
texts[0](docs)  # [a](b.md)
```
"""


def test_links_of_the_description_start_from_the_address():
    assert load_setup().describe(README, "https://h.org/x/blob/v1") == README.replace(
        "(docs/guide.md#a)", "(https://h.org/x/blob/v1/docs/guide.md#a)"
    ).replace("(docs/reading.png)", "(https://h.org/x/blob/v1/docs/reading.png?raw=true)")


def test_without_an_address_links_become_text_and_images_are_left_out():
    expected = "See the guide, [below](#b) and [Keras](https://keras.io).\n\n```python\n"
    expected += "texts[0](docs)  # [a](b.md)\n```\n"
    assert load_setup().describe(README) == expected


def git_files():
    done = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("this is no clone")
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder of a wheel and an sdist of the files that git knows, built without a network."""
    folder = tmp_path_factory.mktemp("built")
    for name in git_files():
        target = folder / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    code = "from setuptools import build_meta as b; b.build_sdist('..'); b.build_wheel('..')"
    environment = {n: v for n, v in os.environ.items() if n != "PYTHONPATH"}
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder / "source",
        env=environment,
        check=True,
        capture_output=True,
    )
    return folder


@pytest.mark.slow
def test_an_sdist_holds_the_files_that_git_knows(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {m.name.partition("/")[2] for m in archive.getmembers() if m.isfile()}
    generated = {name for name in names if re.match(r"PKG-INFO|setup\.cfg|.*\.egg-info/", name)}
    assert names - generated == set(git_files())


@pytest.mark.slow
def test_a_wheel_holds_the_package_and_the_notebooks(built):
    (path,) = built.glob("*.whl")
    names = {name for name in zipfile.ZipFile(path).namelist() if ".dist-info/" not in name}
    package = {name for name in git_files() if name.startswith("crnn_keras/")}
    inside = "crnn_keras/notebook/notebooks/"
    # Without their translations, which `tools/chinese.py` reads.
    notebooks = {name for name in git_files() if re.match(r"notebooks/[^/]+$", name)}
    assert names == package | {inside + name.removeprefix("notebooks/") for name in notebooks}
    assert len(notebooks) >= 10
    # Git holds them once.
    assert not (ROOT / inside).exists()


@pytest.mark.slow
def test_the_metadata_of_a_wheel_is_whole(built):
    (path,) = built.glob("*.whl")
    archive = zipfile.ZipFile(path)
    (folder,) = {name.partition("/")[0] for name in archive.namelist() if ".dist-info/" in name}
    metadata = email.message_from_string(archive.read(f"{folder}/METADATA").decode())
    version = re.search(r'__version__ = "(.+)"', (ROOT / "crnn_keras/__init__.py").read_text())[1]
    assert metadata["Version"] == version and f"-{version}-" in path.name
    assert set(metadata.get_all("Provides-Extra")) == set(EXTRAS)
    assert metadata["License-Expression"] == "Apache-2.0"
    licences = metadata.get_all("License-File")
    assert licences == PROJECT["license-files"]
    assert {f"{folder}/licenses/{name}" for name in licences} <= set(archive.namelist())
    assert metadata["Description-Content-Type"] == "text/markdown"
    text = metadata.get_payload()
    assert text.startswith("# crnn_keras\n")
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))
    assert links and all(re.match(r"https://|#", link) for link in links), links


@pytest.fixture
def run_wheel(built, tmp_path):
    """Function that runs Python in an empty folder with the wheel unpacked, not the clone."""
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "installed")
    (tmp_path / "work").mkdir()

    def run(code, *arguments):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=os.environ | {"PYTHONPATH": str(tmp_path / "installed")},
            cwd=tmp_path / "work",
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run


@pytest.mark.slow
def test_the_notebooks_of_a_wheel_are_found(run_wheel, tmp_path):
    code = "from crnn_keras.notebook import walkthrough\n"
    code += "print(*walkthrough.list_notebooks(), sep='\\n')"
    found = list(map(pathlib.Path, run_wheel(code).splitlines()))
    assert [p.name for p in found] == sorted(p.name for p in (ROOT / "notebooks").glob("*.ipynb"))
    assert all(path.is_relative_to(tmp_path / "installed") for path in found)


@pytest.mark.notebooks
@pytest.mark.slow
def test_a_walkthrough_of_a_wheel_writes_to_the_folder_of_work(run_wheel, tmp_path):
    before = {p for p in (tmp_path / "installed").rglob("*") if p.suffix != ".pyc"}
    run_wheel(COMMAND, "walkthrough", "--run", "try", "--only", "1")
    reports = tmp_path / "work" / "reports" / "try"
    assert "01_characters" in json.loads((reports / "results.json").read_text())
    assert (reports / "01_characters.ipynb").is_file() and (reports / "index.html").is_file()
    assert {p for p in (tmp_path / "installed").rglob("*") if p.suffix != ".pyc"} - before <= {
        p for p in (tmp_path / "installed").rglob("__pycache__")
    }


def test_the_guide_lists_the_extras_that_a_release_measures():
    tree = ast.parse((ROOT / "tools" / "release.py").read_text())
    (sized,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "SIZED"
    )
    section = (ROOT / "docs" / "guide.md").read_text().partition("\n## Install\n")[2]
    listed = re.findall(r"^\| `?(\w+)`? \|.* \| \d+ \| [\d,]+ \|$", section, re.MULTILINE)
    assert listed == [name or "none" for name in sized]
    small = {"keras", "parquet", "tensorboard"}
    assert set(sized) - {""} == EXTRAS.keys() - DEVELOPERS - small


def test_no_text_names_an_address_of_this_project_that_does_not_exist():
    own = tuple(PROJECT["urls"].values())
    for name in git_files():
        if not name.endswith((".md", ".py", ".toml", ".cff", ".html", ".ipynb", ".yml")):
            continue
        text = (ROOT / name).read_text(encoding="utf-8")
        for address in re.findall(r"https?://[^\s\"'<>)]*crnn[-_]keras[^\s\"'<>)]*", text):
            assert address.startswith(own), f"{name}: {address}"


def test_the_steps_of_a_release_are_listed():
    source = (ROOT / "tools" / "release.py").read_text()
    tree = ast.parse(source)
    listed = re.findall(r"^\| (\w+) \|", ast.get_docstring(tree), re.MULTILINE)
    (steps,) = re.findall(r"^STEPS = .*? in \((.*?)\)", source, re.MULTILINE)
    assert listed == ["step", *steps.split(", ")]
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert {*listed[1:]} <= functions
