"""The categories of images and of errors, each by a bound on a measured value.

The bounds were set on the training words of IIIT5K and SVT, by looking at the images on both sides
of each. Most are where the accuracy of the shipped reader `words` begins to fall.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

from crnn_keras.evaluation.error_analysis.confusables import only_confusables
from crnn_keras.evaluation.error_analysis.facts import ImageFacts
from crnn_keras.evaluation.metrics import Case
from crnn_keras.images import PIXELS_PER_FRAME, Canvas

# One for a character, and one for a blank that separates it from an equal neighbour.
_FRAMES_PER_CHARACTER = 2
_SQUEEZED = 2
_SHORT = 2
_ROWS = 12
_CONTRAST = 50
_EDGE = 3.5
# What two greys explain of an even ramp from black to white.
_TWO_GREYS = 0.75
_INK = 0.35
_RIM = 0.1
# Narrow words are taller than wide too, but not by as much.
_UPRIGHT = 1.5
# With fewer letters neither a baseline nor a wrong label can be recognized.
_LETTERS = 3
_RISE, _RISE_GAIN = 0.3, 1.3
_BEND, _BEND_GAIN = 0.1, 1.25
_CONFIDENT, _SIMILAR = 0.95, 0.5

UNREADABLE, OTHER = "cannot be opened", "other"


@dataclass(frozen=True)
class ErrorCategory:
    """A category of images, or of errors.

    Args:
        name: A word or two.
        criterion: What is measured, and its bound.
        applies: Function of a `Case`, the `ImageFacts` of its image and the `Canvas` of the
            recognizer: whether the case belongs to this category.
        errors_only: Whether the category is visible in the text alone, so that no correct
            prediction can belong to it. Defaults to `False`.
    """

    name: str
    criterion: str
    applies: Callable[[Case, ImageFacts, Canvas], bool]
    _: KW_ONLY
    errors_only: bool = False


def find_categories(case: Case, facts: ImageFacts, canvas: Canvas) -> list[str]:
    """Finds the categories of one image and its prediction.

    Args:
        case: A `Case`.
        facts: The `ImageFacts` of its image.
        canvas: The `Canvas` on which the model saw it.

    Returns:
        List of names from `CATEGORIES`; empty if none applies.
    """
    return [
        category.name
        for category in CATEGORIES
        if (case.distance or not category.errors_only) and category.applies(case, facts, canvas)
    ]


def _is_long(case, facts, canvas):
    inner, _ = canvas.fit(facts.height, facts.width)
    return inner / PIXELS_PER_FRAME < _FRAMES_PER_CHARACTER * len(case.target)


def _is_squeezed(case, facts, canvas):
    inner, _ = canvas.fit(facts.height, facts.width)
    return facts.width * canvas.height > _SQUEEZED * inner * facts.height


def _is_upright(case, facts, canvas):
    return facts.height > _UPRIGHT * facts.width and len(case.target) >= _LETTERS


def _is_heavy(case, facts, canvas):
    # With a busy rim, ink cannot be told from paper.
    return facts.ink_fraction > _INK and facts.rim_fraction <= _RIM


def _has_baseline(case, facts):
    return len(case.target) >= _LETTERS and facts.width >= facts.height


def _is_curved(case, facts, canvas):
    line = facts.baseline
    return _has_baseline(case, facts) and abs(line.bend) > _BEND and line.bend_gain > _BEND_GAIN


def _is_tilted(case, facts, canvas):
    if not _has_baseline(case, facts) or _is_curved(case, facts, canvas):
        # Along an arc, the best straight line is whichever touches most of it.
        return False
    return abs(facts.baseline.rise) > _RISE and facts.baseline.rise_gain > _RISE_GAIN


def _is_beyond(case, facts, canvas):
    """The whole label was read, and a little more, such as a mark or a neighbour's edge."""
    is_more = case.target and case.target in case.text and case.target != case.text
    return bool(is_more) and len(case.text) <= 2 * len(case.target)


def _is_doubtful(case, facts, canvas):
    # With one or two letters, another text is soon completely different.
    longer = max(len(case.target), len(case.text))
    return (
        min(len(case.target), len(case.text)) >= _LETTERS
        and case.confidence >= _CONFIDENT
        and 1 - case.distance / longer < _SIMILAR
        and not only_confusables(case.target, case.text)
    )


CATEGORIES = (
    ErrorCategory("long", f"under {_FRAMES_PER_CHARACTER} frames a character", _is_long),
    ErrorCategory("squeezed", f"over {_SQUEEZED} times narrower on its canvas", _is_squeezed),
    ErrorCategory("short", f"at most {_SHORT} characters", lambda c, f, _: len(c.target) <= _SHORT),
    ErrorCategory(
        "digits", "a digit in the label", lambda c, f, _: any(map(str.isdigit, c.target))
    ),
    ErrorCategory("small", f"under {_ROWS} rows of pixels", lambda c, f, _: f.height < _ROWS),
    ErrorCategory(
        "low contrast", f"under {_CONTRAST} grey levels", lambda c, f, _: f.contrast < _CONTRAST
    ),
    ErrorCategory(
        "blurred", f"edges over {_EDGE} pixels wide", lambda c, f, _: f.edge_width > _EDGE
    ),
    ErrorCategory(
        "relief or clutter",
        f"two greys explain under {_TWO_GREYS:.0%}",
        lambda c, f, _: f.two_greys < _TWO_GREYS,
    ),
    ErrorCategory("heavy", f"ink covers over {_INK:.0%}", _is_heavy),
    ErrorCategory(
        "busy rim", f"over {_RIM:.0%} of the rim is ink", lambda c, f, _: f.rim_fraction > _RIM
    ),
    ErrorCategory("upright", f"over {_UPRIGHT} times as high as wide", _is_upright),
    ErrorCategory("tilted", f"baseline rises over {_RISE:.0%} of the height", _is_tilted),
    ErrorCategory("curved", f"baseline bends over {_BEND:.0%} of the height", _is_curved),
    ErrorCategory(
        "confusables",
        "only confusables such as 0 and o differ",
        lambda c, f, _: only_confusables(c.target, c.text),
        errors_only=True,
    ),
    ErrorCategory(
        "case",
        "only capitals differ",
        lambda c, f, _: c.target.lower() == c.text.lower(),
        errors_only=True,
    ),
    ErrorCategory(
        "beyond the label", "the label, and more around it", _is_beyond, errors_only=True
    ),
    ErrorCategory(
        "doubtful label",
        f"{_CONFIDENT:.0%} confident of a text under {_SIMILAR:.0%} similar",
        _is_doubtful,
        errors_only=True,
    ),
)
