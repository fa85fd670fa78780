"""The files about a fine-tuning: a page, the readings as csv, the check, and the run's results."""

from __future__ import annotations

import csv
import io
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from crnn_keras.images import to_gray
from crnn_keras.utils import files
from crnn_keras.utils.log import printable
from crnn_keras.utils.pages import encode_figure, make_environment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from crnn_keras.notebook.run import NotebookRun
    from crnn_keras.training.fine_tuning import FineTuning, Reading

PAGE, READINGS, CHECK = "fine_tuning.html", "readings.csv", "data_check.html"
_SHOWN_ERRORS = 24
_COLUMNS = ("image", "split", "label", "before", "after", "confidence", "correct", "where")


def write_fine_tuning_report(result: FineTuning, run: NotebookRun) -> pathlib.Path:
    """Writes all that a person reads about a fine-tuning to the reports of its run.

    These are the page `fine_tuning.html`, `readings.csv` with a row for each image,
    `data_check.html`, and the figures in `results.json`.

    Args:
        result: What `fine_tune` returned.
        run: The `NotebookRun`.

    Returns:
        Path of the page.
    """
    from crnn_keras.evaluation import plots

    figures = plots.data_check_figures(result.check)
    result.check.write_page(run.reports / CHECK, figures, name=run.name)
    files.write_atomic(run.reports / READINGS, format_readings(result.readings).encode())
    errors = find_errors(result.readings)
    page = (
        make_environment(pathlib.Path(__file__).parent, show=_show)
        .get_template(PAGE)
        .render(
            run=run.name,
            result=result,
            sentences=result.describe(),
            curves=encode_figure(plots.curves(result.history)),
            errors=encode_figure(draw_readings(errors[:_SHOWN_ERRORS])) if errors else None,
            num_errors=len(errors),
            tested=sum(reading.split == "test" for reading in result.readings),
            settings=vars(result.settings),
            links=(CHECK, READINGS),
        )
    )
    files.write_atomic(run.reports / PAGE, page.encode("utf-8", "backslashreplace"))
    own = result.comparisons[0].after
    run.finish(
        model=str(result.model_path),
        start=result.start,
        images=len(own.cases),
        word_accuracy=own.word_accuracy,
        interval_95=list(own.interval),
        cer=own.cer,
        word_accuracy_before=result.comparisons[0].before.word_accuracy,
        seconds=round(result.seconds, 1),
    )
    return run.reports / PAGE


def format_readings(readings: Sequence[Reading]) -> str:
    """Returns readings as csv.

    Args:
        readings: `Reading`s.

    Returns:
        The rows with a header: `image`, `split`, `label`, `before`, `after`, `confidence`,
        `correct` and `where`.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in readings:
        texts = map(_text, (row.sample.image, row.split, row.label, row.before, row.after))
        confidence, where = f"{row.confidence:.4f}", _text(row.sample.where)
        writer.writerow([*texts, confidence, int(row.is_correct), where])
    return buffer.getvalue()


def find_errors(readings: Sequence[Reading]) -> list[Reading]:
    """Finds the test images that are read wrongly, the most confident first.

    Args:
        readings: `Reading`s.

    Returns:
        List of `Reading`s.
    """
    wrong = [row for row in readings if row.split == "test" and not row.is_correct]
    return sorted(wrong, key=lambda row: -row.confidence)


def draw_readings(readings: Sequence[Reading]) -> Figure:
    """Draws images, each under its label, what was read before and what is read now.

    Args:
        readings: `Reading`s of images that can be opened.

    Returns:
        `Figure`.
    """
    from crnn_keras.evaluation import plots

    titles = [
        f"{row.label}\nbefore: {row.before}\nnow: {row.after} ({row.confidence:.0%})"
        for row in readings
    ]
    images = [to_gray(row.sample.read()) for row in readings]
    return plots.image_grid(images, titles, columns=4)


def _text(value):
    return "" if value is None else printable(value)


def _show(value):
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else _text(value)
