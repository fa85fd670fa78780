"""How the tests run a program on a backend of Keras, in a process of its own."""

import importlib.util
import os
import pathlib
import signal
import subprocess
import sys

import pytest

PACKAGES = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}


def skip_unless_installed(backend):
    if importlib.util.find_spec(PACKAGES[backend]) is None:
        pytest.skip(f"{backend} is not installed")


def environment_of(backend):
    """Returns the environment of a process on a backend that imports this project."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["PYTHONPATH"] = str(pathlib.Path(__file__).parent.parent)
    if backend == "torch":
        environment["OMP_NUM_THREADS"] = "1"  # see conftest.py
    return environment


def run_worker(backend, worker, *arguments):
    """Runs a program of the tests on a backend. The test fails with it, unless it was killed.

    Args:
        backend: A backend of Keras.
        worker: Path of the program.
        *arguments: Arguments of the program.

    Returns:
        `CompletedProcess`.
    """
    done = subprocess.run(
        [sys.executable, worker, *map(str, arguments)],
        env=environment_of(backend),
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode not in (0, -signal.SIGKILL):
        pytest.fail(f"{worker.name} on {backend} failed:\n{done.stderr[-3000:]}")
    return done
