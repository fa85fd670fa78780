"""Questions of notebook 03: receptive field, sum over paths, lattice, gradient."""

from __future__ import annotations

import itertools

import numpy as np

from crnn_keras.notebook.exercises.questions import call, expect_number, hint, question

# Labels as states of a lattice, and the number of frames: letters that may and may not be skipped.
_LATTICES = (([0, 1, 0, 2, 0], 3), ([0, 1, 0, 1, 0], 4), ([0, 2, 0], 3), ([0, 1, 0, 1, 0, 2, 0], 5))


@question
def q1(answer: object) -> str:
    """Checks how many pixels across a frame sees, after kernels 5, 3, 3 with strides 2, 2, 1.

    Args:
        answer: A whole number.
    """
    hints = {
        9: "That would be so without strides. Behind a stride of 2 a step is two pixels wide.",
        11: "These are the kernel widths together. Kernels overlap, and strides stretch them.",
        13: "Strides multiply: behind two strides of 2 a step is four pixels wide.",
        16: "The first pixel is missing: the sum begins with 1.",
        25: "A kernel is stretched by the strides before it, not by its own.",
        45: "Kernel widths are not multiplied.",
    }
    expect_number(answer, 17, hints)
    return "a frame must see about as much as a letter is wide, or it cannot tell letters apart."


@question
def q2(answer: object) -> str:
    """Checks the probability of the label *b* in the three frames of section 2.

    Args:
        answer: A probability, up to 0.001.
    """
    hints = {
        0.040: "That is the likeliest path of the label. There are others.",
        0.032: "That is the path `bbb` alone. There are others.",
        0.184: "One of your paths spells *bb*: a blank stands between two b.",
        0.598: "That is the probability of *ab*.",
        2.263: "That is the loss. Asked is the probability.",
        -2.263: "That is the logarithm. Asked is the probability.",
        0.896: "That is the probability of all other labels.",
    }
    otherwise = "List the six paths that become *b*, multiply along each, and add."
    expect_number(answer, 0.104, hints, otherwise=otherwise)
    return "the loss falls for each path that spells the label, whichever the network prefers."


@question
def q3(answer: object) -> str:
    """Checks into which states of the lattice of *abba* a path may jump over a blank.

    Args:
        answer: A list of states, counted from 0.
    """
    if isinstance(answer, str) or not np.iterable(answer):
        hint("Expected a list of whole numbers, such as `[2, 4]`.")
    given = list(itertools.islice(answer, 100))
    states = {int(state) for state in given}
    if states != set(given):
        hint("States have whole numbers.")
    if not states <= set(range(9)):
        hint("There are nine states, and the first is 0.")
    if any(state % 2 == 0 for state in states):
        hint("Blanks have even numbers, from 0 on. Over what would a path jump into a blank?")
    if 1 in states:
        hint("The first letter has no letter before it that a path could come from.")
    if 5 in states:
        hint("One jump is between two equal letters. What would the text be without that blank?")
    if len(states) < 2:
        hint("There is another jump.")
    return "this rule alone keeps doubled letters apart."


@question
def q4(answer: object) -> str:
    """Checks a function that computes the probability of the likeliest path of a label.

    Args:
        answer: Function of an array of probabilities `(frames, classes)` and a list of the classes
            of the states, that returns one number.
    """
    for states, frames in _LATTICES:
        p = np.random.default_rng(len(states)).dirichlet(np.ones(3), frames)
        found = np.asarray(call(answer, p, states))
        if found.shape == (frames, len(states)):
            hint("Your function returns the whole table. Where does a complete path end?")
        if found.ndim:
            hint(f"Expected one number, your function returned an array of shape {found.shape}.")
        paths = _paths_of(states, frames)
        products = [float(np.prod(p[range(frames), path])) for path in paths]
        ends = [
            max(v for v, path in zip(products, paths, strict=True) if path[-1] == k)
            for k in {path[-1] for path in paths}
        ]
        hints = {
            sum(products): "That is the sum over all paths. Where does your function still add?",
            sum(ends): "In the end you add two states. A path ends in one of them.",
        }
        _compare(found, max(products), hints)
    return "`align` finds by it where each letter stands: the sum says what, the maximum where."


@question
def q5(answer: object) -> str:
    """Checks the gradient of the logit of *a* in the first of two undecided frames.

    Args:
        answer: A number, up to 0.001.
    """
    hints = {
        1 / 3: "Is that the softmax alone, or is the difference the other way round?",
        2 / 3: "That is the posterior of *a*. The softmax is missing.",
        -2 / 3: "The softmax is missing.",
        0: "That is the gradient of the blank, which is as likely as its posterior.",
        -1 / 6: "Of the three paths of *a*, how many are in *a* in the first frame?",
    }
    expect_number(answer, -1 / 3, hints)
    return "it is negative, so a step of training raises *a* where its paths go through."


def _paths_of(states, frames):
    """Returns all paths of classes that spell a label, the label being that of the states."""
    label = [k for k in states if k]
    every = itertools.product(sorted(set(states)), repeat=frames)
    return [p for p in every if [k for k, _ in itertools.groupby(p) if k] == label]


def _compare(found, expected, hints):
    for wrong, text in hints.items():
        if np.isclose(found, wrong) and not np.isclose(found, expected):
            hint(text)
    if not np.isclose(found, expected):
        size = "large" if found > expected else "small"
        hint(f"Your number is too {size}. Compare it with a search through all paths.")
