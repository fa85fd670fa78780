"""Questions of notebook 08: replay, before and after, what to label next, the price of a point."""

from __future__ import annotations

import math

import numpy as np

from crnn_keras.notebook.exercises.questions import call, expect_number, hint, question

# Text, confidence and error of readings. One is not an image, one has no text.
_READINGS = [
    ("exit", 0.98, None),
    ("m4rket", 0.41, None),
    ("", 0.0, "not an image"),
    ("keras", 0.67, None),
    ("", 0.12, None),
    ("book", 0.91, None),
]


@question
def q1(answer: object) -> str:
    """Checks how often each of 60 images is seen in 200 steps of 50 images, 0.4 of them replayed.

    Args:
        answer: A whole number.
    """
    hints = {
        67: "You counted the replayed images of a batch. Which ones are yours?",
        200 * 50 / 60: "So it would be without replay. Some images of each batch are not yours.",
        167: "So it would be without replay. Some images of each batch are not yours.",
        200 * 20 / 60: "You counted the replayed images of a batch. Which ones are yours?",
        6000: "So many of your images are shown, all together.",
        30: "So many of your images are in a step.",
        200: "A step does not show all images.",
        4000: "So many images are replayed.",
    }
    otherwise = "How many of your images are in a step, how many in all steps?"
    expect_number(answer, 100, hints, otherwise=otherwise)
    return "a larger share of replay forgets less, and leaves fewer steps for what is new."


@question
def q2(answer: object) -> str:
    """Checks how likely chance alone repairs twelve or more of sixteen images that changed.

    Args:
        answer: A chance, up to 0.001.
    """
    chances = [math.comb(16, count) / 2**16 for count in range(17)]
    hints = {
        0.04: "That is how much the accuracy changed. Asked is a chance.",
        chances[12]: "That is exactly twelve. More are meant, too.",
        sum(chances[13:]): "Twelve are meant, too.",
        2 * sum(chances[12:]): "Here twelve or more that broke are counted as well.",
        1 - sum(chances[12:]): "That is the chance of fewer than twelve.",
        0.5**12: "That is one order of twelve coins. There are many, and four coins more.",
        0.75: "That is the fraction that was repaired.",
        0.5: "That is the chance of one image.",
        0.06: "These are repaired of all images. Only those that changed tell something.",
    }
    otherwise = "Sixteen coins: add the chances of 12, 13, 14, 15 and 16 heads."
    expect_number(answer, sum(chances[12:]), hints, otherwise=otherwise)
    return "the intervals of both accuracies overlap, and yet the same images can tell."


@question
def q3(answer: object) -> str:
    """Checks a function that chooses the images to label next.

    Args:
        answer: Function of a list of `(text, confidence, error)` and of a number. It returns a list
            of places, the most doubtful first.
    """
    usable = [place for place, reading in enumerate(_READINGS) if reading[2] is None]
    ranked = sorted(usable, key=lambda place: _READINGS[place][1])
    for count in (2, 3, 10):
        found = call(answer, _READINGS, count)
        if isinstance(found, str) or not np.iterable(found):
            hint("Expected a list of places, such as `[1, 0]`.")
        found, expected = list(found)[:100], ranked[:count]
        if any(isinstance(place, tuple | str | float) for place in found):
            hint("Your list holds readings or confidences. Expected are their places.")
        places = [int(place) for place in found]
        if places == expected:
            continue
        if 2 in places:
            hint("One of your images could not be opened: it has an error, and no text to label.")
        if places == ranked[::-1][:count]:
            hint("Those are the surest. The reader is mostly right about them already.")
        if len(places) > count:
            hint(f"Asked for {count} images, your function chooses {len(places)}.")
        if 4 not in places:
            hint("An image is missing that was read as nothing. A doubtful one, and it was opened.")
        if sorted(places) == sorted(expected):
            hint("The images are right. Put the most doubtful one first.")
        hint("Which readings have the lowest confidence?")
    return "a label tells most where the reader doubts, and nothing where there is no image."


@question
def q4(answer: object) -> str:
    """Checks the labels of a point if 250 labels read 92 % and 1,000 labels 97 %.

    Args:
        answer: A whole number.
    """
    hints = {
        750: "So many labels took all the points together.",
        200: "The first 250 were there already.",
        5: "These are the points that were won.",
        50: "These are the first labels divided by the points that the others won.",
        4: "So many times as many labels there are.",
        1000 / 97: "That is the mean over all labels and points. The last ones cost more.",
        15_000: "Five points are five, not 0.05.",
    }
    otherwise = "How many labels came in addition, and how many points did they bring?"
    expect_number(answer, 150, hints, otherwise=otherwise)
    return "at half a minute a label, a point costs more than an hour: look at errors first."
