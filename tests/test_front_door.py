"""The public API: what `import crnn_keras` costs, and how its entries are documented."""

import ast
import doctest
import importlib
import inspect
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

import crnn_keras
from crnn_keras.data.build import prepare_samples

ROOT = pathlib.Path(__file__).parent.parent
FIXTURES = ROOT / "tests" / "fixtures"

HEAVY = ("keras", "tensorflow", "jax", "torch", "numpy", "pandas", "matplotlib", "PIL")
IMPORT_SECONDS = 0.1
# Their examples train or start a process of TensorFlow.
SLOW = {"CRNN", "CTCLayer", "CTCLoss", "export_onnx", "export_saved_model", "train"}


def run_python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def imported_after(statement, modules):
    code = f"import sys\n{statement}\nprint(*(m for m in {modules!r} if m in sys.modules))"
    return run_python(code).split()


def test_an_import_takes_less_than_a_tenth_of_a_second():
    code = "import time; t = time.perf_counter(); import crnn_keras; print(time.perf_counter() - t)"
    assert min(float(run_python(code)) for _ in range(5)) < IMPORT_SECONDS


def test_an_import_loads_no_library_but_the_lazy_loader():
    assert imported_after("import crnn_keras", HEAVY) == []


def test_the_recognizer_on_onnx_runtime_imports_no_keras():
    modules = [m for m in HEAVY if m not in ("numpy", "PIL")]
    assert (
        imported_after("import crnn_keras; crnn_keras.OnnxRecognizer.load('words')", modules) == []
    )


@pytest.mark.parametrize("name", ["CharDict", "make_canvas", "read_samples", "Lexicon", "evaluate"])
def test_what_needs_no_network_imports_no_keras(name):
    modules = ["keras", "tensorflow", "jax", "torch", "matplotlib"]
    assert imported_after(f"import crnn_keras; crnn_keras.{name}", modules) == []


def test_type_checkers_see_the_same_names():
    tree = ast.parse(pathlib.Path(crnn_keras.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {(node.module, alias.asname) for node in block.body for alias in node.names}
    assert {name for _, name in seen} == set(crnn_keras.__all__)
    for module, name in seen:
        assert getattr(importlib.import_module(module), name) is getattr(crnn_keras, name)


def test_the_public_names_are_listed_and_found():
    assert 20 <= len(crnn_keras.__all__) <= 40
    assert len(set(crnn_keras.__all__)) == len(crnn_keras.__all__)
    assert set(crnn_keras.__all__) <= set(dir(crnn_keras))
    with pytest.raises(AttributeError, match="Recogniser"):
        crnn_keras.Recogniser  # noqa: B018


# The rest is by `CTCLoss` and the like of Keras: it calls them by position.
KERAS_METHODS = {"call", "build", "get_config", "from_config", "compute_output_shape"}


def entry(name):
    return getattr(crnn_keras, name)


def is_class(name):
    return isinstance(entry(name), type)


def parameters_of(function):
    found = inspect.signature(function).parameters.values()
    return [p for p in found if p.name not in ("self", "cls")]


def functions_of(name):
    """A function itself; of a class, its `__init__` and the public methods that it has itself."""
    if not is_class(name):
        return {name: entry(name)}
    found = {}
    for own, value in vars(entry(name)).items():
        if own in KERAS_METHODS:
            continue
        value = getattr(value, "__func__", value)
        value = value.fget if isinstance(value, property) else value
        value = getattr(value, "func", value)
        if inspect.isfunction(value) and (own == "__init__" or not own.startswith("_")):
            found[f"{name}.{own}"] = value
    return found


@pytest.mark.parametrize("name", crnn_keras.__all__)
def test_an_entry_says_in_one_line_what_it_does(name):
    line = inspect.getdoc(entry(name)).partition("\n")[0]
    assert line.endswith(".")
    first = line.split()[0]
    if is_class(name):
        # A verb or a noun phrase: "CTC loss ...", "Reads ...", "A network ...".
        assert first[0].isupper() and first not in ("The", "This")
    else:
        assert re.fullmatch("[A-Z][a-z]+s", first), first


@pytest.mark.parametrize("name", crnn_keras.__all__)
def test_an_entry_has_the_sections_of_its_docstring(name):
    text = inspect.getdoc(entry(name))
    assert "\nExample:\n" in text and ">>> " in text
    if parameters_of(entry(name)):
        assert "\nArgs:\n" in text
    if not is_class(name) and inspect.signature(entry(name)).return_annotation != "None":
        assert re.search(r"\n(Returns|Yields):\n", text)


@pytest.mark.parametrize("name", crnn_keras.__all__)
def test_the_arguments_of_an_entry_are_documented_by_name(name):
    text = inspect.getdoc(entry(name))
    for parameter in parameters_of(entry(name)):
        shown = parameter.name if parameter.kind < 2 or parameter.kind == 3 else ""
        assert not shown or re.search(rf"^    \**{shown}: ", text, re.MULTILINE), parameter.name


@pytest.mark.parametrize("name", crnn_keras.__all__)
def test_the_functions_of_an_entry_are_annotated(name):
    for qualified, function in functions_of(name).items():
        for parameter in parameters_of(function):
            assert parameter.annotation is not parameter.empty, f"{qualified}: {parameter.name}"
        result = inspect.signature(function).return_annotation
        is_init = qualified.endswith("__init__")
        assert is_init or result is not inspect.Signature.empty, qualified


@pytest.mark.parametrize("name", crnn_keras.__all__)
def test_the_functions_of_an_entry_take_at_most_three_arguments_by_position(name):
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    for qualified, function in functions_of(name).items():
        kinds = [parameter.kind for parameter in parameters_of(function)]
        assert sum(kind in by_position for kind in kinds) <= 3, qualified


@pytest.fixture(scope="module")
def examples_folder(tmp_path_factory):
    """Folder that the examples run in: two crops, a labelled set, the records of a run."""
    folder = tmp_path_factory.mktemp("examples")
    for path in (ROOT / "examples").glob("*.[pj][np]g"):
        shutil.copy(path, folder)
    readings = json.loads((FIXTURES / "readings.json").read_text())
    with zipfile.ZipFile(FIXTURES / "rendered_words.zip") as archive:
        archive.extractall(folder / "images")
    names = sorted(path.name for path in (folder / "images").iterdir())
    rows = zip(names, readings["labels"], strict=True)
    (folder / "labels.tsv").write_text("".join(f"images/{name}\t{text}\n" for name, text in rows))
    samples = crnn_keras.read_samples(folder / "labels.tsv").samples
    prepare_samples(
        {"train": samples[:160], "validation": samples[160:180], "test": samples[180:]},
        crnn_keras.CharDict.from_preset("alphanumeric36"),
        crnn_keras.Canvas(),
        folder=folder / "data" / "walkthrough",
    )
    return folder


@pytest.mark.skipif(
    os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow", reason="one backend is enough"
)
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in crnn_keras.__all__],
)
def test_the_examples_of_an_entry_give_what_they_show(name, examples_folder, monkeypatch):
    monkeypatch.chdir(examples_folder)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(optionflags=flags)
    report = io.StringIO()
    for example in doctest.DocTestFinder().find(entry(name), name, globs={name: entry(name)}):
        runner.run(example, out=report.write)
    assert runner.tries and not runner.failures, report.getvalue()
