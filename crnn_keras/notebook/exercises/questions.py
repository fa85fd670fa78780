"""What all questions share: what they print, and what kinds of answers there are."""

from __future__ import annotations

import functools
import itertools
import numbers
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

EMPTY = "Fill in the cell, then run it again."
RIGHT, NOT_YET = "Right", "Not yet"


class Hint(Exception):
    """What to think about next, for an answer that is not right yet."""


def question(judge: Callable[[Any], str]) -> Callable[..., None]:
    """Makes a question of a function that judges an answer.

    Args:
        judge: Function of the answer. It returns a sentence that says why the question matters, or
            raises a `Hint`.

    Returns:
        Function of the answer that prints one line. It raises nothing, whatever the answer is.

    Example:

        >>> @question
        ... def q1(answer):
        ...     expect_number(answer, 4, {3: "One more."})
        ...     return "Four it is."
        >>> q1(...)
        Fill in the cell, then run it again.
        >>> q1(3)
        Not yet: One more.
        >>> q1(4)
        Right: Four it is.
    """

    @functools.wraps(judge)
    def check(answer: object = ...) -> None:
        verdict, text = find_verdict(judge, answer)
        print(f"{verdict}: {text}" if verdict else text)

    return check


def find_verdict(judge: Callable[[Any], str], answer: object) -> tuple[str, str]:
    """Judges an answer, and raises nothing, whatever it is.

    Args:
        judge: Function of the answer, see `question`.
        answer: What was answered.

    Returns:
        `RIGHT`, `NOT_YET`, or `""` where nothing was answered, and a sentence.
    """
    if answer is ... or answer is None:
        return "", EMPTY
    try:
        return RIGHT, judge(answer)
    except Hint as hint:
        return "" if str(hint) == EMPTY else NOT_YET, str(hint)
    # An answer may be an object that cannot even be compared.
    except Exception:
        return NOT_YET, f"{_kind(answer)} is not what is asked. Read the question again."


def hint(text: str) -> NoReturn:
    """Ends the judgement with a hint.

    Args:
        text: What to think about next.

    Raises:
        Hint: Always.
    """
    raise Hint(text)


def expect_number(
    answer: object, expected: float, hints: Mapping[float, str], *, otherwise: str = ""
) -> None:
    """Compares a number with the expected one.

    Args:
        answer: What was answered. Numbers of NumPy and of a backend will do.
        expected: The number. A whole one must be met exactly, another one up to 0.001.
        hints: Hints for the usual misconceptions, by the number that they lead to.
        otherwise: Hint for all other numbers. Defaults to `""`: too large, or too small.

    Raises:
        Hint: It is another number, or none.
    """
    number = _to_number(answer)
    tolerance = 1e-9 if isinstance(expected, int) else 0.001
    if abs(number - expected) <= tolerance:
        return
    for wrong, text in hints.items():
        if abs(number - wrong) <= tolerance:
            hint(text)
    hint(otherwise or f"That is too {'large' if number > expected else 'small'}.")


def expect_text(answer: object, expected: str, hints: Mapping[str, str], *, otherwise: str) -> None:
    """Compares a text with the expected one.

    Args:
        answer: What was answered.
        expected: The text.
        hints: Hints for the usual misconceptions, by the text that they lead to.
        otherwise: Hint for all other texts.

    Raises:
        Hint: It is another text, or none.
    """
    if not isinstance(answer, str):
        hint(f"Expected a text in quotes, got {_kind(answer)}.")
    if answer != expected:
        hint(hints.get(str(answer), otherwise))


def expect_set(answer: object, example: str) -> set[object]:
    """Returns what an answer lists, in no order and each once.

    Args:
        answer: What was answered: a list, a tuple, a set or an array.
        example: Such a list, for the hint.

    Returns:
        Set of at most 100 items.

    Raises:
        Hint: It lists nothing.
    """
    if isinstance(answer, str | bytes) or not np.iterable(answer):
        hint(f"Expected a list, such as `{example}`, got {_kind(answer)}.")
    return set(itertools.islice(answer, 100))


def call(function: object, *arguments: object) -> object:
    """Calls the function that a learner wrote.

    Args:
        function: What was answered.
        *arguments: Its arguments. Arrays, lists and dicts are copied: it can change nothing.

    Returns:
        What it returned.

    Raises:
        Hint: It is no function, has nothing in its body yet, or raised an error.
    """
    if not callable(function):
        hint(f"Expected a function, got {_kind(function)}. Pass its name without parentheses.")
    copies = [a.copy() if isinstance(a, np.ndarray | list | dict) else a for a in arguments]
    try:
        result = function(*copies)
    # What a learner writes may end in any way. An interrupt is still an interrupt.
    except (Exception, SystemExit) as error:
        shown = ", ".join(map(_show, arguments))
        hint(f"For {shown} your function raised {type(error).__name__}.")
    if result is ...:
        hint(EMPTY)
    if result is None:
        hint("Your function returned nothing. Does each way through it end in `return`?")
    return result


def _to_number(answer):
    """Returns an answer as an int or a float; a hint if it is no single finite number."""
    if isinstance(answer, str):
        hint("Expected a number without quotes.")
    if isinstance(answer, bool | np.bool_):
        hint("Expected a number, got True or False.")
    if callable(answer):
        hint("Expected a number, got a function. Call it.")
    if not isinstance(answer, numbers.Number):
        array = np.asarray(answer)
        if array.ndim or array.dtype.kind not in "iuf":
            if array.ndim and array.dtype != object:
                hint(f"Expected one number, got {_kind(answer)} of shape {array.shape}.")
            hint(f"Expected one number, got {_kind(answer)}.")
        answer = array.item()
    if isinstance(answer, numbers.Complex) and not isinstance(answer, numbers.Real):
        hint("Expected a real number.")
    number = int(answer) if isinstance(answer, numbers.Integral) else float(answer)
    if number != number or number in (float("inf"), float("-inf")):
        hint("Expected a finite number.")
    return number


def _kind(answer):
    return f"an answer of type {type(answer).__name__}"


def _show(argument):
    return f"array{argument.shape}" if hasattr(argument, "shape") else repr(argument)
