"""`python -m tools.readers train` makes a shipped reader; `figures`, `limits` measure it."""

import importlib.util
import os
import pathlib
import sys

from crnn_keras.training import distribute
from crnn_keras.utils.progress import HEADLESS
from tools.readers import convert, figures, learn, limits, ship


def train(arguments):
    """Renders the words, then trains in a process of its own, or in several.

    Args:
        arguments: list of strings, see `learn.parse`.

    Returns:
        0, or the code of the process that failed first.
    """
    given = learn.parse(arguments)
    # Both train in several processes; torch is the faster of them on processors.
    torch = importlib.util.find_spec("torch")
    os.environ.setdefault("KERAS_BACKEND", "torch" if torch else "jax")
    os.environ.setdefault(HEADLESS, "1")
    folder = pathlib.Path("data") / given.run
    folder.mkdir(parents=True, exist_ok=True)
    learn.render_sets(given, folder)
    return distribute.launch(["-m", "tools.readers.learn", *arguments], given.processes)


COMMANDS = {
    "train": train,
    "ship": ship.main,
    "convert": convert.main,
    "figures": figures.main,
    "limits": limits.main,
}


def main(arguments):
    """Runs one of `COMMANDS`."""
    if not arguments or arguments[0] not in COMMANDS:
        return f"Usage: python -m tools.readers {'|'.join(COMMANDS)} [--help]"
    try:
        return COMMANDS[arguments[0]](arguments[1:])
    except ValueError as error:
        return str(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
