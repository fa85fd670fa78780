"""Reads images with an ONNX file on ONNX Runtime: without Keras and TensorFlow.

    pip install crnn_keras[onnx]

A file may come from a stranger. It is data for ONNX Runtime's own operators and nothing else, and
its metadata and shapes are checked before it reads an image.
"""

from __future__ import annotations

import functools
import json
import os
import pathlib
from collections.abc import Callable, Iterable

import numpy as np
import onnxruntime

from crnn_keras.char_dict import CharDict
from crnn_keras.images import PIXELS_PER_FRAME, Canvas
from crnn_keras.inference.base import BaseRecognizer, Prediction
from crnn_keras.inference.shipped import shipped_files
from crnn_keras.model.calibration import Calibration
from crnn_keras.utils.parallel import thread_map

SHIPPED = shipped_files(".onnx")
INPUT, OUTPUT, METADATA = "canvases", "logits", "crnn_keras"

_FORMAT = "crnn_keras.reader"
# A model takes a few tens of megabytes.
_MAX_BYTES = 2**29
_ADVICE = "Expected a file that crnn_keras.export_onnx wrote."


class OnnxRecognizer(BaseRecognizer):
    """Reads images with an ONNX file; see `BaseRecognizer` for `read` and `stream`.

    Args:
        content: Bytes of the file.
        name: Name of the file for error messages. Defaults to `"the file"`.
        cores: Number of cores to use. Defaults to `None`: all.

    Raises:
        ValueError: See `load`.

    Example:

        >>> from crnn_keras import OnnxRecognizer, render_word
        >>> from crnn_keras.synth import bundled_fonts
        >>> recognizer = OnnxRecognizer.load("words")
        >>> (prediction,) = recognizer.read(render_word("exit", bundled_fonts()[0], seed=1))
        >>> prediction.text
        'exit'
    """

    def __init__(self, content: bytes, name: str = "the file", *, cores: int | None = None):
        if len(content) > _MAX_BYTES:
            raise ValueError(f"{name} has {len(content):,} bytes, too many. {_ADVICE}")
        # The key by which a tensor names a file, or an address in memory, that holds its numbers.
        if b"location" in content:
            raise ValueError(f"{name} has weights outside of itself. {_ADVICE}")
        cores = cores or os.cpu_count() or 1
        # A single batch has all cores; of many batches, each has one core and waits for nothing.
        self._single = _open_session(content, name, cores)
        self._parallel = _open_session(content, name, 1) if cores > 1 else self._single
        self._name = name
        super().__init__(*_read_metadata(self._single, name), cores=cores)
        _check_inputs_and_outputs(self._single, self.canvas, self.char_dict, name=name)

    @classmethod
    def load(cls, path: str | os.PathLike, *, cores: int | None = None) -> OnnxRecognizer:
        """Loads a model.

        Args:
            path: An `.onnx` file that `export_onnx` wrote, or the name of a shipped model
                (`"words"` or `"ascii"`).
            cores: Number of cores to use. Defaults to `None`: all.

        Returns:
            `OnnxRecognizer`.

        Raises:
            ValueError: The file does not exist, is damaged or too large, keeps weights in other
                files, needs operators that ONNX Runtime does not have, or lacks the metadata of
                crnn_keras.
        """
        path = pathlib.Path(SHIPPED.get(str(path), path))
        if not path.is_file():
            shipped = ", ".join(SHIPPED)
            raise ValueError(f"{path} does not exist. {_ADVICE} Or one of: {shipped}.")
        with open(path, "rb") as file:
            content = file.read(min(path.stat().st_size, _MAX_BYTES) + 1)
        return cls(content, str(path), cores=cores)

    def predict_logits(self, canvases: np.ndarray) -> np.ndarray:
        return self._run(self._single, canvases)

    def _predict_in_threads(
        self, predict: Callable, chunks: Iterable
    ) -> Iterable[list[Prediction]]:
        """Returns the predictions of each chunk: each thread loads images and runs the network."""
        logits = functools.partial(self._run, self._parallel)

        def run(chunk):
            return predict(*self._load(chunk), predict_logits=logits)

        return thread_map(run, chunks, self.threads)

    def _run(self, session, canvases):
        try:
            (logits,) = session.run([OUTPUT], {INPUT: canvases})
        except Exception as error:  # ONNX Runtime's errors have no class in common.
            raise ValueError(f"{self._name} cannot be run: {error}") from error
        frames = canvases.shape[2] // PIXELS_PER_FRAME
        expected = len(canvases), frames, self.char_dict.num_classes
        if logits.shape != expected:
            raise ValueError(f"{self._name} gave logits {logits.shape}, expected {expected}.")
        return logits


def make_metadata(recognizer: BaseRecognizer) -> str:
    """Makes the metadata that an exported model carries under the key `METADATA`.

    Args:
        recognizer: A `BaseRecognizer`.

    Returns:
        JSON with the char dict, the canvas and, if there is one, the calibration.
    """
    content = {
        "format": _FORMAT,
        "char_dict": recognizer.char_dict.get_config(),
        "canvas": recognizer.canvas.get_config(),
    }
    if recognizer.calibration is not None:
        content["calibration"] = recognizer.calibration.get_config()
    return json.dumps(content)


def _open_session(content, name, cores):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores
    # Fatal errors only: other errors are raised, with the file's name.
    options.log_severity_level = 4
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # Threads that spin while they wait for more work of a batch stop when the batch is done.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no class in common.
        raise ValueError(
            f"{name} is not an ONNX file, or it is damaged: {error} {_ADVICE}"
        ) from error


def _read_metadata(session, name):
    """Returns the char dict, the canvas and the calibration (or None) that a file carries."""
    text = session.get_modelmeta().custom_metadata_map.get(METADATA)
    if text is None:
        raise ValueError(f"{name} has no metadata {METADATA!r}: another program's. {_ADVICE}")
    try:
        content = json.loads(text)
        if content["format"] != _FORMAT:
            raise ValueError(f"the format is {content['format']!r}, not {_FORMAT!r}")
        calibration = content.get("calibration")
        return (
            CharDict.from_config(content["char_dict"]),
            Canvas(**content["canvas"]),
            None if calibration is None else Calibration.from_config(calibration),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"{name} has damaged metadata ({reason}). {_ADVICE}") from error


def _check_inputs_and_outputs(session, canvas, char_dict, *, name):
    """Raises a ValueError unless the network takes such canvases and returns such logits."""
    inputs = {i.name: (i.type, [_size(s) for s in i.shape]) for i in session.get_inputs()}
    outputs = {o.name: (o.type, [_size(s) for s in o.shape][2:]) for o in session.get_outputs()}
    width = canvas.widths[0] if len(canvas.widths) == 1 else None
    expected = (
        {INPUT: ("tensor(uint8)", [None, canvas.height, width, 1])},
        {OUTPUT: ("tensor(float)", [char_dict.num_classes])},
    )
    if (inputs, outputs) != expected:
        raise ValueError(
            f"{name} takes {inputs} and gives {outputs}. For {char_dict!r} and {canvas} expected "
            f"{expected[0]} and {expected[1]}. {_ADVICE}"
        )


def _size(size):
    """Returns a size that is fixed; None for one that varies."""
    return size if isinstance(size, int) else None
