"""Issues of a set as a whole: splits that are too small, labels that cannot be texts."""

from __future__ import annotations

import collections
import math
import pathlib
import re
from collections.abc import Mapping, Sequence

import pandas as pd

from crnn_keras.data.check.display import counted, visible
from crnn_keras.data.check.kinds import make_issue
from crnn_keras.data.check.label_checks import TRAINING
from crnn_keras.data.issues import Issue

# From fresh weights fewer images teach nearly nothing.
FEW_TO_TRAIN = 1000
# An accuracy of 50 % on 100 images is known to 10 percentage points.
FEW_TO_MEASURE = 100

# Rows of which most share a label; fewer may do so by chance.
_ROWS, _MOST = 10, 0.5
_WHOLE = re.compile("0|[1-9][0-9]{0,8}")
# The end of a file name of Synth90k, `373_coley_14845.jpg`, is the number of its word in a lexicon.
_NUMBERED = re.compile(r".*[^\W\d_]+_([0-9]+)")


def find_small_splits(sizes: Mapping[str, int]) -> list[Issue]:
    """Finds splits that are empty, too small to train on, or too small to measure on.

    Args:
        sizes: dict of `split: number of usable samples`.

    Returns:
        List of `Issue`s in the order of the splits.
    """
    issues = []
    for name, size in sizes.items():
        where = f"split {name}"
        if not size:
            issues.append(make_issue("empty split", where, f"{name} has no usable row"))
        elif name == TRAINING and size < FEW_TO_TRAIN:
            fact = (
                f"{counted(size, 'image')} to train on: begin from a shipped reader. Fresh weights "
                f"need at least {FEW_TO_TRAIN:,}, better ten times as many"
            )
            issues.append(make_issue("few training images", where, fact))
        elif name != TRAINING and size < FEW_TO_MEASURE:
            points = 98 / math.sqrt(size)
            fact = (
                f"the {name} has {counted(size, 'image')}: a word accuracy measured on so few may "
                f"be wrong by {points:.0f} percentage points (95 % interval at 50 %)"
            )
            issues.append(make_issue("few images to measure", where, fact))
    return issues


def find_wrong_kinds_of_labels(facts: pd.DataFrame, labels: Sequence[str]) -> list[Issue]:
    """Finds sets whose labels are one label, or numbers of classes.

    Args:
        facts: table, `DataCheck.facts`.
        labels: list with the label of each row, as the char dict writes it.

    Returns:
        List of `Issue`s, none of which drops its row.
    """
    if len(labels) < 2:
        return []
    where = list(facts["where"])
    return [*_find_one_label(labels, where), *_find_classes(labels, where, facts["image"])]


def _find_one_label(labels, where):
    (text, count), *_ = collections.Counter(labels).most_common(1)
    is_most = len(labels) >= _ROWS and count > _MOST * len(labels)
    if count < len(labels) and not is_most:
        return []
    fact = f"'{visible(text)}' is the label of {count:,} of {counted(len(labels), 'row')}"
    return [make_issue("labels hardly differ", where[labels.index(text)], fact)]


def _find_classes(labels, where, images):
    """Returns an issue if all labels are numbers that count classes or words of a lexicon."""
    if len(labels) < _ROWS or not all(map(_WHOLE.fullmatch, labels)):
        return []
    stems = (_NUMBERED.fullmatch(pathlib.PurePath(image).stem) for image in images)
    named = sum(bool(stem) and stem[1] == label for stem, label in zip(stems, labels, strict=True))
    kind = "labels are numbers of classes"
    if named > _MOST * len(labels):
        fact = f"the labels are numbers that end the images' names, such as '{labels[0]}'"
        return [make_issue(kind, where[0], fact)]
    values = {int(label) for label in labels}
    first, last = min(values), max(values)
    # Readings of a meter leave gaps; classes are counted without.
    if len(values) < 2 or first > 1 or last - first + 1 != len(values):
        return []
    fact = (
        f"the labels are the whole numbers from {first:,} to {last:,}, each of them at least once"
    )
    return [make_issue(kind, where[0], fact)]
