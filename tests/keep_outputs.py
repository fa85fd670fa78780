"""Copies the outputs of executed notebooks into `notebooks/`, without what differs in each run.

python tests/keep_outputs.py reports/lesson
"""

import os
import pathlib
import re
import sys

import nbformat
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

NOTEBOOKS = pathlib.Path(__file__).parent.parent / "notebooks"
KEPT = ("kernelspec", "language_info")


def keep_outputs(folder: str | os.PathLike, target: str | os.PathLike = NOTEBOOKS) -> None:
    """Writes executed notebooks over those of the same name.

    Args:
        folder: Folder of notebooks that were executed with their default parameters.
        target: Folder of the notebooks to replace. Defaults to that of the repository.
    """
    for path in sorted(pathlib.Path(folder).glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        tags = [tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])]
        if "injected-parameters" in tags:
            sys.exit(f"{path} was executed with other parameters than its defaults.")
        copy = pathlib.Path(target) / path.name
        nbformat.write(clean(notebook), copy)
        print(f"{path.name}: {copy.stat().st_size:,} bytes")


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Returns a notebook without times, random ids and addresses, each stream in one piece."""
    notebook, _ = CoalesceStreamsPreprocessor().preprocess(notebook, {})
    notebook.metadata = {k: v for k, v in notebook.metadata.items() if k in KEPT}
    for index, cell in enumerate(notebook.cells):
        # A solution is folded by `jupyter`.
        kept = {key: cell.metadata.get(key) for key in ("tags", "jupyter")}
        cell.metadata = {key: value for key, value in kept.items() if value}
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "text/plain" in data:
                data["text/plain"] = re.sub(" at 0x[0-9a-f]+", "", data["text/plain"])
            if "text/html" in data:
                # The random id of a styled table.
                data["text/html"] = re.sub(r"\bT_[0-9a-f]{5}", f"T_{index}", data["text/html"])
    return notebook


if __name__ == "__main__":
    keep_outputs(*sys.argv[1:])
