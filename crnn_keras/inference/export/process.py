"""Runs an export in a process of its own: TensorFlow as the backend, no GPU."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

from crnn_keras.inference.shipped import find_file, shipped_files


def export_in_process(kind: str, model_path: str | os.PathLike, *arguments: object) -> str:
    """Runs the module `worker` and waits for its end. It ends at once when this process ends.

    Args:
        kind: What to export to: `"onnx"`, `"litert"` or `"saved_model"`.
        model_path: Path of a `.keras` file, or the name of a shipped model.
        *arguments: Further arguments of the export; they are passed as strings.

    Returns:
        The last line that the process printed.

    Raises:
        ValueError: The export raised one, for example because the file holds no model.
        ModuleNotFoundError: A package of the extra `export` is missing.
        RuntimeError: The export failed; the message ends with what the process printed.
    """
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONIOENCODING": "utf-8:backslashreplace",
    }
    arguments = [kind, os.fspath(model_path), *map(str, arguments)]
    command = [sys.executable, "-m", "crnn_keras.inference.export.worker", *arguments]
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    # Nothing is ever sent. The process ends when this pipe is closed: here, or by the end of this
    # process. `communicate` would close it first.
    process.stdin, is_open = None, process.stdin
    try:
        printed, errors = process.communicate()
    finally:
        process.kill()
        process.wait()
        is_open.close()
    if process.returncode:
        last = errors.strip().splitlines()[-1:] or ["it printed nothing"]
        for kind in (ValueError, ModuleNotFoundError):
            name = f"{kind.__name__}: "
            if last[0].startswith(name):
                raise kind(last[0].removeprefix(name))
        raise RuntimeError(f"The export of {model_path} failed: {errors[-2000:]}")
    return (printed.strip().splitlines() or [""])[-1]


def find_model(model_path: str | os.PathLike) -> pathlib.Path:
    """Finds the file to export, before anything is made for it.

    Args:
        model_path: Path of a `.keras` file, or the name of a shipped model.

    Returns:
        Path of the file.

    Raises:
        ValueError: There is no such file.
    """
    advice = "Expected the path of a .keras file."
    return find_file(model_path, shipped_files(".keras"), advice=advice)
