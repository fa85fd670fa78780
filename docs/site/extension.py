"""What the site does that Sphinx does not: formulas as MathML, and the house's docstrings."""

from __future__ import annotations

import inspect
import re

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.util import logging

import crnn_keras
from crnn_keras.notebook.executed import align_tables, convert_formula

_logger = logging.getLogger(__name__)
_CODE = re.compile(r"(?<!`)`(?!`)([^`]+)`(?!`)(?!_)")
_LINK = re.compile(r"\[([^\]`]+)\]\((https?://[^)\s]+)\)")
_TABLE = re.compile(r"^(?P<indent> *)\|.*\|\n *\|[-| :]+\|\n(?: *\|.*\|(?:\n|$))*", re.M)
_EXAMPLE = re.compile(r"^( *>>> .*(?:\n *(?:\.\.\.|>>>)(?: .*|$))*)", re.M)
_RETURNS = re.compile(r"^(Returns|Yields):$")
# A public name in the text of a page, also as a call. A lone word such as `train` may be a split.
_NAMED = re.compile(r"(?:crnn_keras\.)?(\w+)(?:\(\))?")


def setup(app: Sphinx) -> dict[str, bool]:
    """Adds all of it to Sphinx."""
    # Here, as Sphinx imports as type checkers do, and with their names TensorFlow.
    for name in crnn_keras.__all__:
        getattr(crnn_keras, name)
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_block, None))
    # Before napoleon, which reads what it is given as reStructuredText.
    app.connect("autodoc-process-docstring", write_rst, priority=400)
    app.connect("autodoc-skip-member", _skip_of_keras)
    app.connect("doctree-read", link_public_names)
    app.connect("doctree-read", _align_tables)
    app.connect("html-page-context", _set_language)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_rst(
    app: object, what: str, name: str, *rest: object, public: frozenset = frozenset()
) -> None:
    """Turns the Markdown of a docstring, in place, into what Sphinx reads.

    Args:
        app: Sphinx.
        what: Kind of the object.
        name: Its full name.
        *rest: The object, its options, and the lines of the docstring.
        public: Names that become links. Defaults to those of the front door.
    """
    public = public or frozenset(crnn_keras.__all__)
    lines = rest[-1]
    own = name.rpartition(".")[2]

    def mark(match):
        # A span of code may go over the end of a line.
        text = " ".join(match[1].split())
        found = text.removeprefix("crnn_keras.")
        is_link = found in public and found != own
        marked = f":py:obj:`{text} <crnn_keras.{found}>`" if is_link else f"``{text}``"
        # reStructuredText ends a span only where a word ends.
        return marked + ("\\ " if match.string[match.end() :][:1].isalnum() else "")

    text = _TABLE.sub(_write_table, "\n".join(lines))
    # Every other block is an example.
    blocks = _EXAMPLE.split(text)
    blocks[::2] = [_CODE.sub(mark, _LINK.sub(r"`\1 <\2>`__", block)) for block in blocks[::2]]
    lines[:] = "".join(blocks).split("\n")
    for index, line in enumerate(lines[:-1]):
        if _RETURNS.match(line):
            # An empty type: napoleon takes what stands before a colon for one.
            indent = len(lines[index + 1]) - len(lines[index + 1].lstrip())
            lines[index + 1] = f"{' ' * indent}: {lines[index + 1].strip()}"


def _write_table(match):
    """Returns a table of Markdown as a list table."""
    indent = match["indent"]
    rows = [
        [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
        for line in match[0].strip("\n").splitlines()
    ]
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in [rows[0], *rows[2:]]:
        lines += [f"   {'*' if not index else ' '} - {cell}" for index, cell in enumerate(row)]
    return "\n".join(f"{indent}{line}".rstrip() for line in lines) + "\n"


def link_public_names(app: Sphinx, doctree: nodes.document) -> None:
    """Makes links of the public names that the pages name in code, but for those in headings."""
    for literal in list(doctree.findall(nodes.literal)):
        found = _NAMED.fullmatch(literal.astext())
        name = found[1] if found else ""
        if name not in crnn_keras.__all__ or name.islower() and "_" not in name:
            continue
        if isinstance(literal.parent, nodes.title | nodes.reference | pending_xref):
            continue
        target = f"crnn_keras.{name}"
        link = pending_xref(
            "", refdomain="py", reftype="obj", reftarget=target, refwarn=True, refexplicit=True
        )
        link["refdoc"] = app.env.docname
        literal.replace_self(link)
        link += literal


def _skip_of_keras(app, what, name, member, skip, options):
    """Skips what a class has from Keras, whose own pages describe it."""
    own = inspect.unwrap(getattr(member, "__func__", member))
    return True if (getattr(own, "__module__", "") or "").startswith("keras.") else None


def _align_tables(app, doctree):
    """Aligns the tables of notebooks as their own pages do."""
    for raw in doctree.findall(nodes.raw):
        if "<table" in raw.astext():
            raw.replace_self(nodes.raw("", align_tables(raw.astext()), format="html"))


def _set_language(app, name, template, context, doctree):
    """Says of a Chinese page that it is Chinese: fonts and voices are chosen by it."""
    if name.startswith("zh/") or name == "README.zh":
        context["language"] = "zh-CN"


def _visit_inline(translator, node):
    _write(translator, node, is_display=False)


def _visit_block(translator, node):
    _write(translator, node, is_display=True)


def _write(translator, node, *, is_display):
    try:
        made = convert_formula(node.astext(), is_display=is_display)
    except ValueError as error:
        _logger.warning("the formula %s: %s", node.astext(), error, location=node)
        made = translator.encode(node.astext())
    if is_display:
        # A formula that is wider than a phone is scrolled by itself.
        made = f'<div class="formula" tabindex="0">{made}</div>'
    translator.body.append(made)
    raise nodes.SkipNode
