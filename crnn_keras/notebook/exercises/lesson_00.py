"""Questions of notebook 00: confidence, the size of a prediction, frames."""

from __future__ import annotations

from crnn_keras.notebook.exercises.questions import expect_number, question


@question
def q1(answer: object) -> str:
    """Checks how many of 1,000 texts are wrong, each with a confidence of 98 %.

    Args:
        answer: A whole number.
    """
    hints = {
        980: "These are the right ones.",
        2: "That many of a hundred.",
        98: "That is the confidence. How many texts does it leave?",
        0.02: "That is the chance of one text. There are a thousand.",
        0: "98 % is no certainty.",
        1: "Each of them may be wrong, and there are many.",
        1000: "98 % is not nothing.",
    }
    expect_number(answer, 20, hints, otherwise="How likely is one of them wrong, and of how many?")
    return "a confidence says nothing about one text, and much about a thousand."


@question
def q2(answer: object) -> str:
    """Checks how many numbers a model of 95 characters predicts for a canvas of 160 pixels.

    Args:
        answer: A whole number.
    """
    hints = {
        40: "These are the frames. Each has a number for every class.",
        95: "These are the characters, in one frame. One class is missing too.",
        96: "That is one frame.",
        3_800: "One class is missing: it is no character.",
        5_120: "These are the pixels of the canvas.",
        15_200: "Four pixels of the width make one frame.",
        15_360: "Four pixels of the width make one frame.",
        122_880: "The network does not cut the canvas into rows: a frame is as high as the canvas.",
        121_600: "The network does not cut the canvas into rows: a frame is as high as the canvas.",
    }
    otherwise = "How many frames are there, and how many classes has each?"
    expect_number(answer, 3_840, hints, otherwise=otherwise)
    return "that is all a network says: which text they mean is decided after it."


@question
def q3(answer: object) -> str:
    """Checks into which frame pixel 100 of a photograph 300 pixels wide falls, counted from 1.

    Args:
        answer: A whole number.
    """
    hints = {
        10: "The first frame is 1, so you counted the frames before it.",
        25: "You divided pixels of the photograph. A frame is four pixels of the canvas.",
        26: "You divided pixels of the photograph. A frame is four pixels of the canvas.",
        32: "That is the number of all frames.",
        33: "The place is a third of the width. There are 32 frames, not 100.",
        42: "That is the place on the canvas, in pixels. How many pixels make a frame?",
        43: "That is the place on the canvas, in pixels. How many pixels make a frame?",
        75: "A photograph that is wider than the canvas is shrunk.",
    }
    otherwise = "Which pixel of the canvas is it, and how many pixels make a frame?"
    expect_number(answer, 11, hints, otherwise=otherwise)
    return "the boxes above are found this way, from frames back to pixels of the image."
