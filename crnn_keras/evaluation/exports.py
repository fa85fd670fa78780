"""Compares the exports of a model: size, speed, accuracy and logits, side by side."""

from __future__ import annotations

import functools
import io
import itertools
import os
import pathlib
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import keras
import numpy as np

from crnn_keras.evaluation.metrics import evaluate
from crnn_keras.images import to_gray
from crnn_keras.inference import load_images
from crnn_keras.inference.export import (
    export_litert,
    export_onnx,
    export_openvino,
    export_saved_model,
)
from crnn_keras.inference.export.process import find_model
from crnn_keras.inference.litert_recognizer import LiteRTRecognizer
from crnn_keras.inference.onnx_recognizer import OnnxRecognizer
from crnn_keras.inference.openvino_recognizer import OpenVinoRecognizer
from crnn_keras.inference.recognizer import Recognizer
from crnn_keras.utils.checks import COUNT, check_arguments

if TYPE_CHECKING:
    from crnn_keras.images.source import ImageSource

BATCH_SIZE = 64
# Images that are read one at a time in a round, and batches that are read.
_SINGLE, _BATCHES = 32, 4
# Images whose logits are compared.
_COMPARED = 256


@dataclass(frozen=True, kw_only=True)
class ExportFigures:
    """What was measured of one export. The language model is not used, since no network holds it.

    Args:
        name: Its format and the type of its weights, such as `"onnx float16"`.
        bytes: Size of its files in bytes.
        milliseconds: Median, smallest and largest time to read one image, alone, in milliseconds.
        images_per_second: Median, smallest and largest speed in batches of 64.
        correct: Number of images whose text is correct.
        images: Number of images.
        difference: The largest difference between its logits and those of the Keras model. None if
            it does not give logits.
        refusal: Why there is no such export, or an empty string; then all figures are 0.
    """

    name: str
    bytes: int = 0
    milliseconds: tuple[float, float, float] = (0.0, 0.0, 0.0)
    images_per_second: tuple[float, float, float] = (0.0, 0.0, 0.0)
    correct: int = 0
    images: int = 0
    difference: float | None = None
    refusal: str = ""


class _Format(NamedTuple):
    """How a format is written to a path, and how it is read with."""

    name: str
    path: str
    write: Callable[[str | os.PathLike, pathlib.Path], object]
    open: Callable[[pathlib.Path], _Contender]


class _Contender(NamedTuple):
    """Reads encoded images; gives logits of canvases, or None if it cannot."""

    read: Callable[[Sequence[bytes]], list[str | None]]
    predict_logits: Callable[[np.ndarray], np.ndarray] | None


@check_arguments(rounds=COUNT)
def compare_exports(
    model_path: str | os.PathLike,
    samples: Sequence[tuple[ImageSource, str]],
    *,
    folder: str | os.PathLike,
    protocol: str = "exact",
    rounds: int = 5,
) -> list[ExportFigures]:
    """Writes a model in all formats and measures each on labelled images.

    Each reads the images from their bytes, encoded anew as gray png, to their texts. The formats
    take turns in each round, so that what else the machine does meets all of them. The SavedModel
    needs TensorFlow in this process.

    Args:
        model_path: Path of a `.keras` file, or the name of a shipped model.
        samples: Pairs of an image and its text.
        folder: Folder for the exports.
        protocol: Rule by which texts are compared, see `evaluate`. Defaults to `"exact"`.
        rounds: Rounds of the timing. Defaults to `5`.

    Returns:
        List of `ExportFigures`: the Keras model first, then each export.

    Raises:
        ValueError: There is no such model or no image, or an image cannot be read.
        ModuleNotFoundError: A package of the extra `export` is missing.
    """
    if not samples:
        raise ValueError("There is no image to compare with. Expected at least one with its text.")
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    recognizer = Recognizer.load(model_path)
    targets = [recognizer.char_dict.normalize(text) for _, text in samples]
    encoded = [_encode(image) for image, _ in samples]
    contenders = {f"keras on {keras.backend.backend()}": _contend(recognizer)}
    sizes, refusals = [os.path.getsize(find_model(model_path))], []
    for own in _FORMATS:
        path = folder / own.path
        try:
            own.write(model_path, path)
        except ValueError as error:
            refusals.append(ExportFigures(name=own.name, refusal=str(error)))
            continue
        contenders[own.name] = own.open(path)
        sizes.append(_measure_size(path))
    times = _take_turns([contender.read for contender in contenders.values()], encoded, rounds)
    batches = list(load_images(encoded[:_COMPARED], recognizer.canvas).batches(BATCH_SIZE))
    figures = []
    for name, size, (single, many) in zip(contenders, sizes, times, strict=True):
        report = evaluate(targets, contenders[name].read(encoded), protocol=protocol)
        figures.append(
            ExportFigures(
                name=name,
                bytes=size,
                milliseconds=_summarize([1000 * seconds for seconds in single]),
                images_per_second=_summarize([1 / seconds for seconds in many]),
                correct=sum(not case.distance for case in report.cases),
                images=len(samples),
                difference=_compare_logits(contenders[name], recognizer, batches),
            )
        )
    return figures + refusals


def _contend(recognizer):
    """Returns a recognizer without its language model, which a SavedModel cannot have."""

    def read(images):
        predictions = recognizer.read(images, batch_size=BATCH_SIZE, language_model=None)
        return [prediction.text for prediction in predictions]

    return _Contender(read, recognizer.predict_logits)


def _open_saved_model(folder):
    import tensorflow as tf

    serve = tf.saved_model.load(str(folder / "1")).signatures["serving_default"]

    def read(images):
        texts = []
        for start in range(0, len(images), BATCH_SIZE):
            answer = serve(image_bytes=tf.constant(images[start : start + BATCH_SIZE]))
            texts += [text.decode() for text in answer["text"].numpy()]
        return texts

    return _Contender(read, None)


def _make_format(write, open_path, *, name, suffix, weights):
    """Returns a format whose function takes the type of the weights."""
    return _Format(
        name=f"{name} {weights}",
        path=f"{name}-{weights}{suffix}",
        write=functools.partial(write, weights=weights),
        open=lambda path: _contend(open_path(path)),
    )


_FLOATS = ("float32", "float16")
_FORMATS = (
    _Format("saved_model", "saved_model", export_saved_model, _open_saved_model),
    *(
        _make_format(write, open_path, name=name, suffix=suffix, weights=weights)
        for write, open_path, name, suffix, types in (
            (export_onnx, OnnxRecognizer.load, "onnx", ".onnx", (*_FLOATS, "int8")),
            (export_openvino, OpenVinoRecognizer, "openvino", ".xml", _FLOATS),
            (export_litert, LiteRTRecognizer.load, "litert", ".tflite", (*_FLOATS, "int8")),
        )
        for weights in types
    ),
)


def _encode(image):
    """Returns an image as the bytes of a gray png."""
    buffer = io.BytesIO()
    to_gray(image).save(buffer, "png")
    return buffer.getvalue()


def _measure_size(path):
    """Returns the bytes of a file, with the weights beside it, or of all files of a folder."""
    files = path.rglob("*") if path.is_dir() else path.parent.glob(f"{path.stem}.*")
    return sum(file.stat().st_size for file in files if file.is_file())


def _take_turns(readers, encoded, rounds):
    """Returns for each reader its seconds an image alone, and in batches, of each round."""
    few = list(itertools.islice(itertools.cycle(encoded), _SINGLE))
    many = list(itertools.islice(itertools.cycle(encoded), _BATCHES * BATCH_SIZE))
    times = [([], []) for _ in readers]
    for read in readers:
        read(few[:1])
        read(many)
    for _ in range(rounds):
        for read, (single, batched) in zip(readers, times, strict=True):
            began = time.perf_counter()
            for image in few:
                read([image])
            single.append((time.perf_counter() - began) / len(few))
            began = time.perf_counter()
            read(many)
            batched.append((time.perf_counter() - began) / len(many))
    return times


def _summarize(values):
    return statistics.median(values), min(values), max(values)


def _compare_logits(contender, recognizer, batches):
    """Returns the largest difference between logits, or None where there are none."""
    if contender.predict_logits is None:
        return None
    return max(
        float(np.abs(contender.predict_logits(own) - recognizer.predict_logits(own)).max())
        for _, own in batches
    )
