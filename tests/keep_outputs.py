"""Puts the outputs of executed notebooks into `notebooks/`, without what changes at each run.

python tests/keep_outputs.py reports/walkthrough
"""

import pathlib
import sys

import nbformat

NOTEBOOKS = pathlib.Path(__file__).parent.parent / "notebooks"
KEPT = ("kernelspec", "language_info")


def keep_outputs(folder):
    """Copies executed notebooks over the committed ones of the same name.

    Args:
        folder: folder of executed notebooks, run with their default parameters.
    """
    for path in sorted(pathlib.Path(folder).glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        injected = [
            c for c in notebook.cells if "injected-parameters" in c.metadata.get("tags", [])
        ]
        if injected:
            sys.exit(f"{path} was run with other parameters than its own. Run it without.")
        notebook.metadata = {k: v for k, v in notebook.metadata.items() if k in KEPT}
        for cell in notebook.cells:
            tags = cell.metadata.get("tags")
            cell.metadata = {"tags": tags} if tags else {}
        nbformat.write(notebook, NOTEBOOKS / path.name)
        print(f"{path.name}: {(NOTEBOOKS / path.name).stat().st_size:,} bytes")


if __name__ == "__main__":
    keep_outputs(*sys.argv[1:])
