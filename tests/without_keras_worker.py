"""Reads as in a base installation: whatever `pip install crnn_keras` alone lacks is not there.

python without_keras_worker.py IMAGE MODEL.keras COMMAND...
"""

import json
import sys

from crnn_keras import __version__

ABSENT = ("keras", "tensorflow", "torch", "jax", "matplotlib", "pandas", "IPython", "papermill")
ABSENT += ("scipy", "cv2", "h5py", "jupyterlab", "onnx", "tf2onnx")


class Absent:
    """A finder of modules that does not find some, as where they are not installed."""

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            return None
        return self.finder.find_spec(name, path, target)


def error_of(function, *arguments):
    try:
        function(*arguments)
    except Exception as error:
        return type(error).__name__, str(error)


def main(image, keras_file, *command):
    sys.meta_path[:] = [Absent(finder) for finder in sys.meta_path]

    from crnn_keras import Recognizer
    from crnn_keras.cli import main as run_command

    with Recognizer.load("words") as recognizer:
        (prediction,) = recognizer.read(image)
        found = {
            "version": __version__,
            "kind": type(recognizer).__name__,
            "text": prediction.text,
            "model": error_of(lambda: recognizer.model),
            "keras_file": error_of(Recognizer.load, keras_file),
            "missing": error_of(Recognizer.load, "no_such"),
        }
        recognizer.save("copy.onnx")
    found["onnx_file"] = type(Recognizer.load("copy.onnx")).__name__
    found["code"] = run_command(command)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
