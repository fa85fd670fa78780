"""The project's files agree with each other."""

import ast
import importlib
import itertools
import pathlib
import re
import tomllib

import keep_outputs
import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from crnn_keras.cli.main import make_parser
from crnn_keras.notebook import walkthrough
from tools import open_anywhere

ROOT = pathlib.Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LESSONS = ("01_characters", "03_model_and_ctc", "03b_decoding", "03c_when_ctc_fails")


def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    parts = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in parts}


def test_every_requirement_is_pinned_within_its_range():
    extras = PROJECT["optional-dependencies"]
    wanted = map(Requirement, [*PROJECT["dependencies"], *itertools.chain(*extras.values())])
    for requirement in wanted:
        # torch is not: its wheels differ between machines with and without a GPU.
        if requirement.name in ("torch", PROJECT["name"]):
            continue
        version = pins()[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} is pinned to {version}"


def test_conda_gives_the_same_as_pip():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert environment["name"] == PROJECT["name"]
    assert f"python{PROJECT['requires-python']}" in conda
    assert {"pip", "make"} <= set(conda)
    makefile = (ROOT / "Makefile").read_text()
    installed = re.search(r"-c constraints\.txt -e '(\.\[.*?\])'", makefile)[1]
    assert pip == {"pip": ["-c constraints.txt", f"-e {installed}"]}


def test_the_license_goes_along():
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert "Kevin Atkinson" in (ROOT / "crnn_keras/synth/assets/words/COPYING").read_text()
    for name in PROJECT["license-files"]:
        assert (ROOT / name).is_file(), name


def test_every_mark_of_a_test_is_registered():
    registered = {
        line.split(":")[0] for line in PYPROJECT["tool"]["pytest"]["ini_options"]["markers"]
    }
    assert registered == {"slow", "loop", "notebooks", "backends"}


def make_targets():
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_make_lists_every_target_with_a_sentence():
    makefile = (ROOT / "Makefile").read_text()
    assert make_targets() == set(re.findall(r"^([a-z-]+):.*  ## \w", makefile, re.MULTILINE))
    phony = re.search(r"\.PHONY: (.*?)\n\n", makefile, re.DOTALL)[1].replace("\\", " ").split()
    assert make_targets() == set(phony)
    assert {"lab", "lint", "test", "test-fast", "walkthrough"} <= make_targets()


def test_continuous_integration_covers_every_backend_on_every_python():
    workflow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())
    jobs = workflow["jobs"]
    strategy = jobs["tests"]["strategy"]
    assert strategy["fail-fast"] is False
    assert strategy["matrix"]["backend"] == ["tensorflow", "jax", "torch"]
    supported = [line.rsplit(" ", 1)[1] for line in PROJECT["classifiers"] if " 3." in line]
    assert strategy["matrix"]["python"] == supported
    assert jobs["tests"]["env"]["KERAS_BACKEND"] == "${{ matrix.backend }}"
    commands = {
        name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()
    }
    called = {word for lines in commands.values() for line in lines for word in _made_by(line)}
    assert called <= make_targets()
    assert {"make install", "make lint", "make test-fast"} <= set(commands["tests"])
    assert "make test" in commands["everything"]
    assert "make walkthrough" in commands["notebooks"]
    installs = [line for lines in commands.values() for line in lines if "pip install" in line]
    assert installs and all("-c constraints.txt" in line for line in installs)


def _made_by(line):
    return line.split()[1:] if line.startswith("make ") else []


def test_supported_pythons_agree():
    supported = [line.rsplit(" ", 1)[1] for line in PROJECT["classifiers"] if " 3." in line]
    versions = SpecifierSet(PROJECT["requires-python"])
    assert [
        v for v in (f"3.{minor}" for minor in range(9, 20)) if f"{v}.1" in versions
    ] == supported


def test_the_command_is_the_one_that_is_installed():
    module, _, function = PROJECT["scripts"]["crnn-keras"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_has_the_form_of_the_house(path):
    notebook = open_anywhere.remove(nbformat.read(path, as_version=4))
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    number = path.stem.partition("_")[0]
    assert re.match(rf"# {number} · .+\n\n.+\n\n\*\*What you will learn\*\*\n", texts[0])
    assert texts[0].count("\n- ") == 3
    for word in ("**You need**", "**You get**", "**Uses**", "CPU cores"):
        assert word in texts[0]
    assert code[0].metadata.get("tags") == ["parameters"]
    parameters = code[0].source.splitlines()
    # Those of notebook 02, which reads labels and renders words.
    assert len(parameters) <= 14 and all("  # " in line for line in parameters)
    assert f'this_run = notebook.start("{path.stem}", run)' in code[1].source
    assert "this_run.finish(" in code[-1].source
    for index, cell in enumerate(code):
        assert len(cell.source.splitlines()) <= 20, cell.source
        assert index == 1 or not imported_names(ast.parse(cell.source)), cell.source
    headings = re.findall(r"^## (\d+)\. ", "\n".join(texts), re.MULTILINE)
    assert headings == [str(number) for number in range(1, len(headings) + 1)]
    assert notebook.metadata.kernelspec.name == "python3"
    assert path.stat().st_size < 460_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_ends_with_answers_and_links_to_the_next(path):
    notebook = open_anywhere.remove(nbformat.read(path, as_version=4))
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    exercises, answers = texts[-1].split("<details><summary>Answers</summary>")
    answers, after = answers.split("</details>")
    assert "## What to try" in exercises
    numbers = re.findall(r"^(\d+)\. ", exercises, re.MULTILINE)
    assert len(numbers) >= 2 and numbers == re.findall(r"^(\d+)\. ", answers, re.MULTILINE)
    assert re.search(r"\*\*Next:\*\* \[.+?\]\(\d\d[a-z]?_\w+\.ipynb\)", after)
    links = [link for text in texts for link in re.findall(r"\]\((\S+?)[#)]", text)]
    assert all((path.parent / link).is_file() for link in links), links


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_executed_in_order(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    kinds = {output.output_type for cell in code for output in cell.outputs}
    assert "error" not in kinds
    streams = [o for cell in code for o in cell.outputs if o.output_type == "stream"]
    assert all(output.name == "stdout" for output in streams)
    # Nothing of the machine that executed it, and nothing that differs with each run.
    for output in (output for cell in code for output in cell.outputs):
        text = str({k: v for k, v in output.get("data", output).items() if "image" not in k})
        assert not re.search(r"(?<![\w.$])/(home|root|tmp|usr|work)/| at 0x", text), text
    for cell in notebook.cells:
        folded = {"solution", open_anywhere.TAG} & {*cell.metadata.get("tags", ())}
        folded = {"jupyter"} if folded else set()
        assert set(cell.metadata) <= {"tags"} | folded


def test_outputs_are_kept_without_what_differs_in_each_run(tmp_path):
    (tmp_path / "run").mkdir()
    outputs = [nbformat.v4.new_output("stream", text="epoch 1\n") for _ in range(2)]
    data = {"text/html": '<td id="T_91ef3_row0">', "text/plain": "<Styler at 0x7f8c5016b350>"}
    outputs.append(nbformat.v4.new_output("execute_result", data))
    metadata = {"tags": ["parameters"], "papermill": {"duration": 1.0}}
    cell = nbformat.v4.new_code_cell("run", metadata=metadata, outputs=outputs)
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"papermill": {"duration": 2.0}})
    nbformat.write(notebook, tmp_path / "run" / "00_a.ipynb")
    keep_outputs.keep_outputs(tmp_path / "run", tmp_path)
    kept = nbformat.read(tmp_path / "00_a.ipynb", as_version=4)
    assert (kept.metadata, kept.cells[0].metadata) == ({}, {"tags": ["parameters"]})
    stream, table = kept.cells[0].outputs
    assert stream.text == "epoch 1\nepoch 1\n"
    assert table.data == {"text/html": '<td id="T_0_row0">', "text/plain": "<Styler>"}


def test_outputs_of_other_parameters_are_not_kept(tmp_path):
    cell = nbformat.v4.new_code_cell("run = 'x'", metadata={"tags": ["injected-parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "00_a.ipynb")
    with pytest.raises(SystemExit, match="00_a.ipynb"):
        keep_outputs.keep_outputs(tmp_path, tmp_path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_of_a_notebook_can_be_run_twice_and_in_any_order(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    trees = [ast.parse(cell.source) for cell in code]
    tags = [cell.metadata.get("tags", []) for cell in code]
    parameters, imported = assigned_names(trees[0]), set().union(*map(imported_names, trees))
    scopes = [Scope(tree) for tree in trees]
    for index, (tree, scope) in enumerate(zip(trees, scopes, strict=True)):
        # A parameter or a module whose name now stands for an object is lost to an earlier cell.
        reused = assigned_names(tree) & (parameters | imported) if index else set()
        assert not reused, f"code cell {index}"
        # What a cell reads is made by one cell, another one, and changed by none: no `x = f(x)`.
        elsewhere = set().union(*(s.assigned for s in scopes if s is not scope))
        makers = {n: sum(n in s.assigned for s in scopes) for n in scope.read}
        several = {n for n in scope.read & elsewhere if makers[n] > 1 or n in scope.assigned}
        assert not several, f"code cell {index} reads what several cells make"
        assert not scope.changed, f"code cell {index} changes what another cell made"
        # A lesson and an exercise may define what a learner writes.
        defines = any(isinstance(node, ast.FunctionDef) for node in ast.walk(tree))
        allowed = path.stem in LESSONS or {"exercise", "solution"} & {*tags[index]}
        assert not defines or allowed, f"code cell {index}"


@pytest.mark.parametrize(
    ("source", "read", "assigned", "changed"),
    [
        ("x = f(x)", "f x", "x", ""),
        ("x = 1\nx = f(x)", "f", "x", ""),
        ("x += 1", "x", "x", "x"),
        ("layout = layout.split()", "layout", "layout", ""),
        ("y = [x for x in rows if x]", "rows", "y", ""),
        ("for x in rows:\n    y = x", "rows", "x y", ""),
        ("total = 0\nfor x in rows:\n    total += x", "rows", "total x", ""),
        ("rows.append(1)", "rows", "", "rows"),
        ("rows = []\nrows.append(1)", "", "rows", ""),
        ("rows['a'] = 1", "rows", "", "rows"),
        ("x = next(rows)", "rows next", "x", "rows"),
        ("x = next(iter(rows))", "iter next rows", "x", ""),
        ("table.columns = names", "names table", "", "table"),
        ("del x", "x", "", "x"),
        ("if (n := f(1)):\n    print(n)", "f print", "n", ""),
        ("def f(x):\n    y = x + z\n    return y\nf(1)", "z", "f", ""),
        ("x, y = y, x", "x y", "x y", ""),
    ],
)
def test_the_order_of_cells_is_judged_by_what_each_reads(source, read, assigned, changed):
    scope = Scope(ast.parse(source))
    assert scope.read == set(read.split())
    assert (scope.assigned, scope.changed) == (set(assigned.split()), set(changed.split()))


class Scope(ast.NodeVisitor):
    """What a cell reads before it assigns it, what it assigns, and what of others it changes."""

    CHANGING = {"append", "extend", "insert", "pop", "popitem", "remove", "clear", "update", "add"}
    CHANGING |= {"sort", "reverse", "setdefault", "discard"}

    def __init__(self, tree):
        self.read, self.assigned, self.changed = set(), set(), set()
        self.visit(tree)

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Store):
            self.assigned.add(node.id)
        elif node.id not in self.assigned:
            self.read.add(node.id)
            if isinstance(node.ctx, ast.Del):
                self.changed.add(node.id)

    def visit_Assign(self, node):
        self.visit(node.value)
        for target in node.targets:
            self._change(target)
            self.visit(target)

    def visit_AugAssign(self, node):
        self.visit(node.value)
        name = node.target
        if isinstance(name, ast.Name) and name.id not in self.assigned:
            self.read.add(name.id)
            self.changed.add(name.id)
        self._change(name)
        self.visit(name)

    def visit_NamedExpr(self, node):
        self.visit(node.value)
        self.visit(node.target)

    def visit_For(self, node):
        for child in (node.iter, node.target, *node.body, *node.orelse):
            self.visit(child)

    def visit_Call(self, node):
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in self.CHANGING:
            self._change(function)
        if isinstance(function, ast.Name) and function.id == "next":
            self._change(ast.Attribute(node.args[0]))
        self.generic_visit(node)

    def visit_comprehension(self, node):
        for child in (node.iter, node.target, *node.ifs):
            self.visit(child)

    def visit_ListComp(self, node):
        before = set(self.assigned)
        elements = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        for child in (*node.generators, *elements):
            self.visit(child)
        self.assigned = before

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    def visit_FunctionDef(self, node):
        before = set(self.assigned) | {node.name}
        self.assigned |= {argument.arg for argument in node.args.args} | {node.name}
        for child in node.body:
            self.visit(child)
        self.assigned = before

    def visit_Lambda(self, node):
        before = set(self.assigned)
        self.assigned |= {argument.arg for argument in node.args.args}
        self.visit(node.body)
        self.assigned = before

    def visit_ExceptHandler(self, node):
        self.assigned |= {node.name} if node.name else set()
        self.generic_visit(node)

    def visit_alias(self, node):
        self.assigned.add((node.asname or node.name).split(".")[0])

    def _change(self, target):
        """Notes the name whose item or attribute changes, if another cell made it."""
        inside = isinstance(target, ast.Attribute | ast.Subscript)
        while isinstance(target, ast.Attribute | ast.Subscript):
            target = target.value
        if inside and isinstance(target, ast.Name) and target.id not in self.assigned:
            self.changed.add(target.id)


def assigned_names(tree):
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return {name.id for name in names if isinstance(name.ctx, ast.Store)}


def imported_names(tree):
    imports = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    return {(a.asname or a.name).split(".")[0] for node in imports for a in node.names}


def test_readmes_name_every_notebook():
    for readme in ("README.md", "README.zh.md"):
        text = (ROOT / readme).read_text()
        assert all(path.stem in text for path in NOTEBOOKS), readme


# Keras calls these with arguments in its own order.
_ORDER_OF_KERAS = {"crnn_keras/model/layers/bidirectional.py": "call"}


MODULES = [*sorted((ROOT / "crnn_keras").rglob("*.py")), *sorted((ROOT / "tools").rglob("*.py"))]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_function_takes_at_most_three_arguments_by_position(path):
    name = path.relative_to(ROOT).as_posix()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name != _ORDER_OF_KERAS.get(name):
            given = [a.arg for a in node.args.posonlyargs + node.args.args]
            given = [argument for argument in given if argument not in ("self", "cls")]
            assert len(given) <= 3, f"{name}, line {node.lineno}: {node.name} takes {given}"


def test_a_student_in_lab_does_not_write_into_the_run_of_the_walkthrough():
    runs = {walkthrough.read_parameters(path)["run"] for path in NOTEBOOKS}
    makefile = (ROOT / "Makefile").read_text()
    assert runs == {"lesson"} and "notebooks: RUN = lesson" in makefile
    options = make_parser().parse_args(["walkthrough"])
    assert options.run == "walkthrough" == re.search(r"^RUN \?= (\w+)$", makefile, re.MULTILINE)[1]
