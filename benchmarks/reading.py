"""From image files to texts: our readers on each runtime, beside RapidOCR's recognizers.

    python benchmarks/reading.py [--crops FOLDER] [--rapid PYTHON] [--models MODEL ...]
        [--fresh ARCHITECTURE ...] [--runtimes RUNTIME ...]

FOLDER holds a `labels.tsv` of path, tab, text; without it, words are rendered. MODELs are trained
readers, by default the shipped `words`; none uses its language model. The ARCHITECTUREs have fresh
weights, which take the same time; by default that of the paper. RapidOCR comes with PP-OCRv4 and
PP-OCRv6. It needs other versions than ours, so it runs in an environment of its own:

    python -m venv rapid && rapid/bin/pip install rapidocr==3.10.0 rapidocr-onnxruntime==1.4.4
    python benchmarks/reading.py --rapid rapid/bin/python

Each contender has a process of its own and they take turns. Printed are medians of the turns, the
smallest to the largest in brackets: milliseconds an image, one image at a time, and images a
second of a folder. Decoding is included. Slow ones get a shorter folder, `--few`; all are compared
on the images of that one. A word is correct if its letters and digits are, in any case.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

# The turns of a process: it reads the paths, then a line for each turn, and answers in JSON. What
# libraries print goes elsewhere.
TURNS = """
import json, sys, time
answers, sys.stdout = sys.stdout, sys.stderr
def take_turns(read):
    paths = json.loads(sys.stdin.readline())
    read(paths[:1])
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        how, count = line.split()
        texts, seconds = [], []
        turns = [[path] for path in paths[:int(count)]] if how == "one" else [paths[:int(count)]]
        for turn in turns:
            began = time.perf_counter()
            texts += read(turn)
            seconds.append(time.perf_counter() - began)
        print(json.dumps([seconds, texts]), file=answers, flush=True)
"""

KERAS = """
from crnn_keras.inference.recognizer import Recognizer
recognizer = Recognizer.load(sys.argv[1])
recognizer.language_model = None
take_turns(lambda paths: [prediction.text for prediction in recognizer.read(paths)])
"""

ONNX = """
from crnn_keras.inference.onnx_recognizer import OnnxRecognizer
recognizer = OnnxRecognizer.load(sys.argv[1])
recognizer.language_model = None
take_turns(lambda paths: [prediction.text for prediction in recognizer.read(paths)])
"""

OPENVINO = """
import openvino
from crnn_keras.inference.onnx_recognizer import OnnxRecognizer
class OpenVinoRecognizer(OnnxRecognizer):
    _predict_in_threads = OnnxRecognizer.__mro__[1]._predict_in_threads
    def predict_logits(self, canvases):
        return network.infer({0: canvases})[0].copy()
recognizer = OpenVinoRecognizer.load(sys.argv[1])
recognizer.language_model = None
hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
core = openvino.Core()
network = core.compile_model(core.read_model(sys.argv[1]), "CPU", hints).create_infer_request()
take_turns(lambda paths: [prediction.text for prediction in recognizer.read(paths)])
"""

SAVED_MODEL = """
import pathlib
import tensorflow as tf
served = tf.saved_model.load(sys.argv[1])
call = served.signatures["serving_default"]
def read(paths):
    texts = []
    for start in range(0, len(paths), 64):
        encoded = [pathlib.Path(path).read_bytes() for path in paths[start:start + 64]]
        answer = call(image_bytes=tf.constant(encoded))["text"].numpy()
        texts += [text.decode() for text in answer]
    return texts
take_turns(read)
"""

PP_OCR_V4 = """
import cv2
from rapidocr_onnxruntime import RapidOCR
recognize = RapidOCR().text_rec
take_turns(lambda paths: [text for text, *_ in recognize([cv2.imread(p) for p in paths])[0]])
"""

PP_OCR_V6 = """
import cv2
from rapidocr import RapidOCR
from rapidocr.ch_ppocr_rec import TextRecInput
recognize = RapidOCR()._load_rec_model()
def read(paths):
    images = [cv2.imread(path) for path in paths]
    return list(recognize(TextRecInput(img=images, return_word_box=False)).txts)
take_turns(read)
"""

# Name, program, and what it needs: an export of this kind, or the `.keras` file itself.
RUNTIMES = {
    "keras": ("Keras on TensorFlow", KERAS, None),
    "saved-model": ("SavedModel", SAVED_MODEL, "saved_model"),
    "onnx": ("ONNX Runtime", ONNX, "onnx"),
    "openvino": ("OpenVINO", OPENVINO, "onnx"),
}


class Contender:
    """A process that takes turns at reading, and the times of its turns."""

    def __init__(self, name, python, program, *arguments, compared=True, is_slow=True):
        self.name, self.compared, self.is_slow = name, compared, is_slow
        self.milliseconds, self.speeds, self.texts = [], [], []
        self.process = subprocess.Popen(
            [python, "-c", TURNS + program, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    def starts(self, paths):
        """Sends the images. Returns whether the process can run."""
        try:
            print(json.dumps(paths), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            return False
        return self.process.stdout.readline() == "ready\n"

    def turn(self, how, count):
        """Runs a turn. Returns the seconds of each call, and the texts."""
        print(how, count, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def read(self, singles, count):
        """Runs a turn of each kind."""
        seconds, _ = self.turn("one", singles)
        self.milliseconds.append(1000 * statistics.median(seconds))
        (seconds,), self.texts = self.turn("folder", count)
        self.speeds.append(count / seconds)

    def show(self, targets):
        """Prints the line of the table."""
        correct = [plain(a) == plain(b) for a, b in zip(self.texts, targets, strict=False)]
        accuracy = f"{sum(correct) / len(correct):6.1%}" if self.compared else "     –"
        print(
            f"{self.name:32} {spread(self.milliseconds, 2):27} {spread(self.speeds, 0):25} "
            f"{accuracy}  n = {len(correct)}"
        )


def spread(values, digits):
    """Returns median, smallest and largest value as a column."""
    middle = statistics.median(values)
    return f"{middle:,.{digits}f} [{min(values):,.{digits}f} to {max(values):,.{digits}f}]"


def plain(text):
    """Returns a text's letters and digits, in lower case."""
    return "".join(c for c in (text or "").lower() if c.isascii() and c.isalnum())


def labelled_images(crops, count, scratch):
    """Returns paths and labels, from a folder or rendered."""
    if crops:
        rows = (crops / "labels.tsv").read_text(encoding="utf-8").splitlines()[:count]
        pairs = [row.split("\t", 1) for row in rows]
        return [str(crops / path) for path, _ in pairs], [text for _, text in pairs]
    from crnn_keras import synth

    renderer = synth.Recipe(fonts=tuple(synth.bundled_fonts())).open()
    paths, texts = [], []
    for index in range(count):
        encoded, text = renderer.sample(index)
        path = scratch / f"{index:06d}.jpg"
        path.write_bytes(encoded)
        paths.append(str(path))
        texts.append(text)
    return paths, texts


def export(model_path, scratch, kind):
    """Exports a model. Returns the path of the export."""
    from crnn_keras.inference.export import export_onnx, export_saved_model

    path = scratch / f"{pathlib.Path(model_path).stem}.{kind}"
    if kind == "onnx" and not path.exists():
        export_onnx(model_path, path)
    return path if kind == "onnx" else export_saved_model(model_path, path)


def fresh_model(architecture, scratch):
    """Saves a model with fresh weights. Returns its path."""
    from crnn_keras.char_dict import CharDict
    from crnn_keras.model.crnn import build_crnn

    path = scratch / f"{architecture}.keras"
    build_crnn(CharDict.from_preset("alphanumeric36"), architecture=architecture).save(path)
    return path


def contenders(options, scratch):
    """Starts the processes of all contenders."""
    python = sys.executable
    models = dict.fromkeys(options.models, True)
    models |= {fresh_model(name, scratch): False for name in options.fresh}
    for model_path, is_trained in models.items():
        for runtime in options.runtimes:
            name, program, kind = RUNTIMES[runtime]
            path = export(model_path, scratch, kind) if kind else model_path
            name = f"{pathlib.Path(model_path).stem}, {name}"
            facts = {"compared": is_trained, "is_slow": not is_trained}
            yield Contender(name, python, program, path, **facts)
    if options.rapid:
        yield Contender("PP-OCRv4 recognizer, RapidOCR", options.rapid, PP_OCR_V4)
        yield Contender("PP-OCRv6 recognizer, RapidOCR", options.rapid, PP_OCR_V6)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crops", type=pathlib.Path, help="folder with a labels.tsv")
    parser.add_argument("--rapid", help="a python that has rapidocr and rapidocr-onnxruntime")
    parser.add_argument("--models", nargs="+", default=["words"], help="files or shipped names")
    parser.add_argument("--fresh", nargs="*", default=["paper"], help="architectures, untrained")
    parser.add_argument("--runtimes", nargs="+", default=list(RUNTIMES), choices=RUNTIMES)
    parser.add_argument("--images", type=int, default=3000, help="in the folder")
    parser.add_argument("--few", type=int, default=300, help="in the folder of slow readers")
    parser.add_argument("--singles", type=int, default=100, help="read one at a time, a turn")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "images").mkdir()
        paths, targets = labelled_images(options.crops, options.images, scratch / "images")
        running = []
        for contender in contenders(options, scratch):
            if contender.starts(paths):
                running.append(contender)
            else:
                print(f"{contender.name}: skipped, it does not run in this environment.")
        if not options.rapid:
            print("RapidOCR: skipped, no environment was given by --rapid.")
        counts = {c: min(options.few, len(paths)) if c.is_slow else len(paths) for c in running}
        for _ in range(options.rounds):
            for contender, count in counts.items():
                contender.read(min(options.singles, len(paths)), count)
                time.sleep(0.2)
        kind = f"crops of {options.crops.name}" if options.crops else "rendered words"
        print(
            f"{len(paths):,} {kind}; {os.cpu_count()} cores; {options.rounds} rounds in turn, "
            f"{options.singles} images one at a time in each\n"
            f"{'':32} {'ms an image, one at a time':27} {'images/s of a folder':25} words correct"
        )
        shared = targets[: min(counts.values())]
        for contender in running:
            contender.show(shared)
            contender.process.stdin.close()
            contender.process.wait()


if __name__ == "__main__":
    main()
