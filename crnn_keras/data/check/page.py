"""The report as one HTML page that needs no other file."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pandas.api.types import is_numeric_dtype

from crnn_keras.data.check.display import visible
from crnn_keras.data.issues import write_issues
from crnn_keras.utils import files
from crnn_keras.utils.pages import encode_figure, make_environment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from crnn_keras.data.check.report import DataCheck

_TEMPLATE = "page.html"
ISSUES = "issues.tsv"
# Rows of a table on the page, at most; the file beside it has all issues.
MOST = 2000
# A list of so many issues is open at first.
_MOST_OPEN = 12


def write_page(
    path: str | os.PathLike, check: DataCheck, figures: Iterable[Figure] = (), *, name: str = ""
) -> None:
    """Writes the page, and `issues.tsv` beside it.

    Everything on the page is escaped, and characters that draw nothing, bidi marks among them,
    are written as code points. So a label or a path changes nothing but its own cell.

    Args:
        path: HTML file to write.
        check: a `DataCheck`.
        figures: iterable of matplotlib `Figure`s. Defaults to `()`.
        name: string, what was checked. Defaults to `""`: the name of the page's folder.
    """
    path = pathlib.Path(path)
    page = (
        _environment()
        .get_template(_TEMPLATE)
        .render(
            name=name or path.parent.name or path.stem,
            check=check,
            figures=map(encode_figure, figures),
            issues_file=ISSUES,
            most=MOST,
            most_open=_MOST_OPEN,
        )
    )
    files.write_atomic(path, page.encode())
    write_issues(path.parent / ISSUES, map(_printable, check.issues))


def _environment():
    environment = make_environment(pathlib.Path(__file__).parent, show=_show)
    environment.tests["numeric"] = is_numeric_dtype
    return environment


def _show(value):
    """Returns what is written for a value of the template, before it is escaped."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else visible(value)


def _printable(issue):
    """Returns an issue with texts that can be written to a table, whatever they hold."""
    return dataclasses.replace(issue, where=visible(issue.where), reason=visible(issue.reason))
