"""Exports run in a process of their own: TensorFlow as the backend, no GPU."""

import os
import subprocess
import sys


def export_in_process(kind, reader, *arguments):
    """Runs `python -m crnn_keras.inference.export` and waits for its end.

    Args:
        kind: what to export to, see `crnn_keras/export/__main__.py`.
        reader: path of a `.keras` file, or the name of a shipped reader.
        *arguments: what the export takes besides; they are handed over as strings.

    Returns:
        The last line that the process printed.

    Raises:
        ValueError: what the export raised itself, such as that the file is not a reader.
        RuntimeError: the export failed; the message ends with what the process printed.
    """
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [
        sys.executable,
        "-m",
        "crnn_keras.inference.export",
        kind,
        str(reader),
        *map(str, arguments),
    ]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if result.returncode:
        last = result.stderr.strip().splitlines()[-1:] or ["it printed nothing"]
        if last[0].startswith("ValueError: "):
            raise ValueError(last[0].removeprefix("ValueError: "))
        raise RuntimeError(f"The export of {reader} failed: {result.stderr[-2000:]}")
    return (result.stdout.strip().splitlines() or [""])[-1]
