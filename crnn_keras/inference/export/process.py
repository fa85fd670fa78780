"""Runs an export in a process of its own: TensorFlow as the backend, no GPU."""

from __future__ import annotations

import os
import subprocess
import sys


def export_in_process(kind: str, model_path: str | os.PathLike, *arguments: object) -> str:
    """Runs the module `worker` and waits for its end.

    Args:
        kind: What to export to: `"onnx"` or `"saved_model"`.
        model_path: Path of a `.keras` file, or the name of a shipped model.
        *arguments: Further arguments of the export; they are passed as strings.

    Returns:
        The last line that the process printed.

    Raises:
        ValueError: The export raised one, for example because the file holds no model.
        RuntimeError: The export failed; the message ends with what the process printed.
    """
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    arguments = [kind, str(model_path), *map(str, arguments)]
    command = [sys.executable, "-m", "crnn_keras.inference.export.worker", *arguments]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if result.returncode:
        last = result.stderr.strip().splitlines()[-1:] or ["it printed nothing"]
        if last[0].startswith("ValueError: "):
            raise ValueError(last[0].removeprefix("ValueError: "))
        raise RuntimeError(f"The export of {model_path} failed: {result.stderr[-2000:]}")
    return (result.stdout.strip().splitlines() or [""])[-1]
