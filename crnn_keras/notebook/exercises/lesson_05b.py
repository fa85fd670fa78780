"""Questions of notebook 05b: calibration error, calibration, threshold."""

from __future__ import annotations

import math

from crnn_keras.notebook.exercises.questions import expect_number, question


@question
def q1(answer: object) -> str:
    """Checks what a bin of 8 of 40 predictions, at 0.9 with 6 correct, adds to the ECE.

    Args:
        answer: A number, up to 0.001.
    """
    hints = {
        0.15: "That is the distance. How many of all predictions are in the bin?",
        -0.15: "That is the difference. How many of all predictions are in the bin?",
        -3 / 100: "The ECE adds up distances, whatever their direction.",
        0.75: "That is the accuracy of the bin.",
        0.2: "That is the weight of the bin. How far apart are confidence and accuracy?",
        1.2: "Weigh the distance by a fraction of the predictions, not by their number.",
        0.18: "That is the weight times the confidence. Where is the accuracy?",
    }
    otherwise = "Multiply two numbers: the bin's part of all predictions, and its distance."
    expect_number(answer, 8 / 40 * 0.15, hints, otherwise=otherwise)
    return "the bin is overconfident, and the ECE says by how much, not in which direction."


@question
def q2(answer: object) -> str:
    """Checks what a raw confidence of 0.8 becomes by a slope of 0.5 and an offset of 0.

    Args:
        answer: A fraction, up to 0.001.
    """
    hints = {
        0.4: "You halved the confidence. The slope belongs to its log-odds.",
        math.sqrt(0.8): "That is the root of the confidence. Take the root of its odds.",
        4: "These are the odds before the calibration.",
        2: "These are the odds after it. Which chance has odds of 2 to 1?",
        math.log(2): "That is the log-odds after the calibration. Which chance has it?",
        math.log(4): "That is the log-odds before the calibration.",
        1 / 3: "That is the chance of being wrong.",
        0.8: "A slope of 1 and an offset of 0 change nothing. The slope is 0.5.",
        16 / 17: "That would be a slope of 2, which makes a reader surer.",
    }
    otherwise = "First the log-odds of 0.8, then half of them, then back to a chance."
    expect_number(answer, 2 / 3, hints, otherwise=otherwise)
    return "a slope below 1 takes back what an overconfident reader promised too much."


@question
def q3(answer: object) -> str:
    """Checks the lowest threshold of the twelve predictions with at least 88 % correct texts.

    Args:
        answer: One of the thresholds.
    """
    hints = {
        0.98: "That one keeps a single text. Asked is the lowest.",
        0.86: "That one keeps no wrong text. A lower one may keep one.",
        0.82: "Its risk is 0.143, too much.",
        0.78: "Its risk is 0.125, a little too much. Look at the next one, too.",
        0.6: "Its risk is 0.2, too much.",
        0.5: "Its risk is 0.273, too much.",
        0.4: "That one keeps all texts, and 75 % are correct.",
        0.88: "The threshold is a confidence, the 88 % are an accuracy.",
        0.111: "That is a risk. Asked is the threshold beside it.",
        0.12: "That is the largest risk. Which thresholds have at most that?",
    }
    otherwise = "The risk may be 0.12 at most. Go through the table from the bottom."
    expect_number(answer, 0.7, hints, otherwise=otherwise)
    return "a risk does not rise with each step, so look at the whole table."


@question
def q4(answer: object) -> str:
    """Checks how many wrong texts pass of 10,000 if nine in ten are kept and 1 % of these wrong.

    Args:
        answer: A whole number.
    """
    hints = {
        100: "That is 1 % of all texts. Only those that are kept can pass unseen.",
        10: "That is 1 % of the texts that go to a person.",
        1000: "These are the texts that go to a person.",
        8910: "These are the correct texts that are kept.",
        9000: "These are the texts that are kept, right and wrong.",
        1090: "The texts that go to a person do not pass unseen.",
    }
    expect_number(answer, 90, hints)
    return "and a person looks at 1,000. A threshold trades the one for the other."
