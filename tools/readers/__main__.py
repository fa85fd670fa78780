"""Runs `python -m tools.readers COMMAND` from the root of the repository."""

import sys
from collections.abc import Sequence

from tools.readers import (
    cards,
    convert,
    convert_torch,
    draw_lines,
    figures,
    language_model,
    limits,
    ship,
    train,
)

COMMANDS = {
    "train": train.main,
    "draw-lines": draw_lines.main,
    "language-model": language_model.main,
    "ship": ship.main,
    "convert": convert.main,
    "convert-torch": convert_torch.main,
    "figures": figures.main,
    "limits": limits.main,
    "cards": cards.main,
}


def main(arguments: Sequence[str]) -> int | str | None:
    """Runs one of `COMMANDS`.

    Args:
        arguments: Name of the command and its arguments.

    Returns:
        Exit status: 0 or None after a success, an error message otherwise.
    """
    if not arguments or arguments[0] not in COMMANDS:
        return f"Usage: python -m tools.readers {'|'.join(COMMANDS)} [--help]"
    try:
        return COMMANDS[arguments[0]](arguments[1:])
    except ValueError as error:
        return str(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
