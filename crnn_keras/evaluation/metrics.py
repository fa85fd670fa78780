"""How well texts were read: word accuracy, CER, 1-NED, confusions, worst cases."""

from __future__ import annotations

import collections
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rapidfuzz.distance import Levenshtein

from crnn_keras.char_dict import PROTOCOLS
from crnn_keras.utils.checks import (
    COUNT,
    NATURAL,
    NOT_NEGATIVE,
    Number,
    check_arguments,
    check_value,
)


@check_arguments(hits=NATURAL, count=COUNT, z=NOT_NEGATIVE)
def wilson_interval(hits: int, count: int, *, z: float = 1.96) -> tuple[float, float]:
    """Computes the confidence interval of a fraction that was `hits / count` in a sample.

    Args:
        hits: Number of successes.
        count: Number of trials, at least 1.
        z: Width in standard deviations. Defaults to `1.96`: 95 %.

    Returns:
        Tuple `(low, high)`, from 0 to 1.

    Raises:
        ValueError: A number is out of range, such as more hits than trials.

    Reference:
        Wilson, 1927, Probable Inference, the Law of Succession, and Statistical Inference.
    """
    check_value("hits", hits, Number(0, count, is_whole=True))
    fraction = hits / count
    center = fraction + z * z / (2 * count)
    spread = z * math.sqrt(fraction * (1 - fraction) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return max((center - spread) / scale, 0.0), min((center + spread) / scale, 1.0)


@dataclass(frozen=True, kw_only=True)
class Case:
    """The target and the predicted text of one image.

    Args:
        position: Position of the image in the set, from 0.
        target: The label, by the protocol.
        text: The predicted text, by the protocol.
        confidence: Confidence of the prediction, from 0 to 1.
        distance: Number of edits (insert, delete, replace) from one text to the other.
    """

    position: int
    target: str
    text: str
    confidence: float
    distance: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """Measures of a set of predictions, each from 0 to 1.

    Args:
        cases: A `Case` for each image, in the order of the set.
        word_accuracy: Fraction of the texts without an error.
        interval: 95 % interval of the word accuracy (Wilson).
        cer: Character error rate: edits in all texts / characters in all labels.
        one_minus_ned: Mean over the texts of 1 - edits / length of the longer of the two.
        confusions: `Counter` of pairs `(character of the label, predicted character)` that differ,
            from an alignment. `""` stands for a character that was inserted or deleted.

    Example:

        >>> from crnn_keras import evaluate
        >>> report = evaluate(["exit", "market"], ["exit", "marked"])
        >>> report.word_accuracy, report.cer, dict(report.confusions)
        (0.5, 0.1, {('t', 'd'): 1})
    """

    cases: list[Case]
    word_accuracy: float
    interval: tuple[float, float]
    cer: float
    one_minus_ned: float
    confusions: collections.Counter[tuple[str, str]]

    @property
    def has_spaces(self) -> bool:
        """Returns whether a label or a predicted text contains a space."""
        return any(" " in case.target or " " in case.text for case in self.cases)

    @property
    def accuracy_without_spaces(self) -> float:
        """Returns the fraction of the texts without an error if spaces are ignored."""
        pairs = ((case.target.replace(" ", ""), case.text.replace(" ", "")) for case in self.cases)
        return sum(target == text for target, text in pairs) / len(self.cases)

    @property
    def space_accuracy(self) -> float:
        """Returns the fraction of the texts in which no space is lost, added or replaced."""
        return sum(map(_has_its_spaces, self.cases)) / len(self.cases)

    @check_arguments(count=NATURAL)
    def worst(self, count: int) -> list[Case]:
        """Returns the cases with the most edits for their length.

        Args:
            count: Largest number of cases.

        Returns:
            List of `Case`s with an error; among equals the most confident first.
        """

        def badness(case):
            return -case.distance / max(len(case.target), 1), -case.confidence

        return sorted((case for case in self.cases if case.distance), key=badness)[:count]

    def summary(self) -> dict[str, Any]:
        """Returns the measures as a plain dict.

        Returns:
            Dict of `images`, `word_accuracy`, `interval_95`, `cer` and `one_minus_ned`; where texts
            contain spaces, of `accuracy_without_spaces` and `space_accuracy` too.
        """
        measures = {
            "images": len(self.cases),
            "word_accuracy": self.word_accuracy,
            "interval_95": list(self.interval),
            "cer": self.cer,
            "one_minus_ned": self.one_minus_ned,
        }
        if self.has_spaces:
            measures["accuracy_without_spaces"] = self.accuracy_without_spaces
            measures["space_accuracy"] = self.space_accuracy
        return measures

    def __str__(self) -> str:
        low, high = self.interval
        spaces = ""
        if self.has_spaces:
            spaces = (
                f"without spaces {self.accuracy_without_spaces:.2%}, "
                f"all spaces right in {self.space_accuracy:.2%}, "
            )
        return (
            f"word accuracy {self.word_accuracy:.2%} (95 % interval {low:.2%} to {high:.2%}), "
            f"{spaces}CER {self.cer:.2%}, 1-NED {self.one_minus_ned:.4f}, {len(self.cases)} images"
        )


def _list_edits(target, text):
    """Yields pairs of the character of the label and the predicted one, `""` for none."""
    for edit in Levenshtein.editops(target, text):
        wanted = "" if edit.tag == "insert" else target[edit.src_pos]
        yield wanted, "" if edit.tag == "delete" else text[edit.dest_pos]


def _has_its_spaces(case):
    return not any(" " in pair for pair in _list_edits(case.target, case.text))


def evaluate(
    targets: Sequence[str],
    texts: Sequence[str | None],
    confidences: Sequence[float] | None = None,
    *,
    protocol: str = "exact",
) -> Report:
    """Compares predicted texts with their labels.

    Args:
        targets: The labels. An image whose label is empty by the protocol counts like the others.
        texts: The predicted texts, in the same order. None, of an image that could not be loaded,
            counts as an empty text.
        confidences: Confidences from 0 to 1. Defaults to `None`: zeros.
        protocol: `"exact"`, or `"alphanumeric"`: case is ignored, and so is every character but a-z
            and 0-9. Defaults to `"exact"`.

    Returns:
        `Report`.

    Raises:
        ValueError: The lists are empty or differ in length, or the protocol is unknown.

    Example:

        >>> from crnn_keras import evaluate
        >>> report = evaluate(["cat", "dog"], ["cat", "dig"])
        >>> report.word_accuracy, report.confusions.most_common()
        (0.5, [(('o', 'i'), 1)])
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"Protocol {protocol!r} is unknown. Expected one of {list(PROTOCOLS)}.")
    if len(targets) != len(texts) or not targets:
        raise ValueError(
            "Expected as many texts as targets, at least one; "
            f"got {len(texts)} texts and {len(targets)} targets."
        )
    clean = PROTOCOLS[protocol]
    confidences = [0.0] * len(targets) if confidences is None else confidences
    if len(confidences) != len(targets):
        raise ValueError(
            "Expected as many confidences as targets, "
            f"got {len(confidences)} confidences and {len(targets)} targets."
        )
    cases, confusions, similarity = [], collections.Counter(), 0.0
    rows = zip(targets, texts, confidences, strict=True)
    for position, (target, text, confidence) in enumerate(rows):
        target, text = clean(target), clean(text or "")
        edits = list(_list_edits(target, text))
        similarity += 1 - len(edits) / max(len(target), len(text), 1)
        confusions.update(edits)
        pair = {"target": target, "text": text, "distance": len(edits)}
        cases.append(Case(position=position, confidence=confidence, **pair))
    correct = sum(case.distance == 0 for case in cases)
    return Report(
        cases=cases,
        word_accuracy=correct / len(cases),
        interval=wilson_interval(correct, len(cases)),
        cer=sum(c.distance for c in cases) / max(sum(len(c.target) for c in cases), 1),
        one_minus_ned=similarity / len(cases),
        confusions=confusions,
    )
