"""What every notebook does at its start and at its end."""

from __future__ import annotations

import ast
import io
import os
import pathlib
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import PIL.Image
import PIL.PngImagePlugin

from crnn_keras.utils import files
from crnn_keras.utils.log import show_log
from crnn_keras.utils.quiet import import_keras_quietly

if TYPE_CHECKING:
    import IPython.display
    from matplotlib.figure import Figure

_INJECTED = "# Parameters"


class ParameterError(ValueError):
    """A parameter that a notebook does not have, or whose value it cannot use."""


@dataclass(frozen=True)
class NotebookRun:
    """Names the folders of a run and keeps what a notebook shows and measures.

    Args:
        notebook: Name of the notebook, such as `"04_train"`.
        name: Name of the run, of letters, digits, `-`, `_` and `.`.

    Raises:
        ParameterError: The run's name has other characters, such as those of a path.
    """

    notebook: str
    name: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.-]*", self.name):
            raise ParameterError(
                f"The run is called {self.name!r}. Expected letters, digits, '-', '_' and '.'."
            )

    @property
    def data(self) -> pathlib.Path:
        """Returns the folder of what notebooks read: records, readers, exports."""
        return pathlib.Path("data") / self.name

    @property
    def reports(self) -> pathlib.Path:
        """Returns the folder of what people read: executed notebooks, figures, `results.json`."""
        return pathlib.Path("reports") / self.name

    def show(self, figure: Figure, name: str) -> IPython.display.Image:
        """Saves a figure in the run's reports and shows it.

        The figure's title becomes the image's alternative text, and its caption on the run's page.

        Args:
            figure: A matplotlib `Figure`.
            name: Name of the image, without suffix.

        Returns:
            The image, for Jupyter to show.
        """
        from IPython.display import Image

        title = _title(figure) or name.replace("_", " ")
        saved, content = io.BytesIO(), io.BytesIO()
        figure.savefig(saved, format="png")
        info = PIL.PngImagePlugin.PngInfo()
        info.add_itxt("Title", title)
        # 128 colors are enough for these figures, and halve the bytes.
        image = PIL.Image.open(saved).convert("RGB").quantize(128, dither=0)
        image.save(content, "PNG", optimize=True, pnginfo=info)
        path = self.reports / "figures" / f"{self.notebook}_{name}.png"
        files.write_atomic(path, content.getvalue())
        return Image(content.getvalue(), alt=title)

    def finish(self, **results: object) -> None:
        """Puts results into the run's `results.json`, beside those of other notebooks, and prints.

        Args:
            **results: Plain data: numbers, strings, lists.
        """
        path = self.reports / "results.json"
        content = files.read_json(path) if path.exists() else {}
        content[self.notebook] = results
        files.write_json(path, dict(sorted(content.items())))
        for name, value in results.items():
            print(f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}")


def start(notebook: str, run: str) -> NotebookRun:
    """Checks the parameters that papermill passed, and changes to the project's folder.

    JupyterLab starts a notebook in its own folder, papermill in that of the caller. After this
    call, paths start from the project's folder in both. The cell that calls it can run again.

    Args:
        notebook: Name of the notebook, such as `"04_train"`.
        run: Name of the run, of letters, digits, `-`, `_` and `.`.

    Returns:
        The `NotebookRun`. Keep it under another name than the parameter's: `this_run`.

    Raises:
        ParameterError: papermill passed a parameter that the notebook does not have (papermill
            itself only logs it) or whose type differs from its default's; or the run's name is
            not allowed.
    """
    check_parameters(_executed_cells())
    this_run = NotebookRun(notebook, run)
    import_keras_quietly()
    show_log(sys.stdout)
    folder = pathlib.Path.cwd()
    if folder.name == "notebooks" and (folder.parent / "pyproject.toml").exists():
        # The folder of a kernel is its notebook's own affair: no library code calls `start`.
        os.chdir(folder.parent)
    return this_run


def check_parameters(cells: Iterable[str]) -> None:
    """Compares the parameters that papermill injected with the cell of parameters before them.

    Args:
        cells: Sources of the executed cells, in order.

    Raises:
        ParameterError: A name is unknown, or a value has another type than the default.
    """
    cells = list(cells)
    injected = [i for i, cell in enumerate(cells) if cell.startswith(_INJECTED) and i > 0]
    if not injected:
        return
    defaults, passed = _assignments(cells[injected[-1] - 1]), _assignments(cells[injected[-1]])
    unknown = sorted(set(passed) - set(defaults))
    if unknown:
        raise ParameterError(
            f"Unknown parameter {', '.join(unknown)}. This notebook has: {', '.join(defaults)}."
        )
    for name, value in passed.items():
        default = defaults[name]
        accepted = (int, float) if isinstance(default, float) else type(default)
        if not isinstance(value, accepted) or isinstance(value, bool) != isinstance(default, bool):
            advice = " With papermill, -r passes text." if isinstance(default, str) else ""
            raise ParameterError(
                f"Parameter {name} is {value!r}. Expected the type {type(default).__name__} of its "
                f"default {default!r}.{advice}"
            )


def _title(figure: Figure) -> str:
    """Title of a figure, or of its first axes that have one. Those of tiles are centered."""
    titles = [figure.get_suptitle(), *(axes.get_title(loc="left") for axes in figure.axes)]
    return next((" ".join(title.split()) for title in titles if title.strip()), "")


def _executed_cells() -> list[str]:
    from IPython import get_ipython

    shell = get_ipython()
    return shell.user_ns.get("In", [])[1:] if shell else []


def _assignments(source: str) -> dict[str, object]:
    """Names and literal values that a cell of parameters assigns."""
    return {
        target.id: ast.literal_eval(statement.value)
        for statement in ast.parse(source).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
    }
