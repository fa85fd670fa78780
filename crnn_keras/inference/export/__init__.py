"""Exports a trained model for machines without Keras.

An export runs in a process of its own, on TensorFlow without a GPU, whatever backend trained the
model: only there does the graph consist of plain TensorFlow operations.

| file | subject |
|---|---|
| `onnx` | `export_onnx`: canvases in, logits out, for `OnnxRecognizer` |
| `onnx_graph` | the graph of an ONNX file: smaller weights, names of inputs and outputs |
| `saved_model` | `export_saved_model`: image bytes in, text and confidence out |
| `serving` | the function that a SavedModel serves |
| `triton` | `export_triton`: a model repository for NVIDIA Triton |
| `process` | starts the process and reports its errors |
| `worker` | the module that runs in it |
"""

from crnn_keras.inference.export.onnx import export_onnx
from crnn_keras.inference.export.saved_model import export_saved_model
from crnn_keras.inference.export.triton import export_triton

__all__ = ["export_onnx", "export_saved_model", "export_triton"]
