"""The label in the file's name: captchas, TRDG and Synth90k."""

from __future__ import annotations

import collections
import os
import pathlib
import re
from collections.abc import Iterator

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import Source, check_text
from crnn_keras.images import SUFFIXES
from crnn_keras.utils.log import printable

# In order of preference: a name of the first form matches the next two as well.
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


def rows(source: Source) -> Iterator[Sample | Issue]:
    """Reads the labels of a folder and the folders below it from the names of the files.

    One form is chosen for all: the one that most names have; `number_text_number` if all names
    have it. `1234_5` can be TRDG's `text_number` or its `number_text`: chosen is the form whose
    numbers are all different within their folders, or else count from 0 without a gap; if that
    does not decide either, `text_number`, TRDG's default. Layout `file_name/text` and its like
    force a form; a forced `text` takes the whole name.

    Hidden files are ignored. Symbolic links are followed only to files in the folder.

    Args:
        source: a `Source`; its path is the folder.

    Yields:
        `Sample`s and `Issue`s.
    """
    form = source.layout.partition("/")[2]
    pattern = _FORMS.get(form)
    if form == "text":
        pattern = re.compile(r"(?P<text>.+)")
    elif not form:
        form = _choose_form(source)
        pattern = _FORMS[form]
    for _, entries in walk(source.path):
        for entry in entries:
            issue = check_entry(entry, source.path)
            if issue:
                yield issue
                continue
            where = printable(entry.path)
            match = pattern.fullmatch(os.path.splitext(entry.name)[0])
            if match:
                text = match["text"].strip()
                yield check_text(entry.name, text, where) or Sample(entry.path, text, where)
            else:
                reason = (
                    f"{entry.name!r} is not like {_EXAMPLES[form] + '.png'!r}, the form that is "
                    f"read here. Rename it, or force another form: {', '.join(LAYOUTS[1:])}."
                )
                yield Issue("no label in the name", where, reason)


def walk(folder: str | os.PathLike) -> Iterator[tuple[str, list[os.DirEntry]]]:
    """Goes through a folder and the folders below it in order, without following links to folders.

    Args:
        folder: where to begin.

    Yields:
        Tuples of a folder's path and its sorted `os.DirEntry`s that are not folders.

    Raises:
        ValueError: a folder cannot be read.
    """
    waiting = [str(folder)]
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(here) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            raise ValueError(f"{printable(here)} cannot be read: {error.strerror}.") from None
        entries = [e for e in entries if not e.name.startswith((".", "__MACOSX"))]
        below = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        waiting.extend(reversed(below))
        yield here, [entry for entry in entries if not entry.is_dir(follow_symlinks=False)]


def check_entry(entry: os.DirEntry, folder: str | os.PathLike) -> Issue | None:
    """Checks that an entry of a folder is an image file in that folder.

    Args:
        entry: what `walk` yields.
        folder: where the walk began.

    Returns:
        An `Issue`, or `None` if the entry can be used.
    """
    where = printable(entry.path)
    if not entry.name.lower().endswith(SUFFIXES):
        reason = f"not an image's suffix; expected {', '.join(SUFFIXES)}."
        if entry.name.lower().endswith(_LABEL_SUFFIXES):
            reason += " If it holds the labels, name the file itself."
        return Issue("no image", where, reason)
    return check_is_file(entry, folder)


def check_is_file(entry: os.DirEntry, folder: str | os.PathLike) -> Issue | None:
    """Checks that an entry of a folder is a file in that folder: no pipe, and no link out of it.

    Args:
        entry: what `walk` yields.
        folder: where the walk began.

    Returns:
        An `Issue`, or `None` if the entry can be read.
    """
    where = printable(entry.path)
    if entry.is_symlink() and not _lies_in(entry.path, folder):
        reason = f"a link that leaves {folder}. Copy the file to its place."
        return Issue("path outside the folder", where, reason)
    if not entry.is_file():
        reason = "neither a file nor a folder. Copy the file to its place."
        return Issue("no image", where, reason)
    return None


def _lies_in(path, folder):
    try:
        return pathlib.Path(path).resolve().is_relative_to(pathlib.Path(folder).resolve())
    except (OSError, RuntimeError):  # A link to itself.
        return False


def _choose_form(source):
    """Returns the form of the names of a folder, and adds a note that says why."""
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
    note = f"{most} of {total} names are like {_EXAMPLES[form]!r}"
    if form == "text_number" and counts["number_text"] == most:
        form, why = _text_or_number_first(distinct, gapless)
        note = f"{most} of {total} names are like '1234_5', read as {form}, {why}"
        note += f" (layout='file_name/{form}' or another form decides)"
    if numbered == total and total:
        note += ", all of them numbers: if these only count, name the file with the labels"
    source.notes.append(note)
    return form


def _text_or_number_first(distinct, gapless):
    for what, holds in (("are all different", distinct), ("count from 0", gapless)):
        forms = [form for form in ("text_number", "number_text") if holds[form]]
        if len(forms) == 1:
            return forms[0], f"whose numbers {what}"
    return "text_number", "TRDG's default, because the numbers do not decide"
