"""`python -m crnn_keras.training.distribute SCRIPT ...`: runs a script in processes that train together."""

import argparse
import sys

from crnn_keras.training.distribute.launch import launch


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m crnn_keras.training.distribute",
        description="Runs a script in several processes that train one reader together, on JAX.",
        epilog="docs/many_devices.md has a script, and the commands for several hosts.",
    )
    parser.add_argument("--here", type=int, default=2, help="processes on this host (2)")
    parser.add_argument("--processes", type=int, help="processes on all hosts (those here)")
    parser.add_argument("--first", type=int, default=0, help="number of the first one here (0)")
    parser.add_argument("--coordinator", help="address:port of process 0 (a port of 127.0.0.1)")
    parser.add_argument("script", help="a Python file")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="its arguments")
    given = parser.parse_args(arguments)
    command = [given.script, *given.arguments]
    try:
        return launch(command, given.here, given.processes, given.first, given.coordinator)
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main())
