"""Questions of notebook 03b: beam, length bonus, lexicon, pattern."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crnn_keras.notebook.exercises.questions import (
    call,
    expect_number,
    expect_set,
    expect_text,
    hint,
    question,
)

_WORDS = {"at", "cat", "eat", "fat", "hat", "mat", "sat", "tea", "ten", "tap"}
# Words that are within two edits of "tes".
_NEAR = {"tea", "ten", "tap"}
_CHANCES = {"a": 0.4, "at": 0.2, "aa": 0.1, "t": 0.1, "ta": 0.15, "tat": 0.05}


@question
def q1(answer: object) -> str:
    """Checks what a beam that keeps one prefix gives to *a* in the three frames of section 1.

    Args:
        answer: A probability, up to 0.001.
    """
    hints = {
        0.402: "That is the sum over all its paths. A path that begins with a blank is lost here.",
        0.342: "The empty prefix goes after the first frame already: it is not the likeliest.",
        0.162: "These are its paths that end in a blank. Others end in *a*.",
        0.096: "These are its paths that end in *a*. Others end in a blank.",
        0.54: "That is what *a* has after two frames.",
        0.12: "That is *aa*.",
        0.24: "That is the part of *a* after two frames that does not end in a blank.",
    }
    otherwise = "After each frame, cross out all rows but the likeliest, and go on with that."
    expect_number(answer, 0.258, hints, otherwise=otherwise)
    return "with a dropped prefix go the paths through it, so a narrow beam counts too little."


@question
def q2(answer: object) -> str:
    """Checks which text a beam gives that keeps the two likeliest paths, not prefixes.

    Args:
        answer: A text.
    """
    hints = {
        "a": "So it would be if the paths of a text were added up. Each is alone here.",
        "at": "Its likeliest path, `a_t`, has 0.090. Another path has more.",
        "a_a": "That is the path. Which text does it become?",
        "aaa": "Is `aaa` the likeliest path? And which text would it become?",
    }
    otherwise = "Keep two paths after the first frame, extend each by every class, keep two again."
    expect_text(answer, "aa", hints, otherwise=otherwise)
    return "a beam that does not merge finds the best path, however wide it is."


@question
def q3(answer: object) -> str:
    """Checks from which bonus for a character on *at* is read instead of *a*.

    Args:
        answer: A number of nats.
    """
    hints = {
        1.2: "That is the bonus of the table. With a smaller one *at* may still be ahead.",
        -0.541: "Which of the two texts is longer, and must the bonus be given or taken?",
        0.6: "That is the weight. Both texts have the same log P, so it cancels.",
        1.718: "That is the quotient of the two probabilities. Scores are logarithms.",
        0.27: "How many characters more has *at*?",
        0.168: "That is the difference of the two probabilities. Scores are logarithms.",
    }
    otherwise = "Write down both scores with an unknown b, and let them be equal."
    # Between the exact number and that of the rounded table.
    expect_number(answer, 0.5405, hints, otherwise=otherwise)
    return "each character costs probability, so without a bonus a language model shortens texts."


@question
def q4(answer: object) -> str:
    """Checks which of the ten words a lexicon with a delta of 2 may take for *tes*.

    Args:
        answer: A list of words.
    """
    words = expect_set(answer, '["eat", "at"]')
    if strange := [word for word in words if word not in _WORDS]:
        hint(f"{strange[0]!r} is none of the ten words.")
    if far := sorted(words - _NEAR):
        hint(f"From *tes* to *{far[0]}* takes three edits. The order of the letters counts.")
    if len(words) == 2 and words < _NEAR:
        hint("One is missing. Two letters may differ.")
    if words != _NEAR:
        hint("Some are missing. An edit deletes, inserts or replaces one letter.")
    return "among them the image chooses. With a larger delta, more words become possible."


@question
def q5(answer: object) -> str:
    """Checks a function that computes the probabilities of texts given that they match.

    Args:
        answer: Function of a dict of `text: probability` and of a function that says whether a text
            matches. It returns a dict.
    """
    for matches in (lambda text: len(text) == 2, lambda text: text[0] == "t", lambda text: True):
        expected = {text: p for text, p in _CHANCES.items() if matches(text)}
        total = sum(expected.values())
        found = call(answer, _CHANCES, matches)
        if not isinstance(found, Mapping):
            hint("Expected a dict of texts and their probabilities.")
        if set(found) - set(expected):
            hint("Your dict holds texts that do not match. They are impossible now.")
        if set(found) != set(expected):
            hint("A text that matches is missing in your dict.")
        values = np.array([float(found[text]) for text in expected])
        alone = np.array([*expected.values()])
        all_match = np.isclose(total, 1)
        if np.allclose(values, alone) and not all_match:
            hint(f"Your probabilities sum to {values.sum():.2f}. What is possible must sum to 1.")
        if np.allclose(values, alone * total) and not all_match:
            hint("Your probabilities have become smaller. Texts are excluded, the others gain.")
        if not np.allclose(values, alone / total):
            hint("Divide each probability by the sum of those that match.")
    return "a pattern excludes and makes sure, whether or not the image shows such a text."
