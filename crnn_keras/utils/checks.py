"""Checks of arguments: a number that makes no sense is refused by name, before anything happens.

    @check_arguments(batch_size=COUNT, learning_rate=POSITIVE)
    def f(batch_size, *, learning_rate=1e-3): ...

The decorator checks each call; `check_value` checks one value, such as a field of a dataclass.
"""

from __future__ import annotations

import functools
import inspect
import math
import numbers
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import ParamSpec, TypeAlias, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Number:
    """Describes the numbers that a parameter takes.

    Args:
        minimum: Smallest value. Defaults to `None`: no bound.
        maximum: Largest value. Defaults to `None`: no bound.
        is_whole: Whether only whole numbers (int, or an integer of NumPy) are taken. Defaults to
            `False`.
        above: Whether the value must be larger than `minimum`. Defaults to `False`: it may be
            equal.
        optional: Whether None is taken too. Defaults to `False`.
    """

    minimum: float | None = None
    maximum: float | None = None
    _: KW_ONLY
    is_whole: bool = False
    above: bool = False
    optional: bool = False

    def accepts(self, value: object) -> bool:
        """Tells whether a value is such a number. True and False are none, nor are nan and inf."""
        if value is None:
            return self.optional
        kind = numbers.Integral if self.is_whole else numbers.Real
        if not isinstance(value, kind) or isinstance(value, bool):
            return False
        if not self.is_whole and not _is_finite(value):
            return False
        if self.minimum is not None and (
            value < self.minimum or self.above and value == self.minimum
        ):
            return False
        return self.maximum is None or value <= self.maximum

    def __str__(self) -> str:
        kind = "a whole number" if self.is_whole else "a number"
        bounds = []
        if self.minimum is not None:
            bounds.append(f"{'above' if self.above else 'of at least'} {self.minimum:,}")
        if self.maximum is not None:
            bounds.append(f"{'of ' if not bounds else ''}at most {self.maximum:,}")
        return " ".join([kind, " and ".join(bounds)]).strip() + (
            ", or None" if self.optional else ""
        )

    def or_none(self) -> Number:
        """Returns a description of the same numbers or None."""
        return Number(
            self.minimum, self.maximum, is_whole=self.is_whole, above=self.above, optional=True
        )


@dataclass(frozen=True)
class OneOf:
    """Describes a parameter that is one of a few values.

    Args:
        values: Tuple of the values.
    """

    values: tuple[object, ...]

    def accepts(self, value: object) -> bool:
        """Tells whether a value is one of them. 1, 1.0 and True differ here."""
        return any(type(value) is type(own) and value == own for own in self.values)

    def __str__(self) -> str:
        return "one of " + ", ".join(map(repr, self.values))


@dataclass(frozen=True)
class Of:
    """Describes a parameter by its type.

    Args:
        types: A type, or a tuple of types. True and False are bools only, no numbers.
        name: What the error calls the type. Defaults to `None`: the names of the types.
    """

    types: type | tuple[type, ...]
    name: str | None = None

    def accepts(self, value: object) -> bool:
        """Tells whether a value has the type."""
        types = self.types if isinstance(self.types, tuple) else (self.types,)
        return (
            type(value) is bool
            if types == (bool,)
            else (isinstance(value, types) and (not isinstance(value, bool) or bool in types))
        )

    def __str__(self) -> str:
        types = self.types if isinstance(self.types, tuple) else (self.types,)
        return self.name or "of the type " + " or ".join(own.__name__ for own in types)


@dataclass(frozen=True)
class Either:
    """Describes a parameter that one of two rules may accept.

    Args:
        first: A rule.
        second: Another rule.
    """

    first: Rule
    second: Rule

    def accepts(self, value: object) -> bool:
        """Tells whether one of the rules accepts a value."""
        return self.first.accepts(value) or self.second.accepts(value)

    def __str__(self) -> str:
        return f"{self.first}, or {self.second}"


Rule: TypeAlias = "Number | OneOf | Of | Either"

COUNT = Number(1, is_whole=True)
NATURAL = Number(0, is_whole=True)
INTEGER = Number(is_whole=True)
FRACTION = Number(0, 1)
POSITIVE = Number(0, above=True)
NOT_NEGATIVE = Number(0)
# What NumPy takes as the seed of a generator, and Keras on every backend.
SEED = Number(0, 2**32 - 1, is_whole=True)
FLAG = Of(bool)
TEXT = Of(str)


def _is_finite(value: float) -> bool:
    """Tells whether a number is finite as a float: 10**400 is not."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def check_value(name: str, value: object, rule: Rule) -> None:
    """Raises a ValueError that names the parameter unless a rule accepts its value.

    Args:
        name: Name of the parameter.
        value: Its value.
        rule: A `Number`, a `OneOf`, an `Of` or an `Either`.

    Raises:
        ValueError: The rule does not accept the value.

    Example:

        >>> check_value("batch_size", 0, COUNT)
        Traceback (most recent call last):
        ValueError: batch_size is 0. Expected a whole number of at least 1.
    """
    if not rule.accepts(value):
        try:
            shown = repr(value)
        except ValueError:  # Python writes no whole number of over 4,300 digits.
            shown = f"a whole number of {value.bit_length():,} bits"
        shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
        raise ValueError(f"{name} is {shown}. Expected {rule}.")


def check_arguments(
    **rules: Rule,
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Makes a decorator that checks the arguments of each call by rules.

    A default that a call does not pass is not checked. The function gets Python's own numbers for
    NumPy's, which are not what JSON, or Keras in its own types, computes with.

    Args:
        **rules: A rule for each parameter to check, by the parameter's name.

    Returns:
        The decorator. What it returns has the signature and the docstring of the function.

    Raises:
        TypeError: The function has no parameter of that name; when it is defined.
    """

    def decorate(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        names = list(inspect.signature(function).parameters)

        def check(name: str, value: object) -> object:
            if name not in rules:
                return value
            check_value(name, value, rules[name])
            is_scalar = isinstance(value, numbers.Real) and hasattr(value, "item")
            return value.item() if is_scalar else value

        if unknown := sorted(rules.keys() - set(names)):
            raise TypeError(f"{function.__qualname__} has no parameter {', '.join(unknown)}.")

        @functools.wraps(function)
        def checked(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            plain = [check(name, value) for name, value in zip(names, args, strict=False)]
            named = {name: check(name, value) for name, value in kwargs.items()}
            return function(*plain, *args[len(plain) :], **named)

        checked.argument_rules = rules
        return checked

    return decorate
