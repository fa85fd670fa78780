"""A saved reader for machines without Keras.

The work runs in a process of its own, under TensorFlow and without a GPU, whatever backend trained
the reader: only there is the graph made of plain TensorFlow ops.

| file | subject |
|---|---|
| `process` | that process |
| `saved_model` | `export_saved_model`: image bytes in, text and confidence out |
| `confidence` | what a reading's confidence is, by TensorFlow ops |
| `onnx` | `export_onnx`: canvases in, logits out, for `onnx_reader` |
"""

from crnn_keras.inference.export.onnx import export_onnx
from crnn_keras.inference.export.saved_model import export_saved_model

__all__ = ["export_onnx", "export_saved_model"]
