"""The process of an export: `python -m crnn_keras.inference.export.worker KIND MODEL_PATH ...`.

`process.export_in_process` starts it. The command for people is `crnn-keras export`.
"""

import sys


def main(kind: str, *arguments: str) -> None:
    """Writes an export and prints its result as the last line.

    Args:
        kind: `"onnx"` or `"saved_model"`.
        *arguments: Arguments of `write_onnx` or of `write_saved_model`.
    """
    if kind == "onnx":
        from crnn_keras.inference.export.onnx import write_onnx as write
    else:
        from crnn_keras.inference.export.serving import write_saved_model as write
    print(write(*arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
