"""A set's errors by kind: a table, and cases to look at."""

from dataclasses import dataclass

import pandas as pd

from crnn_keras.evaluation.error_analysis.facts import measure_image
from crnn_keras.evaluation.error_analysis.kinds import KINDS, OTHER, UNREADABLE, kinds_of
from crnn_keras.evaluation.metrics import evaluate
from crnn_keras.images import ImageError, to_gray
from crnn_keras.inference.base import list_images

_CRITERIA = {kind.name: kind.criterion for kind in KINDS} | {
    UNREADABLE: "no image, or a damaged one",
    OTHER: "none of these: fonts, layouts",
}


@dataclass(frozen=True)
class ErrorAnalysis:
    """The cases of a report, each with its kinds.

    Args:
        cases: list of `evaluate.Case`s.
        kinds: list with the names of each case's kinds, in the same order.
        unreadable: dict of `image's name: reason` of those that cannot be opened.
    """

    cases: list
    kinds: list
    unreadable: dict

    def table(self):
        """The kinds that occur, those with the most errors first.

        An image may be of several kinds, so the fractions of the errors add up to more than 1. Kinds
        that are seen in the reading alone, such as look-alikes, hold nothing but errors.

        Returns:
            Table by kind, fractions from 0 to 1: `criterion`; `images`; `word_accuracy` among
            these; `others_accuracy`, that of all other images (not a number if there are none);
            `errors`; `share_of_errors`; `accuracy_if_right`: what the word accuracy of the whole
            set would be if all of the kind were read right.
        """
        right = pd.Series([case.distance == 0 for case in self.cases], dtype=bool)
        rows = []
        for name, criterion in _CRITERIA.items():
            inside = pd.Series([name in kinds for kinds in self.kinds], dtype=bool)
            if not inside.any():
                continue
            errors = int((inside & ~right).sum())
            rows.append(
                {
                    "kind": name,
                    "criterion": criterion,
                    "images": int(inside.sum()),
                    "word_accuracy": right[inside].mean(),
                    "others_accuracy": right[~inside].mean(),
                    "errors": errors,
                    "share_of_errors": errors / max(int((~right).sum()), 1),
                    "accuracy_if_right": (right | inside).mean(),
                }
            )
        rows.sort(key=lambda row: -row["errors"])
        return pd.DataFrame(rows).set_index("kind")

    def examples(self, count):
        """Errors to look at: of each kind the same number, spread over the set.

        Args:
            count: how many of each kind, at most.

        Returns:
            List of pairs of a kind's name and a `Case`, in the order of `table`. Images that
            cannot be opened are not among them.
        """
        found = []
        for name in self.table().index.drop(UNREADABLE, errors="ignore"):
            pairs = zip(self.cases, self.kinds, strict=True)
            wrong = [case for case, kinds in pairs if case.distance and name in kinds]
            step = max(len(wrong) // count, 1)
            found += [(name, case) for case in wrong[::step][:count]]
        return found


def categorize_errors(report, images, canvas):
    """Sorts the cases of a report into kinds.

    Args:
        report: an `evaluate.Report`.
        images: list of the images in the report's order, anything that `images.to_gray` opens.
        canvas: the reader's `images.Canvas`.

    Returns:
        `ErrorAnalysis`. A few milliseconds an image.

    Raises:
        ValueError: there are not as many images as cases.
    """
    if len(images) != len(report.cases):
        raise ValueError(
            f"Expected an image for each of the report's {len(report.cases)} cases, "
            f"got {len(images)} images."
        )
    kinds, unreadable = [], {}
    for case, (image, name) in zip(report.cases, list_images(images), strict=True):
        try:
            facts = measure_image(to_gray(image), canvas.height)
        except ImageError as error:
            unreadable[name] = str(error)
            kinds.append([UNREADABLE])
        else:
            kinds.append(kinds_of(case, facts, canvas) or [OTHER])
    return ErrorAnalysis(report.cases, kinds, unreadable)


def analyze_errors(reader, samples, protocol="alphanumeric"):
    """Reads a labelled set and sorts its cases into kinds.

    Args:
        reader: a `Recognizer` or another `reading.BaseRecognizer`.
        samples: list of `samples.Sample`s.
        protocol: see `evaluate.evaluate`.

    Returns:
        `ErrorAnalysis`.

    Raises:
        ValueError: there are no samples, or the protocol is unknown.

    Example:

        >>> analyze_errors(Recognizer.load("words"), read_samples("labels.tsv").samples).table()
    """
    readings = reader.read(samples)
    targets = [reader.char_dict.normalize(sample.text) for sample in samples]
    texts = [reading.text for reading in readings]
    report = evaluate(targets, texts, [reading.confidence for reading in readings], protocol)
    return categorize_errors(report, samples, reader.canvas)
