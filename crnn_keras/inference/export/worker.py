"""The process of an export: `python -m crnn_keras.inference.export.worker KIND MODEL_PATH ...`.

`process.export_in_process` starts it. The command for people is `crnn-keras export`.
"""

import os
import signal
import sys
import threading

from crnn_keras.utils.extras import naming_extras


def main(kind: str, *arguments: str) -> None:
    """Writes an export and prints its result as the last line.

    Args:
        kind: `"onnx"`, `"litert"` or `"saved_model"`.
        *arguments: Arguments of `write_onnx`, `write_litert` or `write_saved_model`.
    """
    # The parent decides what Ctrl-C means, and its end is the end of this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with naming_extras("An export"):
        if kind == "onnx":
            from crnn_keras.inference.export.onnx import write_onnx as write
        elif kind == "litert":
            from crnn_keras.inference.export.litert import write_litert as write
        else:
            from crnn_keras.inference.export.serving import write_saved_model as write
        print(write(*arguments))


def _end_with_parent():
    os.read(sys.stdin.fileno(), 1)  # nothing is ever sent: it returns when the pipe is closed
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
