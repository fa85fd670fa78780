"""A set's errors by kind: a table, and cases to look at."""

from dataclasses import dataclass

import pandas as pd

from crnn_keras import images
from crnn_keras.error_kinds.facts import measure_picture
from crnn_keras.error_kinds.kinds import KINDS, OTHER, UNREADABLE, kinds_of
from crnn_keras.evaluate import evaluate
from crnn_keras.reading import list_pictures

_CRITERIA = {kind.name: kind.criterion for kind in KINDS} | {
    UNREADABLE: "no picture, or a damaged one",
    OTHER: "none of these: fonts, layouts",
}


@dataclass(frozen=True)
class ErrorSplit:
    """The cases of a report, each with its kinds.

    Args:
        cases: list of `evaluate.Case`s.
        kinds: list with the names of each case's kinds, in the same order.
        unreadable: dict of `picture's name: reason` of those that cannot be opened.
    """

    cases: list
    kinds: list
    unreadable: dict

    def table(self):
        """The kinds that occur, those with the most errors first.

        A picture may be of several kinds, so the shares of the errors add up to more than 1. Kinds
        that are seen in the reading alone, such as look-alikes, hold nothing but errors.

        Returns:
            Table by kind, shares from 0 to 1: `criterion`; `pictures`; `word_accuracy` among
            these; `others_accuracy`, that of all other pictures (not a number if there are none);
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
                    "pictures": int(inside.sum()),
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
            List of pairs of a kind's name and a `Case`, in the order of `table`. Pictures that
            cannot be opened are not among them.
        """
        found = []
        for name in self.table().index.drop(UNREADABLE, errors="ignore"):
            pairs = zip(self.cases, self.kinds, strict=True)
            wrong = [case for case, kinds in pairs if case.distance and name in kinds]
            step = max(len(wrong) // count, 1)
            found += [(name, case) for case in wrong[::step][:count]]
        return found


def split_errors(report, pictures, canvas):
    """Sorts the cases of a report into kinds.

    Args:
        report: an `evaluate.Report`.
        pictures: list of the pictures in the report's order, anything that `images.to_gray` opens.
        canvas: the reader's `images.Canvas`.

    Returns:
        `ErrorSplit`. A few milliseconds a picture.

    Raises:
        ValueError: there are not as many pictures as cases.
    """
    if len(pictures) != len(report.cases):
        raise ValueError(
            f"Expected a picture for each of the report's {len(report.cases)} cases, "
            f"got {len(pictures)} pictures."
        )
    kinds, unreadable = [], {}
    for case, (picture, name) in zip(report.cases, list_pictures(pictures), strict=True):
        try:
            facts = measure_picture(images.to_gray(picture), canvas.height)
        except images.ImageError as error:
            unreadable[name] = str(error)
            kinds.append([UNREADABLE])
        else:
            kinds.append(kinds_of(case, facts, canvas) or [OTHER])
    return ErrorSplit(report.cases, kinds, unreadable)


def split_errors_of(reader, samples, protocol="alphanumeric"):
    """Reads a labelled set and sorts its cases into kinds.

    Args:
        reader: a `Recognizer` or another `reading.PictureReader`.
        samples: list of `samples.Sample`s.
        protocol: see `evaluate.evaluate`.

    Returns:
        `ErrorSplit`.

    Raises:
        ValueError: there are no samples, or the protocol is unknown.

    Example:

        >>> split_errors_of(Recognizer.load("words"), read_samples("labels.tsv").samples).table()
    """
    readings = reader.read(samples)
    truths = [reader.char_dict.normalize(sample.text) for sample in samples]
    texts = [reading.text for reading in readings]
    report = evaluate(truths, texts, [reading.confidence for reading in readings], protocol)
    return split_errors(report, samples, reader.canvas)
