"""Starts the processes that train together, and ends them together."""

import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

from crnn_keras.training.distribute.group import ADDRESSES, PROCESSES, RANK

LOOPBACK = "127.0.0.1"
_SECONDS_TO_SAVE = 20


def launch(command, here=2, processes=None, first=0, coordinator=None):
    """Runs a command in several processes of this host that train together.

    They run on JAX; on torch if KERAS_BACKEND says so, then on this host only.

    What the first of them prints is shown, and all errors. If one fails, the others are stopped.

    Args:
        command: list of strings, such as `["train_many.py", "--epochs", "4"]`: a Python script
            and its arguments.
        here: processes on this host.
        processes: processes on all hosts; None: those here.
        first: number of the first process here; every host has its own.
        coordinator: `"address:port"` at which process 0 can be reached, the same on every host.
            None: a free port of the loopback, which no other host can reach.

    Returns:
        0, or the code of the process that failed first.

    Raises:
        ValueError: the numbers do not fit each other, several hosts have no coordinator, or torch
            was asked for several hosts.
    """
    processes = here if processes is None else processes
    if here < 1 or first < 0 or first + here > processes:
        raise ValueError(
            f"Processes {first} to {first + here - 1} of {processes} were asked for. Expected at "
            "least one, and numbers below that of all processes."
        )
    if coordinator is None and here < processes:
        raise ValueError(
            f"{processes - here} of {processes} processes are on other hosts, so they need a "
            "coordinator: the address and port of the host of process 0, such as 10.0.0.1:1234."
        )
    if _on_torch() and (here < processes or coordinator):
        raise ValueError("On torch all processes are on one host. Set KERAS_BACKEND=jax for more.")
    with tempfile.TemporaryDirectory() as folder:
        if _on_torch():
            coordinator = (pathlib.Path(folder) / "meeting").as_uri()
        coordinator = coordinator or f"{LOOPBACK}:{_free_port()}"
        return _run(command, here, processes, first, coordinator)


def _on_torch():
    return os.environ.get("KERAS_BACKEND") == "torch"


def _run(command, here, processes, first, coordinator):
    running = [
        subprocess.Popen(
            [sys.executable, *command],
            env=environment(number, here, processes, first, coordinator),
            stdout=subprocess.DEVNULL if number else None,
        )
        for number in range(here)
    ]
    try:
        return _wait(running)
    finally:
        _end(running)


def environment(number, here, processes, first, coordinator):
    """The environment of a process: how it finds the others, and which GPUs are its own.

    Args:
        number: number of the process on this host, from 0.
        here: processes on this host.
        processes: processes on all hosts.
        first: number of the first process here.
        coordinator: `"address:port"` of process 0; on torch the address of a file at which the
            processes meet.

    Returns:
        Dict. If `CUDA_VISIBLE_DEVICES` names GPUs, each process sees an equal share of them.

    Raises:
        ValueError: the GPUs cannot be shared out equally.
    """
    made = {
        **os.environ,
        "KERAS_BACKEND": "torch" if _on_torch() else "jax",
        ADDRESSES: coordinator,
        PROCESSES: str(processes),
        RANK: str(first + number),
    }
    if coordinator.startswith(f"{LOOPBACK}:"):
        # JAX' coordinator would listen on all interfaces.
        made["JAX_COORDINATOR_BIND_ADDRESS"] = coordinator
    gpus = [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu.strip()]
    if len(gpus) % here:
        raise ValueError(
            f"{len(gpus)} GPUs ({', '.join(gpus)}) cannot be shared by {here} processes. One "
            "process can use all GPUs of a host."
        )
    if gpus:
        share = len(gpus) // here
        made["CUDA_VISIBLE_DEVICES"] = ",".join(gpus[number * share : (number + 1) * share])
    return made


def _end(running):
    """Ends what still runs, with time to save; one that waits for a dead process cannot."""
    for process in running:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + _SECONDS_TO_SAVE
    for process in running:
        try:
            process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port():
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


def _wait(running):
    """Waits until all have ended well or one has not."""
    while True:
        codes = [process.poll() for process in running]
        failed = [code for code in codes if code]
        if failed:
            # As a shell says it: 137 for a process that was killed.
            return failed[0] if failed[0] > 0 else 128 - failed[0]
        if None not in codes:
            return 0
        time.sleep(0.2)
