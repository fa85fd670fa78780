"""Findings about images: duplicates, leakage, conflicting labels, odd shapes."""

import collections

import numpy as np

from crnn_keras.data.check.hashes import BITS, near_pairs
from crnn_keras.data.check.issues import make_finding, visible

# Kinds of findings that are about two images.
PAIRED = (
    "conflicting labels",
    "leakage",
    "exact duplicate",
    "near duplicate",
    "nearly the same image, other label",
)
# Bits of the perceptual hashes that may differ: with the same label, and with another.
SAME_LABEL_BITS, OTHER_LABEL_BITS = 14, 10
# An image found in two parts stays in the one that measures more.
_STRENGTH = {"test": 2, "validation": 1}
_TALL, _NARROW = 2.0, 2.0


def image_findings(facts, labels):
    """Images that come twice or nearly so, also across the parts.

    Of images that are the same or nearly the same with one label, the first in the strongest
    part stays: test before validation before all others. A row is left out only for one that
    stays, so a chain of similar images does not vanish as a whole.

    Args:
        facts: `DataCheck.facts`.
        labels: list with the label of each row, as the char dict writes it.

    Returns:
        List of `Finding`s in the order of the rows.
    """
    if not len(facts):
        return []
    rows = _Rows(facts, labels)
    findings = _conflicts(rows)
    dropped = {finding.row for finding in findings if finding.leave_out}
    alive = [row for row in rows.order if row not in dropped]
    twice, kept = _duplicates(rows, alive)
    findings += twice
    findings += _other_labels(rows, kept)
    return sorted(findings, key=lambda finding: finding.row)


class _Rows:
    """The columns that the search needs, and the order in which rows claim to stay."""

    def __init__(self, facts, labels):
        self.where = list(facts["where"])
        self.part = list(facts["part"])
        self.labels = labels
        self.strength = np.array([_STRENGTH.get(name, 0) for name in self.part])
        self.order = np.argsort(-self.strength, kind="stable").tolist()
        ids = {text: number for number, text in enumerate(dict.fromkeys(labels))}
        self.label_ids = np.array([ids[text] for text in labels], np.int64)
        self.digest = facts["digest"].to_numpy()
        joined = b"".join(facts["hash"])
        self.hashes = np.frombuffer(joined, np.uint8).reshape(len(facts), 2, BITS // 8)

    def name(self, row):
        return f"{self.where[row]} ({self.part[row]})"

    def label(self, row):
        return f"'{visible(self.labels[row])}'"


def _conflicts(rows):
    """One image with several labels: none of them is to be trusted."""
    groups = collections.defaultdict(list)
    for row in rows.order:
        groups[rows.digest[row]].append(row)
    findings = []
    for group in groups.values():
        first = group[0]
        second = next((r for r in group if rows.label_ids[r] != rows.label_ids[first]), None)
        for row in group if second is not None else ():
            other = first if rows.label_ids[row] != rows.label_ids[first] else second
            leave_out = bool(rows.strength[other] >= rows.strength[row])
            stays = "" if leave_out else "; this row stays, as the other part is the weaker one"
            fact = f"{rows.label(row)} here, but {rows.label(other)} in {rows.name(other)}"
            findings.append(
                make_finding(
                    "conflicting labels",
                    rows.where[row],
                    f"the same image is {fact}{stays}",
                    leave_out,
                    row,
                    other,
                )
            )
    return findings


def _duplicates(rows, alive):
    """Rows too many among those with the same label, and the rows that stay."""
    nodes, node_of = {}, {}
    for row in alive:
        key = (rows.label_ids[row], rows.hashes[row].tobytes())
        node_of[row] = nodes.setdefault(key, len(nodes))
    neighbours = _near_nodes([label for label, _ in nodes], [content for _, content in nodes])
    staying, findings, kept = {}, [], []
    for row in alive:
        node = node_of[row]
        candidates = [(0, node), *neighbours.get(node, ())]
        found = [(bits, staying[other]) for bits, other in candidates if other in staying]
        if not found:
            staying[node] = row
            kept.append(row)
            continue
        bits, other = min(found)
        findings.append(_too_many(rows, row, other, bits))
    return findings, kept


def _too_many(rows, row, other, bits):
    same = rows.digest[row] == rows.digest[other]
    like = "the same image" if same else f"nearly the same image ({bits} of {BITS} bits differ)"
    kind = "exact duplicate" if same else "near duplicate"
    if rows.strength[other] > rows.strength[row]:
        kind = "leakage"
    fact = f"{like} with the label {rows.label(row)} as {rows.name(other)}"
    return make_finding(kind, rows.where[row], fact, True, row, other)


def _near_nodes(label_ids, contents):
    """For each node the nodes of its label that lie near: dict of `node: [(bits, node), ...]`."""
    label_ids = np.array(label_ids, np.int64)
    counts = np.bincount(label_ids, minlength=1) if len(label_ids) else np.zeros(1, np.int64)
    several = np.flatnonzero(counts[label_ids] > 1)
    hashes = np.frombuffer(b"".join(contents[i] for i in several), np.uint8)
    # Every image is entered twice, whole and without its rim.
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


def _other_labels(rows, kept):
    """Rows that stay whose image is nearly that of a row before, with another label."""
    position = {row: i for i, row in enumerate(kept)}
    distinct, firsts = {}, collections.defaultdict(list)
    for row in kept:
        number = distinct.setdefault(rows.hashes[row, 0].tobytes(), len(distinct))
        known = firsts[number]
        # The first row and the first with another label are all that anybody asks for.
        if not known or (len(known) == 1 and rows.label_ids[known[0]] != rows.label_ids[row]):
            known.append(row)
    hashes = np.frombuffer(b"".join(distinct), np.uint8).reshape(-1, BITS // 8)
    pairs, _ = near_pairs(hashes, OTHER_LABEL_BITS)
    neighbours = collections.defaultdict(list)
    for one, two, bits in pairs.tolist():
        neighbours[one].append((bits, two))
        neighbours[two].append((bits, one))
    findings = []
    for row in kept:
        number = distinct[rows.hashes[row, 0].tobytes()]
        found = [
            (bits, position[other], other)
            for bits, near in [(0, number), *neighbours.get(number, ())]
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
            kind = "nearly the same image, other label"
            findings.append(make_finding(kind, rows.where[row], fact, row=row, other=other))
    return findings


def shape_findings(facts):
    """Images whose shape does not go with their label.

    Args:
        facts: `DataCheck.facts`.

    Returns:
        List of `Finding`s in the order of the rows: images over twice as tall as wide with two
        or more characters; characters under 2 pixels wide in the image or on its canvas.
    """
    findings = []
    columns = ("where", "width", "height", "inner_width", "length")
    for row, (where, width, height, inner, length) in enumerate(
        zip(*(facts[column] for column in columns), strict=True)
    ):
        pixels = min(width, inner) / length
        if length > 1 and height > _TALL * width:
            fact = f"{width} x {height} pixels for {length} characters"
            findings.append(make_finding("vertical text", where, fact, row=row))
        elif pixels < _NARROW:
            fact = f"{length} characters in {width} pixels, {inner} on the canvas"
            fact += f": {pixels:.1f} pixels a character"
            findings.append(make_finding("narrow characters", where, fact, row=row))
    return findings
