"""Reads images with an exported reader, on ONNX Runtime: no Keras, no TensorFlow.

    pip install crnn_keras[onnx]

A file may come from a stranger: it is data for ONNX Runtime's own operators and nothing else. What
it claims in its metadata and its shapes is checked before it reads anything.
"""

import functools
import json
import os
import pathlib

import onnxruntime

from crnn_keras.char_dict import CharDict
from crnn_keras.images import PIXELS_PER_FRAME, Canvas
from crnn_keras.inference.base import BaseRecognizer, busy_threads, in_threads, shipped_files
from crnn_keras.model.calibration import Calibration

SHIPPED = shipped_files(".onnx")
INPUT, OUTPUT, METADATA = "canvases", "logits", "crnn_keras"

_FORMAT = "crnn_keras.reader"
# A reader is a few tens of megabytes.
_MAX_BYTES = 2**29
_ADVICE = "Expected a file that crnn_keras.inference.export.export_onnx wrote."


class OnnxRecognizer(BaseRecognizer):
    """Reads images with an ONNX file; see `reading.BaseRecognizer` for `read` and `stream`.

    Args:
        content: bytes of the file.
        name: what errors call it.
        threads: how many cores may work; all if None.

    Raises:
        ValueError: see `load`.

    Example:

        >>> reader = OnnxRecognizer.load("words")
        >>> reader.read(["street.png", "door.jpg"])
        [Prediction(text='exit', ...), Prediction(text='push', ...)]
    """

    def __init__(self, content, name="the file", threads=None):
        if len(content) > _MAX_BYTES:
            raise ValueError(f"{name} has {len(content):,} bytes, too many. {_ADVICE}")
        # The key by which a tensor names a file, or a place in memory, that holds its numbers.
        if b"location" in content:
            raise ValueError(f"{name} has weights outside of itself. {_ADVICE}")
        cores = threads or os.cpu_count() or 1
        # A batch alone has all cores; of many batches, each has a core and nothing to wait for.
        self._alone = _session(content, name, cores)
        self._beside = _session(content, name, 1) if cores > 1 else self._alone
        self._name = name
        super().__init__(*_metadata(self._alone, name))
        self.threads = busy_threads(cores)
        _check_ends(self._alone, self.canvas, self.char_dict, name)

    @classmethod
    def load(cls, path, threads=None):
        """Loads a reader.

        Args:
            path: an `.onnx` file that `export_onnx` wrote, or the name of a shipped reader
                (`"words"` or `"ascii"`).
            threads: how many cores may work; all if None.

        Returns:
            `OnnxRecognizer`.

        Raises:
            ValueError: there is no such file, it is damaged or too large, keeps weights in other
                files, needs operators that ONNX Runtime has not, or lacks what a reader of
                crnn_keras carries.
        """
        path = pathlib.Path(SHIPPED.get(str(path), path))
        if not path.is_file():
            shipped = ", ".join(SHIPPED)
            raise ValueError(f"{path} does not exist. {_ADVICE} Or one of: {shipped}.")
        with open(path, "rb") as file:
            content = file.read(min(path.stat().st_size, _MAX_BYTES) + 1)
        return cls(content, str(path), threads)

    def logits(self, canvases):
        return self._run(self._alone, canvases)

    def _read_windows(self, windows, batch_size, tta_views):
        def read(window):
            logits = functools.partial(self._run, self._beside)
            return self._read(self._prepared(window), batch_size, tta_views, logits)

        return in_threads(read, ((window,) for window in windows), self.threads)

    def _run(self, session, canvases):
        try:
            (logits,) = session.run([OUTPUT], {INPUT: canvases})
        except Exception as error:  # ONNX Runtime's errors have no class in common.
            raise ValueError(f"{self._name} cannot be run: {error}") from error
        expected = (
            len(canvases),
            canvases.shape[2] // PIXELS_PER_FRAME,
            self.char_dict.num_classes,
        )
        if logits.shape != expected:
            raise ValueError(f"{self._name} gave logits {logits.shape}, expected {expected}.")
        return logits


def describe(reader):
    """What an exported reader says of itself.

    Args:
        reader: a `reading.BaseRecognizer`.

    Returns:
        JSON, the metadata under `METADATA`.
    """
    parts = {"char_dict": reader.char_dict.get_config(), "canvas": reader.canvas.get_config()}
    if reader.calibration is not None:
        parts["calibration"] = reader.calibration.get_config()
    return json.dumps({"format": _FORMAT, **parts})


def _session(content, name, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Nothing but fatal errors: what goes wrong is raised, with the file's name.
    options.log_severity_level = 4
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # Threads that wait at full speed for the next part of a batch stop when the batch is done.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no class in common.
        raise ValueError(f"{name} is no ONNX file, or a damaged one: {error} {_ADVICE}") from error


def _metadata(session, name):
    """The char dict, the canvas and the calibration, None without one, that the file carries."""
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
        problem = f"{type(error).__name__}: {error}"
        raise ValueError(f"{name} has damaged metadata ({problem}). {_ADVICE}") from error


def _check_ends(session, canvas, char_dict, name):
    """Refuses a network that does not take these canvases and give logits of these classes."""
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
    return size if isinstance(size, int) else None
