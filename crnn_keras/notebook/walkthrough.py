"""Runs the numbered notebooks in order and makes a page of what came out.

    python -m crnn_keras.notebook.walkthrough --run walkthrough -p epochs 6 -p words 20000

A parameter goes to every notebook that has it. What each notebook left out of its table of
parameters stays at its default.
"""

import argparse
import ast
import html
import os
import pathlib
import sys
import time

import papermill
import yaml

from crnn_keras.utils import files
from crnn_keras.utils.progress import HEADLESS

NOTEBOOKS = pathlib.Path(__file__).parents[2] / "notebooks"


def list_notebooks(only=()):
    """The numbered notebooks.

    Args:
        only: numbers such as `["02", "04"]`; all notebooks if empty.

    Returns:
        Sorted list of paths.

    Raises:
        ValueError: there is no notebook of such a number.
    """
    paths = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    chosen = [p for p in paths if not only or p.name[:2] in only]
    if len(chosen) < len(only):
        raise ValueError(f"Of {list(only)}, found {[p.name for p in chosen]} in {NOTEBOOKS}.")
    return chosen


def deal_parameters(notebooks, parameters):
    """Which notebook gets which parameters.

    Args:
        notebooks: list of paths.
        parameters: dict of `name: value`.

    Returns:
        Dict of `path: parameters`.

    Raises:
        ValueError: no notebook has a parameter of that name; the message lists those known.
    """
    known = {path: papermill.inspect_notebook(path) for path in notebooks}
    everywhere = set().union(*known.values())
    unknown = sorted(set(parameters) - everywhere)
    if unknown:
        raise ValueError(
            f"Unknown parameter {', '.join(unknown)}. The notebooks know: "
            f"{', '.join(sorted(everywhere))}."
        )
    return {
        path: {name: value for name, value in parameters.items() if name in names}
        for path, names in known.items()
    }


def run_notebooks(run, parameters, only=()):
    """Runs notebooks with papermill; the executed copies go to `reports/<run>/`.

    Args:
        run: the run's name.
        parameters: dict of `name: value`.
        only: numbers of notebooks such as `["02", "04"]`; all if empty.

    Returns:
        Folder of the reports.

    Raises:
        papermill.PapermillExecutionError: a cell failed; its copy in the reports shows where.
    """
    dealt = deal_parameters(list_notebooks(only), parameters)
    folder = pathlib.Path("reports") / run
    folder.mkdir(parents=True, exist_ok=True)
    os.environ[HEADLESS] = "1"
    for path, own in dealt.items():
        started = time.monotonic()
        print(f"== {path.name}", flush=True)
        default = ast.literal_eval(papermill.inspect_notebook(path)["run"]["default"])
        named = {} if run == default else {"run": run}
        papermill.execute_notebook(
            path,
            folder / path.name,
            parameters=named | own,
            kernel_name="python3",
            progress_bar=False,
            stdout_file=sys.stdout,
            # Without what it says of loopback TCP at its start and of its end.
            extra_arguments=["--log-level=CRITICAL"],
        )
        print(f"== {path.name} took {time.monotonic() - started:.0f} s", flush=True)
    return folder


def result_table(folder):
    """The figures of a run that a person asks for first.

    Args:
        folder: the run's reports.

    Returns:
        List of `(name, value)` strings.
    """
    results = files.read_json(folder / "results.json")
    read = results.get("05_evaluate", {})
    rows = []
    if read:
        low, high = read["interval_95"]
        accuracy = f"{read['word_accuracy']:.2%} ({low:.2%} to {high:.2%}), {read['images']} images"
        rows += [
            ("word accuracy", accuracy),
            ("character error rate", f"{read['cer']:.2%}"),
            ("images read a second", f"{read['images_per_second']:,.0f}"),
            ("reader", read["model"]),
        ]
    if "06_export_and_serve" in results:
        rows.append(("SavedModel", results["06_export_and_serve"]["saved_model"]))
    return [*rows, ("page", str(folder / "index.html"))]


def write_page(folder):
    """Writes `index.html` beside the executed notebooks, and each notebook as a page.

    Args:
        folder: the run's reports.
    """
    from nbconvert import HTMLExporter

    sections = []
    for path in sorted(folder.glob("[0-9][0-9]_*.ipynb")):
        body, _ = HTMLExporter(template_name="lab").from_filename(str(path))
        files.write_atomic(path.with_suffix(".html"), body.encode())
        figures = (folder / "figures").glob(f"{path.stem}_*.png")
        figures = sorted(figures, key=lambda figure: figure.stat().st_mtime_ns)
        shown = "".join(f'<img src="figures/{f.name}" alt="{f.stem}">' for f in figures)
        title = path.stem.replace("_", " ")
        sections.append(f'<h2><a href="{path.stem}.html">{title}</a></h2>{shown}')
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in result_table(folder)
    )
    style = (
        "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
        "th{text-align:left;padding-right:2rem}img{display:block;max-width:100%;margin:.7rem 0}"
    )
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{folder.name}</title>'
        f"<style>{style}</style><h1>crnn_keras: {folder.name}</h1><table>{rows}</table>"
        f"{''.join(sections)}</html>\n"
    )
    files.write_atomic(folder / "index.html", page.encode())


def main(arguments=None):
    """Runs the notebooks, writes the page and prints the table.

    Args:
        arguments: list of command line words; those of the process if None.
    """
    parser = argparse.ArgumentParser(prog="crnn_keras.notebook.walkthrough", description=__doc__)
    parser.add_argument("--run", default="walkthrough", help="name of the run")
    parser.add_argument("--only", nargs="*", default=[], help="numbers of notebooks, such as 02 04")
    parser.add_argument(
        "-p", dest="parameters", nargs=2, action="append", default=[], metavar=("NAME", "VALUE")
    )
    options = parser.parse_args(arguments)
    parameters = {name: yaml.safe_load(value) for name, value in options.parameters}
    started = time.monotonic()
    try:
        folder = run_notebooks(options.run, parameters, options.only)
    except ValueError as error:
        parser.error(str(error))
    except papermill.PapermillExecutionError as error:
        sys.exit(f"{error.ename}: {error.evalue}")
    write_page(folder)
    print(f"\nAll done in {time.monotonic() - started:.0f} s.")
    for name, value in result_table(folder):
        print(f"  {name:22} {value}")


if __name__ == "__main__":
    main()
