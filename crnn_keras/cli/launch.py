"""`crnn-keras launch`: runs a script in several processes that train one model."""

from __future__ import annotations

import argparse

from crnn_keras.cli.common import add_command, number
from crnn_keras.utils.checks import COUNT, NATURAL


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "launch",
        help="run a script in several processes that train one model",
        description="Runs a Python script in several processes that train one model together: on "
        "JAX, or on torch with KERAS_BACKEND=torch. docs/many_devices.md has such a script.",
        example="crnn-keras launch --local-processes 4 train_many.py --epochs 10",
    )
    parser.add_argument(
        "--local-processes",
        type=number(COUNT),
        default=2,
        help="processes on this host (%(default)s)",
    )
    parser.add_argument(
        "--total-processes",
        type=number(COUNT),
        help="processes on all hosts (those on this host)",
    )
    parser.add_argument(
        "--first-rank",
        type=number(NATURAL),
        default=0,
        help="rank of the first process on this host (%(default)s)",
    )
    parser.add_argument(
        "--coordinator",
        metavar="ADDRESS:PORT",
        help="where process 0 can be reached (a free port of 127.0.0.1)",
    )
    parser.add_argument("script", help="a Python file")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="its arguments")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Runs the command and returns the exit code of the script."""
    from crnn_keras.training.distribute.launch import launch

    return launch(
        [options.script, *options.arguments],
        local_processes=options.local_processes,
        total_processes=options.total_processes,
        first_rank=options.first_rank,
        coordinator=options.coordinator,
    )
