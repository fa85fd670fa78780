"""HTML pages that need no other file: templates, their style, and figures within them."""

from __future__ import annotations

import base64
import io
import os
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import jinja2
    from matplotlib.figure import Figure

# Of `page.css`, the style that the templates include.
_STYLES = pathlib.Path(__file__).parent
# Pixels of a figure's image for each pixel of CSS.
SHARPNESS = 2


def make_environment(
    folder: str | os.PathLike, *, show: Callable[[object], str]
) -> jinja2.Environment:
    """Makes what renders the templates of a folder; everything is escaped.

    Args:
        folder: Folder of the templates. They may include `page.css`.
        show: Function that returns what is written for a value, before it is escaped. Markup of a
            template, such as the result of a macro, does not pass it.

    Returns:
        `jinja2.Environment`, in which an undefined name is an error.
    """
    # Not at the top: figures need no templates, and a reader needs neither.
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, _STYLES]),
        autoescape=True,
        finalize=lambda value: value if hasattr(value, "__html__") else show(value),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


class PageFigure(NamedTuple):
    """A figure for a page.

    Args:
        content: Base64 of its png, for a data URL. It has twice the pixels of its width, for
            screens that show them and for paper.
        width: Width on the page in pixels of CSS.
        title: Its title, or an empty string.
    """

    content: str
    width: int
    title: str


def encode_figure(figure: Figure) -> PageFigure:
    """Returns a matplotlib `Figure` as a page shows it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=SHARPNESS * figure.dpi)
    content = base64.b64encode(buffer.getvalue()).decode()
    return PageFigure(content, round(figure.get_figwidth() * figure.dpi), find_title(figure))


def find_title(figure: Figure) -> str:
    """Returns a figure's label, else its title, else the first title of its axes, or `""`."""
    # Titles of tiles are centered.
    titles = [figure.get_suptitle(), *(axes.get_title(loc="left") for axes in figure.axes)]
    texts = (" ".join(text.split()) for text in [figure.get_label(), *titles])
    return next(filter(None, texts), "")
