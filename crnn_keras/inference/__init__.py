"""Reads images with trained models, and exports them for machines without Keras.

| file | subject |
|---|---|
| `loading` | `load_images`: images of any form to canvases, in a `Window` |
| `boxes` | `CharacterBox`: where each character stands; `Alignment` of a known text |
| `base` | `BaseRecognizer`: `read`, `align`, the steps `predict_logits`, `decode`; `Prediction` |
| `recognizer` | `Recognizer`: a `.keras` file on Keras |
| `keras_file` | what is checked of a stranger's `.keras` file before Keras loads it |
| `onnx_recognizer` | `OnnxRecognizer`: an `.onnx` file on ONNX Runtime, without Keras |
| `onnx_file` | what is checked of a stranger's `.onnx` file before ONNX Runtime opens it |
| `onnx_sizes` | what a run of an `.onnx` file would cost |
| `metadata` | what an exported file has beside the network: char dict, canvas, calibration |
| `openvino_recognizer` | `OpenVinoRecognizer`: an OpenVINO model |
| `litert_recognizer` | `LiteRTRecognizer`: a LiteRT model |
| `export` | `export_onnx`, `export_saved_model`, `export_openvino`, `export_litert` |
| `shipped` | where a reader's file lies: those that come with the package, and others |

The names are loaded when they are first used: `OnnxRecognizer` imports no Keras.
"""

from crnn_keras.utils.extras import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    submod_attrs={
        "base": ["BaseRecognizer", "Prediction"],
        "boxes": ["Alignment", "CharacterBox"],
        "export": ["export_litert", "export_onnx", "export_openvino", "export_saved_model"],
        "loading": ["Window", "iter_images", "load_images"],
        "litert_recognizer": ["LiteRTRecognizer"],
        "onnx_recognizer": ["OnnxRecognizer"],
        "openvino_recognizer": ["OpenVinoRecognizer"],
        "recognizer": ["Recognizer"],
    },
)
