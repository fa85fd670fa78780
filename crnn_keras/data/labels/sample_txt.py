"""`path label` a line: CRNN_Tensorflow's `sample.txt`, and the `labels.txt` of TRDG."""

from __future__ import annotations

import re
from collections.abc import Iterator

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import SUFFIX_PATTERN, Source, check_row, no_image

# The path ends with the first image suffix before a gap: path and label may hold spaces.
PATH_THEN_LABEL = re.compile(rf"(?P<path>.+?\.(?:{SUFFIX_PATTERN}))(?:[ \t]+(?P<label>.*))?$", re.I)


def rows(source: Source) -> Iterator[Sample | Issue]:
    """Reads a label file of this layout.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Issue`s.
    """
    for where, line in source.lines():
        match = PATH_THEN_LABEL.match(line.strip())
        if match:
            label = (match["label"] or "").strip()
            yield check_row(match["path"], label, where, folder=source.folder)
        else:
            yield no_image(line, where)
