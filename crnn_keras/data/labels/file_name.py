"""The label in the file's name: captchas, TRDG and Synth90k."""

import collections
import os
import pathlib
import re

from crnn_keras.data.labels.sample import Problem, Sample
from crnn_keras.data.labels.source import check_label_of
from crnn_keras.images import SUFFIXES

# By preference: a name of the first form has the two after it as well.
_FORMS = {
    "number_text_number": re.compile(r"(?P<id>[0-9]+)_(?P<text>[^_]+)_[0-9]+"),
    "text_number": re.compile(r"(?P<text>.+)_(?P<id>[0-9]+)"),
    "number_text": re.compile(r"(?P<id>[0-9]+)_(?P<text>.+)"),
    "text": re.compile(r"(?P<text>[^_]+)"),
}
_EXAMPLES = {
    "number_text_number": "373_coley_14845",
    "text_number": "word_12",
    "number_text": "12_word",
    "text": "226md",
}
_LABEL_SUFFIXES = (".csv", ".json", ".jsonl", ".mat", ".tsv", ".txt", ".xml")
LAYOUTS = ("file_name", *(f"file_name/{form}" for form in _FORMS))


def rows(source):
    """Reads the labels of a folder, and of those below it, out of the file names.

    One form is chosen for the whole folder: the one that most names have. If all of them are
    `number_text_number`, it is that. `1234_5` may be TRDG's `text_number` or its `number_text`:
    chosen is the form whose numbers are all different within their folders, or else count from 0
    without a gap; if that does not decide either, `text_number`, TRDG's default. Layout
    `file_name/text` and its like force a form; forced, `text` takes a name whole.

    Hidden files are passed over. Symbolic links are followed to files within the folder only.

    Args:
        source: a `Source`, whose path is the folder.

    Yields:
        `Sample`s and `Problem`s.
    """
    form = source.layout.partition("/")[2]
    pattern = _FORMS.get(form)
    if form == "text":
        pattern = re.compile(r"(?P<text>.+)")
    elif not form:
        form = _choose(source)
        pattern = _FORMS[form]
    for _, entries in walk(source.path):
        for entry in entries:
            problem = _entry_problem(entry, source.path)
            if problem:
                yield problem
                continue
            match = pattern.fullmatch(os.path.splitext(entry.name)[0])
            if match:
                where, text = _shown(entry.path), match["text"].strip()
                problem = check_label_of(where, entry.name, text)
                yield problem or Sample(entry.path, text, where)
            else:
                reason = (
                    f"{entry.name!r} is not like {_EXAMPLES[form] + '.png'!r}, the form that is "
                    f"read here. Rename it, or force another form: {', '.join(LAYOUTS[1:])}."
                )
                yield Problem("label not clear", _shown(entry.path), reason)


def walk(folder):
    """Goes through a folder and those below it, in order, without following links to folders.

    Args:
        folder: where to begin.

    Yields:
        Tuples of a folder's path and its sorted `os.DirEntry`s that are no folders.
    """
    waiting = [str(folder)]
    while waiting:
        here = waiting.pop()
        with os.scandir(here) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        entries = [e for e in entries if not e.name.startswith((".", "__MACOSX"))]
        below = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        waiting.extend(reversed(below))
        yield here, [entry for entry in entries if not entry.is_dir(follow_symlinks=False)]


def label_from_name(stem):
    """The label in a file name: `226md`, `word_12` (TRDG) or `373_coley_14845` (Synth90k).

    Of a name alone; `read_samples` decides for all names of a folder together.

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


def _shown(path):
    """A path that can be printed: names of files need not be UTF-8."""
    return path.encode("utf-8", "backslashreplace").decode()


def _entry_problem(entry, folder):
    where = _shown(entry.path)
    if not entry.name.lower().endswith(SUFFIXES):
        reason = f"no image's suffix; expected {', '.join(SUFFIXES)}."
        if entry.name.lower().endswith(_LABEL_SUFFIXES):
            reason += " If it holds the labels, name the file itself."
        return Problem("no image", where, reason)
    if entry.is_symlink() and not _lies_in(entry.path, folder):
        reason = f"a link that leaves {folder}. Copy the image to its place."
        return Problem("path outside the folder", where, reason)
    if not entry.is_file():
        reason = "neither a file nor a folder. Copy the image to its place."
        return Problem("no image", where, reason)
    return None


def _lies_in(path, folder):
    try:
        return pathlib.Path(path).resolve().is_relative_to(pathlib.Path(folder).resolve())
    except (OSError, RuntimeError):  # A link to itself.
        return False


def _choose(source):
    """The form of the names of a folder, and a note that says by what it was chosen."""
    total, numbered, counts = 0, 0, collections.Counter()
    distinct, gapless = dict.fromkeys(_FORMS, True), dict.fromkeys(_FORMS, True)
    for _, entries in walk(source.path):
        names = [e.name for e in entries if e.name.lower().endswith(SUFFIXES)]
        stems = [os.path.splitext(name)[0] for name in names]
        total += len(stems)
        numbered += sum(stem.isdecimal() for stem in stems)
        for form, pattern in _FORMS.items():
            matches = [match for match in map(pattern.fullmatch, stems) if match]
            counts[form] += len(matches)
            if form != "text" and matches:
                numbers = {match["id"].lstrip("0") or "0" for match in matches}
                distinct[form] &= len(numbers) == len(matches)
                gapless[form] &= distinct[form] and str(len(matches) - 1) in numbers
                gapless[form] &= all(len(number) < 12 for number in numbers) and (
                    max(map(int, numbers)) == len(matches) - 1
                )
    most = max(counts.values(), default=0)
    form = next(form for form in _FORMS if counts[form] == most)
    because = f"{most} of {total} names are like {_EXAMPLES[form]!r}"
    if form == "text_number" and counts["number_text"] == most:
        form, why = _word_or_number(distinct, gapless)
        because = f"{most} of {total} names are like '1234_5', read as {form}, {why}"
        because += f" (layout='file_name/{form}' or another form decides)"
    if numbered == total and total:
        because += ", all of them numbers: if these only count, name the file with the labels"
    source.notes.append(because)
    return form


def _word_or_number(distinct, gapless):
    for what, holds in (("are all different", distinct), ("count from 0", gapless)):
        forms = [form for form in ("text_number", "number_text") if holds[form]]
        if len(forms) == 1:
            return forms[0], f"whose numbers {what}"
    return "text_number", "TRDG's default, for nothing in them decides"
