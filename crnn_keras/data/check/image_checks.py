"""Issues of images: duplicates, leakage, conflicting labels, odd shapes."""

from __future__ import annotations

import collections
from collections.abc import Sequence

import numpy as np
import pandas as pd

from crnn_keras.data.check.display import visible
from crnn_keras.data.check.hashes import BITS, near_pairs
from crnn_keras.data.check.kinds import make_issue
from crnn_keras.data.issues import Issue
from crnn_keras.images import MIN_CONTRAST

# Kinds of issues that are about two images.
PAIRED = (
    "conflicting labels",
    "leakage",
    "exact duplicate",
    "near duplicate",
    "similar image, other label",
)
# Bits of the perceptual hashes that may differ: with the same label, and with another.
SAME_LABEL_BITS, OTHER_LABEL_BITS = 14, 10
# An image that comes in two splits stays in the one that measures more.
_STRENGTH = {"test": 2, "validation": 1}
# Height over width of an image, and pixels a character.
_TALL, _NARROW = 2.0, 2.0


def find_duplicates(facts: pd.DataFrame, labels: Sequence[str]) -> list[Issue]:
    """Finds images that come twice, or nearly so, also in several splits.

    Of images that are equal or nearly so and have one label, the first in the strongest split
    stays: test before validation before all others. A row is dropped only for one that stays, so
    a chain of similar images does not vanish as a whole.

    Args:
        facts: table, `DataCheck.facts`.
        labels: list with the label of each row, as the char dict writes it.

    Returns:
        List of `Issue`s in the order of the rows.
    """
    if not len(facts):
        return []
    rows = _Rows(facts, labels)
    conflicts = _find_conflicts(rows)
    dropped = {issue.row for issue in conflicts if issue.drop}
    duplicates, kept = _drop_duplicates(rows, [row for row in rows.order if row not in dropped])
    issues = [*conflicts, *duplicates, *_find_other_labels(rows, kept)]
    return sorted(issues, key=lambda issue: issue.row)


class _Rows:
    """The columns that the search needs, and the rows in the order in which they may stay."""

    def __init__(self, facts, labels):
        self.where = list(facts["where"])
        self.split = list(facts["split"])
        self.labels = labels
        self.strength = np.array([_STRENGTH.get(name, 0) for name in self.split])
        self.order = np.argsort(-self.strength, kind="stable").tolist()
        ids = {text: index for index, text in enumerate(dict.fromkeys(labels))}
        self.label_ids = np.array([ids[text] for text in labels], np.int64)
        self.digest = facts["digest"].to_numpy()
        joined = b"".join(facts["hash"])
        self.hashes = np.frombuffer(joined, np.uint8).reshape(len(facts), 2, BITS // 8)

    def name(self, row):
        return f"{self.where[row]} ({self.split[row]})"

    def label(self, row):
        return f"'{visible(self.labels[row])}'"


def _find_conflicts(rows):
    """Returns the issues of images that have several labels: none of these can be trusted."""
    groups = collections.defaultdict(list)
    for row in rows.order:
        groups[rows.digest[row]].append(row)
    issues = []
    for group in groups.values():
        first = group[0]
        second = next((r for r in group if rows.label_ids[r] != rows.label_ids[first]), None)
        for row in group if second is not None else ():
            other = first if rows.label_ids[row] != rows.label_ids[first] else second
            drop = bool(rows.strength[other] >= rows.strength[row])
            fact = (
                f"the same image is {rows.label(row)} here, but {rows.label(other)} in "
                f"{rows.name(other)}"
            )
            fact += "" if drop else "; this row stays, because the other split is the weaker one"
            kind, where = "conflicting labels", rows.where[row]
            issues.append(make_issue(kind, where, fact, drop=drop, row=row, other=other))
    return issues


def _drop_duplicates(rows, order):
    """Returns the issues of similar images with the same label, and the rows that stay."""
    nodes, node_of = {}, {}
    for row in order:
        key = (rows.label_ids[row], rows.hashes[row].tobytes())
        node_of[row] = nodes.setdefault(key, len(nodes))
    neighbours = _near_nodes([label for label, _ in nodes], [content for _, content in nodes])
    staying, issues, kept = {}, [], []
    for row in order:
        node = node_of[row]
        candidates = [(0, node), *neighbours.get(node, ())]
        found = [(bits, staying[other]) for bits, other in candidates if other in staying]
        if not found:
            staying[node] = row
            kept.append(row)
            continue
        bits, other = min(found)
        is_equal = rows.digest[row] == rows.digest[other]
        kind = "exact duplicate" if is_equal else "near duplicate"
        if rows.strength[other] > rows.strength[row]:
            kind = "leakage"
        image = "the same image"
        if not is_equal:
            image = f"nearly the same image ({bits} of {BITS} bits differ)"
        fact = f"{image} with the label {rows.label(row)} as {rows.name(other)}"
        issues.append(make_issue(kind, rows.where[row], fact, drop=True, row=row, other=other))
    return issues, kept


def _near_nodes(label_ids, contents):
    """Returns the similar nodes of the same label: dict of `node: [(bits, node), ...]`."""
    label_ids = np.array(label_ids, np.int64)
    counts = np.bincount(label_ids, minlength=1) if len(label_ids) else np.zeros(1, np.int64)
    several = np.flatnonzero(counts[label_ids] > 1)
    hashes = np.frombuffer(b"".join(contents[i] for i in several), np.uint8)
    # Every image has two hashes: of all of it, and without its rim.
    hashes = hashes.reshape(-1, BITS // 8)
    nodes = np.repeat(several, 2)
    pairs, _ = near_pairs(hashes, SAME_LABEL_BITS, label_ids[nodes])
    neighbours = collections.defaultdict(dict)
    for first, second, bits in pairs.tolist():
        one, two = int(nodes[first]), int(nodes[second])
        if one != two:
            for a, b in ((one, two), (two, one)):
                neighbours[a][b] = min(bits, neighbours[a].get(b, bits))
    return {a: [(bits, b) for b, bits in near.items()] for a, near in neighbours.items()}


def _find_other_labels(rows, kept):
    """Returns the issues of rows that stay, but are similar to an earlier one of another label."""
    position = {row: i for i, row in enumerate(kept)}
    distinct, firsts = {}, collections.defaultdict(list)
    for row in kept:
        index = distinct.setdefault(rows.hashes[row, 0].tobytes(), len(distinct))
        known = firsts[index]
        # The first row and the first with another label are enough.
        if not known or (len(known) == 1 and rows.label_ids[known[0]] != rows.label_ids[row]):
            known.append(row)
    hashes = np.frombuffer(b"".join(distinct), np.uint8).reshape(-1, BITS // 8)
    pairs, _ = near_pairs(hashes, OTHER_LABEL_BITS)
    neighbours = collections.defaultdict(list)
    for one, two, bits in pairs.tolist():
        neighbours[one].append((bits, two))
        neighbours[two].append((bits, one))
    issues = []
    for row in kept:
        index = distinct[rows.hashes[row, 0].tobytes()]
        found = [
            (bits, position[other], other)
            for bits, near in [(0, index), *neighbours.get(index, ())]
            for other in firsts[near]
            if position[other] < position[row]
            and rows.label_ids[other] != rows.label_ids[row]
            and rows.digest[other] != rows.digest[row]
        ]
        if found:
            bits, _, other = min(found)
            fact = (
                f"{rows.label(row)} here, {rows.label(other)} in {rows.name(other)}, "
                f"and {bits} of {BITS} bits of the images differ"
            )
            kind, where = "similar image, other label", rows.where[row]
            issues.append(make_issue(kind, where, fact, row=row, other=other))
    return issues


def find_empty_images(facts: pd.DataFrame, labels: Sequence[str]) -> list[Issue]:
    """Finds images that show nothing: one level of gray all over, or nearly so.

    A row is dropped, unless its label is a mark such as a full stop, which may be that small.

    Args:
        facts: table, `DataCheck.facts`.
        labels: list with the label of each row, as the char dict writes it.

    Returns:
        List of `Issue`s in the order of the rows.
    """
    found = np.flatnonzero(facts["contrast"] < MIN_CONTRAST).tolist()
    where, contrasts = list(facts["where"]), facts["contrast"].tolist()
    return [
        make_issue(
            "image shows nothing",
            where[row],
            f"its dark and light pixels differ by {contrasts[row]:.0f} of 255 levels of gray",
            drop=any(map(str.isalnum, labels[row])),
            row=row,
        )
        for row in found
    ]


def find_odd_shapes(facts: pd.DataFrame) -> list[Issue]:
    """Finds images whose shape does not fit their label.

    Args:
        facts: table, `DataCheck.facts`.

    Returns:
        List of `Issue`s in the order of the rows: images over twice as tall as wide with two
        or more characters; characters under 2 pixels wide in the image or on its canvas.
    """
    issues = []
    columns = ("where", "width", "height", "inner_width", "length")
    for row, (where, width, height, inner_width, length) in enumerate(
        zip(*(facts[column] for column in columns), strict=True)
    ):
        pixels = min(width, inner_width) / length
        if length > 1 and height > _TALL * width:
            fact = f"{width} x {height} pixels for {length} characters"
            issues.append(make_issue("vertical text", where, fact, row=row))
        elif pixels < _NARROW:
            fact = (
                f"{length} characters in {width} pixels, {inner_width} on the canvas: "
                f"{pixels:.1f} pixels a character"
            )
            issues.append(make_issue("narrow characters", where, fact, row=row))
    return issues
