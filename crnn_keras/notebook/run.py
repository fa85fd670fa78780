"""What every notebook does at its start and at its end."""

from __future__ import annotations

import io
import os
import pathlib
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import PIL.Image
import PIL.PngImagePlugin

from crnn_keras.notebook.parameters import ParameterError, check_parameters
from crnn_keras.notebook.tables import align_tables
from crnn_keras.utils import files
from crnn_keras.utils.locks import lock
from crnn_keras.utils.log import show_log
from crnn_keras.utils.pages import SHARPNESS, find_title
from crnn_keras.utils.quiet import import_keras_quietly

if TYPE_CHECKING:
    from collections.abc import Sequence

    import IPython.display
    from matplotlib.figure import Figure

    from crnn_keras.inference.base import Prediction

# Under this name, the metadata of an image in a notebook hold the file of its figure.
FIGURE = "figure"
# Of a figure in a notebook, which is committed with its outputs.
_MOST_BYTES = 95_000
_LONGEST_NAME = 100
# Seconds in which another notebook of the run has written its results.
_WAIT_SECONDS = 30.0
# Runs that an error names.
_MOST_RUNS = 5


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
        if not is_run_name(self.name):
            raise ParameterError(
                f"The run is called {self.name!r}. Expected letters, digits, '-', '_' and '.', at "
                f"most {_LONGEST_NAME}."
            )

    @property
    def data(self) -> pathlib.Path:
        """Returns the folder of what notebooks read: records, readers, exports."""
        return pathlib.Path("data") / self.name

    @property
    def reports(self) -> pathlib.Path:
        """Returns the folder of what people read: executed notebooks, figures, `results.json`."""
        return pathlib.Path("reports") / self.name

    def show(self, figure: Figure, name: str, *, caption: str = "") -> IPython.display.Image:
        """Saves a figure in the run's reports, with twice the pixels, and shows it.

        The notebook holds the same file, or a plain one where that has more than 95 kB.

        Args:
            figure: A matplotlib `Figure`.
            name: Name of the image, without suffix.
            caption: The image's alternative text, and its caption on the run's page. Defaults to
                `""`: the figure's title.

        Returns:
            The image, for Jupyter to show.
        """
        from IPython.display import Image

        title = caption or find_title(figure) or name.replace("_", " ")
        path = self.reports / "figures" / f"{self.notebook}_{name}.png"
        shown, width = _make_png(figure, title, SHARPNESS)
        files.write_atomic(path, shown)
        if len(shown) > _MOST_BYTES:
            shown, _ = _make_png(figure, title, 1)
        return Image(shown, width=width, alt=title, metadata={FIGURE: path.name})

    def find_records(self, records: str = "", *, splits: Sequence[str]) -> pathlib.Path:
        """Finds the records that a notebook reads.

        Args:
            records: Folder of the sets. Defaults to `""`: that of the run.
            splits: The sets that the notebook reads, such as `["test"]`.

        Returns:
            Folder of the sets.

        Raises:
            FileNotFoundError: A set is missing. The message names the notebook that writes it.
        """
        from crnn_keras.data.records import SIDECAR

        folder = pathlib.Path(records or self.data / "records")
        for split in splits:
            if not (folder / split / SIDECAR).is_file():
                above = "" if split == "train" else f", with a {split}_split that is not 0"
                raise FileNotFoundError(
                    f"{folder / split} holds no records. Run notebook 02_prepare_data with "
                    f"run = {self.name!r} to its end first{above}, or set `records`."
                    f"{_runs_with(f'records/{split}/{SIDECAR}')}"
                )
        return folder

    def find_model(self, model: str = "") -> str:
        """Finds the model that a notebook reads with.

        Args:
            model: Path of a `.keras` file or name of a shipped model. Defaults to `""`: the model
                that was trained in the run.

        Returns:
            The path or the name.

        Raises:
            FileNotFoundError: The run has no trained model.
        """
        path = self.data / "train" / "model.keras"
        if not model and not path.is_file():
            raise FileNotFoundError(
                f"{path} does not exist. Run notebook 04_train with run = {self.name!r} first, or "
                f"set `model`.{_runs_with('train/model.keras')}"
            )
        return model or str(path)

    def finish(self, **results: object) -> None:
        """Prints results and puts them into the run's `results.json`, beside those of others.

        Several notebooks of a run may end at the same time; no result is lost.

        Args:
            **results: Plain data: numbers, strings, lists.

        Raises:
            ValueError: `results.json` is damaged. It is left as it is.
            LockedError: Another process has held the file for half a minute.
        """
        for name, value in results.items():
            print(f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}")
        self.keep(**results)

    def keep(self, **results: object) -> None:
        """Puts results into the run's `results.json` as `finish` does, and prints nothing.

        Args:
            **results: Plain data: numbers, strings, lists.

        Raises:
            ValueError: See `finish`.
            LockedError: See `finish`.
        """
        path = self.reports / "results.json"
        with lock(path, "the results", wait_seconds=_WAIT_SECONDS):
            content = read_results(self.reports)
            content[self.notebook] = results
            files.write_json(path, dict(sorted(content.items())))


def _make_png(figure, title, sharpness):
    """Returns a png that knows its title and its pixels an inch, and the width to show it at."""
    saved, content, dpi = io.BytesIO(), io.BytesIO(), sharpness * figure.dpi
    figure.savefig(saved, format="png", dpi=dpi)
    info = PIL.PngImagePlugin.PngInfo()
    info.add_itxt("Title", title)
    # 64 colors are enough for these figures, and halve the bytes.
    image = PIL.Image.open(saved).convert("RGB").quantize(64, dither=0)
    image.save(content, "PNG", optimize=True, pnginfo=info, dpi=(dpi, dpi))
    return content.getvalue(), round(image.width / sharpness)


def is_run_name(name: object) -> bool:
    """Tells whether a run may have a name: letters, digits, `-`, `_` and `.`, no path.

    Args:
        name: The name.
    """
    is_text = isinstance(name, str) and len(name) <= _LONGEST_NAME
    return is_text and bool(re.fullmatch(r"\w[\w.-]*", name))


def read_results(folder: str | os.PathLike) -> dict[str, dict[str, object]]:
    """Reads the results of the notebooks of a run.

    Args:
        folder: The run's reports.

    Returns:
        Dict of `notebook: results`; empty if no notebook has finished yet.

    Raises:
        ValueError: `results.json` is damaged.
    """
    path = pathlib.Path(folder) / "results.json"
    try:
        content = files.read_json(path) if path.exists() else {}
        if not isinstance(content, dict) or not all(isinstance(v, dict) for v in content.values()):
            raise ValueError(f"{path} does not hold an object of results for each notebook")
    except ValueError as error:
        raise ValueError(
            f"{error}. Rename or remove the file, and run the last cell of the notebooks again: "
            "they write a new one."
        ) from None
    return content


def find_readable(predictions: Sequence[Prediction], where: object) -> list[int]:
    """Finds the predictions of images that could be read.

    Args:
        predictions: What `Recognizer.read` returned.
        where: What was read, for the error: a path, or a parameter and its value.

    Returns:
        List of positions, never empty.

    Raises:
        ValueError: There is no image, or none that could be read.
    """
    readable = [i for i, prediction in enumerate(predictions) if prediction.error is None]
    if not predictions:
        raise ValueError(f"{where}: there are no images. Give the path of one, or of a folder.")
    if not readable:
        first = predictions[0]
        raise ValueError(
            f"{where}: none of {len(predictions)} images can be read. The first is "
            f"{first.source}: {first.error}. Check the path, and the folder that it starts from."
        )
    return readable


def start(notebook: str, run: str) -> NotebookRun:
    """Checks the parameters that papermill passed, and changes to the project's folder.

    A value that was passed as text gets the type of its default. Tables are shown with words on the
    left and numbers on the right.

    JupyterLab starts a notebook in its own folder, papermill in that of the caller. After this
    call, paths start from the project's folder in both. The cell that calls it can run again.

    Args:
        notebook: Name of the notebook, such as `"04_train"`.
        run: Name of the run, of letters, digits, `-`, `_` and `.`.

    Returns:
        The `NotebookRun`. Keep it under another name than the parameter's: `this_run`.

    Raises:
        ParameterError: papermill passed a parameter that the notebook does not have (papermill
            itself only logs it) or that cannot have its default's type; or the run's name is not
            allowed.
    """
    _prepare_kernel()
    this_run = NotebookRun(notebook, run)
    import_keras_quietly()
    show_log(sys.stdout)
    folder = pathlib.Path.cwd()
    if folder.name == "notebooks" and (folder.parent / "pyproject.toml").exists():
        # The folder of a kernel is its notebook's own affair: no library code calls `start`.
        os.chdir(folder.parent)
    return this_run


def _runs_with(file: str) -> str:
    """Names the newest runs that have a file, as a sentence; empty if none has."""
    found = sorted(pathlib.Path("data").glob(f"*/{file}"), key=os.path.getmtime, reverse=True)
    names = [path.parts[1] for path in found]
    return f" These runs have one: {', '.join(names[:_MOST_RUNS])}." if names else ""


def _prepare_kernel() -> None:
    """Gives the parameters that papermill injected the types of their defaults; aligns tables."""
    from IPython import get_ipython

    if shell := get_ipython():
        shell.user_ns.update(check_parameters(shell.user_ns.get("In", [])[1:]))
        align_tables(shell)
