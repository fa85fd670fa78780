"""Writes into the notebooks what opens them on Colab, Kaggle and Binder: badges, and a setup cell.

    python tools/open_anywhere.py apply             # notebooks/
    python tools/open_anywhere.py apply build/zh --at zh/notebooks
    python tools/open_anywhere.py check             # names each notebook that `apply` would change

The setup cell is folded. It stands below the parameters, which stay the first code, and above the
imports, which need it. Where crnn_keras can be imported, it does nothing and prints nothing. Else
it installs the wheel at the address in `CRNN_KERAS_WHEEL`, or, once `ON_INDEX` is set, what the
package index has. What is there stays as it is wherever it fits, the backends above all.

The badges stand below the title. Their address is the entry `Repository` of `[project.urls]` in
pyproject.toml, a repository on GitHub. Without it there are none. Both cells have the tag
`open-anywhere`, by which the site, the slides and the pages of a run leave them out.
"""

from __future__ import annotations

import argparse
import copy
import os
import pathlib
import re
import string
import sys
import tomllib
import urllib.parse

import nbformat

ROOT = pathlib.Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
TAG = "open-anywhere"
# The cells' ids.
BADGES, SETUP = "badges", "setup"
# Whether the package index has crnn_keras. A name that nobody holds there could become another's.
ON_INDEX = False
# Branch and folder of the notebooks in the repository.
PLACE = "main/notebooks"

# Service: its image, and where it opens the file `path` of a branch of a repository.
SERVICES = {
    "Colab": (
        "https://colab.research.google.com/assets/colab-badge.svg",
        "https://colab.research.google.com/github/{repository}/blob/{branch}/{path}",
    ),
    "Kaggle": (
        "https://kaggle.com/static/images/open-in-kaggle.svg",
        "https://kaggle.com/kernels/welcome?src=https://github.com/{repository}/blob/{branch}/{path}",
    ),
    "Binder": (
        "https://mybinder.org/badge_logo.svg",
        "https://mybinder.org/v2/gh/{repository}/{branch}?urlpath=lab/tree/{path}",
    ),
}
_SETUP = string.Template("""\
# Installs crnn_keras where it is missing, as on Colab and Kaggle. Elsewhere it does nothing.
import os
import subprocess
import sys
from importlib import metadata, util

if util.find_spec("crnn_keras") is None:
    wheel = os.environ.get("CRNN_KERAS_WHEEL", "")  # address of its wheel$otherwise
    before = {found.name: found.version for found in metadata.distributions()}
    backends = before.keys() & {"jax", "tensorflow", "torch"}
    kept = [f"{package}=={before[package]}" for package in sorted(backends)]
    wanted = "crnn_keras[keras]" if kept else "crnn_keras[train]"
    pip = [sys.executable, "-m", "pip", "install", "papermill", $source]
    # The backends stay as they are, unless nothing fits to them.
    if subprocess.run([*pip, *kept], capture_output=True).returncode:
        subprocess.run(pip, check=True)
    if changed := [own for own in before if metadata.version(own) != before[own]]:
        print(f"Restart the kernel: {', '.join(changed)} now have other versions.")\
""")
_REFUSAL = """
    if not wheel:
        raise ModuleNotFoundError("No index has crnn_keras: set CRNN_KERAS_WHEEL to its wheel.")\
"""


def make_setup(*, on_index: bool = ON_INDEX) -> str:
    """Returns the source of the setup cell.

    Args:
        on_index: Whether the package index has crnn_keras. Defaults to `ON_INDEX`.
    """
    if on_index:
        source = 'f"{wanted} @ {wheel}" if wheel else wanted'
        return _SETUP.substitute(otherwise="; empty: the package index", source=source)
    return _SETUP.substitute(otherwise=_REFUSAL, source='f"{wanted} @ {wheel}"')


def find_repository(path: str | os.PathLike = ROOT / "pyproject.toml") -> str:
    """Finds the repository from which the badges open.

    Args:
        path: A pyproject.toml. Defaults to that of the project.

    Returns:
        Such as `"owner/name"`; `""` if there is no address, or one that is not on GitHub.
    """
    project = tomllib.loads(pathlib.Path(path).read_text(encoding="utf-8"))["project"]
    address = project.get("urls", {}).get("Repository", "")
    found = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?", address)
    return found[1] if found else ""


def make_badges(name: str, repository: str, *, place: str = PLACE) -> str:
    """Returns the badges of a notebook, in Markdown.

    Args:
        name: File name of the notebook.
        repository: Such as `"owner/name"`.
        place: Branch and folder, such as `"main/notebooks"`. Defaults to `PLACE`.

    Example:

        >>> make_badges("04_train.ipynb", "owner/name").split()[2].rpartition("(")[2]
        'https://colab.research.google.com/github/owner/name/blob/main/notebooks/04_train.ipynb)'
    """
    branch, _, folder = place.partition("/")
    path = urllib.parse.quote(f"{folder}/{name}".lstrip("/"))
    return "\n".join(
        f"[![Open in {service}]({image})]"
        f"({address.format(repository=repository, branch=branch, path=path)})"
        for service, (image, address) in SERVICES.items()
    )


def is_opening(cell: nbformat.NotebookNode) -> bool:
    """Tells whether a cell is one of those that this tool writes."""
    return TAG in cell.metadata.get("tags", ())


def remove(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Returns a copy of a notebook without badges and setup cell."""
    notebook = copy.deepcopy(notebook)
    notebook.cells = [cell for cell in notebook.cells if not is_opening(cell)]
    return notebook


def insert(
    notebook: nbformat.NotebookNode, name: str, repository: str = "", *, place: str = PLACE
) -> nbformat.NotebookNode:
    """Returns a copy of a notebook with badges and setup cell, in the place of earlier ones.

    The setup cell has run, as the others have: it printed nothing, and the cells below it count one
    up. Numbers that do not rise from cell to cell are left as they are.

    Args:
        notebook: The notebook.
        name: Its file name.
        repository: Such as `"owner/name"`. Defaults to `""`: no badges.
        place: Branch and folder in the repository. Defaults to `PLACE`.
    """
    notebook = remove(notebook)
    cells = notebook.cells
    code = [index for index, cell in enumerate(cells) if cell.cell_type == "code"]
    counts = [cells[index].execution_count for index in code]
    tagged = [i for i in code if "parameters" in cells[i].metadata.get("tags", ())]
    metadata = {"tags": [TAG], "jupyter": {"source_hidden": True}}
    setup = nbformat.v4.new_code_cell(make_setup(), id=SETUP, metadata=metadata)
    cells.insert(tagged[0] + 1 if tagged else min(code, default=len(cells)), setup)
    if repository:
        badges = make_badges(name, repository, place=place)
        cells.insert(1, nbformat.v4.new_markdown_cell(badges, id=BADGES, metadata={"tags": [TAG]}))
    if counts and None not in counts and counts == sorted({*counts}):
        _number([cell for cell in cells if cell.cell_type == "code"])
    return notebook


def _number(cells):
    """Numbers cells of code and their results from 1, in place."""
    for count, cell in enumerate(cells, start=1):
        cell.execution_count = count
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count


def apply(
    folder: str | os.PathLike = NOTEBOOKS, repository: str | None = None, *, place: str = PLACE
) -> list[str]:
    """Writes badges and setup cells into the notebooks of a folder.

    Args:
        folder: Folder of the notebooks. Defaults to `notebooks`.
        repository: Such as `"owner/name"`; `""` for none. Defaults to that of pyproject.toml.
        place: Branch and folder in the repository. Defaults to `PLACE`.

    Returns:
        Names of the notebooks that were changed.
    """
    changed = _find_changes(folder, repository, place=place)
    for path, notebook in changed.items():
        nbformat.write(notebook, path)
    return [path.name for path in changed]


def check(
    folder: str | os.PathLike = NOTEBOOKS, repository: str | None = None, *, place: str = PLACE
) -> list[str]:
    """Returns the names of the notebooks that `apply` would change; its arguments are the same."""
    return [path.name for path in _find_changes(folder, repository, place=place)]


def _find_changes(folder, repository, *, place):
    """Returns a dict of `path: notebook` of those that are not as they should be."""
    repository = find_repository() if repository is None else repository
    changed = {}
    for path in sorted(pathlib.Path(folder).glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        expected = insert(notebook, path.name, repository, place=place)
        if expected != notebook:
            changed[path] = expected
    return changed


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("apply", "check"))
    parser.add_argument("folder", nargs="?", default=NOTEBOOKS, type=pathlib.Path)
    parser.add_argument(
        "--at", default=PLACE, help="branch and folder in the repository (%(default)s)"
    )
    options = parser.parse_args(arguments)
    if not any(options.folder.glob("*.ipynb")):
        print(f"{options.folder} holds no notebook. Expected a folder of them.", file=sys.stderr)
        return 1
    if options.command == "apply":
        changed = apply(options.folder, place=options.at)
        print(f"{options.folder}: {len(changed)} notebooks changed")
        return 0
    if changed := check(options.folder, place=options.at):
        print(f"{', '.join(changed)}: run `python tools/open_anywhere.py apply`.", file=sys.stderr)
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
