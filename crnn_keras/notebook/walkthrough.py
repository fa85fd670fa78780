"""Runs of the numbered notebooks by papermill, and the page about such a run."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

import nbclient.exceptions
import nbformat
import papermill
import PIL.Image
from jupyter_client.kernelspec import NoSuchKernel

from crnn_keras.notebook.parameters import ParameterError, check_names, convert, read_defaults
from crnn_keras.notebook.run import NotebookRun, read_results
from crnn_keras.utils import files
from crnn_keras.utils.locks import lock
from crnn_keras.utils.machine import find_versions
from crnn_keras.utils.pages import SHARPNESS, make_environment
from crnn_keras.utils.progress import HEADLESS

_TEMPLATES = pathlib.Path(__file__).parent
# A wheel holds them inside the package (setup.py); a clone has them at its top.
_INSTALLED, _CLONED = _TEMPLATES / "notebooks", _TEMPLATES.parents[1] / "notebooks"
NOTEBOOKS = _INSTALLED if _INSTALLED.is_dir() else _CLONED

Parameters = Mapping[str, object]

# What nbformat raises of a file that is no notebook, or of one half written.
_DAMAGED = (ValueError, KeyError, AttributeError, TypeError, nbformat.ValidationError)
_FAILURE, _EDITED = "failure", "edited"
# Git answers at once, unless its folder is on a disk that is away.
_GIT_SECONDS = 10
# Tables and pages that the page of a run links to.
_LINKED = (".csv", ".html", ".json", ".tsv")
# Fewer images than this make an interval too wide to compare readers by.
_FEW_IMAGES = 100


class NotebookError(RuntimeError):
    """A notebook failed; the message names the cell, the executed copy and the run's page."""


def list_notebooks(
    only: Sequence[str] = (), folder: str | os.PathLike = NOTEBOOKS
) -> list[pathlib.Path]:
    """Lists the numbered notebooks of a folder.

    Args:
        only: Numbers of notebooks such as `["02", "4"]`. Defaults to all.
        folder: Folder of the notebooks. Defaults to those of crnn_keras.

    Returns:
        Sorted list of paths.

    Raises:
        ValueError: There is no notebook, or none of such a number.
    """
    paths = sorted(pathlib.Path(folder).glob("[0-9][0-9]*_*.ipynb"))
    if not paths:
        raise ValueError(
            f"{folder} holds no numbered notebooks. Expected files such as 04_train.ipynb: leave "
            "the folder out to run those of crnn_keras."
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

    A value is converted to the type of the parameter's default, so that `"4"` becomes an integer
    for `epochs` and stays text for `text`.

    Args:
        notebooks: List of paths.
        parameters: Dict of `name: value`.

    Returns:
        Dict of `path: parameters`.

    Raises:
        ParameterError: No notebook has a parameter of that name, or the value cannot be converted.
    """
    defaults = {path: read_parameters(path) for path in notebooks}
    known = sorted(set().union(*defaults.values()))
    check_names(parameters, known, "The notebooks have")
    return {
        path: {n: convert(n, parameters[n], own[n]) for n in own if n in parameters}
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

    What the notebooks print goes to stderr. A default that is not the committed one, such as a
    value that was saved in JupyterLab, is in force and is named on stderr and on the page. The page
    about the run is written at the end, and if a notebook fails.

    Args:
        run: Name of the run.
        parameters: Dict of `name: value`; see `assign_parameters`.
        only: Numbers of notebooks such as `["02", "4"]`. Defaults to all.
        notebooks: Folder of the notebooks. Defaults to those of crnn_keras.

    Returns:
        Folder of the reports.

    Raises:
        ParameterError: The run's name or a parameter is not allowed. Nothing has been written.
        NotebookError: A notebook failed. The page shows where.
        LockedError: Another process runs the same notebook for the same run.
    """
    folder = NotebookRun("walkthrough", run).reports
    if "run" in parameters:
        raise ParameterError(
            "Parameter run is the name of the run. Pass it as `--run NAME`, in Python as the first "
            "argument."
        )
    assigned = assign_parameters(list_notebooks(only, notebooks), parameters)
    folder.mkdir(parents=True, exist_ok=True)
    os.environ[HEADLESS] = "1"
    for path, own in assigned.items():
        started = time.monotonic()
        print(f"== {path.name}", file=sys.stderr, flush=True)
        named = {"run": run} if read_parameters(path).get("run", run) != run else {}
        edited = edited_parameters(path)
        edited = [line for name, line in edited.items() if name not in own.keys() | {"run"}]
        for line in edited:
            print(f"{path.stem}: {line}", file=sys.stderr, flush=True)
        _copy_pages(path, folder)
        try:
            _execute(path, folder / path.name, own | named, edited=edited)
        except NotebookError as error:
            # The page is a help; what failed is the notebook.
            with contextlib.suppress(OSError):
                write_page(folder)
            raise NotebookError(f"{error} The run's page: {folder / 'index.html'}.") from error
        seconds = time.monotonic() - started
        print(f"== {path.name} took {seconds:.0f} s", file=sys.stderr, flush=True)
    write_page(folder)
    return folder


def read_parameters(path: pathlib.Path) -> dict[str, object]:
    """Reads the parameters of a notebook and their defaults.

    Args:
        path: Path of the notebook.

    Returns:
        Dict of `name: default`; empty if it has no cell of parameters.

    Raises:
        ValueError: The file is no notebook, or its parameters are no literals.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
    except _DAMAGED as error:
        raise ValueError(f"{path} is not a notebook: {' '.join(str(error).split())}") from None
    defaults = _defaults(notebook)
    if defaults is None:
        raise ValueError(f"{path}: the cell of parameters assigns something other than literals.")
    return defaults


def edited_parameters(path: pathlib.Path) -> dict[str, str]:
    """Compares the defaults of a notebook with those that are committed to Git.

    Args:
        path: Path of the notebook.

    Returns:
        Dict of `name: sentence` such as `"batch_size = 32 here, 64 committed"` for each default
        that differs; empty if Git does not know the notebook.
    """
    command = ["git", "-C", str(path.parent), "cat-file", "blob", f"HEAD:./{path.name}"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            check=True,
            timeout=_GIT_SECONDS,
            # What is not on this disk is not fetched.
            env=os.environ | {"GIT_NO_LAZY_FETCH": "1"},
        )
        committed = _defaults(nbformat.reads(done.stdout.decode(), as_version=4)) or {}
    except (OSError, subprocess.SubprocessError, *_DAMAGED):
        return {}
    return {
        name: f"{name} = {value!r} here, {committed[name]!r} committed"
        for name, value in read_parameters(path).items()
        if name in committed and committed[name] != value
    }


def result_table(folder: str | os.PathLike) -> list[tuple[str, str]]:
    """Returns the results of a run that a person asks for first.

    Args:
        folder: The run's reports.

    Returns:
        List of `(name, value)`.
    """
    folder = pathlib.Path(folder)
    rows = _result_rows(read_results(folder), folder / "results.json")
    return [*rows, ("page", str(folder / "index.html"))]


def write_page(folder: str | os.PathLike) -> pathlib.Path:
    """Writes `index.html` beside the executed notebooks, and each notebook as a page.

    A notebook that failed is shown with its error. One that another process writes just now, and a
    damaged `results.json`, are named on the page.

    Args:
        folder: The run's reports.

    Returns:
        Path of the page.
    """
    from crnn_keras.notebook.executed import export_notebook, make_exporter

    folder, exporter = pathlib.Path(folder), make_exporter()
    notebooks = []
    for path in sorted(folder.glob("[0-9][0-9]*_*.ipynb")):
        try:
            notebook = nbformat.read(path, as_version=4)
            described = _describe(notebook, path)
            body = export_notebook(exporter, notebook, path)
            files.write_atomic(path.with_suffix(".html"), body.encode())
        except _DAMAGED as error:
            described = _describe(nbformat.v4.new_notebook(), path)
            described["state"] = "unreadable"
            described["failure"] = f"{path} cannot be shown: {' '.join(str(error).split())[:200]}"
        notebooks.append(described)
    pages = {f"{notebook['name']}.html" for notebook in notebooks} | {"index.html"}
    others = [p.name for p in folder.iterdir() if p.suffix in _LINKED]
    results, few, damaged = [], "", ""
    try:
        results, few = result_table(folder)[:-1], _warn_of_few(read_results(folder))
    except ValueError as error:
        damaged = str(error)
    page = (
        make_environment(_TEMPLATES, show=str)
        .get_template("page.html")
        .render(
            run=folder.resolve().name,
            results=results,
            few=few,
            damaged=damaged,
            minutes=f"{sum(float(notebook['minutes']) for notebook in notebooks):.1f}",
            versions=", ".join(f"{name} {version}" for name, version in find_versions().items()),
            notebooks=notebooks,
            others=sorted(set(others) - pages),
        )
    )
    files.write_atomic(folder / "index.html", page.encode("utf-8", "backslashreplace"))
    return folder / "index.html"


def _result_rows(results: Mapping[str, Mapping], path: pathlib.Path) -> list[tuple[str, str]]:
    measured, prepared = results.get("05_evaluate", {}), results.get("02_prepare_data", {})
    rows = []
    try:
        if "trained_on" in prepared:
            shown = f"{prepared['trained_on']}: {prepared['train_records']:,} records"
            rows.append(("trained on", shown))
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
        if taught := results.get("08_teach_it_your_images"):
            before, after = taught["word_accuracy_before"], taught["word_accuracy"]
            shown = f"{taught['learned_from']}: {before:.2%} before, {after:.2%} now"
            rows.append(("fine-tuned", shown))
        if "06_export_and_serve" in results:
            rows.append(("SavedModel", results["06_export_and_serve"]["saved_model"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged ({type(error).__name__}: {error}). Run the last cell of the "
            "notebooks again."
        ) from None
    return rows


def _warn_of_few(results: Mapping[str, Mapping]) -> str:
    """Returns a sentence if the accuracy was measured on few images."""
    images = results.get("05_evaluate", {}).get("images", _FEW_IMAGES)
    if images >= _FEW_IMAGES:
        return ""
    return (
        f"Measured on {images:,} test images: below {_FEW_IMAGES} the interval is too wide to "
        "compare readers by. Evaluate on more labelled images."
    )


def _defaults(notebook: nbformat.NotebookNode) -> dict[str, object] | None:
    """Parameters of a notebook and their defaults; None if they are no literals."""
    tagged = [c.source for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    return read_defaults(tagged[0]) if tagged else {}


def _copy_pages(path: pathlib.Path, folder: pathlib.Path) -> None:
    """Copies the pages that a notebook shows, such as `03_lattice.html` of notebook 03."""
    for page in path.parent.glob(f"{path.name.partition('_')[0]}_*.html"):
        # The page of an executed notebook has the notebook's name, and is written later.
        if not page.with_suffix(".ipynb").exists():
            files.write_atomic(folder / page.name, page.read_bytes())


def _execute(
    path: pathlib.Path, copy: pathlib.Path, parameters: Parameters, *, edited: Sequence[str]
) -> None:
    try:
        with lock(copy, "the executed notebook"):
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
            finally:
                if edited:
                    _note(copy, **{_EDITED: edited})
    except papermill.PapermillExecutionError as error:
        cell = f"[{error.exec_count}] ({error.source.strip().partition(chr(10))[0]})"
        raise NotebookError(
            f"{path.name} stopped in cell {cell}. {error.ename}: {error.evalue} The executed "
            f"copy: {copy}."
        ) from error
    except (nbclient.exceptions.DeadKernelError, NoSuchKernel) as error:
        failure = f"Its kernel ended or cannot be started, as when memory is short. {error}"
        _note(copy, **{_FAILURE: failure})
        raise NotebookError(f"{path.name} stopped. {failure} The executed copy: {copy}.") from error


def _describe(notebook: nbformat.NotebookNode, path: pathlib.Path) -> dict[str, object]:
    """Title, minutes, parameters, figures and failure of an executed notebook."""
    own = notebook.metadata.get("papermill", {})
    figures = (path.parent / "figures").glob(f"{path.stem}_*.png")
    figures = sorted(figures, key=lambda figure: figure.stat().st_mtime_ns)
    failure = _failure(notebook)
    return {
        "name": path.stem,
        "title": path.stem.replace("_", " "),
        "minutes": f"{(own.get('duration') or 0) / 60:.1f}",
        "state": "stopped" if failure else "done",
        "parameters": _changed_parameters(notebook),
        "figures": [_describe_figure(figure) for figure in figures],
        "failure": failure,
        "edited": [str(line) for line in own.get(_EDITED, ())],
    }


def _changed_parameters(notebook: nbformat.NotebookNode) -> list[str]:
    """Lists the parameters of an executed notebook that are not its defaults, but for the run."""
    defaults = _defaults(notebook) or {}
    passed = notebook.metadata.get("papermill", {}).get("parameters", {})
    return [
        f"{name} = {value!r} (default {defaults[name]!r})"
        if name in defaults
        else f"{name} = {value!r}"
        for name, value in passed.items()
        if name != "run" and (name not in defaults or defaults[name] != value)
    ]


def _failure(notebook: nbformat.NotebookNode) -> str:
    """Where a notebook stopped and why; empty if it did not."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                where = f"cell [{cell.execution_count}]"
                return f"Stopped in {where}: {output.ename}: {output.evalue}"
    own = [notebook.metadata, *(cell.metadata for cell in notebook.cells)]
    own = [metadata.get("papermill", {}) for metadata in own]
    if failure := own[0].get(_FAILURE):
        return failure
    unfinished = any(each.get("status") in ("failed", "running", "pending") for each in own[1:])
    return "Not executed to its end." if unfinished else ""


def _note(copy: pathlib.Path, **facts: object) -> None:
    """Notes in an executed copy what papermill does not, such as that its kernel died."""
    with contextlib.suppress(OSError, *_DAMAGED):
        notebook = nbformat.read(copy, as_version=4)
        notebook.metadata.setdefault("papermill", {}).update(facts)
        files.write_atomic(copy, nbformat.writes(notebook).encode())


def _describe_figure(figure: pathlib.Path) -> dict[str, object]:
    """File, caption and width on the page of a figure."""
    described = {"file": figure.name, "width": 0}
    try:
        with PIL.Image.open(figure) as image:
            described["width"] = round(image.width / SHARPNESS) if "dpi" in image.info else 0
            return described | {"caption": image.info.get("Title", figure.stem)}
    except (OSError, ValueError, SyntaxError):
        return described | {"caption": f"{figure.name} is damaged"}
