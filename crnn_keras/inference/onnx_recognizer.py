"""Reads images with an ONNX file on ONNX Runtime: without Keras and TensorFlow.

A file may come from a stranger. Before ONNX Runtime opens it, `onnx_file` has checked that it holds
the operators of an export and nothing else, and `onnx_sizes` what they cost.
"""

from __future__ import annotations

import functools
import json
import os
import pathlib
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import NoReturn

import numpy as np
import onnxruntime

from crnn_keras.images import PIXELS_PER_FRAME
from crnn_keras.inference.base import BaseRecognizer
from crnn_keras.inference.metadata import read_metadata
from crnn_keras.inference.onnx_file import INPUT, OUTPUT, read_onnx, replace_metadata
from crnn_keras.inference.onnx_sizes import measure
from crnn_keras.inference.shipped import find_file, shipped_files
from crnn_keras.utils import files
from crnn_keras.utils.checks import COUNT, check_arguments
from crnn_keras.utils.limits import MAX_MODEL_BYTES
from crnn_keras.utils.parallel import thread_map

SHIPPED = shipped_files(".onnx")

_LIVING: weakref.WeakSet[OnnxRecognizer] = weakref.WeakSet()
_LEFT = []
_ADVICE = "Expected a file that crnn_keras.export_onnx wrote."


class OnnxRecognizer(BaseRecognizer):
    """Reads images with an ONNX file; see `BaseRecognizer` for `read`, `stream` and `close`.

    Several threads may use one recognizer at the same time, and get what one alone gets. So may
    processes that `multiprocessing` forks. It is pickled by the content of its file, so the
    processes of `joblib`, `loky` and of `multiprocessing`'s `spawn` can be given one; the content
    is checked again there.

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

    @check_arguments(cores=COUNT.or_none())
    def __init__(self, content: bytes, name: str = "the file", *, cores: int | None = None):
        try:
            network = read_onnx(content)
        except ValueError as error:
            raise ValueError(f"{name} {error}. {_ADVICE}") from None
        super().__init__(**read_metadata(network.metadata, name, advice=_ADVICE), cores=cores)
        self._name, self._network, self._given_cores = name, network, cores
        self._cost = self._measure(1, self.canvas.widths[-1])
        self._sizes: set[tuple[int, int]] = set()
        self._largest_batch = self._cost.largest_batch
        self._open()
        _LIVING.add(self)
        _check_inputs_and_outputs(self._opened[0], self.canvas, self.char_dict, name=name)

    @classmethod
    def load(cls, path: str | os.PathLike, *, cores: int | None = None) -> OnnxRecognizer:
        """Loads a model.

        Args:
            path: An `.onnx` file that `export_onnx` wrote, or the name of a shipped model
                (`"words"`, `"words-large"`, `"ascii"` or `"lines"`).
            cores: Number of cores to use. Defaults to `None`: all.

        Returns:
            `OnnxRecognizer`.

        Raises:
            ValueError: The file does not exist, is damaged or too large, keeps weights in other
                files, has operators that `export_onnx` does not write, would compute more than a
                reader needs, or lacks the metadata of crnn_keras; or `cores` is below 1.
        """
        path = find_file(path, SHIPPED, advice=_ADVICE)
        with open(path, "rb") as file:
            content = file.read(min(path.stat().st_size, MAX_MODEL_BYTES) + 1)
        return cls(content, str(path), cores=cores)

    @property
    def model(self) -> NoReturn:
        """Raises a ValueError: there is no Keras model, which training and exports need."""
        raise ValueError(
            f"{self._name} is read on ONNX Runtime and has no Keras model. Expected a .keras file, "
            "or a shipped model where Keras is installed: pip install 'crnn_keras[train]'."
        )

    def save(self, path: str | os.PathLike) -> None:
        """Saves the file that was loaded, with its calibration and language model of now.

        Where neither was changed, the bytes are those that were loaded.

        Args:
            path: File to write; the name ends in `.onnx`. Missing folders are created. An earlier
                file of this name is replaced only when the new one is complete.

        Raises:
            ValueError: The name has another end, the language model is too large for a file, or the
                recognizer is closed.
            OSError: The disk is full, or the file cannot be written for another reason.

        Example:

            >>> from crnn_keras import Calibration, OnnxRecognizer
            >>> recognizer = OnnxRecognizer.load("words")
            >>> recognizer.calibration = Calibration(slope=0.8, offset=-0.1)
            >>> recognizer.save("calibrated.onnx")
            >>> OnnxRecognizer.load("calibrated.onnx").calibration
            Calibration(slope=0.8, offset=-0.1)
        """
        self._check_open()
        path = pathlib.Path(path)
        if path.suffix != ".onnx":
            raise ValueError(f"{path} does not end in .onnx. Expected a name such as model.onnx.")
        files.write_atomic(path, self._make_content())

    def _make_content(self) -> bytes:
        """Returns the file's bytes, with other metadata only where a part of it was changed."""
        network = self._network
        parts = {"calibration": self.calibration, "language_model": self.language_model}
        configs = {name: part and part.get_config() for name, part in parts.items()}
        if all(network.metadata.get(name) == config for name, config in configs.items()):
            return network.content
        kept = {name: value for name, value in network.metadata.items() if name not in configs}
        kept |= {name: config for name, config in configs.items() if config is not None}
        content = replace_metadata(network.content, json.dumps(kept))
        try:
            read_onnx(content)
        except ValueError as error:
            raise ValueError(f"The file to save {error}.") from None
        return content

    def close(self) -> None:
        with self._opening:
            super().close()
            self._opened = None

    def __reduce__(self):
        self._check_open()
        make = functools.partial(type(self), cores=self._given_cores)
        state = {"calibration": self.calibration, "language_model": self.language_model}
        return make, (self._network.content, self._name), state

    def predict_logits(self, canvases: np.ndarray) -> np.ndarray:
        return self._run(self._sessions()[0], canvases)

    def _predict_in_threads(self, predict: Callable, chunks: Iterable) -> Iterable[list]:
        """Returns what `predict` makes of each chunk: each thread loads images and predicts."""
        logits = functools.partial(self._run, self._sessions()[1])

        def run(chunk):
            return predict(*self._load(chunk), predict_logits=logits)

        return thread_map(run, chunks, self.threads)

    def _open(self):
        content = self._network.content
        single = parallel = _open_session(content, self._name, self._cores)
        if self._cores > 1:
            parallel = _open_session(content, self._name, 1)
        self._opened = single, parallel
        self._opening = threading.Lock()

    def _sessions(self):
        """Returns two sessions: for a single batch on all cores, and for batches of one core each.

        Of many batches, each has one core and waits for nothing.
        """
        opened = self._opened
        if opened is None:
            with self._opening:
                self._check_open()
                if self._opened is None:
                    self._open()
                opened = self._opened
        return opened

    def _leave_sessions(self):
        """Gives up the sessions of the process that this one was forked from.

        Their threads were not copied: whoever ran them, or closed them, could wait forever.
        """
        _LEFT.append(self._opened)
        self._opened, self._opening = None, threading.Lock()

    def _measure(self, batch, width):
        """Returns the `Cost` of a batch of canvases; that of one is checked."""
        shape = batch, self.canvas.height, width, 1
        try:
            cost = measure(self._network.nodes, self._network.weights, {INPUT: shape})
            return cost.check() if batch == 1 else cost
        except ValueError as error:
            raise ValueError(f"{self._name} {error}. {_ADVICE}") from None

    def _check_size(self, batch, width):
        """Raises a ValueError if a batch costs more than as many canvases one by one."""
        if (batch, width) in self._sizes:
            return
        cost = self._measure(batch, width)
        if any(found > batch * one for found, one in zip(cost, self._cost, strict=True)):
            raise ValueError(
                f"{self._name} would compute {cost.values:,} numbers of {batch} images {width} "
                f"pixels wide, over {batch} times {self._cost.values:,}. {_ADVICE}"
            )
        self._sizes.add((batch, width))

    def _run(self, session, canvases):
        self._check_canvases(canvases)
        self._check_size(len(canvases), canvases.shape[2])
        try:
            (logits,) = session.run([OUTPUT], {INPUT: canvases})
        except Exception as error:  # ONNX Runtime's errors have no class in common.
            raise ValueError(f"{self._name} cannot be run: {error}") from error
        frames = canvases.shape[2] // PIXELS_PER_FRAME
        expected = len(canvases), frames, self.char_dict.num_classes
        if logits.shape != expected:
            raise ValueError(f"{self._name} gave logits {logits.shape}, expected {expected}.")
        return logits


def _leave_all_sessions():
    for recognizer in list(_LIVING):
        recognizer._leave_sessions()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all_sessions)


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
