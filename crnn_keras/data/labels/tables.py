"""Tables: tsv, and csv with commas, semicolons or bars; with a header, or the path first."""

from __future__ import annotations

import collections
import csv
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import (
    IMAGE_COLUMNS,
    SUFFIX_PATTERN,
    TEXT_COLUMNS,
    Source,
    check_row,
    no_image,
)
from crnn_keras.images import SUFFIXES
from crnn_keras.utils import files
from crnn_keras.utils.limits import MAX_LABEL_CHARACTERS

# In order of preference, with their names.
_DELIMITERS = {",": "commas", ";": "semicolons", "|": "bars", "\t": "tabs"}
# Rows that are looked at before the first is yielded.
_LOOKED_AT = 100
# So many rows with one empty column at their end have it for another reason than a comma that ends
# each label.
_NO_CHANCE = 10
# What Excel writes for itself into the first line.
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.I)
_OTHER_DELIMITER = re.compile(rf"\.(?:{SUFFIX_PATTERN})\s*[,;|\t]", re.I)


@dataclass(frozen=True)
class _Row:
    """A row: the line that it starts in, the first of its text, and its cells."""

    where: str
    line: str
    cells: list[str]

    def cell(self, column: int) -> str:
        return self.cells[column].strip() if column < len(self.cells) else ""


@dataclass(frozen=True)
class _Form:
    """The columns of a table.

    Args:
        image: int, index of the column of the path.
        text: int, index of the column of the label.
        width: int, number of columns; a row with more cells has a label that was cut.
        header: the row that names the columns, or None.
    """

    image: int
    text: int
    width: int
    header: _Row | None = None


def rows(source: Source) -> Iterator[Sample | Issue]:
    """Reads a table, row by row: a row that cannot be read leaves the others as they are.

    A table without a header has as many columns as path and text need, whatever its first row has.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Issue`s.

    Raises:
        ValueError: the columns are not found.
    """
    table = _split_rows(source)
    start = list(itertools.islice(table, _LOOKED_AT))
    form = _find_form(source, [row for row in start if isinstance(row, _Row)])
    for row in itertools.chain(start, table):
        if isinstance(row, Issue):
            yield row
        elif row is not form.header:
            yield _check(source, row, form)


def _check(source, row, form):
    name, label = row.cell(form.image), row.cell(form.text)
    is_image = name.lower().endswith(SUFFIXES)
    if row.line.startswith("#") and not is_image:
        return no_image(row.line, row.where)
    if not is_image and _OTHER_DELIMITER.search(name):
        reason = (
            f"{row.line[:60]!r} has another separator after the path than the rows before it. "
            "Write the row as the others are."
        )
        return Issue("other separator", row.where, reason)
    label = label if _num_cells(source, row) <= form.width else None
    return check_row(name, label, row.where, folder=source.folder)


def _num_cells(source, row):
    """Counts the cells of a row. Tabs at the end of a line are white space, as blanks are."""
    if source.layout == "tsv":
        return len(row.line.rstrip().split("\t"))
    return len(row.cells)


def _split_rows(source):
    """Yields the `_Row`s of a table, and an `Issue` for each line that is none."""
    delimiter, skipped = _find_delimiter(source)
    lines = _Lines(source)
    for number, line in lines:
        if number == skipped or not line or line.isspace():
            continue
        where = source.where(number)
        # In a tsv a quotation mark is a character like any other.
        if source.layout == "tsv" or '"' not in line:
            cells = line.split(delimiter)
        else:
            cells = _split_quoted(line, lines, delimiter, where=where)
        yield cells if isinstance(cells, Issue) else _Row(where, line, cells)


class _Lines:
    """Iterates over the numbered lines of a file; lines can be put back."""

    def __init__(self, source):
        self._lines = files.read_lines(source.path, source.encoding)
        self._waiting = collections.deque()

    def __iter__(self):
        return self

    def __next__(self):
        return self._waiting.popleft() if self._waiting else next(self._lines)

    def put_back(self, lines):
        self._waiting.extendleft(reversed(lines))


def _split_quoted(line, lines, delimiter, *, where):
    """Returns the cells of a row with quotation marks, or the `Issue` of its first line.

    A cell in quotation marks may hold line breaks. But where a mark is missing, the next mark of
    the file would end the cell, and the rows between would vanish in it. So a cell does not go on
    in a line that looks like a row.
    """
    cells, error = _parse(line, delimiter)
    if not cells and line.count('"') % 2:
        following, is_closed = _read_on(line, lines, delimiter)
        if is_closed:
            cells, _ = _parse("\n".join([line, *(text for _, text in following)]), delimiter)
        if not cells:
            lines.put_back(following)
    if cells:
        return cells
    if len(line) > MAX_LABEL_CHARACTERS:
        reason = f"{line[:60]!r}... has {len(line):,} characters. Expected a line of text."
        return Issue("overlong label", where, reason)
    reason = (
        f"{line[:60]!r}: {error}. In a csv, put a label with a quotation mark in quotation marks, "
        'and double its own: "say ""hi"""; a tsv needs neither.'
    )
    return Issue("quotation mark missing", where, reason)


def _parse(text, delimiter):
    """Returns the cells of one row, or none and the error."""
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True, skipinitialspace=True)), ""
    except csv.Error as error:
        return [], str(error)


def _read_on(first, lines, delimiter):
    """Returns the numbered lines to the one that may end a cell, and whether there is one."""
    following, size = [], 0
    for number, line in lines:
        following.append((number, line))
        size += len(line)
        if size > MAX_LABEL_CHARACTERS or _looks_like_a_row(line, first, delimiter):
            return following, False
        if line.count('"') % 2:
            return following, True
    return following, False


def _looks_like_a_row(line, first, delimiter):
    def names_image(line):
        return any(c.strip(' "').lower().endswith(SUFFIXES) for c in line.split(delimiter))

    if names_image(first):
        return names_image(line)
    return line.count(delimiter) == first.count(delimiter)


def _find_delimiter(source):
    """Returns the delimiter, and the number of a line that only names it."""
    if source.layout == "tsv":
        return "\t", None
    lines = (
        (n, line) for n, line in files.read_lines(source.path, source.encoding) if line.strip()
    )
    start = list(itertools.islice(lines, _LOOKED_AT))
    stated = SEPARATOR_LINE.fullmatch(start[0][1]) if start else None
    if stated:
        source.notes.append(f"its first line names the separator {stated[1]!r}")
        return stated[1], start[0][0]
    fitting = (d for _, line in start for d in _DELIMITERS if _fits(source, line, d))
    first = start[0][1] if start else ""
    delimiter = next(fitting, None) or next((d for d in _DELIMITERS if d in first), ",")
    if delimiter != ",":
        source.notes.append(f"its columns end with {_DELIMITERS[delimiter]}")
    return delimiter, None


def _fits(source, line, delimiter):
    """Whether a delimiter makes the columns of a header, or an image and more, of a line."""
    cells = [cell.strip() for cell in _parse(line, delimiter)[0] or line.split(delimiter)]
    names = set(map(_fold, cells))
    asked = [_fold(column) for column in source.columns or () if isinstance(column, str)]
    is_header = bool(names & set(IMAGE_COLUMNS) and names & set(TEXT_COLUMNS))
    is_header |= bool(asked) and names.issuperset(asked)
    return len(cells) > 1 and (is_header or any(c.lower().endswith(SUFFIXES) for c in cells))


def _find_form(source, start):
    """Returns the `_Form` of a table by its first rows; notes it in the source."""
    first = next((row for row in start if _decides(row)), None)
    if first is None:
        first = next((row for row in start if not row.line.startswith("#")), None)
    if first is None:
        return _Form(0, 1, 2)
    names = [_fold(cell) for cell in first.cells]
    asked, has_header = source.columns, True
    if asked is None and names[0].endswith(SUFFIXES):
        source.notes.append("no header: the path first, the text second")
        image, text, has_header = 0, 1, False
    elif asked is None:
        image, text = (_find_known(names, known, first) for known in (IMAGE_COLUMNS, TEXT_COLUMNS))
    else:
        image, text = (_find_asked(names, column, first) for column in asked)
        if image == text:
            raise ValueError(
                f"{first.where}: {asked[0]!r} and {asked[1]!r} are one column. Expected that of "
                "the images and that of the texts."
            )
        if not any(isinstance(column, str) and _fold(column) in names for column in asked):
            after = start[start.index(first) + 1 :]
            has_header = _is_header(names, after, image)
        if has_header and max(image, text) >= len(names):
            raise _no_column(names, max(image, text), first)
    if has_header or asked:
        shown = [repr(first.cell(i)) if has_header else str(i) for i in (image, text)]
        source.notes.append(
            f"{'a header' if has_header else 'no header'}: the path in column {shown[0]}, "
            f"the text in column {shown[1]}"
        )
    width = len(names) if has_header else max(image, text) + 1
    data = [row for row in start if not (has_header and row is first)]
    width += _padding(source, data, width=width, has_header=has_header)
    return _Form(image, text, width, first if has_header else None)


def _decides(row):
    """Whether a row shows by itself if the table has a header: it has an image, or two names."""
    names = [cell.strip() for cell in row.cells]
    if row.line.startswith("#"):
        known = set(map(_fold, names))
        return bool(known & set(IMAGE_COLUMNS) and known & set(TEXT_COLUMNS))
    return names[0].lower().endswith(SUFFIXES) or sum(map(bool, names)) > 1


def _padding(source, data, *, width, has_header):
    """Returns how many empty columns every row has at its end, as Excel writes them.

    Otherwise they are commas that end labels, unless there are too many rows for that. A header
    without them says that a single row ends with commas.
    """
    extra = [len(row.cells) - width for row in data]
    padding = min(extra, default=0)
    is_empty = not any(cell.strip() for row in data for cell in row.cells[width : width + padding])
    enough = _NO_CHANCE if padding == 1 else 1 + has_header
    if padding < 1 or len(extra) < enough or not is_empty:
        return 0
    source.notes.append(f"each row ends with {padding} empty column{'s'[: padding > 1]}")
    return padding


def _is_header(names, after, column):
    """Whether the first row names columns: its cell is a known name, or images follow it."""
    name = names[column] if column < len(names) else ""
    following = after[0].cell(column).lower() if after else ""
    return not name.endswith(SUFFIXES) and (name in IMAGE_COLUMNS or following.endswith(SUFFIXES))


def _fold(name):
    return name.strip().lstrip("#").strip().casefold()


def _find_known(names, known, row):
    matches = [i for i, name in enumerate(names) if name in known]
    if not matches:
        raise ValueError(
            f"{row.where}: the columns {names} have none of {', '.join(known)}. Rename them, or "
            'name them: image_column="crop", text_column="word"; or, without a header, by their '
            "indices from 0: image_column=0, text_column=1."
        )
    return matches[0]


def _find_asked(names, column, row):
    """Returns the index of a column that was asked for by its name or its index."""
    if isinstance(column, str):
        matches = [i for i, name in enumerate(names) if name == _fold(column)]
        if len(matches) > 1:
            raise ValueError(
                f"{row.where}: {len(matches)} columns have the name {column!r}. Expected one; or "
                f"name its index from 0: {' or '.join(map(str, matches))}."
            )
        if matches:
            return matches[0]
        # On a command line an index is a text.
        if not (column.strip().isascii() and column.strip().isdecimal()):
            raise _no_column(names, column, row)
    return int(column)


def _no_column(names, column, row):
    return ValueError(
        f"{row.where}: there is no column {column!r}, only {names}. Expected the names of the "
        "image's and the text's column, or their indices from 0."
    )
