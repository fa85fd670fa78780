"""Label files in, checked samples out; whatever cannot be used is named with file and line.

Four layouts are read: `sample_txt` (`path label`, the old project's), `tsv`, `csv`, and
`file_name` (a folder whose file names hold the labels).
"""

import collections
import csv
import io
import pathlib
import re
from dataclasses import dataclass, field

import numpy as np

from crnn_keras import files, images
from crnn_keras.char_dict import frames_needed
from crnn_keras.progress import progress

LAYOUTS = ("sample_txt", "tsv", "csv", "file_name")

_LABEL_FILES = ("labels.tsv", "labels.csv", "labels.txt", "sample.txt")
_IMAGE_COLUMNS = ("image", "path", "file", "filename", "file_name", "img")
_TEXT_COLUMNS = ("text", "label", "labels", "word", "words", "transcription")
_SUFFIXES = "|".join(suffix[1:] for suffix in images.SUFFIXES)
_PATH_THEN_LABEL = re.compile(rf"(?P<path>.+?\.(?:{_SUFFIXES}))(?:[ \t]+(?P<label>.*))?$", re.I)


@dataclass(frozen=True)
class Sample:
    """One labelled picture.

    Args:
        image: path of the picture.
        text: its label.
        where: where the label stands, for messages: `"labels.tsv, line 12"`.
    """

    image: str
    text: str
    where: str


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
    """

    samples: list = field(default_factory=list)
    problems: list = field(default_factory=list)
    description: str = ""

    def summary(self):
        """A few lines: how it was read, how many rows are usable, what was left out, by kind."""
        rows = len(self.samples) + len(self.problems)
        lines = [self.description, f"{rows} rows: {len(self.samples)} usable"]
        lines[-1] += f", {len(self.problems)} left out"
        kinds = collections.Counter(problem.kind for problem in self.problems)
        for kind, count in kinds.most_common():
            first = next(problem for problem in self.problems if problem.kind == kind)
            lines.append(f"  {kind}: {count}, the first in {first.where}: {first.reason}")
        return "\n".join(lines)


def read_samples(source, layout="auto", images_folder=None):
    """Reads a label file or a folder of pictures. The pictures themselves are not opened.

    Args:
        source: a label file; or a folder that holds `labels.tsv`, `labels.csv`, `labels.txt` or
            `sample.txt`, or else pictures whose names hold their labels.
        layout: one of `LAYOUTS`, or `"auto"` to look.
        images_folder: folder that the paths in the label file start from. Defaults to the label
            file's own folder.

    Returns:
        `LabelledSet`. Rows with an empty label, no picture's path, or a path that leaves
        `images_folder` (absolute, or with `..`) are its problems.

    Raises:
        ValueError: no such source, an unknown layout, a source without rows, text in an unknown
            encoding, or a csv without usable columns.
    """
    source = pathlib.Path(source)
    if not source.exists():
        raise ValueError(f"{source} does not exist. Expected a label file or a folder.")
    if layout not in ("auto", *LAYOUTS):
        raise ValueError(f"Layout {layout!r} is unknown. Expected 'auto' or one of {LAYOUTS}.")
    if source.is_dir() and layout != "file_name":
        inside = [source / name for name in _LABEL_FILES if (source / name).is_file()]
        source = inside[0] if inside else source
        if not inside and layout != "auto":
            names = ", ".join(_LABEL_FILES)
            raise ValueError(
                f"Layout {layout!r} reads a label file, but {source} holds no {names}."
            )
    if source.is_dir():
        found = _from_file_names(source)
    else:
        found = _from_label_file(source, layout, pathlib.Path(images_folder or source.parent))
    if not found.samples and not found.problems:
        raise ValueError(f"{source} is empty. Expected at least one labelled picture.")
    return found


def _from_label_file(path, layout, folder):
    text, encoding = files.read_text(path)
    if layout == "auto":
        layout = _guess_layout(path, text)
    if layout == "file_name":
        raise ValueError(f"{path} is a file, but layout {layout!r} reads a folder.")
    found = LabelledSet([], [], f"{path}: layout {layout}, encoding {encoding}")
    rows = _sample_txt_rows(text) if layout == "sample_txt" else _table_rows(path, text, layout)
    for line, name, label in rows:
        where = f"{path}, line {line}"
        problem = _row_problem(where, name, label)
        if problem:
            found.problems.append(problem)
        else:
            found.samples.append(Sample(str(folder / name.replace("\\", "/")), label, where))
    return found


def _guess_layout(path, text):
    if path.suffix.lower() == ".csv":
        return "csv"
    first = next((line for line in text.split("\n") if line.strip()), "")
    return "tsv" if path.suffix.lower() == ".tsv" or "\t" in first else "sample_txt"


def _sample_txt_rows(text):
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            match = _PATH_THEN_LABEL.match(line.strip())
            yield number, match and match["path"], (match and match["label"] or "").strip()


def _table_rows(path, text, layout):
    image_column, text_column, columns = 0, 1, 0
    for line, row in _split_rows(path, text, layout):
        while row and not row[-1].strip():
            row.pop()
        if not row:
            continue
        names = [cell.strip().lower() for cell in row]
        if not columns and not names[0].endswith(images.SUFFIXES):
            image_column = _column(path, line, names, _IMAGE_COLUMNS)
            text_column = _column(path, line, names, _TEXT_COLUMNS)
            columns = len(row)
            continue
        columns = columns or max(len(row), 2)
        cells = dict(enumerate(row))
        label = cells.get(text_column, "").strip() if len(row) <= columns else None
        yield line, cells.get(image_column, "").strip(), label


def _split_rows(path, text, layout):
    """The rows of a table as lists of cells, each with the line that it begins in."""
    # In a tsv a quotation mark is a character like any other.
    form = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if layout == "tsv" else {"strict": True}
    rows = csv.reader(io.StringIO(text), **form)
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(
                f"{path}, line {line}: {error}. A label with a quotation mark stands in quotation "
                "marks in a csv, with its own doubled; in a tsv it needs none."
            ) from None
        yield line, row


def _column(path, line, names, known):
    matches = [i for i, name in enumerate(names) if name in known]
    if not matches:
        raise ValueError(
            f"{path}, line {line}: the columns {names} have none of {', '.join(known)}. Name the "
            "columns so, or leave the header out and put the path first and the text second."
        )
    return matches[0]


def _row_problem(where, name, label):
    if not name:
        return Problem("no picture", where, f"no path that ends in {', '.join(images.SUFFIXES)}.")
    path = pathlib.PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[a-zA-Z]:", name):
        return Problem(
            "path outside the folder",
            where,
            f"{name!r} leaves the images' folder. Write it relative to that folder, without '..'.",
        )
    if label is None:
        reason = f"{name!r} has more columns than the first row. Is a comma or tab in its label?"
        return Problem("too many columns", where, reason)
    if not label:
        return Problem("empty label", where, f"{name!r} has no label.")
    if "\n" in label:
        reason = f"{name!r} has a label of several lines. A sample is one line of text."
        return Problem("line break in label", where, reason)
    return None


def _from_file_names(folder):
    found = LabelledSet([], [], f"{folder}: layout file_name")
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if path.suffix.lower() not in images.SUFFIXES:
            found.problems.append(Problem("no picture", str(path), "not a picture's suffix."))
            continue
        label = label_from_name(path.stem)
        if label:
            found.samples.append(Sample(str(path), label, str(path)))
        else:
            reason = "expected label.png, label_12.png or 373_label_14845.png."
            found.problems.append(Problem("label not clear", str(path), reason))
    return found


def label_from_name(stem):
    """The label in a file name: `226md`, `word_12` (TRDG) or `373_coley_14845` (Synth90k).

    Args:
        stem: the file's name without its suffix.

    Returns:
        The label, or None where the name has none of these forms.
    """
    parts = stem.split("_")
    if len(parts) == 1:
        return stem
    if len(parts) == 2 and parts[1].isdigit():
        return parts[0] or None
    if len(parts) == 3 and parts[0].isdigit() and parts[2].isdigit():
        return parts[1] or None
    return None


def label_problem(text, char_dict, frames, where):
    """What stands in the way of training on a label, if anything.

    Args:
        text: the label.
        char_dict: a `CharDict`.
        frames: frames that the network makes of the picture.
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
        reason = f"{text!r} needs {needed} frames, its picture has {frames}. Use a wider canvas."
        return Problem("label too long", where, reason)
    return None


def check_samples(found, char_dict, canvas):
    """Opens every picture and checks every label; what fails becomes a problem.

    Args:
        found: a `LabelledSet`.
        char_dict: a `CharDict`.
        canvas: an `images.Canvas`.

    Returns:
        A new `LabelledSet`: its samples can all be trained on; its problems are those of `found`
        and the new ones: missing files, unreadable images, unknown characters, labels too long
        for their frames.
    """
    checked = LabelledSet([], list(found.problems), found.description)
    for sample in progress(found.samples, "checking"):
        problem = _sample_problem(sample, char_dict, canvas)
        if problem:
            checked.problems.append(problem)
        else:
            checked.samples.append(sample)
    return checked


def _sample_problem(sample, char_dict, canvas):
    if not pathlib.Path(sample.image).is_file():
        return Problem("missing file", sample.where, f"{sample.image} does not exist.")
    try:
        gray = images.to_gray(sample.image)
    except images.ImageError as error:
        return Problem("unreadable image", sample.where, f"{error}.")
    frames = canvas.frames(gray.height, gray.width)
    return label_problem(sample.text, char_dict, frames, sample.where)


def split_samples(samples, shares, seed):
    """Deals samples out by shares.

    Args:
        samples: list of anything.
        shares: dict of `part name: share`, for example `{"train": 0.8, "test": 0.2}`.
        seed: integer; the same gives the same parts.

    Returns:
        Dict of `part name: list`, each in the order of `samples`.

    Raises:
        ValueError: a part with a share above 0 would be empty.
    """
    order = np.random.default_rng([seed, 5]).permutation(len(samples))
    ends = np.round(np.cumsum(list(shares.values())) / sum(shares.values()) * len(samples))
    starts = np.concatenate([[0], ends[:-1]])
    parts = {}
    for (name, share), start, end in zip(shares.items(), starts, ends, strict=True):
        parts[name] = [samples[i] for i in np.sort(order[int(start) : int(end)])]
        if share > 0 and not parts[name]:
            raise ValueError(
                f"{len(samples)} samples are too few: the part {name!r} with a share of {share} "
                "would be empty. Give more samples or a larger share."
            )
    return parts


def write_problems(path, problems):
    """Writes what was left out as a tsv: kind, where, reason.

    Args:
        path: file to write.
        problems: list of `Problem`s.
    """
    rows = [("kind", "where", "reason")] + [(p.kind, p.where, p.reason) for p in problems]
    text = "".join("\t".join(row).replace("\n", " ") + "\n" for row in rows)
    files.write_atomic(path, text.encode())
