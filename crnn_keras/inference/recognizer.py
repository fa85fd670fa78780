"""Reads images with a saved Keras model.

Importing this module imports neither Keras nor a backend; `Recognizer` does when it is given a
model or loads one.
"""

from __future__ import annotations

import collections
import itertools
import os
import threading
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from crnn_keras.inference.base import BaseRecognizer
from crnn_keras.inference.loading import Window, load_portable, make_portable
from crnn_keras.inference.shipped import find_file, shipped_files
from crnn_keras.model.calibration import Calibration
from crnn_keras.model.decoding import LanguageModel
from crnn_keras.model.saving import save_model
from crnn_keras.model.sizes import measure_architecture
from crnn_keras.utils.backend import import_keras, on_cpu
from crnn_keras.utils.checks import Of, check_value
from crnn_keras.utils.parallel import parallel_map

if TYPE_CHECKING:
    from crnn_keras.inference.onnx_recognizer import OnnxRecognizer
    from crnn_keras.model.crnn import CRNN

SHIPPED = shipped_files(".keras")

_ADVICE = "Expected a .keras file that crnn_keras.train or Recognizer.save wrote."
# Number of characters that an error of Keras keeps.
_SHOWN = 500
# Processes take seconds to start.
_WINDOWS_OF_THREADS = 32
# The process in which a network was loaded first; its threads are not copied by a fork.
_FIRST_PROCESS: list[int] = []
# One for each model, which several recognizers may share.
_LOCKS: weakref.WeakKeyDictionary[CRNN, threading.RLock] = weakref.WeakKeyDictionary()


class Recognizer(BaseRecognizer):
    """Reads images with a `CRNN`; see `BaseRecognizer` for `read`, `stream` and `close`.

    `Recognizer.load` reads without Keras too: where Keras is not installed, it loads a shipped
    model as an `OnnxRecognizer`, which gives the same texts.

    Several threads may use one recognizer, and get what one alone gets; one of them at a time runs
    the network. It is pickled by its config and weights, so the processes of `joblib`, `loky` and
    of `multiprocessing`'s `spawn` can be given one. A process that was forked from this one cannot
    use it: it raises a RuntimeError.

    Args:
        model: A `CRNN`.

    Raises:
        ValueError: The model is something else.
        RuntimeError: This process was forked from one that has loaded a recognizer.

    Example:

        >>> from crnn_keras import Recognizer, render_word
        >>> from crnn_keras.synth import bundled_fonts
        >>> recognizer = Recognizer.load("words")
        >>> (prediction,) = recognizer.read(render_word("exit", bundled_fonts()[0], seed=1))
        >>> prediction.text
        'exit'
    """

    def __init__(self, model: CRNN):
        from crnn_keras.model.crnn import CRNN

        check_value("model", model, Of(CRNN))
        _check_process()
        self.model = model
        super().__init__(
            model.char_dict, model.canvas, model.calibration, language_model=model.language_model
        )
        cost = measure_architecture(model.architecture, self.canvas, self.char_dict.num_classes)
        self._largest_batch = cost.largest_batch
        # Keras empties a model's variables while it runs on JAX, where others would miss them.
        self._lock = _LOCKS.setdefault(model, threading.RLock())

    @property
    def calibration(self) -> Calibration | None:
        """Returns the calibration of the model. It is saved with the model, see `save`."""
        return self._open_model().calibration

    @calibration.setter
    def calibration(self, calibration: Calibration | None) -> None:
        self._open_model().calibration = calibration

    @property
    def language_model(self) -> LanguageModel | None:
        """Returns the language model of the model. It is saved with the model, see `save`."""
        return self._open_model().language_model

    @language_model.setter
    def language_model(self, language_model: LanguageModel | None) -> None:
        self._open_model().language_model = language_model

    @classmethod
    def load(cls, path: str | os.PathLike) -> Recognizer | OnnxRecognizer:
        """Loads a model by the runtime that it needs.

        Args:
            path: The name of a shipped model: `"words"` (letters and digits, in lower case),
                `"words-large"` (the same, with fewer errors and in more time), `"ascii"` (capitals
                and punctuation too) or `"lines"` (lines with spaces and accents); a `.keras` file
                that `train` or `save` wrote; or an `.onnx` file that `export_onnx` wrote.

        Returns:
            `Recognizer`. For an `.onnx` file, and for a shipped model where Keras or its backend is
            not installed, an `OnnxRecognizer`: it reads the same texts, and has no `model` to
            train.

        Raises:
            ValueError: The file does not exist, holds no model of crnn_keras, is damaged, or would
                take more memory than a model needs. Nothing in the file is executed.
            ModuleNotFoundError: The file is a `.keras` file, and Keras is not installed.
            RuntimeError: This process was forked from one that has loaded a recognizer.

        Example:

            >>> from crnn_keras import Recognizer
            >>> with Recognizer.load("words") as recognizer:
            ...     print(recognizer.read("exit.png")[0].text)
            exit
        """
        if isinstance(path, str | os.PathLike) and os.fsdecode(path).endswith(".onnx"):
            return _load_onnx(path)
        file = find_file(path, SHIPPED, advice=_ADVICE)
        if os.fsdecode(path) in SHIPPED and not _has_keras():
            return _load_onnx(path)
        import_keras()
        return cls(_load_model(file))

    def save(self, path: str | os.PathLike) -> None:
        """Saves the model with its char dict, canvas, calibration and language model.

        Args:
            path: File to write; the name ends in `.keras`. An earlier file of this name is replaced
                only when the new one is complete.

        Raises:
            ValueError: The name has another end.
            OSError: The disk is full, or the file cannot be written for another reason.

        Example:

            >>> from crnn_keras import Calibration, Recognizer
            >>> recognizer = Recognizer.load("words")
            >>> recognizer.calibration = Calibration(slope=0.8, offset=-0.1)
            >>> recognizer.save("calibrated.keras")
        """
        save_model(self._open_model(), path)

    def close(self) -> None:
        super().close()
        self.model = None

    def _open_model(self) -> CRNN:
        self._check_open()
        return self.model

    def __reduce__(self):
        model = self._open_model()
        return _rebuild, (model.get_config(), model.get_weights())

    def _load_ahead(self, chunks: Iterator) -> Iterator[tuple[Window, list]]:
        if on_cpu() or self.threads == 1:
            return super()._load_ahead(chunks)
        return self._load_in_processes(chunks)

    def _load_in_processes(self, chunks):
        """Yields the same as threads would load.

        A GPU reads more images than the threads of one process load, since most of that work is
        Python, of which one thread runs at a time. So behind the first windows processes load.
        """
        yield from super()._load_ahead(itertools.islice(chunks, _WINDOWS_OF_THREADS))
        partners = collections.deque()

        def jobs(first):
            for chunk in itertools.chain([first], chunks):
                partners.append(chunk.partners)
                yield make_portable(chunk.images, self.canvas, start=chunk.start)

        for first in chunks:
            for window in parallel_map(load_portable, jobs(first), processes=self.threads - 1):
                yield window, partners.popleft()

    def predict_logits(self, canvases: np.ndarray) -> np.ndarray:
        model = self._open_model()
        self._check_canvases(canvases)
        _check_process()
        # Few sizes of batches: JAX compiles for each size once.
        size = 1 << (len(canvases) - 1).bit_length()
        padded = np.concatenate([canvases, np.repeat(canvases[:1], size - len(canvases), axis=0)])
        with self._lock:
            return model.predict_on_batch(padded)[: len(canvases)]


def _has_keras() -> bool:
    """Tells whether Keras and its backend are installed. A broken one is another matter."""
    try:
        import keras  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True


def _load_onnx(path) -> OnnxRecognizer:
    from crnn_keras.inference.onnx_recognizer import OnnxRecognizer

    return OnnxRecognizer.load(path)


def _load_model(path) -> CRNN:
    """Loads the `CRNN` of a `.keras` file, once it was checked."""
    import keras

    from crnn_keras.inference.keras_file import check_keras_file
    from crnn_keras.model.crnn import CRNN

    _check_process()
    registered = keras.saving.get_registered_name(CRNN)
    try:
        check_keras_file(path, class_name=CRNN.__name__, registered_name=registered)
    except ValueError as error:
        raise ValueError(f"{path} {error}. {_ADVICE}") from None
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever its parts raise on damaged files.
        # It shows whole weights.
        reason = f"{error!s:.{_SHOWN}}"
        raise ValueError(f"{path} cannot be loaded, it is damaged: {reason} {_ADVICE}") from error


def _check_process():
    """Raises a RuntimeError in a fork of the process that loaded a network first."""
    if not _FIRST_PROCESS:
        _FIRST_PROCESS.append(os.getpid())
    if _FIRST_PROCESS[0] != os.getpid():
        raise RuntimeError(
            "This process was forked from one that has loaded a Recognizer, whose threads were not "
            "copied: the network would wait for them forever. Start processes by spawn "
            "(multiprocessing.get_context('spawn')) or by loky, or use OnnxRecognizer, which "
            "multiprocessing may fork."
        )


def _rebuild(config, weights):
    """Makes a `Recognizer` of what its `__reduce__` gave."""
    import_keras()
    from crnn_keras.model.crnn import CRNN

    model = CRNN.from_config(config)
    model.set_weights(weights)
    return Recognizer(model)
