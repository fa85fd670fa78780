"""The project's files agree with each other."""

import pathlib
import re
import tomllib

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = pathlib.Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    parts = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in parts}


def test_every_requirement_is_pinned_within_its_range():
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *extras["beam"], *extras["jax"], *extras["onnx"]]
    wanted += [*extras["readers"], *extras["test"]]
    for requirement in map(Requirement, wanted):
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


def test_no_dependency_is_unused():
    # As imported; those without a line of their own are programs or plug-ins that are run.
    imported = {"fonttools": "fontTools", "google-crc32c": "google_crc32c", "pillow": "PIL"}
    imported |= {"ipython": "IPython", "protobuf": "google.protobuf", "pyyaml": "yaml"}
    run = {"jupyterlab": "Makefile", "nbval": "tests/test_notebooks.py"}
    sources = "\n".join(
        path.read_text() for path in [*(ROOT / "crnn_keras").rglob("*.py"), *NOTEBOOKS]
    )
    for requirement in map(Requirement, PROJECT["dependencies"]):
        if requirement.name in run:
            assert requirement.name in (ROOT / run[requirement.name]).read_text()
        else:
            name = imported.get(requirement.name, requirement.name)
            assert re.search(rf"(import|from) {name}\b", sources), requirement.name


def test_the_license_goes_along():
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert "Kevin Atkinson" in (ROOT / "crnn_keras/words/COPYING").read_text()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_has_the_form_of_the_house(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert notebook.cells[0].source.startswith("# ")
    for word in ("**You need**", "**You get**", "**Uses**", "CPU cores"):
        assert word in notebook.cells[0].source
    assert code[0].metadata.get("tags") == ["parameters"]
    assert len(code[0].source.splitlines()) <= {"02": 14, "04": 11}.get(path.stem[:2], 10)
    assert f'notebook.start("{path.stem}", run)' in code[1].source
    assert "run.finish(" in code[-1].source
    assert "What to try" in "".join(cell.source for cell in notebook.cells)
    assert notebook.metadata.kernelspec.name == "python3"
    assert path.stat().st_size < 400_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_executed_in_order(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    kinds = {output.output_type for cell in code for output in cell.outputs}
    assert "error" not in kinds
    streams = [o for cell in code for o in cell.outputs if o.output_type == "stream"]
    assert all(output.name == "stdout" for output in streams)


def test_readmes_name_every_notebook_and_room():
    modules = (ROOT / "crnn_keras").glob("*.py")
    folders = (ROOT / "crnn_keras").glob("*/__init__.py")
    rooms = {path.stem for path in modules} | {path.parent.name for path in folders}
    rooms -= {"__init__"}
    for readme in ("README.md", "README.zh.md"):
        text = (ROOT / readme).read_text()
        assert all(path.stem in text for path in NOTEBOOKS), readme
    text = (ROOT / "crnn_keras/__init__.py").read_text()
    assert all(f"`{room}`" in text for room in rooms)
