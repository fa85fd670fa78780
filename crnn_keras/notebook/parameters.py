"""Parameters of a notebook: their defaults, and values given as text."""

from __future__ import annotations

import ast
import math
import numbers
import os
from collections.abc import Iterable, Mapping

# The first line of the cell that papermill inserts.
_INJECTED = "# Parameters"
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class ParameterError(ValueError):
    """A parameter that a notebook does not have, or whose value it cannot use."""


def read_defaults(source: str) -> dict[str, object] | None:
    """Reads the parameters of a cell that only assigns literals to names.

    Args:
        source: Source of the cell.

    Returns:
        Dict of `name: value`, or None if the cell does something else.
    """
    try:
        return {name: ast.literal_eval(node) for name, node in _assignments(source).items()}
    except (ValueError, SyntaxError):
        return None


def convert(name: str, value: object, default: object) -> object:
    """Converts the value of a parameter to the type of its default, if nothing is lost.

    Text becomes what it spells: `"1e-3"` a float, `"yes"`, `"true"` or `"1"` a flag, `"[1, 2]"` a
    list. Where the default is text, text is left as it is: `"2024_05_01"`, `"no"`, `""`.

    Args:
        name: Name of the parameter, for the error.
        value: The value.
        default: The default.

    Returns:
        The value, of the type of the default.

    Raises:
        ParameterError: The value cannot be one of that type.

    Example:

        >>> convert("learning_rate", "1e-3", 0.003)
        0.001
    """
    kind = type(default)
    if default is None:
        return value
    try:
        if isinstance(value, str):
            converted = _parse(value, kind)
        elif isinstance(value, os.PathLike) and kind is str:
            converted = os.fspath(value)
        elif isinstance(value, numbers.Real) and not isinstance(value, bool) and kind is float:
            converted = float(value)
        elif isinstance(value, numbers.Integral) and not isinstance(value, bool) and kind is int:
            converted = int(value)
        else:
            converted = value
    except (KeyError, ValueError, SyntaxError, OverflowError, RecursionError, MemoryError):
        converted = None
    if type(converted) is not kind or kind is float and not math.isfinite(converted):
        raise ParameterError(
            f"Parameter {name} is {value!r}. Expected the type {kind.__name__} of its default "
            f"{default!r}."
        )
    return converted


def check_names(names: Iterable[str], known: Iterable[str], has: str) -> None:
    """Raises an error that lists the parameters that there are unless all names are among them.

    Args:
        names: Names of the parameters that were passed.
        known: Names of those that there are.
        has: What has them, as the beginning of a sentence: `"This notebook has"`.

    Raises:
        ParameterError: A name is unknown.
    """
    known = list(known)
    if unknown := sorted(set(names) - set(known)):
        raise ParameterError(f"Unknown parameter {', '.join(unknown)}. {has}: {', '.join(known)}.")


def check_parameters(cells: Iterable[str]) -> dict[str, object]:
    """Compares the parameters that papermill injected with the cell of parameters before them.

    Cells may have been executed in any order and several times, as in JupyterLab: what counts is
    what was assigned last.

    Args:
        cells: Sources of the executed cells, in the order of their execution.

    Returns:
        Dict of the injected parameters that are in force, in the types of their defaults.

    Raises:
        ParameterError: A name is unknown, or a value cannot be converted to the type of its
            default.
    """
    cells = list(cells)
    injected = [i for i, cell in enumerate(cells) if cell.startswith(_INJECTED)]
    if not injected:
        return {}
    last = injected[-1]
    before = [read_defaults(cell) for i, cell in enumerate(cells[:last]) if i not in injected]
    defaults = next((found for found in reversed(before) if found), None)
    if defaults is None:
        return {}
    passed = _assignments(cells[last])
    check_names(passed, defaults, "This notebook has")
    converted = {name: _convert_node(name, passed[name], defaults[name]) for name in passed}
    # The cell of parameters was executed once more, perhaps after a change.
    later = [read_defaults(cell) or {} for cell in cells[last + 1 :]]
    return {n: v for n, v in converted.items() if not any(n in names for names in later)}


def _convert_node(name: str, node: ast.expr, default: object) -> object:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        # papermill writes float('nan').
        raise ParameterError(
            f"Parameter {name} is {ast.unparse(node)}. Expected a value like its default "
            f"{default!r}."
        ) from None
    try:
        return convert(name, value, default)
    except ParameterError as error:
        advice = " With papermill, -r passes text." if isinstance(default, str) else ""
        raise ParameterError(f"{error}{advice}") from None


def _parse(text: str, kind: type) -> object:
    """The value of a type that a text spells."""
    if kind is str:
        return text
    if kind is bool:
        return _BOOLEANS[text.strip().lower()]
    return kind(text) if kind in (int, float) else ast.literal_eval(text.strip())


def _assignments(source: str) -> Mapping[str, ast.expr]:
    """Values that a cell assigns to names; a ValueError if it does something else."""
    assigned: dict[str, ast.expr] = {}
    for statement in ast.parse(source).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [None]
        if not all(isinstance(target, ast.Name) for target in targets):
            raise ValueError(f"line {statement.lineno} assigns nothing to a name")
        assigned |= {target.id: statement.value for target in targets}
    return assigned
