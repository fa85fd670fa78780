"""HTML pages that need no other file: templates, and figures within them."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import jinja2

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def make_environment(
    folder: str | os.PathLike, *, show: Callable[[object], str]
) -> jinja2.Environment:
    """Makes what renders the templates of a folder; everything is escaped.

    Args:
        folder: Folder of the templates.
        show: Function that returns what is written for a value, before it is escaped. Markup of a
            template, such as the result of a macro, does not pass it.

    Returns:
        `jinja2.Environment`, in which an undefined name is an error.
    """
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        finalize=lambda value: value if hasattr(value, "__html__") else show(value),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def encode_figure(figure: Figure) -> str:
    """Returns a figure as the content of a data URL.

    Args:
        figure: A matplotlib `Figure`.

    Returns:
        Base64 of its png.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode()
