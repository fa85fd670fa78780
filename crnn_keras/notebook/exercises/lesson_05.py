"""Questions of notebook 05: the character error rate, the interval, the length of words."""

from __future__ import annotations

from crnn_keras.notebook.exercises.questions import expect_number, question


@question
def q1(answer: object) -> str:
    """Checks the CER of three words, with 0, 1 and 2 edits for 3, 6 and 4 characters.

    Args:
        answer: A fraction, up to 0.001.
    """
    hints = {
        (0 + 1 / 6 + 2 / 4) / 3: "That is the mean over the words. Add up edits and characters.",
        3 / 14: "You divided by the characters that were predicted. Take those of the labels.",
        2 / 13: "*exit* read as *exlitt* has more than one edit.",
        2 / 3: "That is the fraction of the words that are wrong.",
        1 / 3: "That is the word accuracy.",
        3: "These are the edits. Divide them by the characters of all labels.",
        1: "These are the edits of each text. Divide by characters, not by texts.",
        10 / 13: "That is the fraction of the characters that need no edit.",
    }
    otherwise = "Add up the edits of all three words, then the characters of all three labels."
    expect_number(answer, 3 / 13, hints, otherwise=otherwise)
    return "each character counts the same, so a long text weighs more than a short one."


@question
def q2(answer: object) -> str:
    """Checks the lower end of Wilson's interval for 50 of 50.

    Args:
        answer: A fraction, up to 0.001.
    """
    hints = {
        1: "So the usual interval says. Would you promise that the next thousand are right?",
        0.95: "95 % is how often such an interval holds, not where it begins.",
        0.05: "95 % is how often such an interval holds, not where it begins.",
        1 / (1 + 1.96 / 50): "z is squared in the formula.",
        1 / (1 + 1.96**2 / 100): "The denominator has all of z squared over N, not half of it.",
        92.9: "Expected a fraction, from 0 to 1.",
    }
    otherwise = "Put p = 1 and N = 50 into the formula: nearly all of it cancels out."
    expect_number(answer, 1 / (1 + 1.96**2 / 50), hints, otherwise=otherwise)
    return "without one error in 50 images, a model may still be wrong in 7 of 100."


@question
def q3(answer: object) -> str:
    """Checks how many images make an interval a quarter as wide as with 1,600.

    Args:
        answer: A whole number.
    """
    hints = {
        400: "Fewer images make an interval wider.",
        3200: "Twice the images make it narrower by a factor of 1.4 only.",
        6400: "Four times the images make it half as wide: N stands under a root.",
        24000: "These are the images that come in addition.",
    }
    otherwise = "How does the width depend on N, which stands under a root?"
    expect_number(answer, 25_600, hints, otherwise=otherwise)
    return "one more digit of an accuracy costs a hundred times as many images."


@question
def q4(answer: object) -> str:
    """Checks which words of 13 characters are right if 4 % of the characters are wrong.

    Args:
        answer: A fraction, up to 0.001.
    """
    hints = {
        1 - 13 * 0.04: "Close. Adding counts words with two errors twice: multiply instead.",
        1 - (1 - 0.04) ** 13: "That is the fraction of the words that are wrong.",
        13 * 0.04: "That is about the fraction of the words that are wrong.",
        1 - 0.04: "That is one character. A word is right if all 13 are.",
        0.04**13: "That is the chance that all 13 are wrong.",
        (1 - 0.4) ** 13: "4 % is 0.04.",
    }
    otherwise = "What is the chance that a character is right, and what that all 13 are?"
    expect_number(answer, (1 - 0.04) ** 13, hints, otherwise=otherwise)
    return "if long words are read worse than this, something else is to blame, such as few frames."
