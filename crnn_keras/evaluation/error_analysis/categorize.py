"""Sorts the errors of a set by category: a table, and examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from crnn_keras.evaluation.error_analysis.categories import (
    CATEGORIES,
    OTHER,
    UNREADABLE,
    find_categories,
)
from crnn_keras.evaluation.error_analysis.facts import measure_image
from crnn_keras.evaluation.metrics import Case, Report, evaluate
from crnn_keras.images import Canvas, ImageError, to_gray
from crnn_keras.inference.loading import Image, iter_images
from crnn_keras.utils.checks import COUNT, check_arguments

if TYPE_CHECKING:
    from crnn_keras.data.labels import Sample
    from crnn_keras.inference.base import BaseRecognizer

_CRITERIA = {category.name: category.criterion for category in CATEGORIES} | {
    UNREADABLE: "no image, or a damaged one",
    OTHER: "none of these: fonts, layouts",
}


@dataclass(frozen=True)
class ErrorAnalysis:
    """The cases of a report, each with its categories.

    Args:
        cases: List of `Case`s.
        categories: List with the names of each case's categories, in the same order.
        unreadable: Dict of `name of the image: reason` for images that cannot be opened.
    """

    cases: list[Case]
    categories: list[list[str]]
    unreadable: dict[str, str]

    def table(self) -> pd.DataFrame:
        """Counts images and errors by category, those with the most errors first.

        An image may belong to several categories, so the fractions of the errors add up to more
        than 1. Categories that are visible in the text alone, such as confusables, contain errors
        only.

        Returns:
            Table of the categories that occur, with fractions from 0 to 1: `criterion`; `images`;
            `word_accuracy` among these; `others_accuracy`, that of all other images (nan if there
            are none); `errors`; `fraction_of_errors`; `accuracy_if_correct`: what the word accuracy
            of the set would be if the whole category were read correctly.
        """
        correct = pd.Series([case.distance == 0 for case in self.cases], dtype=bool)
        rows = []
        for name, criterion in _CRITERIA.items():
            inside = pd.Series([name in names for names in self.categories], dtype=bool)
            if not inside.any():
                continue
            errors = int((inside & ~correct).sum())
            rows.append(
                {
                    "category": name,
                    "criterion": criterion,
                    "images": int(inside.sum()),
                    "word_accuracy": correct[inside].mean(),
                    "others_accuracy": correct[~inside].mean(),
                    "errors": errors,
                    "fraction_of_errors": errors / max(int((~correct).sum()), 1),
                    "accuracy_if_correct": (correct | inside).mean(),
                }
            )
        rows.sort(key=lambda row: -row["errors"])
        return pd.DataFrame(rows).set_index("category")

    @check_arguments(count=COUNT)
    def examples(self, count: int) -> list[tuple[str, Case]]:
        """Selects errors to look at: equally many of each category, spread over the set.

        Args:
            count: Largest number for each category.

        Returns:
            List of pairs `(name of the category, case)`, in the order of `table`. Images that
            cannot be opened are not among them.
        """
        found = []
        for name in self.table().index.drop(UNREADABLE, errors="ignore"):
            pairs = zip(self.cases, self.categories, strict=True)
            wrong = [case for case, names in pairs if case.distance and name in names]
            step = max(len(wrong) // count, 1)
            found += [(name, case) for case in wrong[::step][:count]]
        return found


def categorize_errors(report: Report, images: Sequence[Image], canvas: Canvas) -> ErrorAnalysis:
    """Sorts the cases of a report into categories.

    Args:
        report: A `Report`.
        images: The images in the order of the report, anything that `to_gray` opens.
        canvas: The `Canvas` of the recognizer.

    Returns:
        `ErrorAnalysis`. It takes a few milliseconds for each image.

    Raises:
        ValueError: The numbers of images and cases differ.

    Example:

        >>> from crnn_keras import Canvas, categorize_errors, evaluate, render_word
        >>> from crnn_keras.synth import bundled_fonts
        >>> images = [render_word("door", bundled_fonts()[0], seed=seed) for seed in (1, 2)]
        >>> analysis = categorize_errors(evaluate(["door"] * 2, ["d00r", "door"]), images, Canvas())
        >>> int(analysis.table().loc["confusables", "errors"])
        1
    """
    if len(images) != len(report.cases):
        raise ValueError(
            f"Expected an image for each of the report's {len(report.cases)} cases, "
            f"got {len(images)} images."
        )
    categories, unreadable = [], {}
    for case, (image, name) in zip(report.cases, iter_images(images), strict=True):
        try:
            facts = measure_image(to_gray(image), canvas_height=canvas.height)
        except ImageError as error:
            unreadable[name] = str(error)
            categories.append([UNREADABLE])
        else:
            categories.append(find_categories(case, facts, canvas) or [OTHER])
    return ErrorAnalysis(report.cases, categories, unreadable)


def analyze_errors(
    recognizer: BaseRecognizer, samples: Sequence[Sample], *, protocol: str = "alphanumeric"
) -> ErrorAnalysis:
    """Reads a labelled set and sorts its cases into categories.

    Args:
        recognizer: A `Recognizer` or an `OnnxRecognizer`.
        samples: The `Sample`s.
        protocol: See `evaluate`. Defaults to `"alphanumeric"`.

    Returns:
        `ErrorAnalysis`.

    Raises:
        ValueError: There are no samples, or the protocol is unknown.
    """
    predictions = recognizer.read(samples)
    targets = [recognizer.char_dict.normalize(sample.text) for sample in samples]
    texts = [prediction.text for prediction in predictions]
    confidences = [prediction.confidence for prediction in predictions]
    report = evaluate(targets, texts, confidences, protocol=protocol)
    return categorize_errors(report, samples, recognizer.canvas)
