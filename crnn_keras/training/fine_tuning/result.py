"""What a fine-tuning returns: figures before and after, and a reading of each image."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crnn_keras.data.check.report import DataCheck
    from crnn_keras.data.labels import Sample
    from crnn_keras.evaluation.metrics import Report
    from crnn_keras.training.fine_tuning.readers import ReaderScore
    from crnn_keras.training.fine_tuning.settings import FineTuningSettings

# So many percentage points of an interval say little.
_WIDE_INTERVAL = 0.2


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How well a set was read before the fine-tuning and after it.

    Args:
        name: What was read, such as `"test"` or `"rendered words"`.
        before: `Report` of the reader that the training began with.
        after: `Report` of the reader that came out of it, on the same images.
    """

    name: str
    before: Report
    after: Report

    @property
    def images(self) -> int:
        """Returns the number of images."""
        return len(self.after.cases)

    @property
    def repaired(self) -> int:
        """Returns how many images are correct now and were not."""
        pairs = zip(self.before.cases, self.after.cases, strict=True)
        return sum(bool(old.distance) and not new.distance for old, new in pairs)

    @property
    def broken(self) -> int:
        """Returns how many images were correct and are not any more."""
        pairs = zip(self.before.cases, self.after.cases, strict=True)
        return sum(not old.distance and bool(new.distance) for old, new in pairs)

    def __str__(self) -> str:
        low, high = self.after.interval
        change = f"{self.before.word_accuracy:.2%} -> {self.after.word_accuracy:.2%}"
        return (
            f"{self.name}, {self.images:,} images: {change} ({low:.2%} to {high:.2%}), "
            f"{self.repaired:,} repaired, {self.broken:,} broken"
        )


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What is read in one image of the user's, before and after.

    Args:
        sample: The `Sample`: the image, its label, and the file and line of the label.
        split: `"train"`, `"validation"` or `"test"`. The texts of a test image are of the reader
            that has not learned from it.
        label: The label, as the char dict writes it.
        before: Text of the reader that the training began with; None if it could not be loaded.
        after: Text of the fine-tuned reader.
        confidence: Its confidence, from 0 to 1.
    """

    sample: Sample
    split: str
    label: str
    before: str | None
    after: str | None
    confidence: float

    @property
    def is_correct(self) -> bool:
        """Returns whether the fine-tuned reader's text is the label."""
        return self.label == self.after


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """What `fine_tune` returns.

    Args:
        model_path: The fine-tuned reader, a `.keras` file.
        start: Path or name of the reader that it began with.
        scores: `ReaderScore`s of the shipped readers, if the start was chosen among them.
        settings: The `FineTuningSettings`.
        sizes: Dict of `split: number of images`.
        folds: Number of folds of the cross-validation, or 0.
        is_finished: Whether the reader has learned the test images after it was measured on them.
        check: `DataCheck` of the user's images.
        history: The history of the training, that of the first fold if there are several.
        comparisons: `Comparison`s: the user's test images first, then the old task.
        readings: A `Reading` for each image.
        changes: What became of the characters, and what that costs.
        is_calibrated: Whether the confidences were calibrated.
        seconds: How long all of it took.
    """

    model_path: pathlib.Path
    start: str
    scores: Sequence[ReaderScore]
    settings: FineTuningSettings
    sizes: Mapping[str, int]
    folds: int
    is_finished: bool
    check: DataCheck
    history: Sequence[Mapping[str, Any]]
    comparisons: Sequence[Comparison]
    readings: Sequence[Reading]
    changes: str
    is_calibrated: bool
    seconds: float

    def describe(self) -> list[str]:
        """Returns what to know beside the comparisons, in a few sentences."""
        own, lines = self.comparisons[0], []
        low, high = own.after.interval
        if high - low > _WIDE_INTERVAL and not self.folds:
            lines.append(
                f"{own.images:,} test images give a wide interval. Ask for folds=5: each image is "
                "tested once, and the figure is of all of them."
            )
        if self.is_finished:
            lines.append(
                "After it was measured, the reader has learned the images of the validation and "
                "the test too."
            )
        if not self.is_calibrated:
            lines.append(
                "Its confidences are not calibrated: there were too few images to measure them."
            )
        if self.changes:
            lines.append(self.changes)
        return lines
