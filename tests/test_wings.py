"""Imports between the wings of the package go one way: see `crnn_keras/__init__.py`."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "crnn_keras"
WINGS = ("utils", "char_dict", "images", "synth", "data", "model", "inference", "serving")
WINGS += ("labelling", "evaluation", "training", "notebook", "cli")
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path):
    """The dotted name of a module of the package or of `tools`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path):
    """The dotted names that a module imports from the package, with their lines."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}, line {node.lineno}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from ((name, node.lineno) for name in names if name.split(".")[0] == "crnn_keras")


def test_every_module_belongs_to_a_wing():
    wings = {path.relative_to(PACKAGE).parts[0] for path in MODULES} - {"__init__.py"}
    assert wings == set(WINGS)


@pytest.mark.parametrize("wing", WINGS)
def test_a_wing_imports_only_from_wings_to_its_left(wing):
    allowed = {*WINGS[: WINGS.index(wing) + 1], "__version__"}
    wrong = [
        f"{path.relative_to(ROOT)}, line {line}: {name}"
        for path in sorted((PACKAGE / wing).rglob("*.py"))
        for name, line in imports_of(path)
        if name.split(".")[1] not in allowed
    ]
    assert not wrong


def test_only_notebooks_commands_and_tools_import_figures():
    wrong = [
        f"{path.relative_to(ROOT)}, line {line}"
        for path in MODULES
        for name, line in imports_of(path)
        if name.startswith("crnn_keras.evaluation.plots")
        and path.relative_to(PACKAGE).parts[0] not in ("notebook", "cli")
    ]
    assert not wrong


def test_no_module_imports_in_a_circle():
    known = {name_of(path): path for path in MODULES}

    def modules_of(path):
        # Inside a function an import runs later, when all modules are there.
        tree = ast.parse(path.read_text())
        top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        for node in top:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            else:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                yield from (name if name in known else node.module for name in names)

    arrows = {name: set(modules_of(path)) & known.keys() - {name} for name, path in known.items()}
    while leaves := {name for name, targets in arrows.items() if not targets & arrows.keys()}:
        arrows = {name: targets for name, targets in arrows.items() if name not in leaves}
    assert not arrows


def test_the_package_has_at_most_16_entries():
    entries = [path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= 16, sorted(entries)


def test_the_shipped_readers_hold_no_code():
    suffixes = {path.suffix for path in (PACKAGE / "readers").iterdir()}
    assert suffixes == {".keras", ".onnx", ".md", ".txt"}


def test_the_front_door_and_the_architecture_name_every_wing():
    table = (PACKAGE / "__init__.py").read_text()
    assert all(f"| `{wing}` |" in table for wing in (*WINGS, "readers"))
    if (ROOT / "ARCHITECTURE.md").exists():
        text = (ROOT / "ARCHITECTURE.md").read_text()
        assert all(f"`{wing}`" in text for wing in (*WINGS, "readers"))
