"""Tables: tsv, and csv with commas or semicolons; with a header, or the path first."""

import csv
import itertools

from crnn_keras.data.labels.source import IMAGE_COLUMNS, TEXT_COLUMNS, row
from crnn_keras.images import SUFFIXES
from crnn_keras.utils import files


def rows(source):
    """Reads a table.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Problem`s.

    Raises:
        ValueError: the columns are not found, or the quotation marks do not match.
    """
    with files.open_text(source.path, source.encoding) as file:
        filled = _filled_rows(source, file)
        begin = list(itertools.islice(filled, 2))
        if not begin:
            return
        header, image_column, text_column = _columns(source, begin)
        columns = len(begin[0][1])
        if not header:
            columns = max(columns, image_column + 1, text_column + 1)
        for line, cells in itertools.chain(begin[header:], filled):
            name = cells[image_column].strip() if len(cells) > image_column else ""
            label = cells[text_column].strip() if len(cells) > text_column else ""
            label = label if len(cells) <= columns else None
            yield row(source.where(line), source.folder, name, label)


def _filled_rows(source, file):
    """Rows as lists of cells, without empty ones at the end, each with the line it begins in."""
    if source.layout == "tsv":
        # In a tsv a quotation mark is a character like any other.
        form = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
    else:
        form = {"delimiter": _delimiter(source, file), "strict": True, "skipinitialspace": True}
    table = csv.reader(file, **form)
    while True:
        line = table.line_num + 1
        try:
            cells = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(
                f"{source.where(line)}: {error}. A label with a quotation mark stands in quotation "
                "marks in a csv, with its own doubled; in a tsv it needs none."
            ) from None
        while cells and not cells[-1].strip():
            cells.pop()
        if cells:
            yield line, cells


def _delimiter(source, file):
    first = next((line for line in file if not line.isspace()), "")
    file.seek(0)
    # Excel writes semicolons where the comma is the decimal point.
    if "," in first or ";" not in first:
        return ","
    source.notes.append("its columns end with semicolons")
    return ";"


def _columns(source, begin):
    """Whether there is a header, and the numbers of the image and the text column."""
    (line, first), given = begin[0], source.columns
    names = [cell.strip().lower() for cell in first]
    if given is None and names[0].endswith(SUFFIXES):
        source.notes.append("no header: the path first, the text second")
        return False, 0, 1
    if given is None:
        found = [_known(source, line, names, known) for known in (IMAGE_COLUMNS, TEXT_COLUMNS)]
    else:
        found = [_given(source, line, names, column) for column in given]
    if given and all(isinstance(column, int) for column in given):
        header = _is_header(names, begin[1:], found[0])
    else:
        header = True
    if header and max(found) >= len(first):
        _no_column(source, line, names, max(found))
    named = [repr(first[i].strip()) if header and i < len(first) else str(i) for i in found]
    source.notes.append(
        f"{'a header' if header else 'no header'}: the path in column {named[0]}, "
        f"the text in column {named[1]}"
    )
    return header, *found


def _is_header(names, second, column):
    name = names[column] if column < len(names) else ""
    after = second[0][1][column].strip() if second and column < len(second[0][1]) else ""
    return not name.endswith(SUFFIXES) and (
        name in IMAGE_COLUMNS or after.lower().endswith(SUFFIXES)
    )


def _known(source, line, names, known):
    matches = [i for i, name in enumerate(names) if name in known]
    if not matches:
        raise ValueError(
            f"{source.where(line)}: the columns {names} have none of {', '.join(known)}. Name the "
            'columns so, or say which they are: columns=("crop", "word") by their names; or, where '
            "there is no header, columns=(0, 1) by their numbers, the image's first."
        )
    return matches[0]


def _given(source, line, names, column):
    if isinstance(column, int):
        return column
    if column.strip().lower() not in names:
        _no_column(source, line, names, column)
    return names.index(column.strip().lower())


def _no_column(source, line, names, column):
    raise ValueError(
        f"{source.where(line)}: there is no column {column!r}, only {names}. Give the names of "
        "the image's and the text's column, or their numbers from 0."
    )
