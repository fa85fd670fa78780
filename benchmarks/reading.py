"""From image files to texts: our readers on each runtime, beside RapidOCR's recognisers.

    python benchmarks/reading.py [--crops FOLDER] [--rapid PYTHON] [--reader READER]

FOLDER holds a `labels.tsv` of path, tab, text; without it, words are rendered. READER is a trained
reader, the shipped `words` unless told; the one of the paper has fresh weights, which cost the same
time. RapidOCR brings PP-OCRv4
and PP-OCRv6 along, and wants other versions than ours, so it runs in an environment of its own:

    python -m venv rapid && rapid/bin/pip install rapidocr==3.10.0 rapidocr-onnxruntime==1.4.4
    python benchmarks/reading.py --rapid rapid/bin/python

Each contender has a process of its own and they take turns. Printed are medians of the turns, the
smallest to the largest in brackets: milliseconds an image, one image at a time, and images a
second of a folder. Decoding is included. Slow ones get a shorter folder, `--few`; all are judged on
the images of that one. A word counts as right if its letters and digits are, in whatever case.
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
reader = Recognizer.load(sys.argv[1])
take_turns(lambda paths: [prediction.text for prediction in reader.read(paths)])
"""

ONNX = """
from crnn_keras.inference.onnx_recognizer import OnnxRecognizer
reader = OnnxRecognizer.load(sys.argv[1])
take_turns(lambda paths: [prediction.text for prediction in reader.read(paths)])
"""

OPENVINO = """
import openvino
from crnn_keras.inference.onnx_recognizer import OnnxRecognizer
class OpenVinoReader(OnnxRecognizer):
    _predict_in_threads = OnnxRecognizer.__mro__[1]._predict_in_threads
    def predict_logits(self, canvases):
        return network.infer({0: canvases})[0].copy()
reader = OpenVinoReader.load(sys.argv[1])
hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
core = openvino.Core()
network = core.compile_model(core.read_model(sys.argv[1]), "CPU", hints).create_infer_request()
take_turns(lambda paths: [prediction.text for prediction in reader.read(paths)])
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
detect_layout = RapidOCR().text_rec
take_turns(lambda paths: [text for text, *_ in detect_layout([cv2.imread(p) for p in paths])[0]])
"""

PP_OCR_V6 = """
import cv2
from rapidocr import RapidOCR
from rapidocr.ch_ppocr_rec import TextRecInput
detect_layout = RapidOCR()._load_rec_model()
def read(paths):
    images = [cv2.imread(path) for path in paths]
    return list(detect_layout(TextRecInput(img=images, return_word_box=False)).txts)
take_turns(read)
"""


class Contender:
    """A process that takes turns at reading, and what it took."""

    def __init__(self, name, python, program, *arguments, judged=True):
        self.name, self.judged = name, judged
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
        """Hands over the images; False if the process cannot run."""
        try:
            print(json.dumps(paths), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            return False
        return self.process.stdout.readline() == "ready\n"

    def turn(self, how, count):
        """Seconds of each call and the texts."""
        print(how, count, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def read(self, singles, count):
        """One turn of each sort."""
        seconds, _ = self.turn("one", singles)
        self.milliseconds.append(1000 * statistics.median(seconds))
        (seconds,), self.texts = self.turn("folder", count)
        self.speeds.append(count / seconds)

    def show(self, targets):
        """Prints the line of the table."""
        right = [plain(a) == plain(b) for a, b in zip(self.texts, targets, strict=False)]
        accuracy = f"{sum(right) / len(right):6.1%}" if self.judged else "     –"
        print(
            f"{self.name:32} {spread(self.milliseconds, 2):27} {spread(self.speeds, 0):25} "
            f"{accuracy}  n = {len(right)}"
        )


def spread(values, digits):
    """Median, smallest and largest."""
    middle = statistics.median(values)
    return f"{middle:,.{digits}f} [{min(values):,.{digits}f} to {max(values):,.{digits}f}]"


def plain(text):
    """A text's letters and digits, in lower case."""
    return "".join(c for c in (text or "").lower() if c.isascii() and c.isalnum())


def labelled_images(crops, count, scratch):
    """Paths and labels, from a folder or rendered."""
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


def readers(trained, scratch):
    """The trained reader and a fresh `paper`: name, `.keras` file, ONNX file and SavedModel."""
    from crnn_keras.char_dict import CharDict
    from crnn_keras.inference.export import export_onnx, export_saved_model
    from crnn_keras.model.crnn import build_crnn

    paper = scratch / "paper.keras"
    build_crnn(CharDict.from_preset("alphanumeric36"), architecture="paper").save(paper)
    for name, reader in ((pathlib.Path(trained).stem, trained), ("paper", paper)):
        onnx = scratch / f"{name}.onnx"
        export_onnx(reader, onnx)
        yield name, reader, onnx, export_saved_model(reader, scratch / name)


def contenders(options, scratch):
    """Starts all processes that were asked for."""
    python = sys.executable
    for name, reader, onnx, saved_model in readers(options.reader, scratch):
        judged = name != "paper"
        yield Contender(f"{name}, Keras on TensorFlow", python, KERAS, reader, judged=judged)
        yield Contender(f"{name}, SavedModel", python, SAVED_MODEL, saved_model, judged=judged)
        yield Contender(f"{name}, ONNX Runtime", python, ONNX, onnx, judged=judged)
        yield Contender(f"{name}, OpenVINO", python, OPENVINO, onnx, judged=judged)
    if options.rapid:
        yield Contender("PP-OCRv4 recogniser, RapidOCR", options.rapid, PP_OCR_V4)
        yield Contender("PP-OCRv6 recogniser, RapidOCR", options.rapid, PP_OCR_V6)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crops", type=pathlib.Path, help="folder with a labels.tsv")
    parser.add_argument("--rapid", help="a python that has rapidocr and rapidocr-onnxruntime")
    parser.add_argument("--reader", default="words", help=".keras file or shipped name")
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
        trained = pathlib.Path(options.reader).stem
        counts = {
            c: len(paths) if c.name.startswith(trained) else min(options.few, len(paths))
            for c in running
        }
        for _ in range(options.rounds):
            for contender, count in counts.items():
                contender.read(min(options.singles, len(paths)), count)
                time.sleep(0.2)
        kind = f"crops of {options.crops.name}" if options.crops else "rendered words"
        print(
            f"{len(paths):,} {kind}; {os.cpu_count()} cores; {options.rounds} rounds in turn, "
            f"{options.singles} images one at a time in each\n"
            f"{'':32} {'ms an image, one at a time':27} {'images/s of a folder':25} words right"
        )
        shared = targets[: min(counts.values())]
        for contender in running:
            contender.show(shared)
            contender.process.stdin.close()
            contender.process.wait()


if __name__ == "__main__":
    main()
