"""What the layouts share: a label source, its lines, and checks of the rows."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import re
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.sample import Sample
from crnn_keras.images import SUFFIXES
from crnn_keras.utils import files
from crnn_keras.utils.encodings import AUTO, is_guess
from crnn_keras.utils.limits import MAX_LABEL_CHARACTERS, MAX_NAME_BYTES, MAX_PATH_BYTES
from crnn_keras.utils.log import printable

SUFFIX_PATTERN = "|".join(suffix[1:] for suffix in SUFFIXES)
IMAGE_COLUMNS = ("image", "path", "file", "filename", "file_name", "img")
TEXT_COLUMNS = ("text", "label", "labels", "word", "words", "transcription")
# No image shows them, and a terminal obeys them. A tab is a gap between words.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")


@dataclass
class Source:
    """Holds a label file or folder, and what is known about how to read it.

    Args:
        path: the label file; or the folder, if no single file holds the labels.
        layout: string, one of `LAYOUTS`.
        evidence: string, how the layout was detected.
        encoding: string, encoding of a label file that is text. Defaults to `""`.
        asked_encoding: string, what the user said of it. Defaults to `"auto"`.
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
    asked_encoding: str = AUTO
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
        if encoding and is_guess(self.asked_encoding, self.encoding):
            encoding[0] += " (a guess: if labels look wrong, state encoding=)"
        clauses = [f"layout {self.layout}, because {self.evidence}", *encoding, *self.notes]
        return printable(f"{self.path}: " + "; ".join(clauses))

    def where(self, line: int | str) -> str:
        """Returns the name of a line of the label file, for messages."""
        return f"{self.path}, line {line}"

    def read_json(self, **options: object) -> Any:
        """Reads the label file as one JSON value, and notes its encoding.

        Args:
            **options: options of `json.loads`.

        Returns:
            Plain data. The whole file is held in memory.

        Raises:
            ValueError: the file is not JSON, or in no encoding that can be told.
        """
        text, self.encoding = files.read_text(self.path, self.asked_encoding)
        try:
            return json.loads(text, **options)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{self.path} is not JSON: {error}") from None

    def lines(self) -> Iterator[tuple[str, str]]:
        """Reads the lines of the label file that are not blank.

        Yields:
            Tuples of file and line number, counted from 1 (`"gt.txt, line 7"`), and the line
            without its end.
        """
        for number, line in files.read_lines(self.path, self.encoding):
            if line and not line.isspace():
                yield self.where(number), line


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
    issue = _check_path(name, where, folder) or check_text(name, label, where)
    if issue:
        return issue
    # A path that is absolute lies in the folder, so that `join` returns it.
    path = os.path.normpath(os.path.join(folder, name.replace("\\", "/")))
    return Sample(path, label, where)


def no_image(line: str, where: str, *, expected: str = "") -> Issue:
    """Makes the issue of a line that names no image.

    Args:
        line: the line.
        where: string, its file and number.
        expected: string, what a line of the layout looks like. Defaults to `""`.

    Returns:
        An `Issue`: a line that begins with `#` is a comment.
    """
    if line.lstrip().startswith("#"):
        reason = f"{line[:60]!r} begins with # and names no image: it is left out as a comment."
        return Issue("comment", where, reason)
    if expected:
        return Issue("no image", where, f"{line[:60]!r} is not like {expected}.")
    shown = f"{line[:60]!r} has" if line.strip() else "The row has"
    endings = ", ".join(SUFFIXES)
    reason = f"{shown} no path of an image where one is expected. Write one that ends in {endings}."
    return Issue("no image", where, reason)


def _check_path(name, where, folder):
    if not name or "\0" in name:
        return no_image(name or "", where)
    if "\n" in name or "\r" in name:
        reason = f"{name[:60]!r} is a path with a line break. Rename the file."
        return Issue("line break in path", where, reason)
    # Most paths are short and hold no dots: they are checked fast.
    if len(name) * 4 > MAX_NAME_BYTES and _is_too_long(name):
        reason = (
            f"{name[:60]!r}... is longer than a file system takes: {MAX_NAME_BYTES} bytes a name "
            f"and {MAX_PATH_BYTES:,} a path. Is a separator missing in the row?"
        )
        return Issue("path too long", where, reason)
    # A letter and a colon are a drive of Windows.
    is_absolute = name[0] in "/\\" or (name[1:2] == ":" and re.match("[a-zA-Z]", name))
    has_dots = ".." in name and ".." in name.replace("\\", "/").split("/")
    if has_dots or (is_absolute and not _lies_in(name, folder)):
        reason = (
            f"{name!r} leaves the images' folder {str(folder)!r}. Write it relative to that "
            "folder, without '..', or name the folder that it lies in as images_folder."
        )
        return Issue("path outside the folder", where, reason)
    return None


def _is_too_long(name):
    parts = name.replace("\\", "/").split("/")
    lengths = [len(part.encode("utf-8", "surrogatepass")) for part in parts]
    return max(lengths) > MAX_NAME_BYTES or sum(lengths) + len(parts) > MAX_PATH_BYTES


def _lies_in(name, folder):
    path = os.path.normpath(name)
    return os.path.isabs(path) and path.startswith(_roots(str(folder)))


@functools.lru_cache(maxsize=256)
def _roots(folder):
    """Returns the absolute names of a folder, with and without its symbolic links resolved."""
    return tuple(os.path.join(root(folder), "") for root in (os.path.abspath, os.path.realpath))


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
        reason = (
            f"{name!r} has more columns than the table. Is a comma or tab in its label? In a csv, "
            "put the label in quotation marks. Further columns need a first row with their names."
        )
        return Issue("too many columns", where, reason)
    if not label:
        reason = f"{name!r} has no label. Write one or remove the row."
        return Issue("empty label", where, reason)
    if len(label) > MAX_LABEL_CHARACTERS:
        reason = (
            f"{name!r} has a label of {len(label):,} characters. Expected a line of text, at most "
            f"{MAX_LABEL_CHARACTERS:,}. Is a quotation mark or a line break missing?"
        )
        return Issue("overlong label", where, reason)
    try:
        name.isascii() or name.encode()
        label.isascii() or label.encode()
    except UnicodeEncodeError:
        reason = f"{name!r} or its label is not UTF-8. Rename the file or write the label again."
        return Issue("not UTF-8", where, reason)
    if label.isprintable():
        return None
    if len(label.splitlines()) > 1:
        reason = f"{name!r} has a label of several lines. A sample is one line of text."
        return Issue("line break in label", where, reason)
    if found := _CONTROL.search(label):
        reason = (
            f"{name!r} has a label with the control character {found[0]!r}, which no image shows. "
            "Is the file damaged, or in another encoding? Write the label again."
        )
        return Issue("control character", where, reason)
    return None
