"""`path label` a line: CRNN_Tensorflow's `sample.txt`, and the `labels.txt` of TRDG."""

import re

from crnn_keras.data.labels.source import SUFFIX_PATTERN, row

# The path ends with the first suffix of an image before a gap: both sides may hold spaces.
PATH_THEN_LABEL = re.compile(rf"(?P<path>.+?\.(?:{SUFFIX_PATTERN}))(?:[ \t]+(?P<label>.*))?$", re.I)


def rows(source):
    """Reads a label file of this layout.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Problem`s.
    """
    for number, line in source.lines():
        match = PATH_THEN_LABEL.match(line.strip())
        path, label = (match["path"], match["label"] or "") if match else (None, "")
        yield row(source.where(number), source.folder, path, label.strip())
