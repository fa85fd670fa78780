"""Writes the student's and the teacher's copy of the notebooks: `make class`.

    python tools/classroom.py [FOLDER] [--language zh]    # build/class

A notebook in `notebooks/` is the one master. An exercise is a markdown cell, a code cell with the
tag `exercise` that has a hole, and directly after it a code cell with the tag `solution`. Both end
in a call of the same `check.qN`. The student's copy has no solutions, the teacher's has them in the
place of the holes. The other files of the folder go along. In Chinese, `zh`, are the notebooks that
have been translated (`tools/chinese.py`); the others go along in English.
"""

from __future__ import annotations

import argparse
import copy
import os
import pathlib
import re
import shutil
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

import nbformat  # noqa: E402

from tools import chinese  # noqa: E402

NOTEBOOKS = ROOT / "notebooks"
EXERCISE, SOLUTION = "exercise", "solution"


def has_tag(cell: nbformat.NotebookNode, tag: str) -> bool:
    """Tells whether a cell has a tag."""
    return tag in cell.metadata.get("tags", ())


def find_check(cell: nbformat.NotebookNode) -> str:
    """Returns the question that the last line of a cell calls, `""` if it calls none."""
    last = cell.source.rstrip().rpartition("\n")[2]
    found = re.match(r"check\.(q\d+)\(", last)
    return found[1] if found else ""


def check_exercises(notebook: nbformat.NotebookNode, name: str) -> None:
    """Raises an error unless every exercise has a question, a hole, a check and a solution.

    Args:
        notebook: A master.
        name: Its name, for the error.

    Raises:
        ValueError: Something is missing. The message names the notebook and the cell.
    """
    cells = notebook.cells
    for index, cell in enumerate(cells):
        where = f"{name}, cell {index}"
        if has_tag(cell, SOLUTION) and not (index and has_tag(cells[index - 1], EXERCISE)):
            raise ValueError(f"{where}: a solution without an exercise before it. Move it there.")
        if not has_tag(cell, EXERCISE):
            continue
        asked = find_check(cell)
        if not asked:
            raise ValueError(f"{where}: the exercise does not end in `check.qN(...)`. Add it.")
        if "..." not in cell.source:
            raise ValueError(f"{where}: the exercise has no hole. Put `...` where to write.")
        if not index or cells[index - 1].cell_type != "markdown":
            raise ValueError(f"{where}: the exercise has no question. Write one in a cell above.")
        solution = cells[index + 1] if index + 1 < len(cells) else None
        if solution is None or not has_tag(solution, SOLUTION):
            raise ValueError(
                f"{where}: the exercise has no solution. Put a code cell with the tag {SOLUTION!r} "
                "directly below."
            )
        if find_check(solution) != asked:
            raise ValueError(f"{where}: the solution below does not end in `check.{asked}(...)`.")


def make_student_copy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Returns a copy of a master without its solutions, and with exercises that were not run."""
    notebook = copy.deepcopy(notebook)
    notebook.cells = [cell for cell in notebook.cells if not has_tag(cell, SOLUTION)]
    for cell in notebook.cells:
        if has_tag(cell, EXERCISE):
            cell.outputs, cell.execution_count = [], None
    return notebook


def make_teacher_copy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Returns a copy of a master with its solutions, unfolded, in the place of the holes."""
    notebook = copy.deepcopy(notebook)
    notebook.cells = [cell for cell in notebook.cells if not has_tag(cell, EXERCISE)]
    for cell in notebook.cells:
        if has_tag(cell, SOLUTION):
            cell.metadata = nbformat.NotebookNode(tags=[SOLUTION])
    return notebook


COPIES = {"student": make_student_copy, "teacher": make_teacher_copy}


def write_class(
    target: str | os.PathLike = ROOT / "build" / "class", masters: str | os.PathLike = NOTEBOOKS
) -> None:
    """Writes both copies of all notebooks, and the other files beside them.

    Args:
        target: Folder to write `student/` and `teacher/` into. Defaults to `build/class`.
        masters: Folder of the masters. Defaults to `notebooks`.

    Raises:
        ValueError: An exercise is incomplete, see `check_exercises`. Nothing is written.
    """
    target, masters = pathlib.Path(target), pathlib.Path(masters)
    paths = sorted(p for p in masters.iterdir() if p.is_file() and not p.name.startswith("."))
    notebooks = {p: nbformat.read(p, as_version=4) for p in paths if p.suffix == ".ipynb"}
    for path, notebook in notebooks.items():
        check_exercises(notebook, path.name)
    for reader, make_copy in COPIES.items():
        folder = target / reader
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            if path in notebooks:
                nbformat.write(make_copy(notebooks[path]), folder / path.name)
            else:
                shutil.copyfile(path, folder / path.name)
    exercises = [has_tag(cell, EXERCISE) for book in notebooks.values() for cell in book.cells]
    print(f"{target}: {len(notebooks)} notebooks, {sum(exercises)} exercises")


def main(arguments: list[str] | None = None) -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", default=ROOT / "build" / "class", type=pathlib.Path)
    parser.add_argument("--language", choices=("en", "zh"), default="en", help="en by default")
    options = parser.parse_args(arguments)
    try:
        if options.language == "en":
            write_class(options.folder)
            return
        with tempfile.TemporaryDirectory(prefix="crnn_keras_zh_") as masters:
            chinese.build(masters)
            write_class(options.folder, masters)
    except ValueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
