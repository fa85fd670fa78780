"""Exports a trained model for machines without Keras.

An export runs in a process of its own, on TensorFlow without a GPU, whatever backend trained the
model: only there does the graph consist of plain TensorFlow operations.

| file | subject |
|---|---|
| `onnx` | `export_onnx`: canvases in, logits out, for `OnnxRecognizer` |
| `onnx_graph` | the graph of an ONNX file: smaller weights, names of inputs and outputs |
| `openvino` | `export_openvino`: the same for OpenVINO |
| `litert` | `export_litert`: one canvas in, logits out, for LiteRT |
| `agreement` | `check_agreement`: an export computes what the model computes |
| `saved_model` | `export_saved_model`: image bytes in, text and confidence out |
| `serving` | the function that a SavedModel serves |
| `triton` | `export_triton`: a model repository for NVIDIA Triton |
| `process` | starts the process and reports its errors |
| `worker` | the module that runs in it |
"""

from crnn_keras.inference.export.litert import export_litert
from crnn_keras.inference.export.onnx import export_onnx
from crnn_keras.inference.export.openvino import export_openvino
from crnn_keras.inference.export.saved_model import export_saved_model
from crnn_keras.inference.export.triton import export_triton

__all__ = [
    "export_litert",
    "export_onnx",
    "export_openvino",
    "export_saved_model",
    "export_triton",
]
