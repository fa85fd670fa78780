"""Questions of notebook 03c: first loss, blank, floor of a double softmax, frames, leak."""

from __future__ import annotations

import math

from crnn_keras.notebook.exercises.questions import call, expect_number, expect_text, hint, question

# Labels, and the frames that each needs.
_NEEDED = {"a": 1, "ab": 2, "aa": 3, "letter": 7, "aaa": 5, "1001": 5, "committee": 12, "": 0}


@question
def q1(answer: object) -> str:
    """Checks the loss that a network without knowledge has for *205* in 12 frames of 11 classes.

    Args:
        answer: A number of nats, up to 0.001.
    """
    one_path, letters = 12 * math.log(11), math.log(math.comb(12, 3))
    hints = {
        one_path: "That is the loss of one path. Many paths spell the label.",
        math.log(math.comb(15, 6)): "That is the logarithm of the number of paths alone.",
        one_path + math.log(math.comb(15, 6)): "More paths make the loss smaller. Check a sign.",
        one_path - letters: "You chose frames for the letters. A path has a place for blanks, too.",
        12 * math.log(10) - math.log(math.comb(15, 6)): "The blank is a class, too.",
        one_path - math.log(math.comb(16, 6)): "No letter is repeated here.",
        one_path - math.log(math.comb(15, 3)): "How many states has a label of three letters?",
        one_path / 3: "The loss belongs to the image, not to a letter.",
        math.comb(15, 6): "That is the number of paths. Asked is the loss.",
    }
    otherwise = "Put T = 12, K = 11, L = 3 and no repeat into the formula."
    expect_number(answer, one_path - math.log(math.comb(15, 6)), hints, otherwise=otherwise)
    return "a first loss far from this number means that labels, classes or frames are wrong."


@question
def q2(answer: object) -> str:
    """Checks which code a network with the blank last has seen, if it reads *929949*.

    Args:
        answer: A text of digits.
    """
    hints = {
        "929949": "That is what is read. Which of the classes was meant as the blank?",
        "24": "The nines are blanks. But each class is one off, too.",
        "35": "Two nines stand side by side. Equal neighbours would have merged: what was between?",
        "13": "One off, but in the other direction.",
        "103": "One off, but in the other direction.",
        "204": "You found the lost digit. The other two are one off.",
        "030500": "A nine stands for the blank, the last class.",
    }
    answer = str(answer) if isinstance(answer, int) and not isinstance(answer, bool) else answer
    expect_text(answer, "305", hints, otherwise="Write the class of each sign, then shift by one.")
    return "the loss was fine all along: only what is read shows a shifted class."


@question
def q3(answer: object) -> str:
    """Checks the largest chance that a second softmax gives to one of 37 classes.

    Args:
        answer: A fraction, up to 0.001.
    """
    hints = {
        1: "That is after the first softmax. The second one takes numbers from 0 to 1.",
        1 / 37: "That is the smallest of the largest: all classes equal.",
        math.e: "That is the numerator. Divide by the sum over all classes.",
        math.e / 37: "Only one class has a 1. The others have a 0, and exp(0) is 1.",
        math.e / (math.e + 37): "There are 37 classes in all, this one included.",
        math.e / (math.e + 10): "That is for the 11 classes of this lesson.",
        1 / (math.e + 36): "That is the chance of each of the other classes.",
        36 / (math.e + 36): "That is what all the other classes have together.",
    }
    otherwise = "One class has exp(1), each of the others exp(0)."
    expect_number(answer, math.e / (math.e + 36), hints, otherwise=otherwise)
    return "the more classes, the higher the floor: with 37, no frame can be sure of anything."


@question
def q4(answer: object) -> str:
    """Checks a function that computes how many frames a label needs.

    Args:
        answer: Function of a text that returns a whole number.
    """
    for text, needed in _NEEDED.items():
        found = call(answer, text)
        if found == needed:
            continue
        pairs = needed - len(text)
        if pairs and found == len(text):
            hint(
                f"For {text!r} your function returns {found!r}. What stands between equal letters?"
            )
        if found == 2 * len(text) + 1:
            hint("Those are the states. A path may jump over most blanks.")
        if found == 2 * len(text) - 1 and len(text) > 1:
            hint("A blank is needed between equal neighbours alone.")
        hint(f"For {text!r} your function returns {str(found)[:20]}, which is not what it needs.")
    return "a label that needs more has no path: find it before the training, not in the loss."


@question
def q5(answer: object) -> str:
    """Checks the accuracy on unseen images, if 40 of 200 leaked and 88 % of all are right.

    Args:
        answer: A fraction, up to 0.001.
    """
    hints = {
        0.88: "That is the accuracy on all 200, those that were learned by heart included.",
        0.8: "That is the fraction of images that did not leak.",
        136 / 200: "Divide by the images that are left, not by all.",
        176 / 160: "Take the leaked images away from those that are right, too.",
        136: "That many are right. Which fraction is it?",
        176: "So many of all are right. Take away those that leaked.",
        0.08: "The leak adds images, not per cent.",
        0.48: "Count images, do not subtract per cents.",
        85: "Expected a fraction from 0 to 1.",
    }
    otherwise = "How many of the 160 that did not leak are right?"
    expect_number(answer, 136 / 160, hints, otherwise=otherwise)
    return "one image in five has raised the result by three points, and nothing looks wrong."
