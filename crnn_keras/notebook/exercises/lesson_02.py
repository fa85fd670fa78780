"""Questions of notebook 02: splits, rows that cannot be used, leakage, rare characters, canvas."""

from __future__ import annotations

import itertools

import numpy as np

from crnn_keras.notebook.exercises.questions import (
    call,
    expect_number,
    hint,
    question,
)

# Names of which only the middle, the end or the beginning differs.
_NAMES = (
    [f"images/{index:04d}.png" for index in range(1000)],
    [f"scans/{index:04d}_00.png" for index in range(1000)],
    [f"{index:04d}/word.png" for index in range(1000)],
)
# Hints for lines that are errors, and for lines that are none.
_ERRORS = {
    2: "One line says nothing about its image.",
    5: "One label has a sign that is no letter and no digit.",
    6: "One image cannot be opened.",
    8: "One label has a letter that is not among a to z.",
    10: "One label does not fit into its frames: count the blanks between equal neighbours.",
}
_USABLE = {
    1: "The first line is as good as can be.",
    3: "This char dict folds the case.",
    4: "The same image twice, with the same label, can be read twice.",
    7: "A long label fits if it has at most as many letters as frames, and no pair of equal ones.",
    9: "A wrong label can be trained on: that is what makes it harmful. It is a warning.",
}


@question
def q1(answer: object) -> str:
    """Checks a function that assigns the name of an image to a split.

    Args:
        answer: Function of a name, such as `"images/0041.png"`, that returns `"test"` for about a
            tenth of all names, and `"train"` for the others.
    """
    names = list(itertools.chain(*_NAMES))
    splits = {name: _assign(answer, name) for name in names}
    if any(_assign(answer, name) != splits[name] for name in reversed(names)):
        hint("A name gets another split when it is asked again. It must keep its split.")
    if "hash" in getattr(getattr(answer, "__code__", None), "co_names", ()):
        hint("Python's own `hash` of a text is another one in each process. Use `zlib.crc32`.")
    shares = [sum(splits[name] == "test" for name in group) / len(group) for group in _NAMES]
    if not any(shares):
        hint("No name is in the test.")
    if np.ptp(shares) > 0.1:
        hint("It depends on a part of the name, which may be alike in all names. Use all of it.")
    if abs(np.mean(shares) - 0.1) > 0.03:
        hint(f"{np.mean(shares):.0%} of the names are in the test. Expected about a tenth.")
    return "images may come and go, and the others stay in their splits."


def _assign(function, name):
    """Returns the split that a learner's function assigns to a name."""
    found = call(function, name)
    if not isinstance(found, str):
        hint(f"Expected a text, your function returned an answer of type {type(found).__name__}.")
    if found not in ("train", "test"):
        hint("Expected 'train' or 'test', your function returned another text.")
    return found


@question
def q2(answer: object) -> str:
    """Checks which lines of a label file are errors.

    Args:
        answer: A list of the lines, counted from 1.
    """
    if isinstance(answer, str) or not np.iterable(answer):
        hint("Expected a list of whole numbers, such as `[1, 3]`.")
    given = list(itertools.islice(answer, 100))
    lines = {int(line) for line in given}
    if lines != set(given):
        hint("Lines have whole numbers.")
    if not lines <= {*_ERRORS, *_USABLE}:
        hint("There are ten lines, and the first is 1.")
    for line, text in _USABLE.items():
        if line in lines:
            hint(f"You named a line that can be used. {text}")
    for line, text in _ERRORS.items():
        if line not in lines:
            hint(f"A line is missing. {text}")
    return "each of them would stop a training, or teach nothing, so the check skips and names it."


@question
def q3(answer: object) -> str:
    """Checks the accuracy on new images: 88 of 100 right, of which 20 were trained on.

    Args:
        answer: A fraction, up to 0.001.
    """
    hints = {
        0.88: "That is what was measured, with the images that the model knows.",
        0.68: "These are the right ones among the new images. How many new images are there?",
        68: "These are the right ones among the new images. How many new images are there?",
        0.704: "Subtract counts, not percents.",
        0.8: "That is the fraction of new images.",
        0.12: "That is the fraction of errors, over all images.",
        0.15: "That is the fraction of the new images that are wrong.",
        85: "Expected a fraction, from 0 to 1.",
        1.1: "There are fewer new images than images.",
    }
    otherwise = "How many new images are there, and how many of these are right?"
    expect_number(answer, 0.85, hints, otherwise=otherwise)
    return "leakage never makes a model look worse, so nobody complains about it."


@question
def q4(answer: object) -> str:
    """Checks how likely none of three images is in a test of a tenth.

    Args:
        answer: A probability, up to 0.001.
    """
    hints = {
        0.7: "Close. Three tenths count twice what two of them have in common: multiply instead.",
        0.271: "That is the chance that at least one is in the test.",
        0.3: "That many are in the test on average. Asked is the chance of none.",
        0.001: "That is the chance that all three are in the test.",
        0.9: "That is one image. None of the three may be in it.",
        0.1: "That is the chance that one image is in the test.",
        0.081: "That is the chance that two certain ones are not in it, and the third is.",
        0.243: "That is the chance that exactly one is in the test.",
        72.9: "Expected a fraction, from 0 to 1.",
    }
    otherwise = "How likely is one image not in the test? The three do not depend on each other."
    expect_number(answer, 0.9**3, hints, otherwise=otherwise)
    return "an accuracy says nothing about characters that the test does not have."


@question
def q5(answer: object) -> str:
    """Checks how wide a canvas must be for *bookkeeper*, in pixels.

    Args:
        answer: A whole number.
    """
    hints = {
        10: "These are its letters. How many frames do they need, and how many pixels is that?",
        13: "These are the frames. How many pixels make a frame?",
        40: "Between two equal neighbours stands a blank, which needs a frame too.",
        44: "There is more than one pair of equal neighbours.",
        48: "There are more than two pairs of equal neighbours.",
        76: "A blank is not needed between different letters.",
        84: "These are the states of its lattice. Most of its blanks are not needed.",
    }
    expect_number(answer, 52, hints)
    return "that is the least that CTC can learn from. Letters so narrow are hard to read."
