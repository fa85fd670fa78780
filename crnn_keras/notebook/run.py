"""What every notebook does at its start and at its end."""

import ast
import io
import os
import pathlib
import re
import tempfile
from dataclasses import dataclass

import PIL.Image

from crnn_keras.utils import files

_INJECTED = "# Parameters"


class ParameterError(ValueError):
    """A parameter that the notebook does not have, or of another type than its default."""


@dataclass(frozen=True)
class NotebookRun:
    """Where a notebook of a run reads and writes.

    Args:
        notebook: the notebook's name, such as `"04_train"`.
        name: the run's name.
    """

    notebook: str
    name: str

    @property
    def data(self):
        """Folder of what notebooks read: records, readers, exports."""
        return pathlib.Path("data") / self.name

    @property
    def reports(self):
        """Folder of what people read: executed notebooks, figures, `results.json`."""
        return pathlib.Path("reports") / self.name

    def show(self, figure, name):
        """Saves a figure among the reports and shows it.

        Args:
            figure: a matplotlib `Figure`.
            name: name of the image, without suffix.

        Returns:
            The image, for Jupyter to show.
        """
        from IPython.display import Image

        drawn, buffer = io.BytesIO(), io.BytesIO()
        figure.savefig(drawn, format="png")
        # 128 colours are plenty for these figures, and make half of the bytes.
        PIL.Image.open(drawn).convert("RGB").quantize(128, dither=0).save(
            buffer, "PNG", optimize=True
        )
        path = self.reports / "figures" / f"{self.notebook}_{name}.png"
        files.write_atomic(path, buffer.getvalue())
        return Image(buffer.getvalue())

    def finish(self, **results):
        """Puts a notebook's results into the run's `results.json`, beside the other notebooks'.

        Args:
            results: plain data.
        """
        path = self.reports / "results.json"
        content = files.read_json(path) if path.exists() else {}
        content[self.notebook] = results
        files.write_json(path, dict(sorted(content.items())))
        for name, value in results.items():
            print(f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}")


def start(notebook, run):
    """Checks the parameters that papermill passed, and goes to the project's folder.

    JupyterLab starts a notebook in its own folder, papermill in that of the caller; from here on
    paths start from the project's folder in both.

    Args:
        notebook: the notebook's name, such as `"04_train"`.
        run: the run's name, of letters, digits, `-`, `_` and `.`.

    Returns:
        `NotebookRun`.

    Raises:
        ParameterError: papermill passed a parameter that the notebook does not have (papermill
            itself only logs it), or one of another type; or the run's name is no name.
    """
    check_parameters(_executed_cells())
    _import_keras_quietly()
    if not re.fullmatch(r"\w[\w.-]*", run):
        raise ParameterError(f"Run name {run!r}: expected letters, digits, '-', '_' and '.'.")
    folder = pathlib.Path.cwd()
    if folder.name == "notebooks" and (folder.parent / "pyproject.toml").exists():
        os.chdir(folder.parent)
    return NotebookRun(notebook, run)


def _import_keras_quietly():
    """Imports Keras and wakes its parts without the lines TensorFlow writes about itself.

    They come from C++ straight to file descriptor 2, before any setting is read.
    """
    with tempfile.TemporaryFile() as kept:
        stderr = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            import keras

            from crnn_keras.utils.backend import tensorflow_for_input

            tf = tensorflow_for_input()
            keras.ops.add(1.0, 1.0)
            signature = tf.TensorSpec((), tf.int32)
            next(iter(tf.data.Dataset.from_generator(lambda: [0], output_signature=signature)))
        except BaseException:
            kept.seek(0)
            os.write(stderr, kept.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _executed_cells():
    from IPython import get_ipython

    shell = get_ipython()
    return shell.user_ns.get("In", [])[1:] if shell else []


def _assignments(source):
    """Names and literal values that a cell of parameters assigns."""
    return {
        target.id: ast.literal_eval(statement.value)
        for statement in ast.parse(source).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
    }


def check_parameters(cells):
    """Compares what papermill injected with the cell of parameters before it.

    Args:
        cells: sources of the executed cells, in order.

    Raises:
        ParameterError: an unknown name, or a value of another type than the default's.
    """
    injected = [i for i, cell in enumerate(cells) if cell.startswith(_INJECTED) and i > 0]
    if not injected:
        return
    known, given = _assignments(cells[injected[-1] - 1]), _assignments(cells[injected[-1]])
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ParameterError(
            f"Unknown parameter {', '.join(unknown)}. This notebook knows: {', '.join(known)}."
        )
    for name, value in given.items():
        default = known[name]
        accepted = (int, float) if isinstance(default, float) else type(default)
        if not isinstance(value, accepted) or isinstance(value, bool) != isinstance(default, bool):
            advice = " Pass text with -r instead of -p." if isinstance(default, str) else ""
            raise ParameterError(
                f"Parameter {name} is {value!r}. Expected a {type(default).__name__}, "
                f"such as its default {default!r}.{advice}"
            )
