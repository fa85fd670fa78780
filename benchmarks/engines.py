"""Reads images with one engine, as standard input asks.

    PYTHON benchmarks/engines.py ENGINE [ARGUMENT ...]

`readers.py` starts it in the environment of the engine, so nothing but the standard library is
imported before the engine is known. The first line of the answer says what was loaded:

    {"weights": SHA-256, "bytes": SIZE, "software": "rapidocr 3.10.0, ..."}

After it, each line of the input is a request, and each line of the output its answer:

    {"paths": ["a.png", "b.png"], "alone": true}
    {"texts": ["oak", ""], "confidences": [0.93, 0.0], "seconds": [0.012, 0.011]}

Images are read one at a time if `alone` is true, which gives the seconds of each; otherwise as the
engine reads a folder, which gives the seconds of all. An image that cannot be read has an empty
text. Confidences are what the engine reports, from 0 to 1.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest.mock


def describe(path, *packages):
    """Returns what the first line says of the file of weights and the packages."""
    content = pathlib.Path(path).read_bytes()
    software = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    digest = hashlib.sha256(content).hexdigest()
    return {"weights": digest, "bytes": len(content), "software": software}


def one_by_one(read):
    """Turns a function of an image's path, which may fail, into one of many."""

    def read_many(paths):
        found = []
        for path in paths:
            try:
                found.append(read(path))
            except Exception as error:
                print(f"{path}: {error}", file=sys.stderr)
                found.append(("", 0.0))
        return found

    return read_many


def load_ours(recognizer, name, language_model):
    """Loads a recognizer; `language_model` is "yes" or "no"."""
    if language_model == "no":
        recognizer.language_model = None

    def read(paths):
        predictions = recognizer.read(paths)
        return [(found.text or "", found.confidence or 0.0) for found in predictions]

    return read


def load_onnx(name, language_model):
    from crnn_keras.inference.onnx_recognizer import SHIPPED, OnnxRecognizer

    read = load_ours(OnnxRecognizer.load(name), name, language_model)
    return read, describe(SHIPPED.get(name, name), "onnxruntime")


def load_keras(name, language_model):
    import keras

    from crnn_keras.inference.recognizer import SHIPPED, Recognizer

    read = load_ours(Recognizer.load(name), name, language_model)
    return read, describe(SHIPPED.get(name, name), "keras", keras.backend.backend())


def load_pp_ocr_v4():
    import cv2
    import rapidocr_onnxruntime

    recognize = rapidocr_onnxruntime.RapidOCR().text_rec
    folder = pathlib.Path(rapidocr_onnxruntime.__file__).parent
    weights = folder / "models" / "ch_PP-OCRv4_rec_infer.onnx"

    def read(path):
        text, confidence, *_ = recognize([cv2.imread(path)])[0][0]
        return text, float(confidence)

    return one_by_one(read), describe(weights, "rapidocr-onnxruntime", "onnxruntime")


def load_pp_ocr_v6():
    import cv2
    import rapidocr
    from rapidocr.ch_ppocr_rec import TextRecInput

    recognize = rapidocr.RapidOCR()._load_rec_model()
    weights = pathlib.Path(rapidocr.__file__).parent / "models" / "PP-OCRv6_rec_small.onnx"

    def read(path):
        found = recognize(TextRecInput(img=[cv2.imread(path)], return_word_box=False))
        return found.txts[0], float(found.scores[0])

    return one_by_one(read), describe(weights, "rapidocr", "onnxruntime")


def load_easyocr():
    import cv2
    import torch

    # A torchvision that was built for another torch lacks its compiled operators, which nothing
    # here calls. Without this, it could not be imported either.
    with unittest.mock.patch.object(torch.library, "register_fake", lambda *_: lambda fake: fake):
        import torchvision  # noqa: F401
    import easyocr
    import easyocr_en_models

    folder = pathlib.Path(easyocr_en_models.model_dir())
    # It compares the MD5 of the weights with its own before it loads them.
    reader = easyocr.Reader(
        ["en"],
        gpu=False,
        detector=False,
        download_enabled=False,
        model_storage_directory=str(folder),
        verbose=False,
    )

    def read(path):
        found = reader.recognize(cv2.imread(path, cv2.IMREAD_GRAYSCALE))
        return " ".join(text for _, text, _ in found), min(float(c) for *_, c in found)

    return one_by_one(read), describe(folder / "english_g2.pth", "easyocr", "torch")


def load_ddddocr():
    import ddddocr

    engine = ddddocr.DdddOcr(show_ad=False)
    weights = pathlib.Path(ddddocr.__file__).parent / "common.onnx"

    def read(path):
        found = engine.classification(pathlib.Path(path).read_bytes(), probability=True)
        return found["text"], float(found["confidence"])

    return one_by_one(read), describe(weights, "ddddocr", "onnxruntime")


def load_tesseract(mode, language="eng"):
    """Loads Tesseract, which reads a list of images in one process; `mode` is its `--psm`."""
    version = subprocess.run(["tesseract", "--version"], capture_output=True, text=True, check=True)
    folder = pathlib.Path(os.environ.get("TESSDATA_PREFIX", "/usr/share/tesseract-ocr/5/tessdata"))

    def read(paths):
        found = [("", 0.0)] * len(paths)
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as images:
            images.write("\n".join(paths))
            images.flush()
            command = ["tesseract", images.name, "stdout", "-l", language, "--psm", mode, "tsv"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        for line in done.stdout.splitlines()[1:]:
            level, page, *_, confidence, text = line.split("\t")
            if level == "5":
                before, least = found[int(page) - 1]
                confidence = float(confidence) / 100
                least = min(least, confidence) if before else confidence
                found[int(page) - 1] = (f"{before} {text}".strip(), least)
        return found

    return read, describe(folder / f"{language}.traineddata") | {
        "software": version.stdout.split("\n")[0]
    }


ENGINES = {
    "onnx": load_onnx,
    "keras": load_keras,
    "pp-ocr-v4": load_pp_ocr_v4,
    "pp-ocr-v6": load_pp_ocr_v6,
    "easyocr": load_easyocr,
    "ddddocr": load_ddddocr,
    "tesseract": load_tesseract,
}


def answer(read, request):
    """Returns the answer to a request."""
    paths = request["paths"]
    found, seconds = [], []
    for group in [[path] for path in paths] if request["alone"] else [paths]:
        began = time.perf_counter()
        found += read(group)
        seconds.append(time.perf_counter() - began)
    texts, confidences = zip(*found, strict=True)
    return {"texts": texts, "confidences": confidences, "seconds": seconds}


def main(engine, *arguments):
    answers = sys.stdout
    # What libraries print must not come between the answers.
    with contextlib.redirect_stdout(sys.stderr):
        read, facts = ENGINES[engine](*arguments)
        print(json.dumps(facts), file=answers, flush=True)
        for line in sys.stdin:
            print(json.dumps(answer(read, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
