"""Reading where Keras and its backends are not installed: see `without_keras_worker.py`."""

import csv
import json
import pathlib
import shutil
import subprocess
import sys

import pytest

from crnn_keras.inference.shipped import shipped_files

ROOT = pathlib.Path(__file__).parent.parent
WORKER = pathlib.Path(__file__).with_name("without_keras_worker.py")


@pytest.fixture
def run(tmp_path):
    """Function that runs the worker with a command: `(what it found, the process)`."""
    shutil.copy(ROOT / "examples" / "exit.png", tmp_path)
    shutil.copy(shipped_files(".keras")["words"], tmp_path / "mine.keras")

    def run(*command):
        done = subprocess.run(
            [sys.executable, WORKER, "exit.png", "mine.keras", *command],
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1]), done

    return run


def test_a_shipped_model_and_an_onnx_file_are_read_on_onnx_runtime(run, tmp_path):
    found, done = run("read", "exit.png", "--csv", "texts.csv")
    assert (found["kind"], found["text"]) == ("OnnxRecognizer", "exit")
    assert found["onnx_file"] == "OnnxRecognizer"
    assert (found["code"], done.stderr) == (0, "")
    (row,) = csv.DictReader((tmp_path / "texts.csv").open(encoding="utf-8"))
    assert row["text"] == "exit"
    kind, message = found["model"]
    assert kind == "ValueError" and "words.onnx" in message and "'crnn_keras[train]'" in message


def test_a_keras_file_names_what_to_install(run):
    found, done = run("read", "exit.png", "--model", "mine.keras")
    kind, message = found["keras_file"]
    assert kind == "ModuleNotFoundError" and "pip install 'crnn_keras[train]'" in message
    assert found["code"] == 2 and len(done.stderr.splitlines()) == 1
    assert "pip install 'crnn_keras[train]'" in done.stderr
    # What is not there at all is said first.
    kind, message = found["missing"]
    assert kind == "ValueError"
    assert "no_such" in message and "words, words-large, ascii, lines" in message


def test_the_recognizer_is_imported_without_keras():
    code = "import sys; from crnn_keras import Recognizer; Recognizer.load(sys.argv[1])\n"
    code += "print(*(m for m in ('keras', 'tensorflow', 'jax', 'torch') if m in sys.modules))"
    model = str(shipped_files(".onnx")["words"])
    done = subprocess.run(
        [sys.executable, "-c", code, model], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
