"""Turns a trained model into a shipped reader: rounded, calibrated, packed, exported to ONNX."""

import argparse
import pathlib
from collections.abc import Sequence

import numpy as np

from crnn_keras.evaluation import tune_language_model
from crnn_keras.evaluation.confidence import calibrate
from crnn_keras.evaluation.language_model import LENGTH_BONUSES
from crnn_keras.model.decoding import LanguageModel
from tools.readers.figures import SELECTION_SETS, read_set
from tools.readers.pack import pack

# By whether the model folds case: the protocol of its calibration and the sets for it. All labels
# of street view are in capitals, so they say nothing about case.
_CALIBRATION = {True: ("alphanumeric", SELECTION_SETS), False: ("exact", ("iiit5k_train",))}
# The means over neighbours are of fewer places at an edge of the grid: so the largest bonus that
# was best for a reader is none.
_LENGTH_BONUSES = (*LENGTH_BONUSES, 3.6, 4.2)
# Largest weight of a unit, in steps: six bits with the sign.
_STEPS = 31
# Smaller arrays are a thousandth of all weights.
_LARGE = 1024


def main(arguments: Sequence[str] | None = None) -> None:
    """Calibrates a model on real images, chooses how much its language model decides, writes files.

    Args:
        arguments: List of strings. Defaults to None: those of the command line.

    Raises:
        ValueError: A set is missing, or the model cannot be loaded.
    """
    from crnn_keras.inference import onnx_recognizer
    from crnn_keras.inference.export import export_onnx
    from crnn_keras.inference.recognizer import SHIPPED, Recognizer
    from crnn_keras.model.saving import save_model
    from crnn_keras.training.fine_tuning import with_char_dict

    parser = argparse.ArgumentParser(
        prog="python -m tools.readers ship",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("model", help=".keras file that `train` wrote")
    parser.add_argument(
        "data", type=pathlib.Path, help=f"folder of the sets {' and '.join(SELECTION_SETS)}"
    )
    parser.add_argument("--language-model", metavar="NPZ", help="language model to ship with it")
    parser.add_argument(
        "--sets",
        nargs="+",
        metavar="SET",
        help="names of sets in DATA, or folders, to calibrate on instead",
    )
    parser.add_argument("--name", choices=SHIPPED, default="words", help="name of the reader")
    options = parser.parse_args(arguments)
    model = Recognizer.load(options.model).model
    # Whatever the precision of the training, CPUs are fastest with float32.
    recognizer = Recognizer(with_char_dict(model, model.char_dict, precision="float32"))
    for weight in recognizer.model.weights:
        weight.assign(_round_to_6_bits(weight.numpy()))
    protocol, names = _CALIBRATION[recognizer.char_dict.fold_case]
    samples = []
    for name in options.sets or names:
        folder = options.data / name
        folder = folder if folder.is_dir() else pathlib.Path(name)
        labelled_set = read_set(folder)
        if labelled_set is None:
            raise ValueError(f"{folder} has no labels.tsv. Expected labelled images.")
        samples += labelled_set.samples
    targets = [sample.text for sample in samples]
    if options.language_model:
        language_model = LanguageModel.load(options.language_model)
        recognizer.language_model, trials = tune_language_model(
            recognizer,
            language_model,
            samples,
            protocol=protocol,
            length_bonuses=_LENGTH_BONUSES,
        )
        _print_trials(trials, len(samples))
    recognizer.calibration = calibrate(recognizer.read(samples), targets, protocol=protocol)
    path = SHIPPED[options.name]
    save_model(recognizer.model, path)
    pack(path)
    # The same reader without Keras and TensorFlow.
    export_onnx(options.name, onnx_recognizer.SHIPPED[options.name], weights="int8")
    settings = recognizer.language_model and recognizer.language_model.settings
    print(f"{path}: {settings}, {recognizer.calibration} from {len(samples):,} images")


def _print_trials(trials, images):
    """Prints how many images are read with each pair of weight and length bonus, as Markdown."""
    rows = {}
    for settings, _, correct in trials:
        rows.setdefault((settings.threshold, settings.weight), {})[settings.length_bonus] = correct
    print(f"Correct of {images:,}, by threshold and weight, and by length bonus:\n")
    for (threshold, weight), row in rows.items():
        cells = ", ".join(f"{bonus}: {correct:,}" for bonus, correct in row.items())
        print(f"- {threshold}, {weight}: {cells}")


def _round_to_6_bits(values):
    """Rounds weights, so that both files hold the same numbers and compress well, in git too.

    Args:
        values: float32 array; its last axis are the units.

    Returns:
        float32 array of the same shape. In a large matrix or kernel, the weights of each unit are
        multiples of a power of two: the smallest of which 31 reach its largest weight. All other
        arrays have the digits of float16.
    """
    if values.ndim < 2 or values.size < _LARGE:
        return values.astype("float16").astype("float32")
    largest = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0)
    largest[largest == 0] = 1
    step = np.exp2(np.ceil(np.log2(largest / _STEPS)))
    return np.rint(values / step) * step
