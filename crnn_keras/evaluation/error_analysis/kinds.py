"""The kinds of images and of errors, each by a bound on something measured.

The bounds were set on the training words of IIIT5K and SVT, by looking at the images on both
sides of each. Most are where the accuracy of the shipped `words` reader begins to fall.
"""

from collections.abc import Callable
from dataclasses import dataclass

from crnn_keras.evaluation.error_analysis.confusables import only_confusables
from crnn_keras.images import PIXELS_PER_FRAME

# A character, and a blank that parts it from the next one like it.
_FRAMES_A_CHARACTER = 2
_SQUEEZED = 2
_SHORT = 2
_ROWS = 12
_CONTRAST = 50
_EDGE = 3.5
# What two greys explain of an even ramp from black to white.
_TWO_GREYS = 0.75
_INK = 0.35
_RIM = 0.1
# Narrow words are taller than wide too, but not by so much.
_UPRIGHT = 1.5
# Of fewer letters neither a line nor a mistaken label can be told.
_LETTERS = 3
_RISE, _RISE_GAIN = 0.3, 1.3
_BEND, _BEND_GAIN = 0.1, 1.25
_SURE, _NEAR = 0.95, 0.5

UNREADABLE, OTHER = "cannot be opened", "other"


@dataclass(frozen=True)
class Kind:
    """A kind of image, or of error.

    Args:
        name: of a word or two.
        criterion: what is measured, and its bound.
        holds: function of an `evaluate.Case`, its `ImageFacts` and the reader's `images.Canvas`
            that tells whether the case is of this kind.
        of_errors: whether it is seen in the reading: no word read right can be of this kind.
    """

    name: str
    criterion: str
    holds: Callable
    of_errors: bool = False


def kinds_of(case, facts, canvas):
    """The kinds of one image and its reading.

    Args:
        case: an `evaluate.Case`.
        facts: the `ImageFacts` of its image.
        canvas: the `images.Canvas` on which the reader saw it.

    Returns:
        List of names from `KINDS`, none if nothing is found.
    """
    return [
        kind.name
        for kind in KINDS
        if (case.distance or not kind.of_errors) and kind.holds(case, facts, canvas)
    ]


def _is_long(case, facts, canvas):
    inner, _ = canvas.fit(facts.height, facts.width)
    return inner / PIXELS_PER_FRAME < _FRAMES_A_CHARACTER * len(case.target)


def _is_squeezed(case, facts, canvas):
    inner, _ = canvas.fit(facts.height, facts.width)
    return facts.width * canvas.height > _SQUEEZED * inner * facts.height


def _is_upright(case, facts, canvas):
    return facts.height > _UPRIGHT * facts.width and len(case.target) >= _LETTERS


def _is_heavy(case, facts, canvas):
    # With a busy rim one cannot tell ink from paper.
    return facts.ink_share > _INK and facts.rim_share <= _RIM


def _has_line(case, facts):
    return len(case.target) >= _LETTERS and facts.width >= facts.height


def _is_curved(case, facts, canvas):
    line = facts.baseline
    return _has_line(case, facts) and abs(line.bend) > _BEND and line.bend_gain > _BEND_GAIN


def _is_tilted(case, facts, canvas):
    if not _has_line(case, facts) or _is_curved(case, facts, canvas):
        # The best straight line along an arc is whatever touches most of it.
        return False
    return abs(facts.baseline.rise) > _RISE and facts.baseline.rise_gain > _RISE_GAIN


def _is_beyond(case, facts, canvas):
    """All of the label was read, and a little more, such as a mark or a neighbour's edge."""
    is_more = case.target and case.target in case.text and case.target != case.text
    return bool(is_more) and len(case.text) <= 2 * len(case.target)


def _is_doubtful(case, facts, canvas):
    # One or two letters are soon quite another word.
    longer = max(len(case.target), len(case.text))
    return (
        min(len(case.target), len(case.text)) >= _LETTERS
        and case.confidence >= _SURE
        and 1 - case.distance / longer < _NEAR
        and not only_confusables(case.target, case.text)
    )


KINDS = (
    Kind("long", f"under {_FRAMES_A_CHARACTER} frames a character", _is_long),
    Kind("squeezed", f"over {_SQUEEZED} times narrower on its canvas", _is_squeezed),
    Kind("short", f"at most {_SHORT} characters", lambda c, f, _: len(c.target) <= _SHORT),
    Kind("digits", "a digit in the label", lambda c, f, _: any(map(str.isdigit, c.target))),
    Kind("small", f"under {_ROWS} rows of pixels", lambda c, f, _: f.height < _ROWS),
    Kind("low contrast", f"under {_CONTRAST} grey levels", lambda c, f, _: f.contrast < _CONTRAST),
    Kind("blurred", f"edges over {_EDGE} pixels wide", lambda c, f, _: f.edge_width > _EDGE),
    Kind(
        "relief or clutter",
        f"two greys explain under {_TWO_GREYS:.0%}",
        lambda c, f, _: f.two_greys < _TWO_GREYS,
    ),
    Kind("heavy", f"ink covers over {_INK:.0%}", _is_heavy),
    Kind("busy rim", f"over {_RIM:.0%} of the rim is ink", lambda c, f, _: f.rim_share > _RIM),
    Kind("upright", f"over {_UPRIGHT} times as high as wide", _is_upright),
    Kind("tilted", f"line rises over {_RISE:.0%} of the height", _is_tilted),
    Kind("curved", f"line bends over {_BEND:.0%} of the height", _is_curved),
    Kind(
        "look-alikes",
        "only confusables such as 0 and o differ",
        lambda c, f, _: only_confusables(c.target, c.text),
        of_errors=True,
    ),
    Kind(
        "case",
        "only capitals differ",
        lambda c, f, _: c.target.lower() == c.text.lower(),
        of_errors=True,
    ),
    Kind("beyond the label", "the label, and more around it", _is_beyond, of_errors=True),
    Kind(
        "label in doubt",
        f"{_SURE:.0%} sure of a text under {_NEAR:.0%} alike",
        _is_doubtful,
        of_errors=True,
    ),
)
