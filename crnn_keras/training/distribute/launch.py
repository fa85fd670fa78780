"""Starts the processes that train together, and ends them together."""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from crnn_keras.training.distribute.group import ADDRESSES, PROCESSES, RANK
from crnn_keras.utils.checks import Number, check_arguments

LOOPBACK = "127.0.0.1"
MAX_LOCAL_PROCESSES, MAX_PROCESSES = 1_024, 2**20
_SECONDS_TO_SAVE = 20


@check_arguments(
    local_processes=Number(1, MAX_LOCAL_PROCESSES, is_whole=True),
    total_processes=Number(1, MAX_PROCESSES, is_whole=True).or_none(),
    first_rank=Number(0, MAX_PROCESSES - 1, is_whole=True),
)
def launch(
    command: Sequence[str],
    *,
    local_processes: int = 2,
    total_processes: int | None = None,
    first_rank: int = 0,
    coordinator: str | None = None,
) -> int:
    """Runs a command in several processes of this host that train together.

    They run on JAX, or on torch if `KERAS_BACKEND` is `torch`: then on this host only. The output
    of the first process is shown, and the errors of all. If one fails, the others are stopped.

    Args:
        command: A Python script and its arguments, such as `["train_many.py", "--epochs", "4"]`.
        local_processes: Number of processes on this host. Defaults to `2`.
        total_processes: Number of processes on all hosts. Defaults to `None`: those on this host.
        first_rank: Rank of the first process on this host; each host has its own. Defaults to `0`.
        coordinator: `"address:port"` at which process 0 can be reached, the same on every host.
            Defaults to `None`: a free port of the loopback, which no other host can reach.

    Returns:
        0, or the exit code of the process that failed first.

    Raises:
        ValueError: The ranks exceed the number of processes, several hosts have no coordinator,
            torch has several hosts, or the GPUs cannot be divided equally.
    """
    total_processes = local_processes if total_processes is None else total_processes
    end = first_rank + local_processes
    if end > total_processes:
        raise ValueError(
            f"The processes of this host have the ranks {first_rank} to {end - 1} of "
            f"{total_processes}. Expected ranks from 0 to {total_processes - 1}."
        )
    elsewhere = total_processes - local_processes
    if coordinator is None and elsewhere:
        raise ValueError(
            f"{elsewhere} of {total_processes} processes are on other hosts, so they need a "
            "coordinator: the address and port of the host of process 0, such as 10.0.0.1:1234."
        )
    if _on_torch() and (elsewhere or coordinator):
        raise ValueError("On torch all processes are on one host. Set KERAS_BACKEND=jax for more.")
    with tempfile.TemporaryDirectory() as folder:
        if _on_torch():
            coordinator = (pathlib.Path(folder) / "meeting").as_uri()
        coordinator = coordinator or f"{LOOPBACK}:{_free_port()}"
        environments = [
            make_environment(
                local_rank,
                local_processes=local_processes,
                total_processes=total_processes,
                first_rank=first_rank,
                coordinator=coordinator,
            )
            for local_rank in range(local_processes)
        ]
        return _run(command, environments)


def _on_torch():
    return os.environ.get("KERAS_BACKEND") == "torch"


def _run(command, environments):
    """Starts a process in each environment, waits for all and returns the exit code."""
    running = []
    try:
        for local_rank, environment in enumerate(environments):
            stdout = subprocess.DEVNULL if local_rank else None
            arguments = [sys.executable, *command]
            running.append(subprocess.Popen(arguments, env=environment, stdout=stdout))
        return _wait(running)
    finally:
        _end(running)


def make_environment(
    local_rank: int,
    *,
    local_processes: int,
    total_processes: int,
    first_rank: int,
    coordinator: str,
) -> dict[str, str]:
    """Makes the environment of a process: how it finds the others, and which GPUs are its own.

    Args:
        local_rank: Index of the process on this host.
        local_processes: Number of processes on this host.
        total_processes: Number of processes on all hosts.
        first_rank: Rank of the first process on this host.
        coordinator: `"address:port"` of process 0. On torch, the `file://` address at which the
            processes meet.

    Returns:
        Dict. If `CUDA_VISIBLE_DEVICES` names GPUs, each process sees an equal number of them.

    Raises:
        ValueError: The GPUs cannot be divided equally.
    """
    environment = {
        **os.environ,
        "KERAS_BACKEND": "torch" if _on_torch() else "jax",
        ADDRESSES: coordinator,
        PROCESSES: str(total_processes),
        RANK: str(first_rank + local_rank),
    }
    if coordinator.startswith(f"{LOOPBACK}:"):
        # By default, JAX' coordinator listens on all interfaces.
        environment["JAX_COORDINATOR_BIND_ADDRESS"] = coordinator
    gpus = [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu.strip()]
    if len(gpus) % local_processes:
        raise ValueError(
            f"{len(gpus)} GPUs ({', '.join(gpus)}) cannot be divided equally among "
            f"{local_processes} processes. One process can use all GPUs of a host."
        )
    if gpus:
        count = len(gpus) // local_processes
        own = gpus[local_rank * count : (local_rank + 1) * count]
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(own)
    return environment


def _end(running):
    """Ends what still runs, with time to save. One that waits for a dead process cannot save."""
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
    """Waits until all processes have succeeded or one has failed, and returns the exit code."""
    while True:
        codes = [process.poll() for process in running]
        failed = [code for code in codes if code]
        if failed:
            # As a shell does: 137 for a process that was killed.
            return failed[0] if failed[0] > 0 else 128 - failed[0]
        if None not in codes:
            return 0
        time.sleep(0.2)
