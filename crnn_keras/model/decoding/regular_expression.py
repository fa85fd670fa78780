"""Regular expressions over the classes of a char dict, compiled to a deterministic automaton.

The libraries that do this (greenery, interegular) take over 20 seconds for `[ab]*a[ab]{13}` and
have no bound, while expressions come from strangers. Here sizes are bounded before anything grows,
and classes that an expression does not tell apart are one symbol, of however many characters.

Python's own `re` decides which characters a class holds, so `\\w` and `[а-я]` mean the same here.
"""

from __future__ import annotations

import re

import numpy as np

from crnn_keras.char_dict import CharDict
from crnn_keras.char_dict.normalization import normalize_text
from crnn_keras.model.decoding.automaton import Automaton, Positions, build_automaton
from crnn_keras.utils.limits import (
    MAX_PATTERN_CHARACTERS,
    MAX_PATTERN_EDGES,
    MAX_PATTERN_STATES,
)

_SUPPORTED = (
    r"Supported are characters, escapes (\d \w \s \D \W \S, and \ before a sign), classes such as "
    "[A-Z] and [^0-9], the dot, counts (? * + {n} {n,} {n,m}), alternatives | and groups ( ), (?: )"
)
# The whole text is matched anyway, so these change nothing at its two ends.
_START, _END = "^", "$"
_CLASS_ESCAPES = "dwsDWS"
_COUNT = re.compile(r"[?*+]|\{([0-9]*)(,?)([0-9]*)\}")
# With what stands in it: a bracket that is first, escapes, and others up to the closing one.
_CLASS = re.compile(r"\[(\^?)(\]?(?:\\.|[^\]\\])*)\]", re.DOTALL)
# Python may read these in another way one day.
_RESERVED_IN_CLASS = re.compile(r"\\.|(\[|--|&&|\|\||~~)", re.DOTALL)
_ESCAPE = re.compile(r"\\.", re.DOTALL)
_BAD_ESCAPE = re.compile(rf"\\(?![{_CLASS_ESCAPES}])[0-9A-Za-z]")
_TO_FULL_WIDTH = {0x21 + i: 0xFF01 + i for i in range(0x5E)} | {0x20: 0x3000}
_MAX_DEPTH = 50
# So many digits of a count are read.
_MAX_DIGITS = 9
_SHOWN = 60


def compile_expression(expression: str, char_dict: CharDict) -> Automaton:
    """Compiles a regular expression for the classes of a char dict.

    Args:
        expression: Regular expression, see `Pattern`.
        char_dict: The `CharDict`.

    Returns:
        The `Automaton`.

    Raises:
        ValueError: The expression is not of the supported kind, is too large, has characters that
            the char dict lacks, or matches the empty text only.
    """
    positions = _Parser(expression, char_dict).parse()
    if not positions.masks:
        raise ValueError(
            f"The pattern {shorten(expression)!r} matches the empty text only. Name the "
            "characters that a text may have."
        )
    automaton = build_automaton(positions)
    if automaton is None:
        raise _too_large(expression)
    return automaton


class _Parser:
    """Reads an expression from left to right."""

    def __init__(self, expression, char_dict):
        self._given, self._char_dict = expression, char_dict
        if len(expression) > MAX_PATTERN_CHARACTERS:
            raise _too_large(expression)
        # A letter and its accent are one character, as they are in the char dict.
        composed = "none" if char_dict.normalization == "none" else "nfc"
        self._text = normalize_text(expression, composed)
        self._at, self._depth = 0, 0
        self._unknown = {}
        self._masks = {}
        self._spellings = None

    def parse(self):
        """Returns the `Positions` of the expression."""
        self._take(_START)
        result = self._alternatives()
        if self._at < len(self._text):
            raise self._error("there is a ) without its (")
        if self._unknown:
            raise ValueError(
                f"The pattern {shorten(self._given)!r} has characters that {self._char_dict!r} "
                f"cannot write: {shorten(''.join(self._unknown))!r}. No text that is read with it "
                "holds them. Leave them out, or take a reader whose char dict has them."
            )
        return result

    def _alternatives(self):
        result = self._sequence()
        while self._take("|"):
            result.or_(self._sequence())
            self._check_size(len(result.masks))
        return result

    def _sequence(self):
        result = Positions()
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            if self._at == len(self._text) - 1 and self._text[self._at] == _END:
                self._at += 1
                break
            result.then(self._counted())
            self._check_size(len(result.masks))
        return result

    def _counted(self):
        atom, start = self._atom(), self._at
        count = _COUNT.match(self._text, start)
        if not count:
            return atom
        self._at = count.end()
        low, high = self._bounds(count, start)
        if _COUNT.match(self._text, self._at):
            raise self._error("there is a second count, or a lazy or possessive one")
        # Before the copies are made.
        self._check_size(len(atom.masks) * (max(low, 1) if high is None else high))
        return atom.repeated(low, high)

    def _bounds(self, count, start):
        if count[0] in "?*+":
            return {"?": (0, 1), "*": (0, None), "+": (1, None)}[count[0]]
        low, comma, high = count.groups()
        if not (low or comma) or (high and not comma):
            raise self._error("a { begins no count; write \\{ for the sign", start)
        if max(len(low), len(high)) > _MAX_DIGITS:
            raise _too_large(self._given)
        low, high = int(low or 0), int(high) if high else None if comma else int(low)
        if high is not None and low > high:
            raise self._error("the first number of a count exceeds the second", start)
        return low, high

    def _atom(self):
        start, character = self._at, self._text[self._at]
        self._at += 1
        if character == "(":
            return self._group(start)
        if character == "[":
            return self._class(start)
        if character == ".":
            return self._one(np.arange(self._char_dict.num_classes) > 0)
        if character in "?*+{":
            raise self._error(f"there is nothing that {character} could count", start)
        if character in (_START, _END):
            raise self._error(f"{character} stands inside the pattern", start)
        if character != "\\":
            return self._literal(character)
        if self._at == len(self._text):
            raise self._error("there is nothing behind \\", start)
        self._at += 1
        escape = self._text[start : self._at]
        self._check_escape(escape, start)
        if escape[1] in _CLASS_ESCAPES:
            return self._one(self._non_empty(escape, is_negated=False, shown=escape))
        return self._literal(escape[1])

    def _group(self, start):
        if self._text[self._at : self._at + 1] == "?" and not self._take("?:"):
            raise self._error("there is a special group (flags, names, looking around)", start)
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._error(f"groups are nested over {_MAX_DEPTH} deep", start)
        result = self._alternatives()
        self._depth -= 1
        if not self._take(")"):
            raise self._error("there is a ( without its )", start)
        return result

    def _class(self, start):
        found = _CLASS.match(self._text, start)
        if not found:
            raise self._error("there is a [ without its ]", start)
        self._at = found.end()
        body = found[2]
        for escape in _ESCAPE.findall(body):
            self._check_escape(escape, start)
        if any(reserved[1] for reserved in _RESERVED_IN_CLASS.finditer(body)):
            raise self._error("[ -- && || ~~ need a \\ before each sign in a class", start)
        # The caret that stands first after another one is a character.
        source = "[" + ("\\" if body.startswith("^") else "") + body + "]"
        try:
            mask = self._non_empty(source, is_negated=bool(found[1]), shown=found[0])
        except re.error as error:
            raise self._error(f"the class is wrong ({error.msg})", start) from None
        return self._one(mask)

    def _literal(self, character):
        """Returns the places of a character as the char dict writes it: two if NFC parts it."""
        result = Positions()
        if unknown := self._char_dict.unknown(character):
            self._unknown.update(dict.fromkeys(unknown))
            return result
        for index in self._char_dict.encode(character):
            result.then(self._one(np.arange(self._char_dict.num_classes) == index))
        return result

    def _one(self, mask):
        """Returns one place."""
        return Positions([mask], first=1, last=1, nullable=False, follow=[0])

    def _non_empty(self, source, *, is_negated, shown):
        """Returns a mask of the classes whose characters Python's `re` finds, or of the others."""
        key = source, is_negated
        if key not in self._masks:
            if self._spellings is None:
                self._spellings = _spellings(self._char_dict)
            characters, classes = self._spellings
            mask = np.zeros(self._char_dict.num_classes, bool)
            places = [match.start() for match in re.finditer(source, characters)]
            mask[classes[places]] = True
            # Negated after the case is folded: [^A-Z] holds no letter of a lower-case char dict.
            mask ^= is_negated
            mask[0] = False
            self._masks[key] = mask
        if not self._masks[key].any():
            raise ValueError(
                f"The pattern {shorten(self._given)!r} is impossible: {self._char_dict!r} has "
                f"none of the characters of {shorten(shown)!r}. Change it, or take a reader whose "
                "char dict has one."
            )
        return self._masks[key]

    def _take(self, text):
        found = self._text.startswith(text, self._at)
        self._at += len(text) * found
        return found

    def _check_size(self, size):
        if size > MAX_PATTERN_STATES:
            raise _too_large(self._given)

    def _check_escape(self, escape, at):
        if _BAD_ESCAPE.match(escape):
            raise self._error(f"{escape} is unknown", at)

    def _error(self, what, at=None):
        at = self._at if at is None else at
        return ValueError(
            f"The pattern {shorten(self._given)!r} cannot be used: at position {at}, before "
            f"{shorten(self._text[at:])!r}, {what}. {_SUPPORTED}."
        )


def _spellings(char_dict):
    """Returns a string of what the char dict writes as its own characters, and the id of each.

    They are its own, capitals if it folds case, and full-width forms if it writes half width.
    """
    spelled, classes = [], []
    for index, own in enumerate(char_dict.characters, start=1):
        forms = {own, own.upper()}
        forms |= {form.translate(_TO_FULL_WIDTH) for form in forms}
        own_forms = [own] + [
            form for form in forms - {own} if len(form) == 1 and char_dict.normalize(form) == own
        ]
        spelled += own_forms
        classes += [index] * len(own_forms)
    return "".join(spelled), np.array(classes, np.intp)


def _too_large(expression):
    return ValueError(
        f"The pattern {shorten(expression)!r} is too large. Expected at most "
        f"{MAX_PATTERN_CHARACTERS:,} characters, {MAX_PATTERN_STATES:,} states, with counts "
        f"written out, and {MAX_PATTERN_EDGES:,} classes that may follow in all states together. "
        "Write smaller counts, fewer alternatives or smaller classes; for a list of words use "
        "Lexicon."
    )


def shorten(text: str) -> str:
    """Returns the beginning of an expression, for messages."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
