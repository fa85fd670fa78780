"""ICDAR's word recognition tasks: `word_1.png, "Tiredness"` a line.

Reference:
    https://rrc.cvc.uab.es/?ch=2&com=tasks, task 3
"""

import re

from crnn_keras.data.labels.sample import Problem
from crnn_keras.data.labels.source import SUFFIX_PATTERN, row

_ROW = re.compile(rf"(?P<path>.+?\.(?:{SUFFIX_PATTERN}))\s*,\s*(?P<label>.*)", re.I)
QUOTED = re.compile(rf'.+?\.(?:{SUFFIX_PATTERN})\s*,\s*".*"', re.I)
_ESCAPED = re.compile(r'\\(["\\])')


def rows(source):
    r"""Reads a label file of this layout. `\"` and `\\` within a label are a mark each.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Problem`s.
    """
    for number, line in source.lines():
        where = source.where(number)
        match = _ROW.fullmatch(line.strip())
        label = match["label"] if match else ""
        if len(label) > 1 and label[0] == label[-1] == '"':
            label = _ESCAPED.sub(r"\1", label[1:-1])
        elif '"' in (label[:1], label[-1:]):
            reason = f'{line[:60]!r} opens or ends a label only. Expected word_1.png, "label".'
            yield Problem("quotation mark missing", where, reason)
            continue
        yield row(where, source.folder, match and match["path"], label.strip())
