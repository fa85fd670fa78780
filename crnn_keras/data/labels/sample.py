"""One labelled image, one row that cannot be used, and a set of both."""

import collections
import os
import re
from dataclasses import dataclass, field

from crnn_keras.char_dict import frames_needed
from crnn_keras.data.labels import image_sources
from crnn_keras.utils import files


@dataclass(frozen=True)
class Sample:
    """One labelled image.

    Args:
        image: path of the image, of the LMDB folder that holds it, or of the larger image
            that it is a part of.
        text: its label.
        where: where the label stands, for messages: `"labels.tsv, line 12"`.
        key: name of the image within an LMDB, such as `"image-000000012"`.
        box: `(left, top, width, height)` in pixels of the word within a larger image; empty
            where the image is the word.
    """

    image: str
    text: str
    where: str
    key: str = ""
    box: tuple = ()

    @property
    def identity(self):
        """Text that names the image wherever its set lies.

        The last two parts of its path, its key and its box: `"images/226md.png"`.
        """
        parts = re.split(r"[/\\]", self.image)
        # Of a path from the current folder, or one with dots, the parts are not the folder's name.
        if len(parts) < 2 or {"", ".", ".."} & set(parts[-2:]):
            parts = re.split(r"[/\\]", os.path.abspath(self.image))
        box = ",".join(str(side) for side in self.box)
        return "/".join([*parts[-2:], *filter(None, (self.key, box))])

    def read(self):
        """Reads the image: the one way to its pixels, wherever it lies.

        Returns:
            Bytes of the encoded image. A box is cut out, as far as it lies on the larger
            image, and encoded as png.

        Raises:
            images.ImageError: the image is missing or cannot be read, or its box lies wholly
                outside of the larger image.
        """
        if self.key:
            return image_sources.from_lmdb(self.image, self.key)
        if self.box:
            return image_sources.cut(self.image, self.box)
        return image_sources.from_file(self.image)


@dataclass(frozen=True)
class Problem:
    """A row that cannot be used, and why.

    Args:
        kind: the sort of problem, for counting: `"missing file"`, `"empty label"`, ...
        where: file and line of the row.
        reason: one sentence that says what is wrong and how to mend it.
    """

    kind: str
    where: str
    reason: str


@dataclass
class LabelledSet:
    """What a label source holds.

    Args:
        samples: usable `Sample`s, in the source's order.
        problems: `Problem`s of the rows that were left out.
        description: how the source was understood, in words.
        layout: the layout it was read in, one of `LAYOUTS`.
        lexicons: the word lists that come with the images, as `{"50": {path: words}}`: by the
            list's name, then by `Sample.image`, a tuple of words.
    """

    samples: list = field(default_factory=list)
    problems: list = field(default_factory=list)
    description: str = ""
    layout: str = ""
    lexicons: dict = field(default_factory=dict)

    def summary(self):
        """A few lines: how it was read, how many rows are usable, what was left out, by kind."""
        rows = len(self.samples) + len(self.problems)
        lines = [self.description, f"{rows} rows: {len(self.samples)} usable"]
        lines[-1] += f", {len(self.problems)} left out"
        first = {}
        for problem in self.problems:
            first.setdefault(problem.kind, problem)
        kinds = collections.Counter(problem.kind for problem in self.problems)
        for kind, count in kinds.most_common():
            lines.append(
                f"  {kind}: {count}, the first in {first[kind].where}: {first[kind].reason}"
            )
        return "\n".join(lines)


def check_label(text, char_dict, frames, where):
    """What stands in the way of training on a label, if anything.

    Args:
        text: the label.
        char_dict: a `CharDict`.
        frames: frames that the network makes of the image.
        where: file and line, for the message.

    Returns:
        `Problem` or None.
    """
    unknown = char_dict.unknown(text)
    if unknown:
        reason = f"{text!r} has {unknown!r}, outside the char dict of {len(char_dict)} characters."
        return Problem("unknown character", where, reason)
    needed = frames_needed(char_dict.encode(text))
    if needed > frames:
        reason = f"{text!r} needs {needed} frames, its image has {frames}. Use a wider canvas."
        return Problem("label too long", where, reason)
    return None


def problem_line(problem=None):
    """A problem as one line of a tsv: kind, where, reason.

    Args:
        problem: a `Problem`; None for the line of the columns' names.

    Returns:
        Bytes that end in a line break.
    """
    row = (problem.kind, problem.where, problem.reason) if problem else ("kind", "where", "reason")
    line = "\t".join(re.sub(r"[\t\n\r]", " ", cell) for cell in row)
    return f"{line}\n".encode("utf-8", "backslashreplace")


def write_problems(path, problems):
    """Writes what was left out as a tsv: kind, where, reason.

    Args:
        path: file to write.
        problems: list of `Problem`s.
    """
    files.write_atomic(path, b"".join(map(problem_line, [None, *problems])))
