"""Questions of notebook 07: coverage, unseen characters, frames of a line, last layer."""

from __future__ import annotations

import collections
import unicodedata
from collections.abc import Mapping

from crnn_keras.notebook.exercises.questions import call, expect_number, hint, question

# Texts and the characters of a set.
_CASES = (
    (["大中国", "国人国"], "大中人"),
    (["大中"], "大中人"),
    # An accent of its own, and an ideograph that Unicode has twice.
    (["cafe\u0301", "cafe\u0301"], "cafx"),
    (["caf\u00e9 cafe\u0301"], "caf\u00e9 "),
    (["\uf9a8"], "\u4ee4"),
    (["Ａ"], "A"),
)


@question
def q1(answer: object) -> str:
    """Checks how many lines of five have only known characters if nine in ten are known.

    Args:
        answer: A fraction, up to 0.001.
    """
    hints = {
        0.9: "That is one character. All five must be known.",
        0.5: "Adding counts a line with two unknown characters twice. Multiply.",
        1 - 0.9**5: "These are the lines with an unknown character.",
        0.1**5: "These are the lines in which all five are unknown.",
        1 - 0.1**5: "These are the lines with at least one known character.",
    }
    otherwise = "What is the chance that one character is known, and what that all five are?"
    expect_number(answer, 0.9**5, hints, otherwise=otherwise)
    return "that is the best that any training can reach, so choose the characters first."


@question
def q2(answer: object) -> str:
    """Checks a function that counts the characters of texts that a set lacks.

    Args:
        answer: Function of a list of texts and of a text of characters. It returns a dict of
            `character: count`.
    """
    for texts, characters in _CASES:
        found = call(answer, texts, characters)
        if not isinstance(found, Mapping):
            hint("Expected a dict, or a `Counter`, of characters and how often they occur.")
        found = {str(character): int(count) for character, count in found.items()}
        expected = _count(unicodedata.normalize("NFC", text) for text in texts)
        expected = {c: count for c, count in expected.items() if c not in characters}
        if found != expected:
            hint(_explain(found, expected, texts=texts, characters=characters))
    return "do it before a training: a model cannot write what its char dict lacks."


@question
def q3(answer: object) -> str:
    """Checks how many frames a well-known line of eight characters needs at least.

    Args:
        answer: A whole number.
    """
    hints = {
        8: "These are its characters. What must stand between two equal ones?",
        9: "There is more than one pair of equal neighbours.",
        12: "A pair needs one blank between its characters, not one for each.",
        15: "A blank between two different characters is allowed, but not needed.",
        16: "These are the frames of the narrowest canvas. It needs fewer.",
        17: "These are the states of its lattice. Most of its blanks are not needed.",
        32: "These are the frames of a canvas of 128 pixels. It needs fewer.",
        64: "That would be eight frames for each character. It needs fewer.",
    }
    expect_number(answer, 10, hints)
    return "a path exists then. To tell strokes apart takes more: in section 7 it is eight each."


@question
def q4(answer: object) -> str:
    """Checks how many weights the last layer has for 3,755 characters and 384 features.

    Args:
        answer: A whole number.
    """
    hints = {
        3755 * 385: "A class is missing, which is no character.",
        3756 * 384: "Each class has a bias, too.",
        3755 * 384: "A class is missing, and each class has a bias, too.",
        3755 * 384 + 1: "A class is missing, and each class has a bias of its own.",
        101 * 385: "That is the layer of this run, with 100 characters.",
        37 * 385: "That is the layer of the model that the training starts from.",
        3757 * 385: "The padding of labels is no class.",
    }
    otherwise = "Each class adds up all features, with a weight each, and a bias."
    expect_number(answer, 3756 * 385, hints, otherwise=otherwise)
    return "the last layer alone has more weights than the whole network for English words."


def _count(texts):
    return collections.Counter(character for text in texts for character in text)


def _explain(found, expected, *, texts, characters):
    """Says why a count is not the expected one."""
    if any(not count for count in found.values()):
        return "Your dict holds characters with a count of 0. Leave them out."
    raw = {c: count for c, count in _count(texts).items() if c not in characters}
    if found == raw:
        return (
            f"For {texts} and {characters!r} you count code points as they are. One character may "
            "be written by other code points: normalize first."
        )
    wide = _count(unicodedata.normalize("NFKC", text) for text in texts)
    if found == {c: count for c, count in wide.items() if c not in characters}:
        return "NFKC also makes `Ａ` an A and `²` a 2, which look different. A char dict takes NFC."
    if set(found) == set(expected):
        return f"For {texts} the characters are right, and their counts are not."
    if set(found) & set(characters):
        return "You count characters that the set has."
    return f"For {texts} and {characters!r} your dict has other characters than expected."
