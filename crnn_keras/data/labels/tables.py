"""Tables: tsv, and csv with commas or semicolons; with a header, or the path first."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import IMAGE_COLUMNS, TEXT_COLUMNS, Source, check_row
from crnn_keras.images import SUFFIXES
from crnn_keras.utils import files


def rows(source: Source) -> Iterator[Sample | Issue]:
    """Reads a table.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Issue`s.

    Raises:
        ValueError: the columns are not found, or the quotation marks do not match.
    """
    with files.open_text(source.path, source.encoding) as file:
        filled = _filled_rows(source, file)
        start = list(itertools.islice(filled, 2))
        if not start:
            return
        has_header, image_column, text_column = _find_columns(source, start)
        num_columns = len(start[0][1])
        if not has_header:
            num_columns = max(num_columns, image_column + 1, text_column + 1)
        for where, cells in itertools.chain(start[has_header:], filled):
            name = cells[image_column].strip() if len(cells) > image_column else ""
            label = cells[text_column].strip() if len(cells) > text_column else ""
            label = label if len(cells) <= num_columns else None
            yield check_row(name, label, where, folder=source.folder)


def _filled_rows(source, file):
    """Yields the line that a row starts in, and its cells without empty ones at the end."""
    if source.layout == "tsv":
        # In a tsv a quotation mark is a character like any other.
        form = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
    else:
        form = {"delimiter": _delimiter(source, file), "strict": True, "skipinitialspace": True}
    table = csv.reader(file, **form)
    while True:
        where = source.where(table.line_num + 1)
        try:
            cells = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(
                f"{where}: {error}. In a csv, put a label with a quotation mark in quotation "
                "marks, and double its own; a tsv needs neither."
            ) from None
        while cells and not cells[-1].strip():
            cells.pop()
        if cells:
            yield where, cells


def _delimiter(source, file):
    first = next((line for line in file if not line.isspace()), "")
    file.seek(0)
    # Excel writes semicolons where the comma is the decimal point.
    if "," in first or ";" not in first:
        return ","
    source.notes.append("its columns end with semicolons")
    return ";"


def _find_columns(source, start):
    """Returns whether there is a header, and the indices of the image and the text column."""
    (where, first), asked = start[0], source.columns
    names = [cell.strip().lower() for cell in first]
    if asked is None and names[0].endswith(SUFFIXES):
        source.notes.append("no header: the path first, the text second")
        return False, 0, 1
    if asked is None:
        found = [_find_known(names, known, where) for known in (IMAGE_COLUMNS, TEXT_COLUMNS)]
    else:
        found = [_find_asked(names, column, where) for column in asked]
    has_header = True
    if asked and all(isinstance(column, int) for column in asked):
        has_header = _is_header(names, start[1:], found[0])
    if has_header and max(found) >= len(first):
        raise _no_column(names, max(found), where)
    shown = [repr(first[i].strip()) if has_header and i < len(first) else str(i) for i in found]
    source.notes.append(
        f"{'a header' if has_header else 'no header'}: the path in column {shown[0]}, "
        f"the text in column {shown[1]}"
    )
    return has_header, *found


def _is_header(names, second, column):
    """Whether the first row names columns: its cell is a known name, or images follow it."""
    name = names[column] if column < len(names) else ""
    after = second[0][1][column].strip() if second and column < len(second[0][1]) else ""
    return not name.endswith(SUFFIXES) and (
        name in IMAGE_COLUMNS or after.lower().endswith(SUFFIXES)
    )


def _find_known(names, known, where):
    matches = [i for i, name in enumerate(names) if name in known]
    if not matches:
        raise ValueError(
            f"{where}: the columns {names} have none of {', '.join(known)}. Rename them, or name "
            'them: image_column="crop", text_column="word"; or, without a header, by their indices '
            "from 0: image_column=0, text_column=1."
        )
    return matches[0]


def _find_asked(names, column, where):
    if isinstance(column, int):
        return column
    if column.strip().lower() not in names:
        raise _no_column(names, column, where)
    return names.index(column.strip().lower())


def _no_column(names, column, where):
    return ValueError(
        f"{where}: there is no column {column!r}, only {names}. Expected the names of the image's "
        "and the text's column, or their indices from 0."
    )
