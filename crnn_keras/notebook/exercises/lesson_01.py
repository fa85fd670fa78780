"""Questions of notebook 01: characters, and the map from paths to texts."""

from __future__ import annotations

from crnn_keras.notebook.exercises.questions import (
    call,
    expect_number,
    expect_text,
    hint,
    question,
)

# Paths and their texts: each tells a wrong map from the right one.
_PATHS = {
    "ab": "ab",
    "_a_": "a",
    "aab": "ab",
    "abba": "aba",
    "a_ab": "aab",
    "ll_l": "ll",
    "__": "",
    "": "",
}


@question
def q1(answer: object) -> str:
    """Checks which text the path `cc_oo_ol_` becomes.

    Args:
        answer: A text.
    """
    hints = {
        "col": "You removed the blanks before you merged. Merge first.",
        "ccoool": "Equal neighbours become one letter. Merge them before you remove the blanks.",
        "c_o_ol": "The merge is right. One step is left.",
        "c_o_ol_": "The merge is right. One step is left.",
    }
    otherwise = "Go from left to right: merge equal neighbours, then remove each `_`."
    expect_text(answer, "cool", hints, otherwise=otherwise)
    return "a blank is the only way to write a doubled letter."


@question
def q2(answer: object) -> str:
    """Checks a function that turns a path into its text.

    Args:
        answer: Function of a path, such as `"a_ab"`, that returns its text.
    """
    for path, text in _PATHS.items():
        found = call(answer, path)
        if isinstance(found, list | tuple):
            hint("Your function returns a list. Join its characters to a text.")
        if not isinstance(found, str):
            hint(f"Expected a text, your function returned a {type(found).__name__}.")
        if found == text:
            continue
        if "_" in found:
            hint(f"For {path!r} a blank is left in what your function returns.")
        if len(found) > len(text):
            hint(f"For {path!r} your text is too long. Which neighbours are equal?")
        if len(found) < len(text) and "_" in path:
            hint(f"For {path!r} your text is too short. In which order are the two steps taken?")
        if len(found) < len(text):
            hint(f"For {path!r} your text is too short. Only neighbours are merged.")
        hint(f"For {path!r} your text has other characters, or another order.")
    return "this map is all that decoding a path means."


@question
def q3(answer: object) -> str:
    """Checks how many frames *committee* needs at least.

    Args:
        answer: A whole number.
    """
    hints = {
        9: "These are its letters. What must stand between two equal ones?",
        10: "There is more than one pair of equal neighbours.",
        11: "There are more pairs of equal neighbours than two.",
        13: "Count the pairs once more: equal letters that are no neighbours need no blank.",
        15: "A pair needs one blank between its letters, not one for each letter.",
        17: "A blank between two different letters is allowed, but not needed.",
        18: "A blank is not needed after each letter.",
        19: "That is the number of states of its lattice. Most of its blanks are not needed.",
    }
    expect_number(answer, 12, hints)
    return "with fewer frames no path spells the word, and a model cannot learn it."


@question
def q4(answer: object) -> str:
    """Checks how many paths of 7 frames spell *to*.

    Args:
        answer: A whole number.
    """
    hints = {
        6: "These are the paths without a blank, such as `ttooooo`.",
        21: "These are the paths in which each letter lasts one frame. Letters may last longer.",
        35: "The formula chooses 2L places, and not from the frames alone.",
        36: "The formula chooses twice as many places: letters, and the gaps around them.",
        70: "That is the count for a frame fewer, or for a word with a pair of equal neighbours.",
        128: "These are all paths over two classes. Most of them spell something else.",
        210: "That is the count for a frame more.",
        2187: "These are all paths over `_`, `t` and `o`. Most of them spell something else.",
    }
    expect_number(answer, 126, hints)
    return "a text is not one path but many, so a loss must add up all of them."


@question
def q5(answer: object) -> str:
    """Checks how many classes a model of digits, capitals and the space has.

    Args:
        answer: A whole number.
    """
    hints = {
        36: "Two are missing: one is a character that you cannot see, one is no character.",
        37: "One is missing. The space and the blank are not the same.",
        39: "The padding of labels is no class: it shares the id 0.",
        63: "Small letters are not asked for.",
        64: "Small letters are not asked for.",
    }
    expect_number(answer, 38, hints)
    return "a space is a character that is read, the blank says that nothing new begins here."
