"""Makes a trained reader the shipped one: `python -m crnn_keras.readers ship MODEL DATA`."""

import argparse
import pathlib

from crnn_keras.calibration import calibrate
from crnn_keras.readers.figures import CHOSEN_BY, read_set

# By whether the reader folds case: the rule of its calibration and the sets for it. Labels of
# street view are in capitals by design, so nothing can be learnt of case from them.
_CALIBRATION = {True: ("alphanumeric", CHOSEN_BY), False: ("exact", ("iiit5k_train",))}


def main(arguments=None):
    """Calibrates a reader with the real sets to choose by and writes the files to ship.

    Args:
        arguments: list of strings; those of the command line if None.

    Raises:
        ValueError: a set is missing, or the reader cannot be loaded.
    """
    from crnn_keras import onnx_reader
    from crnn_keras.export import export_onnx
    from crnn_keras.extend import extend_reader
    from crnn_keras.recognizer import SHIPPED, Recognizer
    from crnn_keras.train import save_model

    parser = argparse.ArgumentParser(prog="python -m crnn_keras.readers ship")
    parser.add_argument("model", help="a .keras file that `train` wrote")
    parser.add_argument("data", type=pathlib.Path, help=f"folder of {' and '.join(CHOSEN_BY)}")
    parser.add_argument("--as", dest="name", choices=SHIPPED, default="words", help="(words)")
    given = parser.parse_args(arguments)
    model = Recognizer.load(given.model).model
    # Whatever it was trained in, on processors float32 is read fastest.
    recognizer = Recognizer(extend_reader(model, model.char_dict, "float32"))
    for weight in recognizer.model.weights:
        # With the digits of half precision both files hold the same numbers, and take half of the
        # room wherever files are compressed: in a wheel, in git.
        weight.assign(weight.numpy().astype("float16").astype("float32"))
    rule, names = _CALIBRATION[recognizer.char_dict.fold_case]
    samples = []
    for name in names:
        found = read_set(given.data / name)
        if found is None:
            raise ValueError(f"{given.data / name} has no labels.tsv. Expected labelled pictures.")
        samples += found.samples
    truths = [sample.text for sample in samples]
    recognizer.calibration = calibrate(recognizer.read(samples), truths, rule)
    save_model(recognizer.model, SHIPPED[given.name])
    # A reader that needs neither Keras nor TensorFlow.
    export_onnx(given.name, onnx_reader.SHIPPED[given.name], "float16")
    print(f"{SHIPPED[given.name]}: {recognizer.calibration} from {len(samples):,} pictures")
