"""ICDAR's word recognition tasks: `word_1.png, "Tiredness"` a line.

Reference:
    https://rrc.cvc.uab.es/?ch=2&com=tasks, task 3
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import SUFFIX_PATTERN, Source, check_row, no_image

_ROW = re.compile(rf"(?P<path>.+?\.(?:{SUFFIX_PATTERN}))\s*,\s*(?P<label>.*)", re.I)
QUOTED = re.compile(rf'.+?\.(?:{SUFFIX_PATTERN})\s*,\s*".*"', re.I)
_ESCAPED = re.compile(r'\\(["\\])')


def rows(source: Source) -> Iterator[Sample | Issue]:
    r"""Reads a label file of this layout. `\"` and `\\` in a label are one character each.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Issue`s.
    """
    for where, line in source.lines():
        match = _ROW.fullmatch(line.strip())
        if not match:
            yield no_image(line, where, expected='word_1.png, "label"')
            continue
        label = match["label"]
        if len(label) > 1 and label[0] == label[-1] == '"':
            label = _ESCAPED.sub(r"\1", label[1:-1])
        elif '"' in (label[:1], label[-1:]):
            reason = (
                f"{line[:60]!r} has a quotation mark at one end of the label only. Expected "
                'word_1.png, "label".'
            )
            yield Issue("quotation mark missing", where, reason)
            continue
        yield check_row(match["path"], label.strip(), where, folder=source.folder)
