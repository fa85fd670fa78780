"""Makes a trained reader the shipped one: `python -m tools.readers ship MODEL DATA`."""

import argparse
import pathlib

import numpy as np

from crnn_keras.evaluation.confidence import calibrate
from tools.readers.figures import CHOSEN_BY, read_set
from tools.readers.pack import pack

# By whether the reader folds case: the rule of its calibration and the sets for it. Labels of
# street view are in capitals by design, so nothing can be learnt of case from them.
_CALIBRATION = {True: ("alphanumeric", CHOSEN_BY), False: ("exact", ("iiit5k_train",))}
_STEPS = 31
# Smaller ones are a thousandth of all weights.
_LARGE = 1024


def main(arguments=None):
    """Calibrates a reader with the real sets to choose by and writes the files to ship.

    Args:
        arguments: list of strings; those of the command line if None.

    Raises:
        ValueError: a set is missing, or the reader cannot be loaded.
    """
    from crnn_keras.inference import onnx_recognizer
    from crnn_keras.inference.export import export_onnx
    from crnn_keras.inference.recognizer import SHIPPED, Recognizer
    from crnn_keras.model.saving import save_model
    from crnn_keras.training.fine_tuning import with_char_dict

    parser = argparse.ArgumentParser(prog="python -m tools.readers ship")
    parser.add_argument("model", help="a .keras file that `train` wrote")
    parser.add_argument("data", type=pathlib.Path, help=f"folder of {' and '.join(CHOSEN_BY)}")
    parser.add_argument("--as", dest="name", choices=SHIPPED, default="words", help="(words)")
    given = parser.parse_args(arguments)
    model = Recognizer.load(given.model).model
    # Whatever it was trained in, on processors float32 is read fastest.
    recognizer = Recognizer(with_char_dict(model, model.char_dict, "float32"))
    for weight in recognizer.model.weights:
        weight.assign(_shortened(weight.numpy()))
    rule, names = _CALIBRATION[recognizer.char_dict.fold_case]
    samples = []
    for name in names:
        found = read_set(given.data / name)
        if found is None:
            raise ValueError(f"{given.data / name} has no labels.tsv. Expected labelled images.")
        samples += found.samples
    targets = [sample.text for sample in samples]
    recognizer.calibration = calibrate(recognizer.read(samples), targets, rule)
    save_model(recognizer.model, SHIPPED[given.name])
    pack(SHIPPED[given.name])
    # A reader that needs neither Keras nor TensorFlow.
    export_onnx(given.name, onnx_recognizer.SHIPPED[given.name], "int8")
    print(f"{SHIPPED[given.name]}: {recognizer.calibration} from {len(samples):,} images")


def _shortened(values):
    """Weights with few digits, that both files hold alike and that compress well, in git too.

    Args:
        values: float32 array; its last axis are the units.

    Returns:
        float32 array: of a large matrix or kernel whole multiples of a power of two, for each unit
        the smallest by which 31 steps reach its largest weight, so 6 bits; of others the digits of
        float16.
    """
    if values.ndim < 2 or values.size < _LARGE:
        return values.astype("float16").astype("float32")
    largest = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0)
    largest[largest == 0] = 1
    step = np.exp2(np.ceil(np.log2(largest / _STEPS)))
    return np.rint(values / step) * step
