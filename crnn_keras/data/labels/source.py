"""What the layouts share: a label source, its lines, and checks of the rows."""

from __future__ import annotations

import functools
import os
import pathlib
import re
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.sample import Sample
from crnn_keras.images import SUFFIXES
from crnn_keras.utils import files

SUFFIX_PATTERN = "|".join(suffix[1:] for suffix in SUFFIXES)
IMAGE_COLUMNS = ("image", "path", "file", "filename", "file_name", "img")
TEXT_COLUMNS = ("text", "label", "labels", "word", "words", "transcription")


@dataclass
class Source:
    """Holds a label file or folder, and what is known about how to read it.

    Args:
        path: the label file; or the folder, if no single file holds the labels.
        layout: string, one of `LAYOUTS`.
        evidence: string, how the layout was detected.
        encoding: string, encoding of a label file that is text. Defaults to `""`.
        images_folder: folder that the paths in the label file start from. Defaults to `None`:
            the label file's own folder.
        columns: `(image column, text column)`, names or indices, if the user named them.
        notes: list of clauses for the description; `rows` of a layout adds to it before its
            first row.
        lexicons: dict of word lists that `rows` fills, see `LabelledSet`.
    """

    path: pathlib.Path
    layout: str
    evidence: str
    _: KW_ONLY
    encoding: str = ""
    images_folder: pathlib.Path | None = None
    columns: tuple[str | int, str | int] | None = None
    notes: list[str] = field(default_factory=list)
    lexicons: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)

    @functools.cached_property
    def folder(self) -> str:
        """Returns the folder that the paths in the label file start from."""
        return str(self.images_folder or self.path.parent)

    @property
    def description(self) -> str:
        """Describes how the source is understood."""
        encoding = [f"encoding {self.encoding}"] if self.encoding else []
        clauses = [f"layout {self.layout}, because {self.evidence}", *encoding, *self.notes]
        return f"{self.path}: " + "; ".join(clauses)

    def where(self, line: int | str) -> str:
        """Returns the name of a line of the label file, for messages."""
        return f"{self.path}, line {line}"

    def lines(self) -> Iterator[tuple[str, str]]:
        """Reads the lines of the label file that are not blank.

        Yields:
            Tuples of file and line number, counted from 1 (`"gt.txt, line 7"`), and the line
            without its end.
        """
        with files.open_text(self.path, self.encoding) as file:
            for line_number, line in enumerate(file, start=1):
                if not line.isspace():
                    yield self.where(line_number), line.rstrip("\n")


def check_row(
    name: str | None, label: str | None, where: str, *, folder: str | os.PathLike
) -> Sample | Issue:
    """Turns a row into a sample if it can be used.

    Whether the image exists is not checked. Symbolic links are followed.

    Args:
        name: string, path of the image as the row has it; empty or `None` if the row has none.
        label: string, the text; `None` if the row has too many columns.
        where: string, file and line of the row.
        folder: folder that the path starts from.

    Returns:
        A `Sample`, or the `Issue` that keeps the row from being used.
    """
    issue = _check_path(name, where) or check_text(name, label, where)
    if issue:
        return issue
    path = os.path.normpath(os.path.join(folder, name.replace("\\", "/")))
    return Sample(path, label, where)


def _check_path(name, where):
    if not name or "\0" in name:
        endings = ", ".join(SUFFIXES)
        reason = f"no path of an image. Write one that ends in {endings}."
        return Issue("no image", where, reason)
    # A letter and a colon are a drive of Windows. Most paths hold no dots: they are checked fast.
    is_absolute = name[0] in "/\\" or (name[1:2] == ":" and re.match("[a-zA-Z]", name))
    if is_absolute or (".." in name and ".." in name.replace("\\", "/").split("/")):
        reason = (
            f"{name!r} leaves the images' folder. Write it relative to that folder, without '..'."
        )
        return Issue("path outside the folder", where, reason)
    return None


def check_text(name: str, label: str | None, where: str) -> Issue | None:
    """Checks that a label is one line of text.

    Args:
        name: string, the image, for the message.
        label: string, the text; `None` if the row has too many columns.
        where: string, file and line of the row.

    Returns:
        An `Issue`, or `None` if the label is usable.
    """
    if label is None:
        reason = f"{name!r} has more columns than the first row. Is a comma or tab in its label?"
        return Issue("too many columns", where, reason)
    if not label:
        reason = f"{name!r} has no label. Write one or remove the row."
        return Issue("empty label", where, reason)
    if len(label.splitlines()) > 1:
        reason = f"{name!r} has a label of several lines. A sample is one line of text."
        return Issue("line break in label", where, reason)
    try:
        name.isascii() or name.encode()
        label.isascii() or label.encode()
    except UnicodeEncodeError:
        reason = f"{name!r} or its label is not UTF-8. Rename the file or write the label again."
        return Issue("not UTF-8", where, reason)
    return None
