"""The shipped readers read 200 rendered words as they did before the package was laid out anew.

`fixtures/rendered_words.zip` holds the images, `fixtures/readings.json` their labels and, for each
reader and file format, the text and the confidence of each image.
"""

import json
import pathlib
import zipfile

import numpy as np
import pytest

from crnn_keras.inference.onnx_recognizer import OnnxRecognizer
from crnn_keras.inference.recognizer import Recognizer

FIXTURES = pathlib.Path(__file__).with_name("fixtures")
EXPECTED = json.loads((FIXTURES / "readings.json").read_text())


@pytest.fixture(scope="module")
def images():
    with zipfile.ZipFile(FIXTURES / "rendered_words.zip") as archive:
        return [archive.read(name) for name in sorted(archive.namelist())]


@pytest.mark.parametrize("name", ["words", "ascii"])
@pytest.mark.parametrize(("kind", "recognizer"), [("keras", Recognizer), ("onnx", OnnxRecognizer)])
def test_texts_and_confidences_are_those_of_before(images, name, kind, recognizer):
    texts, confidences = zip(*EXPECTED[f"{name}.{kind}"], strict=True)
    predictions = recognizer.load(name).read(images)
    assert len(predictions) == 200
    assert [prediction.text for prediction in predictions] == list(texts)
    np.testing.assert_allclose([p.confidence for p in predictions], confidences, atol=2e-3)
