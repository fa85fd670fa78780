"""Reads images with a LiteRT model, as on a phone, without Keras and TensorFlow."""

from __future__ import annotations

import io
import json
import os
import pathlib
import threading
import zipfile

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from crnn_keras.inference.base import BaseRecognizer
from crnn_keras.inference.metadata import read_metadata
from crnn_keras.inference.onnx_file import INPUT, METADATA, OUTPUT
from crnn_keras.utils.checks import COUNT, check_arguments
from crnn_keras.utils.limits import MAX_MODEL_BYTES

# The file within a model that holds its metadata.
METADATA_FILE = f"{METADATA}.json"
_ADVICE = "Expected a file that crnn_keras.inference.export_litert wrote."


def name_signature(width: int) -> str:
    """Returns the name of the signature for canvases of a width in pixels."""
    return f"width_{width}"


class LiteRTRecognizer(BaseRecognizer):
    """Reads images with a LiteRT model; see `BaseRecognizer` for `read` and `stream`.

    The network takes one canvas at a time. LiteRT checks little of what it loads: load only files
    that you trust. Several threads may use one recognizer; they take turns.

    Args:
        content: Bytes of the file.
        name: Name of the file for error messages. Defaults to `"the file"`.
        cores: Number of cores to use. Defaults to `None`: all.

    Raises:
        ValueError: The file is damaged or lacks the metadata of crnn_keras; or `cores` is below 1.

    Example:

        >>> from crnn_keras.inference import LiteRTRecognizer, export_litert
        >>> difference = export_litert("words", "words.tflite")
        >>> [p.text for p in LiteRTRecognizer.load("words.tflite").read("exit.png")]
        ['exit']
    """

    @check_arguments(cores=COUNT.or_none())
    def __init__(self, content: bytes, name: str = "the file", *, cores: int | None = None):
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if archive.getinfo(METADATA_FILE).file_size > MAX_MODEL_BYTES:
                    raise ValueError("its metadata is too large")
                metadata = json.loads(archive.read(METADATA_FILE))
        except (zipfile.BadZipFile, KeyError, ValueError, RecursionError) as error:
            raise ValueError(f"{name} has no metadata of crnn_keras: {error}. {_ADVICE}") from error
        super().__init__(**read_metadata(metadata, name, advice=_ADVICE), cores=cores)
        try:
            self._interpreter = Interpreter(model_content=content, num_threads=self._cores)
            self._runners = {
                width: self._interpreter.get_signature_runner(name_signature(width))
                for width in self.canvas.widths
            }
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{name} is no model of crnn_keras: {error}. {_ADVICE}") from error
        self._turn = threading.Lock()

    @classmethod
    @check_arguments(cores=COUNT.or_none())
    def load(cls, path: str | os.PathLike, *, cores: int | None = None) -> LiteRTRecognizer:
        """Loads a model.

        Args:
            path: A `.tflite` file that `export_litert` wrote.
            cores: Number of cores to use. Defaults to `None`: all.

        Returns:
            `LiteRTRecognizer`.

        Raises:
            ValueError: The file does not exist, is too large, or see the class.
        """
        path = pathlib.Path(path)
        if not path.is_file():
            raise ValueError(f"{path} does not exist. {_ADVICE}")
        if path.stat().st_size > MAX_MODEL_BYTES:
            raise ValueError(f"{path} has over {MAX_MODEL_BYTES:,} bytes. {_ADVICE}")
        return cls(path.read_bytes(), str(path), cores=cores)

    def predict_logits(self, canvases: np.ndarray) -> np.ndarray:
        self._check_canvases(canvases)
        run = self._runners[canvases.shape[2]]
        with self._turn:
            return np.concatenate([run(**{INPUT: canvas[None]})[OUTPUT] for canvas in canvases])
