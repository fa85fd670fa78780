"""The process of an export: `python -m crnn_keras.inference.export KIND READER ...`; see `process`."""

import sys

from crnn_keras.inference.export.onnx import write_onnx
from crnn_keras.inference.export.saved_model import write_saved_model

KINDS = {"onnx": write_onnx, "saved_model": write_saved_model}

if __name__ == "__main__":
    _, kind, *arguments = sys.argv
    print(KINDS[kind](*arguments))
