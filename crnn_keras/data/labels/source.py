"""What the layouts share: a source to read, its lines with their numbers, and rows checked."""

import functools
import os
import pathlib
import re
from dataclasses import dataclass, field

from crnn_keras.data.labels.sample import Problem, Sample
from crnn_keras.images import SUFFIXES
from crnn_keras.utils import files

SUFFIX_PATTERN = "|".join(suffix[1:] for suffix in SUFFIXES)
IMAGE_COLUMNS = ("image", "path", "file", "filename", "file_name", "img")
TEXT_COLUMNS = ("text", "label", "labels", "word", "words", "transcription")


@dataclass
class Source:
    """A label file or folder with what is known of how to read it.

    Args:
        path: the label file; or the folder where no file holds the labels.
        layout: one of `LAYOUTS`.
        because: by what the layout was seen.
        encoding: of the label file, where it is text.
        images_folder: folder that the paths start from, where the user gave one.
        columns: image and text column that the user gave.
        notes: clauses for the description; readers add to them before their first row.
        lexicons: word lists that readers fill, see `LabelledSet`.
    """

    path: pathlib.Path
    layout: str
    because: str
    encoding: str = ""
    images_folder: pathlib.Path | None = None
    columns: tuple | None = None
    notes: list = field(default_factory=list)
    lexicons: dict = field(default_factory=dict)

    @functools.cached_property
    def folder(self):
        """Path, as text, of the folder that the paths in the label file start from."""
        return str(self.images_folder or self.path.parent)

    @property
    def description(self):
        """How the source is understood, in words."""
        encoding = [f"encoding {self.encoding}"] if self.encoding else []
        clauses = [f"layout {self.layout}, because {self.because}", *encoding, *self.notes]
        return f"{self.path}: " + "; ".join(clauses)

    def where(self, line):
        """Names a line of the label file."""
        return f"{self.path}, line {line}"

    def lines(self):
        """Lines of the label file that are not blank.

        Yields:
            Tuples of the line's number from 1, and the line without its end.
        """
        with files.open_text(self.path, self.encoding) as file:
            for number, line in enumerate(file, start=1):
                if not line.isspace():
                    yield number, line.rstrip("\n")


def row(where, folder, name, label):
    """A sample from a row, or what is wrong with it.

    Whether the image is there is not looked at. Symbolic links are followed.

    Args:
        where: file and line of the row.
        folder: folder that the path starts from.
        name: the image's path as the row gives it; empty or None if it has none.
        label: the text; None if the row cannot be cut into its columns.

    Returns:
        `Sample` or `Problem`.
    """
    problem = _path_problem(where, name) or check_label_of(where, name, label)
    if problem:
        return problem
    path = os.path.normpath(os.path.join(folder, name.replace("\\", "/")))
    return Sample(path, label, where)


def _path_problem(where, name):
    if not name or "\0" in name:
        endings = ", ".join(SUFFIXES)
        reason = f"no path of an image. Write one that ends in {endings}."
        return Problem("no image", where, reason)
    # Drives of Windows are letters with a colon. Most paths have no dots to be looked at closely.
    begins = name[0] in "/\\" or (name[1:2] == ":" and re.match("[a-zA-Z]", name))
    if begins or (".." in name and ".." in name.replace("\\", "/").split("/")):
        return Problem(
            "path outside the folder",
            where,
            f"{name!r} leaves the images' folder. Write it relative to that folder, without '..'.",
        )
    return None


def check_label_of(where, name, label):
    """What is wrong with a label, if anything.

    Args:
        where: file and line of the row.
        name: the image, for the message.
        label: the text; None if the row cannot be cut into its columns.

    Returns:
        `Problem` or None.
    """
    if label is None:
        reason = f"{name!r} has more columns than the first row. Is a comma or tab in its label?"
        return Problem("too many columns", where, reason)
    if not label:
        reason = f"{name!r} has no label. Write one or remove the row."
        return Problem("empty label", where, reason)
    if len(label.splitlines()) > 1:
        reason = f"{name!r} has a label of several lines. A sample is one line of text."
        return Problem("line break in label", where, reason)
    try:
        name.isascii() or name.encode()
        label.isascii() or label.encode()
    except UnicodeEncodeError:
        reason = f"{name!r} or its label is not UTF-8. Rename the file or write the label anew."
        return Problem("not UTF-8", where, reason)
    return None
