"""IAM's handwriting: `words.txt`, `lines.txt`, `sentences.txt`.

A row is `a01-000u-00-00 ok 154 408 768 27 51 AT A`: the word's id, the result of its segmentation,
a gray level, a box, a grammatical tag and the text. In lines, `|` stands between the words.

Reference:
    https://fki.tic.heia-fr.ch/databases/iam-handwriting-database
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import SUFFIX_PATTERN, Source, check_text

_ID = r"(?P<id>(?P<form>(?P<writer>[a-z][0-9]{2})-[0-9]{3}[a-z]?)(?:-s[0-9]{2})?-[0-9]{2}%s)"
_NUMBERS = r"(?: -?[0-9]+){%d}"
_WORD = re.compile(rf"{_ID % '-[0-9]{2}'} (?P<status>\S+){_NUMBERS % 5} \S+(?: +(?P<text>.*))?")
_LINE = re.compile(rf"{_ID % ''}(?: [0-9]+)? (?P<status>ok|err?){_NUMBERS % 6}(?: +(?P<text>.*))?")
_EXAMPLES = {
    _WORD: "a01-000u-00-00 ok 154 408 768 27 51 AT A",
    _LINE: "a01-000u-00 ok 154 19 408 746 1661 89 A|MOVE|to|stop",
}
_FOLDERS = {_WORD: ("words",), _LINE: ("lines", "sentences")}
_SUFFIXES = tuple(f".{suffix}" for suffix in SUFFIX_PATTERN.split("|"))
# Rows whose images are looked for.
_LOOKED_FOR = 100


def is_row(line: str) -> bool:
    """Tells whether a line is like a row of this layout.

    Args:
        line: a line of a text file.
    """
    return bool(_WORD.fullmatch(line) or _LINE.fullmatch(line))


def rows(source: Source) -> Iterator[Sample | Issue]:
    """Reads a label file of this layout.

    Images are looked for as IAM's archives unpack, `words/a01/a01-000u/a01-000u-00-00.png`, and
    flat, in the folder of the label file and in the one above it.

    A word with the status `err` was cut wrongly and is skipped. A line with that status is read: it
    was cut correctly, and only its words were not.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Issue`s.
    """
    lines = ((where, line.strip()) for where, line in source.lines() if line.lstrip()[0] != "#")
    first = list(itertools.islice(lines, _LOOKED_FOR))
    form = _LINE if any(_LINE.fullmatch(line) for _, line in first) else _WORD
    place = _find_place(source, form, [form.fullmatch(line) for _, line in first])
    if form is _LINE:
        source.notes.append("blanks for |; lines of the status err are read")
    for where, line in itertools.chain(first, lines):
        match = form.fullmatch(line)
        if not match:
            reason = f"{line[:60]!r} is not like {_EXAMPLES[form]!r}. Correct or remove the row."
            yield Issue("damaged row", where, reason)
        elif form is _WORD and match["status"] != "ok":
            reason = f"{match['id']!r} has the status {match['status']!r}: it was cut wrongly."
            yield Issue("segmentation error", where, reason)
        else:
            text = match["text"] or ""
            text = (text.replace("|", " ") if form is _LINE else text).strip()
            issue = check_text(match["id"], text, where)
            yield issue or Sample(_path(place, match), text, where)


def _path(place, match):
    folder, is_flat, suffix = place
    below = () if is_flat else (match["writer"], match["form"])
    return os.path.normpath(os.path.join(folder, *below, match["id"] + suffix))


def _find_place(source, form, matches):
    """Returns the folder of the images, whether they lie flat in it, and their suffix."""
    above = [source.folder]
    if not source.images_folder:
        above.append(os.path.join(source.folder, os.pardir))
    folders = [os.path.join(top, name) for top in above for name in (*_FOLDERS[form], "")]
    places = list(itertools.product(folders, (False, True), _SUFFIXES))
    # PNG is what IAM has.
    places.sort(key=lambda place: place[2] != ".png")
    for match in filter(None, matches):
        for place in places:
            if os.path.isfile(_path(place, match)):
                source.notes.append(f"images like {_path(place, match)}")
                return place
    return os.path.join(source.folder, _FOLDERS[form][0]), False, ".png"
