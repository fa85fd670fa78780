"""Reads images with an OpenVINO model, without Keras and TensorFlow."""

from __future__ import annotations

import json
import os
import pathlib
import threading

import numpy as np
import openvino

from crnn_keras.inference.base import BaseRecognizer
from crnn_keras.inference.metadata import read_metadata
from crnn_keras.inference.onnx_file import INPUT, METADATA, OUTPUT
from crnn_keras.utils.checks import COUNT, check_arguments

_ADVICE = "Expected a file that crnn_keras.inference.export_openvino wrote, beside its .bin file."


class OpenVinoRecognizer(BaseRecognizer):
    """Reads images with an OpenVINO model; see `BaseRecognizer` for `read` and `stream`.

    OpenVINO checks little of what it loads: load only files that you trust. Several threads may use
    one recognizer.

    Args:
        path: An `.xml` file that `export_openvino` wrote; its `.bin` file lies beside it.
        cores: Number of cores to use. Defaults to `None`: all.

    Raises:
        ValueError: The file does not exist, is damaged or lacks the metadata of crnn_keras; or
            `cores` is below 1.

    Example:

        >>> from crnn_keras.inference import OpenVinoRecognizer, export_openvino
        >>> difference = export_openvino("words", "words.xml")
        >>> [p.text for p in OpenVinoRecognizer("words.xml").read("exit.png")]
        ['exit']
    """

    @check_arguments(cores=COUNT.or_none())
    def __init__(self, path: str | os.PathLike, *, cores: int | None = None):
        path = pathlib.Path(path)
        if not path.is_file():
            raise ValueError(f"{path} does not exist. {_ADVICE}")
        core = openvino.Core()
        try:
            model = core.read_model(path)
            metadata = json.loads(model.get_rt_info(METADATA).astype(str))
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{path} is no model of crnn_keras: {error} {_ADVICE}") from error
        super().__init__(**read_metadata(metadata, str(path), advice=_ADVICE), cores=cores)
        hints = {
            "PERFORMANCE_HINT": "LATENCY",
            # Otherwise newer processors compute in 16 bits.
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": self._cores,
        }
        self._network = core.compile_model(model, "CPU", hints)
        # A request belongs to one thread.
        self._local = threading.local()

    def predict_logits(self, canvases: np.ndarray) -> np.ndarray:
        self._check_canvases(canvases)
        if not hasattr(self._local, "request"):
            self._local.request = self._network.create_infer_request()
        return self._local.request.infer({INPUT: canvases})[OUTPUT].copy()
