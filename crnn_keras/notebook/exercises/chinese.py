"""The questions of the lessons with Chinese hints.

`from crnn_keras.notebook.exercises.chinese import lesson_01 as check` gives what
`crnn_keras.notebook.exercises` gives under this name, but for the language of what is printed. The
Chinese stands in `zh/lesson_01.json`, and what all lessons share in `zh/questions.json`: an object
of English to Chinese, with `{}` for what an answer puts into a sentence. A sentence that has no
Chinese is printed in English, and so is a whole lesson without a catalogue.
"""

from __future__ import annotations

import functools
import importlib
import pathlib
import re
import types
from collections.abc import Callable

from crnn_keras.notebook.exercises import questions
from crnn_keras.utils import files

CATALOGUES = pathlib.Path(__file__).parent / "zh"


def read_catalogue(name: str) -> dict[str, str]:
    """Reads the Chinese of a module of the exercises.

    Args:
        name: Such as `"lesson_01"`, or `"questions"`.

    Returns:
        Dict of `English: Chinese`; empty if there is none.
    """
    path = CATALOGUES / f"{name}.json"
    return files.read_json(path) if path.is_file() else {}


def translate(line: str, lesson: str) -> str:
    """Translates a line that a question prints.

    Args:
        line: Such as `"Right: Four it is."`.
        lesson: The lesson whose question it is, such as `"lesson_01"`.

    Returns:
        The line in Chinese, or as it is if the catalogues have no Chinese of it.

    Example:

        >>> translate("Fill in the cell, then run it again.", "lesson_01")
        '请先填好这个单元格，再运行一次。'
    """
    for verdict in (questions.RIGHT, questions.NOT_YET):
        if line.startswith(f"{verdict}: "):
            return _write_line(verdict, line.removeprefix(f"{verdict}: "), lesson)
    return _write_line("", line, lesson)


def _write_line(verdict, text, lesson):
    translated = _translate_text(text, lesson)
    if translated is None:
        return f"{verdict}: {text}" if verdict else text
    return f"{_translate_text(verdict, lesson)}：{translated}" if verdict else translated


def _translate_text(text, lesson):
    """Returns a sentence in Chinese, None if there is no Chinese of it."""
    exact, patterns = _prepare(lesson)
    if text in exact:
        return exact[text]
    for pattern, chinese in patterns:
        if found := pattern.fullmatch(text):
            return chinese.format(*(_translate_text(g, lesson) or g for g in found.groups()))
    return None


@functools.cache
def _prepare(lesson):
    """Returns the sentences of a lesson, and those with `{}` as patterns, the longest first."""
    catalogue = read_catalogue("questions") | read_catalogue(lesson)
    open_ended = sorted((own for own in catalogue if "{}" in own), key=len, reverse=True)
    patterns = [
        (re.compile("(.+?)".join(map(re.escape, own.split("{}"))), re.DOTALL), catalogue[own])
        for own in open_ended
    ]
    return {own: catalogue[own] for own in catalogue.keys() - open_ended}, patterns


def _in_chinese(check: Callable[..., None], lesson: str) -> Callable[..., None]:
    """Returns a question that judges as another does, and prints Chinese."""

    @functools.wraps(check)
    def checked(answer: object = ...) -> None:
        print(_write_line(*questions.find_verdict(check.__wrapped__, answer), lesson))

    return checked


def __getattr__(name: str) -> types.SimpleNamespace:
    """Returns the questions of a lesson, for `from ... import lesson_01`."""
    if not name.startswith("lesson_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__package__}.{name}")
    own = {key: value for key, value in vars(module).items() if re.fullmatch(r"q\d+", key)}
    return types.SimpleNamespace(**{key: _in_chinese(own[key], name) for key in own})
