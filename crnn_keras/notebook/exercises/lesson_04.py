"""Questions of notebook 04: steps, the learning rate, a network that does not look, the loss."""

from __future__ import annotations

import math

import numpy as np

from crnn_keras.notebook.exercises.questions import call, expect_number, hint, question

# The training of the second question: steps in all, steps of the warm-up, the largest rate.
_STEPS, _WARMUP, _LARGEST = 1000, 50, 0.003


@question
def q1(answer: object) -> str:
    """Checks the steps of four epochs of 37,600 records in batches of 64.

    Args:
        answer: A whole number.
    """
    hints = {
        587: "That is one epoch, without the records that fill no batch.",
        587.5: "A step cannot be halved, and there are four epochs.",
        588: "That is one epoch.",
        2348: "In each epoch 32 records are left over. They are a batch too.",
        2350: "Each epoch ends with a batch of its own. Round up before you multiply.",
        9400: "That is one step for 16 records.",
        150_400: "These are the images that the model sees.",
        37_600: "These are the records.",
    }
    otherwise = "Divide the records by the batch, round up, and multiply by the epochs."
    expect_number(answer, 2352, hints, otherwise=otherwise)
    return "schedules count steps, so a batch twice as large is a training half as long for them."


@question
def q2(answer: object) -> str:
    """Checks a function that computes the learning rate of a step.

    Args:
        answer: Function of the step. The training has 1,000 steps, 50 of them warm-up, and a
            largest rate of 0.003.
    """
    for step in (_WARMUP, _STEPS, 525, 250, 900, 0, 25):
        found = np.asarray(call(answer, step))
        if found.ndim or found.dtype.kind not in "iuf":
            hint(f"For step {step} your function returned no number.")
        if math.isclose(found, _rate(step), rel_tol=1e-6, abs_tol=1e-9):
            continue
        if step < _WARMUP:
            hint(f"The cosine is right. Is step {step} in the warm-up?")
        if math.isclose(found, _LARGEST * math.cos(_angle(step)), abs_tol=1e-9):
            hint("A cosine ends at -1. The rate ends at 0: one half of 1 + cos.")
        if math.isclose(found, _LARGEST * (1 + math.cos(_angle(step))), abs_tol=1e-9):
            hint("That is twice as much.")
        if step == _WARMUP:
            hint(f"At step {step} the warm-up ends, and the rate is the largest one.")
        if math.isclose(found, _LARGEST * (1 + math.cos(math.pi * step / _STEPS)) / 2):
            hint("The cosine begins when the warm-up ends, not at step 0.")
        size = "large" if found > _rate(step) else "small"
        hint(f"For step {step} your rate is too {size}. Compare each part with the formula.")
    return "it is small while nothing is known yet, and small again when little is left to learn."


@question
def q3(answer: object) -> str:
    """Checks the probability of the blank that suits a network best that does not look.

    Args:
        answer: A probability, up to 0.001.
    """
    hints = {
        1 / 3: "That would be so if all three classes were equally useful. Compute P for it.",
        0.209: "That is the probability of each letter. Asked is that of the blank.",
        1: "Then no path has a letter, and P is 0.",
        0: "Then P is that of *aaa* alone, 1/8. A blank or two does better.",
        2 / 3: "Close: so it would be if only the paths with one *a* counted.",
        0.5: "Close. Compute P for a few values above it.",
        0.272: "That is P itself. Asked is where it is largest.",
        58.2: "Expected a probability, from 0 to 1.",
    }
    otherwise = "Compute P for `np.linspace(0, 1, 1001)`, and take the p of the largest."
    expect_number(answer, 0.582, hints, otherwise=otherwise)
    return "the blank is the likeliest class of every frame, so nothing is read: the plateau."


@question
def q4(answer: object) -> str:
    """Checks the probability of a label whose loss is 0.5 nats.

    Args:
        answer: A probability, up to 0.001.
    """
    hints = {
        0.5: "That is the loss. It is the negative logarithm of the probability.",
        10**-0.5: "Nats are of the natural logarithm, not of that to the base 10.",
        2**-0.5: "Nats are of the natural logarithm, not of that to the base 2.",
        math.exp(0.5): "A probability is at most 1. The loss is the *negative* logarithm.",
        -math.log(0.5): "Take the exponential instead: the loss is a logarithm already.",
        1 - math.exp(-0.5): "That is the probability of all other texts.",
        60.7: "Expected a probability, from 0 to 1.",
    }
    otherwise = "The loss is -ln P. Solve for P."
    expect_number(answer, math.exp(-0.5), hints, otherwise=otherwise)
    return "a label may win with less, so words are read before the loss is low."


def _angle(step):
    return math.pi * (step - _WARMUP) / (_STEPS - _WARMUP)


def _rate(step):
    if step < _WARMUP:
        return _LARGEST * (0.01 + 0.99 * step / _WARMUP)
    return _LARGEST * (1 + math.cos(_angle(step))) / 2
