"""Which shipped reader, of those quick to train, reads the labels best before it learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crnn_keras.evaluation.metrics import evaluate
from crnn_keras.inference.recognizer import Recognizer
from crnn_keras.utils.checks import COUNT, check_arguments

if TYPE_CHECKING:
    from crnn_keras.data.labels import Sample

# Not `words-large`: it would be chosen for nearly all images, and its network has ten times the
# arithmetic to train. Whoever has the time starts from it by its name.
_NAMES = ("words", "ascii")
# Images that are read to compare the readers.
MOST_IMAGES = 300


@dataclass(frozen=True, kw_only=True)
class ReaderScore:
    """How well a shipped reader reads images that it has never learned from.

    Args:
        name: Name of the reader.
        word_accuracy: Fraction of the images whose letters and digits it reads without an error,
            case ignored.
        images: Number of images that it read.
        keeps_case: Whether it tells capitals from small letters.
    """

    name: str
    word_accuracy: float
    images: int
    keeps_case: bool


@check_arguments(most=COUNT)
def score_readers(samples: Sequence[Sample], *, most: int = MOST_IMAGES) -> list[ReaderScore]:
    """Lets the shipped readers that are quick to train read labelled images.

    Letters and digits are compared, since other characters can be learned from few images. A reader
    that does not tell capitals from small letters comes last where the labels have both. `lines` is
    among them where a label has a space or a character beyond ASCII.

    Args:
        samples: `Sample`s of the images, best those of the training.
        most: Number of images to read, evenly spread. Defaults to `300`.

    Returns:
        List of `ReaderScore`s, the best first.
    """
    chosen = samples[:: max(len(samples) // most, 1)][:most]
    targets = [sample.text for sample in chosen]
    has_both_cases = any(t != t.upper() for t in targets) and any(t != t.lower() for t in targets)
    scores = []
    has_lines = any(" " in text or not text.isascii() for text in targets)
    for name in (*_NAMES, *(["lines"] if has_lines else [])):
        reader = Recognizer.load(name)
        texts = [prediction.text for prediction in reader.read(chosen)]
        report = evaluate(targets, texts, protocol="alphanumeric")
        score = ReaderScore(
            name=name,
            word_accuracy=report.word_accuracy,
            images=len(chosen),
            keeps_case=not reader.char_dict.fold_case,
        )
        scores.append(score)
    return sorted(
        scores, key=lambda s: (s.keeps_case or not has_both_cases, s.word_accuracy), reverse=True
    )
