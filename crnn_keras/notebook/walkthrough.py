"""Runs of the numbered notebooks by papermill, and the page about such a run."""

from __future__ import annotations

import ast
import os
import pathlib
import sys
import time
from collections.abc import Mapping, Sequence

import jinja2
import nbformat
import pandas as pd
import papermill
import PIL.Image

from crnn_keras.notebook.run import NotebookRun, ParameterError
from crnn_keras.utils import files
from crnn_keras.utils.progress import HEADLESS

NOTEBOOKS = pathlib.Path(__file__).parents[2] / "notebooks"

_TEMPLATES = pathlib.Path(__file__).parent

Parameters = Mapping[str, object]

_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
# Fewer images than this make an interval too wide to compare readers by.
_FEW_IMAGES = 100


class NotebookError(RuntimeError):
    """A cell of a notebook failed; the message names the executed copy."""


def list_notebooks(
    only: Sequence[str] = (), folder: str | os.PathLike = NOTEBOOKS
) -> list[pathlib.Path]:
    """Lists the numbered notebooks of a folder.

    Args:
        only: Numbers of notebooks such as `["02", "4"]`. Defaults to all.
        folder: Folder of the notebooks. Defaults to that of this repository.

    Returns:
        Sorted list of paths.

    Raises:
        ValueError: There is no notebook, or none of such a number.
    """
    paths = sorted(pathlib.Path(folder).glob("[0-9][0-9]*_*.ipynb"))
    if not paths:
        raise ValueError(
            f"{folder} holds no numbered notebooks. They come with the repository, not with the "
            "installed package: pass the folder 'notebooks' of a clone."
        )
    numbers = [path.name.partition("_")[0] for path in paths]
    chosen = {number.zfill(2) if number.isdecimal() else number.rjust(3, "0") for number in only}
    if unknown := sorted(chosen - set(numbers)):
        raise ValueError(f"No notebook {', '.join(unknown)}. {folder} has {', '.join(numbers)}.")
    return [p for p, number in zip(paths, numbers, strict=True) if not only or number in chosen]


def assign_parameters(
    notebooks: Sequence[pathlib.Path], parameters: Parameters
) -> dict[pathlib.Path, dict[str, object]]:
    """Assigns each parameter to the notebooks that have it.

    A string is converted to the type of the parameter's default, so that `"4"` becomes an integer
    for `epochs` and stays text for `text`.

    Args:
        notebooks: List of paths.
        parameters: Dict of `name: value`.

    Returns:
        Dict of `path: parameters`.

    Raises:
        ParameterError: No notebook has a parameter of that name, or the value cannot be converted.
    """
    defaults = {path: _defaults(path) for path in notebooks}
    known = set().union(*defaults.values())
    if unknown := sorted(set(parameters) - known):
        raise ParameterError(
            f"Unknown parameter {', '.join(unknown)}. The notebooks have: "
            f"{', '.join(sorted(known))}."
        )
    return {
        path: {
            name: _convert(name, parameters[name], own[name]) for name in own if name in parameters
        }
        for path, own in defaults.items()
    }


def run_notebooks(
    run: str,
    parameters: Parameters,
    only: Sequence[str] = (),
    *,
    notebooks: str | os.PathLike = NOTEBOOKS,
) -> pathlib.Path:
    """Runs notebooks with papermill; the executed copies go to `reports/<run>/`.

    What the notebooks print goes to stderr.

    Args:
        run: Name of the run.
        parameters: Dict of `name: value`; see `assign_parameters`.
        only: Numbers of notebooks such as `["02", "4"]`. Defaults to all.
        notebooks: Folder of the notebooks. Defaults to that of this repository.

    Returns:
        Folder of the reports.

    Raises:
        ParameterError: The run's name or a parameter is not allowed. Nothing has been written.
        NotebookError: A cell failed.
    """
    folder = NotebookRun("walkthrough", run).reports
    assigned = assign_parameters(list_notebooks(only, notebooks), parameters)
    folder.mkdir(parents=True, exist_ok=True)
    os.environ[HEADLESS] = "1"
    for path, own in assigned.items():
        started = time.monotonic()
        print(f"== {path.name}", file=sys.stderr, flush=True)
        named = {} if run == _defaults(path)["run"] else {"run": run}
        _execute(path, folder / path.name, own | named)
        seconds = time.monotonic() - started
        print(f"== {path.name} took {seconds:.0f} s", file=sys.stderr, flush=True)
    return folder


def result_table(folder: str | os.PathLike) -> list[tuple[str, str]]:
    """Returns the results of a run that a person asks for first.

    Args:
        folder: The run's reports.

    Returns:
        List of `(name, value)`.
    """
    folder = pathlib.Path(folder)
    path = folder / "results.json"
    results = files.read_json(path) if path.exists() else {}
    measured = results.get("05_evaluate", {})
    rows = []
    if measured:
        low, high = measured["interval_95"]
        few = ": too few to compare" if measured["images"] < _FEW_IMAGES else ""
        rows += [
            ("word accuracy", f"{measured['word_accuracy']:.2%} ({low:.2%} to {high:.2%})"),
            ("measured on", f"{measured['images']:,} images{few}"),
            ("character error rate", f"{measured['cer']:.2%}"),
            ("images per second", f"{measured['images_per_second']:,.0f}"),
            ("model", measured["model"]),
        ]
    if "07_chinese" in results:
        rows.append(("Chinese lines", f"{results['07_chinese']['word_accuracy']:.2%} correct"))
    if "06_export_and_serve" in results:
        rows.append(("SavedModel", results["06_export_and_serve"]["saved_model"]))
    return [*rows, ("page", str(folder / "index.html"))]


def write_page(folder: str | os.PathLike) -> pathlib.Path:
    """Writes `index.html` beside the executed notebooks, and each notebook as a page.

    Args:
        folder: The run's reports.

    Returns:
        Path of the page.
    """
    from nbconvert import HTMLExporter

    folder = pathlib.Path(folder)
    template = (_TEMPLATES / "executed.html").read_text()
    exporter = HTMLExporter(template_name="lab", raw_template=template)
    notebooks = []
    for path in sorted(folder.glob("[0-9][0-9]*_*.ipynb")):
        body, _ = exporter.from_filename(str(path))
        files.write_atomic(path.with_suffix(".html"), body.encode())
        notebooks.append(_describe(path))
    pages = {f"{notebook['name']}.html" for notebook in notebooks} | {"index.html"}
    others = [p.name for p in folder.iterdir() if p.suffix in (".html", ".tsv", ".json")]
    results = [row for row in result_table(folder) if row[0] != "page"]
    columns = {"title": "notebook", "minutes": "minutes", "parameters": "parameters"}
    executed = pd.DataFrame(notebooks, columns=list(columns)).rename(columns=columns)
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True)
    page = environment.get_template("page.html").render(
        run=folder.resolve().name,
        results=_html(pd.DataFrame(results), header=False) if results else "",
        executed=_html(executed),
        notebooks=notebooks,
        others=sorted(set(others) - pages),
    )
    files.write_atomic(folder / "index.html", page.encode())
    return folder / "index.html"


def _defaults(path: pathlib.Path) -> dict[str, object]:
    """Parameters of a notebook and their defaults."""
    found = papermill.inspect_notebook(path)
    return {name: ast.literal_eval(each["default"]) for name, each in found.items()}


def _convert(name: str, value: object, default: object) -> object:
    """A value of the command line as one of the default's type."""
    if not isinstance(value, str) or isinstance(default, str):
        return value
    try:
        return _BOOLEANS[value.lower()] if isinstance(default, bool) else type(default)(value)
    except (KeyError, ValueError):
        raise ParameterError(
            f"Parameter {name} is {value!r}. Expected the type {type(default).__name__} of its "
            f"default {default!r}."
        ) from None


def _execute(path: pathlib.Path, copy: pathlib.Path, parameters: Parameters) -> None:
    try:
        papermill.execute_notebook(
            path,
            copy,
            parameters,
            kernel_name="python3",
            progress_bar=False,
            stdout_file=sys.stderr,
            # Without what it says about loopback TCP at its start and about its end.
            extra_arguments=["--log-level=CRITICAL"],
        )
    except papermill.PapermillExecutionError as error:
        raise NotebookError(
            f"{path.name} stopped. {error.ename}: {error.evalue} (the executed copy: {copy})"
        ) from error


def _describe(path: pathlib.Path) -> dict[str, object]:
    """Title, minutes, parameters and figures of an executed notebook."""
    notebook = nbformat.read(path, as_version=4)
    own = notebook.metadata.get("papermill", {})
    figures = (path.parent / "figures").glob(f"{path.stem}_*.png")
    figures = sorted(figures, key=lambda figure: figure.stat().st_mtime_ns)
    return {
        "name": path.stem,
        "title": path.stem.replace("_", " "),
        "minutes": f"{(own.get('duration') or 0) / 60:.1f}",
        "parameters": ", ".join(f"{k} = {v!r}" for k, v in own.get("parameters", {}).items()),
        "figures": [{"file": figure.name, "caption": _caption(figure)} for figure in figures],
    }


def _caption(figure: pathlib.Path) -> str:
    with PIL.Image.open(figure) as image:
        return image.info.get("Title", figure.stem)


def _html(table: pd.DataFrame, header: bool = True) -> str:
    return table.to_html(index=False, header=header, border=0, escape=True)
