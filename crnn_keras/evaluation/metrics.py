"""How well texts were read: word accuracy, CER, 1-NED, confusions, worst cases."""

import collections
import math
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from crnn_keras.char_dict import PROTOCOLS


def wilson_interval(hits, count, z=1.96):
    """Interval of a share that was seen `hits` times in `count`.

    Args:
        hits: number of successes.
        count: number of tries, at least 1.
        z: width in standard deviations; 1.96 gives 95 %.

    Returns:
        Tuple `(low, high)`, from 0 to 1.

    Reference:
        Wilson, 1927, Probable Inference, the Law of Succession, and Statistical Inference.
    """
    share = hits / count
    center = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return max((center - spread) / scale, 0.0), min((center + spread) / scale, 1.0)


@dataclass(frozen=True)
class Case:
    """One image's target and reading.

    Args:
        position: which image of the set it is, from 0.
        target: the label, by the protocol.
        text: what was read, by the protocol.
        confidence: the reader's own, from 0 to 1.
        distance: edits (insert, delete, replace) from one to the other.
    """

    position: int
    target: str
    text: str
    confidence: float
    distance: int


@dataclass(frozen=True)
class Report:
    """Figures of a set of readings; all of them from 0 to 1.

    Args:
        cases: list of `Case`s in the set's order.
        word_accuracy: share of texts read without an error.
        interval: 95 % interval of the word accuracy (Wilson).
        cer: character error rate: edits in all texts / characters in all labels.
        one_minus_ned: mean over the texts of 1 - edits / length of the longer of the two.
        confusions: `Counter` of `(character in the label, character read)` pairs that differ, from
            an alignment; `""` stands for a character that was inserted or left out.
    """

    cases: list
    word_accuracy: float
    interval: tuple
    cer: float
    one_minus_ned: float
    confusions: collections.Counter

    def worst(self, count):
        """The cases with the most edits for their length; among equals the most confident first.

        Args:
            count: how many at most.

        Returns:
            List of `Case`s, those without an error left out.
        """
        wrong = [case for case in self.cases if case.distance]
        key = lambda case: (-case.distance / max(len(case.target), 1), -case.confidence)  # noqa: E731
        return sorted(wrong, key=key)[:count]

    def summary(self):
        """The figures as a plain dict: `images`, `word_accuracy`, `interval`, `cer`, ..."""
        return {
            "images": len(self.cases),
            "word_accuracy": self.word_accuracy,
            "interval_95": list(self.interval),
            "cer": self.cer,
            "one_minus_ned": self.one_minus_ned,
        }

    def __str__(self):
        low, high = self.interval
        return (
            f"word accuracy {self.word_accuracy:.2%} (95 % interval {low:.2%} to {high:.2%}), "
            f"CER {self.cer:.2%}, 1-NED {self.one_minus_ned:.4f}, {len(self.cases)} images"
        )


def evaluate(targets, texts, confidences=None, protocol="exact"):
    """Compares readings with labels.

    Args:
        targets: list of labels.
        texts: list of readings, in the same order. None stands for an image that could not be
            read: it counts as an empty text.
        confidences: list of floats from 0 to 1; zeros if None.
        protocol: `"exact"`, or `"alphanumeric"`: case and all but a-z and 0-9 ignored.

    Returns:
        `Report`. Images whose label is empty by the protocol count like the others.

    Raises:
        ValueError: the lists differ in length or are empty, or the protocol is unknown.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"Protocol {protocol!r} is unknown. Expected one of {list(PROTOCOLS)}.")
    if len(targets) != len(texts) or not targets:
        raise ValueError(f"Expected as many readings as labels, got {len(texts)}, {len(targets)}.")
    clean = PROTOCOLS[protocol]
    confidences = [0.0] * len(targets) if confidences is None else confidences
    if len(confidences) != len(targets):
        raise ValueError(f"Expected as many confidences, got {len(confidences)}, {len(targets)}.")
    cases, confusions, nearness = [], collections.Counter(), 0.0
    for position, (target, text) in enumerate(zip(targets, texts, strict=True)):
        target, text = clean(target), clean(text or "")
        edits = Levenshtein.editops(target, text)
        nearness += 1 - len(edits) / max(len(target), len(text), 1)
        for edit in edits:
            wanted = "" if edit.tag == "insert" else target[edit.src_pos]
            read = "" if edit.tag == "delete" else text[edit.dest_pos]
            confusions[wanted, read] += 1
        cases.append(Case(position, target, text, confidences[position], len(edits)))
    right = sum(case.distance == 0 for case in cases)
    return Report(
        cases=cases,
        word_accuracy=right / len(cases),
        interval=wilson_interval(right, len(cases)),
        cer=sum(c.distance for c in cases) / max(sum(len(c.target) for c in cases), 1),
        one_minus_ned=nearness / len(cases),
        confusions=confusions,
    )
