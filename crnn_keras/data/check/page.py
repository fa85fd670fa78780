"""The report as one html page that needs nothing else."""

import base64
import html
import io
import pathlib

from crnn_keras.data.check.issues import visible
from crnn_keras.data.labels import write_problems
from crnn_keras.utils import files

# Rows of a table on the page, at most; the tables beside it hold them all.
MOST = 2000
_OPEN = 12
_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:.7rem 0;display:block;overflow-x:auto}"
    "th,td{text-align:left;vertical-align:top;padding:.15rem 1.5rem .15rem 0;unicode-bidi:isolate;"
    "overflow-wrap:anywhere}td[dir]{min-width:7rem;white-space:pre-wrap}"
    "tr+tr>td{border-top:1px solid #eee}"
    "td.number,th.number{text-align:right;white-space:nowrap}"
    "summary{cursor:pointer;margin:.4rem 0}img{display:block;max-width:100%;margin:.7rem 0}"
    ".advice{color:#555}"
)


def write(path, check, figures=()):
    """Writes the page, and the lists of what was left out and found beside it.

    Everything that comes from the data is escaped, and characters that draw nothing, bidi marks
    among them, are written as code points: a label changes nothing but its own cell.

    Args:
        path: html file to write.
        check: a `DataCheck`.
        figures: matplotlib `Figure`s.
    """
    path = pathlib.Path(path)
    sections = [
        ("Parts", _table(check.counts())),
        ("At a glance", _table(check.table()) if check.problems or check.findings else _NOTHING),
        ("Figures", "".join(map(_figure, figures))),
        ("Left out", _lists(check.by_kind(check.problems), "skipped.tsv")),
        ("Worth a look", _lists(check.by_kind(check.findings), "findings.tsv")),
        ("Characters", _details("All characters", _characters(check.characters()))),
    ]
    body = "".join(f"<h2>{title}</h2>{content}" for title, content in sections if content)
    name = _text(path.parent.name or path.stem)
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>Data check: {name}</title><style>{_STYLE}</style>"
        f"<h1>Data check: {name}</h1>{body}</html>\n"
    )
    files.write_atomic(path, page.encode())
    write_problems(path.parent / "skipped.tsv", [_shown(entry) for entry in check.problems])
    write_problems(path.parent / "findings.tsv", [_shown(entry) for entry in check.findings])


_NOTHING = "<p>Nothing was left out, and nothing is worth a look.</p>"


def _shown(entry):
    """A problem or finding whose texts can be written to a table, whatever they hold."""
    fields = {"where": visible(entry.where), "reason": visible(entry.reason)}
    return type(entry)(entry.kind, fields["where"], fields["reason"])


def _text(value):
    return html.escape(visible(value))


def _cell(value, tag="td"):
    if isinstance(value, int | float) or hasattr(value, "dtype"):
        shown = ("yes" if value else "no") if str(value) in ("True", "False") else f"{value:,}"
        return f'<{tag} class="number">{shown}</{tag}>'
    return f'<{tag} dir="auto">{_text(value)}</{tag}>'


def _table(table):
    numbers = [i for i, kind in enumerate(table.dtypes) if kind.kind in "iufb"]
    head = "".join(
        f"<th{' class=number' if i in numbers else ''}>{_text(name)}</th>"
        for i, name in enumerate(table.columns)
    )
    rows = "".join(
        f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.itertuples(index=False, name=None)
    )
    return f"<table><tr>{head}</tr>{rows}</table>"


def _characters(table):
    more = len(table) - MOST
    return _table(table.head(MOST)) + (f"<p>and {more:,} more.</p>" if more > 0 else "")


def _details(title, content, is_open=False):
    return f"<details{' open' if is_open else ''}><summary>{title}</summary>{content}</details>"


def _lists(kinds, file):
    """A table for each kind, with file, line and reason of every row."""
    sections = []
    for kind, entries in kinds.items():
        rows = "".join(
            f"<tr>{_cell(entry.where)}{_cell(entry.reason)}</tr>" for entry in entries[:MOST]
        )
        more = len(entries) - MOST
        more = f"<p>and {more:,} more, in {file}.</p>" if more > 0 else ""
        content = f"<table><tr><th>where</th><th>what, and what to do</th></tr>{rows}</table>{more}"
        title = f"<b>{_text(kind)}</b>: {len(entries):,}"
        sections.append(_details(title, content, len(entries) <= _OPEN))
    return "".join(sections)


def _figure(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return f'<img src="data:image/png;base64,{encoded}" alt="">'
