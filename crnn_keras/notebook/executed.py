"""Executed notebooks as pages that ask no other host: formulas are MathML, figures are sharp."""

from __future__ import annotations

import base64
import io
import logging
import os
import pathlib
import re

import bs4
import nbformat
import PIL.Image
from jinja2 import pass_context
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import (
    IPythonRenderer,
    MarkdownWithMath,
    MathInlineParser,
)
from nbconvert.preprocessors import TagRemovePreprocessor

from crnn_keras.notebook.run import FIGURE
from crnn_keras.utils.pages import SHARPNESS

_logger = logging.getLogger(__name__)

_TEMPLATE = pathlib.Path(__file__).parent / "executed.html"
# Cells that a page leaves out: what opens a notebook on other machines (tools/open_anywhere.py).
_LEFT_OUT = "open-anywhere"
# LaTeX that latex2mathml knows under another name, or sets otherwise than TeX.
_SYNONYMS = [
    (r"\\(begin|end)\{aligned\}", r"\\\1{split}"),
    (r"\\arg(?![A-Za-z])", r"\\operatorname{arg}\\,"),
]
# What stands below these in a displayed formula.
_LIMITS = (r"\\(max|min)(?=\s*_)", r"\\\1\\limits")
# MathML as TeX would space it: special characters of texts, absolute values, names of functions.
_REPAIRS = [
    (r"\\([_%#$])", r"\1"),
    (r'<mo stretchy="false">&#x0007C;', '<mo stretchy="false" lspace="0" rspace="0">&#x0007C;'),
    (r"<mo>([a-z]+)</mo>", r"<mi>\1</mi>"),
    (r"(<mi>[a-z]{2,}</mi>)(?=<(?:mi|mn|msub|msup|mfrac)\b)", r'\1<mspace width="0.167em" />'),
]
# An unknown command, and a `&` outside of a table.
_NOT_CONVERTED = re.compile(r"<m[a-z]+>(\\[A-Za-z]+|&)<")
_NUMBER = re.compile(r"[-+−±]?[\d.,]+(e[-+]?\d+)?( ?%)?|nan|NaN|None|–|", re.ASCII)


def make_exporter() -> HTMLExporter:
    """Makes what writes executed notebooks as pages.

    Returns:
        nbconvert's `HTMLExporter`. `export_notebook` calls it.
    """
    template = _TEMPLATE.read_text(encoding="utf-8")
    exporter = _Exporter(template_name="lab", raw_template=template)
    exporter.register_filter("read_figure", _read_figure)
    exporter.register_filter("align_tables", align_tables)
    exporter.register_preprocessor(TagRemovePreprocessor(remove_cell_tags={_LEFT_OUT}), True)
    return exporter


def export_notebook(
    exporter: HTMLExporter, notebook: nbformat.NotebookNode, path: str | os.PathLike
) -> str:
    """Makes the page of an executed notebook.

    Formulas between dollar signs become MathML. One that cannot be converted stays as it is
    written, with a warning.

    Args:
        exporter: What `make_exporter` returned; it serves many notebooks.
        notebook: The notebook.
        path: Its path, for the page's title and for the figures in the folder `figures` beside it.

    Returns:
        HTML.
    """
    path = pathlib.Path(path)
    named = {"metadata": {"name": path.stem, "path": str(path.parent)}}
    return exporter.from_notebook_node(notebook, resources=named)[0]


def convert_formula(formula: str, *, is_display: bool = False) -> str:
    r"""Converts a formula from LaTeX to MathML.

    Args:
        formula: LaTeX without dollar signs.
        is_display: Whether it stands in a line of its own. Defaults to `False`.

    Returns:
        A `<math>` element.

    Raises:
        ValueError: The formula is damaged, or holds a command that latex2mathml does not know.

    Example:

        >>> from crnn_keras.notebook.executed import convert_formula
        >>> convert_formula(r"p_t").partition(">")[2]
        '<mrow><msub><mi>p</mi><mi>t</mi></msub></mrow></math>'
    """
    latex = formula
    for pattern, replacement in [*_SYNONYMS, *([_LIMITS] if is_display else [])]:
        latex = re.sub(pattern, replacement, latex)
    try:
        made = convert(latex.strip(), display="block" if is_display else "inline")
    # Beside its own errors, latex2mathml raises IndexError and others where an argument is missing.
    except Exception as error:
        raise ValueError(f"{type(error).__name__} {error}".strip()) from error
    for pattern, replacement in _REPAIRS:
        made = re.sub(pattern, replacement, made)
    if found := _NOT_CONVERTED.search(made):
        raise ValueError(f"{found[1]} is not known")
    return made


def align_tables(html: str) -> str:
    """Aligns the columns of the tables of an output: numbers to the right, texts to the left.

    Args:
        html: HTML, such as that of a pandas table, which JupyterLab aligns to the right.

    Returns:
        HTML. The cells of a column that holds a text have the class `text`.
    """
    if "<table" not in html:
        return html
    soup = bs4.BeautifulSoup(html, "html.parser")
    for table in soup.find_all("table"):
        rows = [row.find_all(["td", "th"]) for row in table.find_all("tr")]
        body = [row for row in rows if any(cell.name == "td" for cell in row)]
        for place in range(max(map(len, body), default=0)):
            cells = [row[place] for row in body if len(row) == max(map(len, body))]
            if all(_NUMBER.fullmatch(cell.get_text(strip=True)) for cell in cells):
                continue
            for row in rows:
                for cell in row[place : place + 1]:
                    cell["class"] = [*cell.get("class", []), "text"]
    return str(soup)


def _read_figure(output: nbformat.NotebookNode, folder: str) -> tuple[str, int]:
    """Returns a figure of an output as base64, and its width on the page or 0 if it is not known.

    The file that `NotebookRun.show` wrote can be sharper than what the notebook holds.
    """
    shown = output.metadata.get("image/png", {})
    try:
        content = (pathlib.Path(folder) / "figures" / pathlib.Path(shown[FIGURE]).name).read_bytes()
        with PIL.Image.open(io.BytesIO(content)) as image:
            return base64.b64encode(content).decode(), round(image.width / SHARPNESS)
    except (OSError, KeyError, ValueError, SyntaxError):
        return output.data["image/png"], int(shown.get("width", 0))


class _InlineParser(MathInlineParser):
    """Takes for a formula what JupyterLab does: no code in it, no space at its ends, no price."""

    SPECIFICATION = MathInlineParser.SPECIFICATION | {
        "inline_math_tex": r"(?<![$\\])\$(?P<math_inline_tex>[^\s`$](?:[^`$]*[^\s`$\\])?)\$(?!\d)"
    }


class _Renderer(IPythonRenderer):
    """Renders Markdown with its formulas as MathML; nbconvert leaves them to a script."""

    def __init__(self, *args, notebook: str, **kwargs):
        super().__init__(*args, **kwargs)
        self.notebook = notebook

    def inline_math(self, body):
        return self._convert(body, False) or super().inline_math(body)

    def block_math(self, body):
        return self._convert(body, True) or super().block_math(body)

    def latex_environment(self, name, body):
        formula = f"\\begin{{{name}}}{body}\\end{{{name}}}"
        return self._convert(formula, True) or super().latex_environment(name, body)

    def _convert(self, formula, is_display):
        try:
            made = convert_formula(formula, is_display=is_display)
        except ValueError as error:
            _logger.warning(
                "%s: the formula %s stays as it is written on the page: %s. Expected LaTeX that "
                "latex2mathml converts.",
                self.notebook,
                " ".join(formula.split()),
                error,
            )
            return ""
        # A formula that is wider than a phone is scrolled by itself.
        return f'<span class="formula">{made}</span>' if is_display else made


class _Exporter(HTMLExporter):
    @pass_context
    def markdown2html(self, context, source):
        """Renders Markdown as nbconvert does, but for formulas."""
        named = context.get("resources", {}).get("metadata", {})
        renderer = _Renderer(
            escape=False,
            attachments=context.get("cell", {}).get("attachments", {}),
            embed_images=self.embed_images,
            path=named.get("path", ""),
            anchor_link_text=self.anchor_link_text,
            exclude_anchor_links=self.exclude_anchor_links,
            notebook=named.get("name", ""),
            **self.lexer_options,
        )
        inline = _InlineParser(hard_wrap=False)
        return MarkdownWithMath(renderer=renderer, inline=inline).render(source)
