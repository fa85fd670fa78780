"""The documents agree with the code: links, paths, commands, flags, examples, wings."""

import ast
import contextlib
import functools
import importlib
import io
import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).parent.parent
DOCUMENTS = sorted(
    path
    for path in [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "crnn_keras").rglob("*.md"),
        *[ROOT / folder / "README.md" for folder in ("data", "examples", "reports")],
    ]
    if path.is_file()
)
NAMES = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(?P<kind>\w*)\n(?P<code>.*?)^```$", re.M | re.S)
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
PATH = re.compile(
    r"(?:crnn_keras|tools|tests|benchmarks|docs|notebooks|examples)(?:/[\w.-]+)*/?(?=$|[\s`'\",:;)])"
)
# The log of the training names commands and files of earlier commits; the changelog names old ones.
HISTORY = {"CHANGELOG.md", "docs/training_log.md"}


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


def anchors_of(path):
    """The anchors that GitHub gives to the headings of a document."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def commands_of(name):
    """The commands in the shell blocks of a document, one string each, continued lines joined."""
    blocks = [m["code"] for m in FENCE.finditer(text_of(name)) if m["kind"] in ("bash", "console")]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    inline = re.findall(r"`((?:crnn-keras|make) [^`]+)`", FENCE.sub("", text_of(name)))
    return [" ".join(line.removeprefix("$ ").split()) for line in [*lines, *inline]]


@functools.cache
def parameters_of_notebooks(only=()):
    """The parameters of all notebooks, or of those with the numbers in `only`."""
    import papermill

    paths = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    chosen = [path for path in paths if not only or int(path.name[:2]) in only]
    return {name for path in chosen for name in papermill.inspect_notebook(path)}


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("README.md", 130),
        ("README.zh.md", 130),
        ("CONTRIBUTING.md", 60),
        ("crnn_keras/readers/README.md", 60),
    ],
)
def test_a_document_is_short(name, most):
    assert len(text_of(name).splitlines()) <= most


@pytest.mark.parametrize("name", NAMES)
def test_every_relative_link_leads_somewhere(name):
    folder = (ROOT / name).parent
    for target in LINK.findall(text_of(name)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = folder / file if file else ROOT / name
        assert path.exists(), f"{name}: {target}"
        assert not anchor or anchor in anchors_of(path), f"{name}: {target}"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in HISTORY])
def test_every_path_of_the_repository_exists(name):
    for path in {p.rstrip(".") for p in PATH.findall(LINK.sub("", text_of(name)))}:
        assert (ROOT / path).exists(), f"{name}: {path}"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in HISTORY])
def test_every_module_and_name_can_be_imported_where_it_is_said_to_be(name):
    for dotted in set(re.findall(r"\b(?:crnn_keras|tools)(?:\.\w+)+", text_of(name))):
        parts = dotted.split(".")
        folder = ROOT.joinpath(*parts[:-1])
        is_file = folder.is_dir() and (folder / f"{parts[-1]}.py").is_file()
        if is_file or (folder / parts[-1]).exists():
            continue
        owner = importlib.import_module(".".join(parts[:-1]))
        # A lazy module lists its names without importing what is behind them.
        known = parts[-1] in getattr(owner, "__all__", ()) or hasattr(owner, parts[-1])
        assert known, f"{name}: {dotted}"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in HISTORY])
def test_every_import_of_an_example_works(name):
    blocks = [m["code"] for m in FENCE.finditer(text_of(name)) if m["kind"] == "python"]
    for node in (node for block in blocks for node in ast.walk(ast.parse(block))):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("crnn_keras"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                known = alias.name in getattr(module, "__all__", ())
                assert known or hasattr(module, alias.name) or _is_module(module, alias.name), (
                    f"{name}: from {node.module} import {alias.name}"
                )


def _is_module(package, name):
    folder = pathlib.Path(package.__file__).parent
    return (folder / name).is_dir() or (folder / f"{name}.py").is_file()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in HISTORY])
def test_every_target_of_make_exists(name):
    targets = re.findall(r"^([a-z-]+):", text_of("Makefile"), re.M)
    for command in commands_of(name):
        if command.startswith("make "):
            words = shlex.split(re.split("#|&&", command)[0])[1:]
            words = [word for word in words if "=" not in word]
            assert set(words) <= set(targets), f"{name}: {command}"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in HISTORY])
def test_every_command_and_flag_of_crnn_keras_exists(name):
    from crnn_keras.cli.main import make_parser

    for command in commands_of(name):
        # Variables of the environment may stand before the command.
        _, found, arguments = command.partition("crnn-keras ")
        if not found or arguments.startswith("X"):
            continue
        words = shlex.split(arguments.split("#")[0])
        output = io.StringIO()
        try:
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                options = make_parser().parse_args(words)
        except SystemExit as error:
            # `crnn-keras check` alone, in a sentence, is refused for its missing arguments.
            is_short = len(words) == 1 and "required" in output.getvalue()
            assert not error.code or is_short, f"{name}: {command}\n{output.getvalue()}"
            continue
        named = {parameter for parameter, _ in getattr(options, "parameters", ())}
        only = tuple(map(int, getattr(options, "only", ())))
        assert named <= parameters_of_notebooks(only), f"{name}: {command}"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in HISTORY])
def test_every_flag_of_a_benchmark_exists(name):
    for script, rest in re.findall(r"`[^`]*?(benchmarks/\w+\.py)([^`]*)`", text_of(name)):
        source = text_of(script)
        for flag in re.findall(r"--[a-z-]+", rest):
            assert f'"{flag}"' in source, f"{name}: {script} {flag}"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in HISTORY])
def test_every_parameter_of_a_notebook_exists(name):
    parameters = parameters_of_notebooks()
    named = set(re.findall(r"(?<![\w-])-p\s+(\w+)", text_of(name)))
    # `-p name value` explains the form; with -p docker publishes a port.
    assert named - {"name", "127"} <= parameters, name


@pytest.mark.slow
def test_the_first_example_of_the_readme_gives_the_output_below_it(tmp_path):
    blocks = [(m["kind"], m["code"]) for m in FENCE.finditer(README)]
    index = next(i for i, (kind, _) in enumerate(blocks) if kind == "python")
    example, expected = blocks[index][1], blocks[index + 1][1]
    assert len(example.splitlines()) <= 6
    found = _run([sys.executable, "-c", example])
    assert found.splitlines() == expected.splitlines()


def test_the_command_of_the_readme_gives_the_output_below_it():
    block = next(m["code"] for m in FENCE.finditer(README) if m["kind"] == "console")
    command, _, expected = block.partition("\n")
    words = shlex.split(command.removeprefix("$ "))
    assert words[0] == "crnn-keras"
    found = _run([sys.executable, "-c", f"from crnn_keras.cli import main; main({words[1:]!r})"])
    assert [line.rstrip() for line in found.splitlines()] == expected.splitlines()


def _run(command):
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def rows_of_wings(text):
    """The rows of the table of wings, as tuples of cells."""
    rows = [
        tuple(cell.strip() for cell in line.split("|")[1:-1])
        for line in text.splitlines()
        if line.startswith("| `")
    ]
    return [row for row in rows if len(row) == 3 and (ROOT / "crnn_keras" / row[0][1:-1]).is_dir()]


def test_the_architecture_has_the_table_of_wings_that_the_package_has():
    import crnn_keras

    folders = {path.parent.name for path in (ROOT / "crnn_keras").glob("*/__init__.py")}
    rows = rows_of_wings(crnn_keras.__doc__)
    assert {row[0][1:-1] for row in rows} == folders | {"readers"}
    assert rows_of_wings(text_of("ARCHITECTURE.md")) == rows


def test_the_drawing_of_the_data_flow_is_of_today():
    done = subprocess.run(
        [sys.executable, "tools/dataflow.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_drawing_has_every_wing_in_the_order_of_the_table(monkeypatch):
    import crnn_keras
    from tools import dataflow

    wings = [row[0][1:-1] for row in rows_of_wings(crnn_keras.__doc__)]
    assert [*dataflow.WINGS, "readers"] == wings


def test_every_decision_of_the_architecture_names_its_guard():
    decisions = re.split(r"^### ", text_of("ARCHITECTURE.md"), flags=re.M)[1:]
    assert len(decisions) >= 12
    for decision in decisions:
        assert re.search(r"^Guard: `tests/test_\w+\.py`", decision, re.M), decision.splitlines()[0]


def test_the_chinese_readme_has_the_headings_and_examples_of_the_english_one():
    chinese = text_of("README.zh.md")
    outlines = [
        [line.split(" ")[0] for line in FENCE.sub("", text).splitlines() if line.startswith("#")]
        for text in (README, chinese)
    ]
    assert outlines[0] == outlines[1]
    shown = [
        [m["code"] for m in FENCE.finditer(text) if m["kind"] in ("", "console", "python")]
        for text in (README, chinese)
    ]
    assert shown[0] == shown[1]


def test_the_citation_has_what_the_format_asks_for_and_the_version_of_the_package():
    import crnn_keras

    citation = yaml.safe_load(text_of("CITATION.cff"))
    assert {"cff-version", "title", "message", "authors", "license"} <= citation.keys()
    assert str(citation["version"]) == crnn_keras.__version__
    assert all(
        {"type", "title", "authors"} <= reference.keys() for reference in citation["references"]
    )


def test_the_changelog_keeps_its_form():
    text = text_of("CHANGELOG.md")
    assert "keepachangelog.com" in text
    sections = re.findall(r"^## \[(.+?)\]", text, re.M)
    assert sections[0] == "Unreleased"
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", text, re.M)) <= kinds


def test_a_word_of_the_glossary_is_explained_once_and_in_both_languages():
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text_of("docs/glossary.md").splitlines()
        if line.startswith("| ") and not line.startswith("| word ")
    ]
    assert len(rows) == len({row[0] for row in rows}) >= 20
    assert all(len(row) == 4 and all(row) for row in rows)
