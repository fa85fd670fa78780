"""The shipped readers read 200 rendered words as they did when they were made, and real sets.

`fixtures/rendered_words.zip` holds the images, `fixtures/readings.json` their labels and, for each
reader and file format, the text and the confidence of each image.
"""

import json
import os
import pathlib
import zipfile

import numpy as np
import pytest

from crnn_keras import evaluate, read_samples
from crnn_keras.inference.onnx_recognizer import OnnxRecognizer
from crnn_keras.inference.recognizer import SHIPPED, Recognizer
from crnn_keras.synth import Style, bundled_fonts, render_word

FIXTURES = pathlib.Path(__file__).with_name("fixtures")
FOLDER = pathlib.Path(__file__).parents[1] / "crnn_keras"
EXPECTED = json.loads((FIXTURES / "readings.json").read_text())


@pytest.fixture(scope="module")
def images():
    with zipfile.ZipFile(FIXTURES / "rendered_words.zip") as archive:
        return [archive.read(name) for name in sorted(archive.namelist())]


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize(("kind", "recognizer"), [("keras", Recognizer), ("onnx", OnnxRecognizer)])
def test_texts_and_confidences_are_those_of_before(images, name, kind, recognizer):
    texts, confidences = zip(*EXPECTED[f"{name}.{kind}"], strict=True)
    predictions = recognizer.load(name).read(images)
    assert len(predictions) == 200
    assert [prediction.text for prediction in predictions] == list(texts)
    np.testing.assert_allclose([p.confidence for p in predictions], confidences, atol=2e-3)


def real_samples(name):
    folder = pathlib.Path(os.environ.get("CRNN_DATA", "")) / name
    if not (folder / "labels.tsv").is_file():
        pytest.skip(f"needs real images: CRNN_DATA names no folder with {name}")
    return read_samples(folder / "labels.tsv").samples


def word_accuracy(samples, name="words", **options):
    predictions = OnnxRecognizer.load(name).read(samples, **options)
    targets, texts = [s.text for s in samples], [p.text for p in predictions]
    return evaluate(targets, texts, protocol="alphanumeric").word_accuracy


@pytest.mark.parametrize(
    ("name", "ngrams", "order"),
    [("words", 200_000, 6), ("words-large", 500_000, 8), ("lines", 100_000, 6)],
)
def test_a_language_model_names_its_source_and_licence(name, ngrams, order):
    model = OnnxRecognizer.load(name).language_model
    assert len(model) == ngrams and model.order == order
    assert "wordfreq" in model.source and "CC BY-SA 4.0" in model.source


def test_a_reader_of_capitals_has_no_language_model():
    assert OnnxRecognizer.load("ascii").language_model is None


def test_the_language_model_mends_street_view():
    samples = real_samples("svt_test")
    assert word_accuracy(samples, language_model=None) >= 0.775
    assert word_accuracy(samples) >= 0.845


@pytest.mark.parametrize(("name", "least"), [("iiit5k_test", 0.905), ("svt_test", 0.89)])
def test_words_large_reads_photographs(name, least):
    assert word_accuracy(real_samples(name), "words-large") >= least


def test_lines_are_read_with_their_spaces_accents_and_marks():
    font = next(path for path in bundled_fonts() if path.endswith("DejaVuSans.ttf"))
    written = ["Total: 12.50 €", "Gdańsk, 24.12.2020", "no entry", "Où est la gare ?"]
    style = Style.plain(height=40, contrast=100)
    images = [render_word(text, font, style, seed=1) for text in written]
    for kind in (Recognizer, OnnxRecognizer):
        assert [found.text for found in kind.load("lines").read(images)] == written


def test_lines_reads_more_of_receipts_than_the_readers_of_words():
    samples = real_samples("sroie_words")[:1000]
    found = {name: word_accuracy(samples, name) for name in ("words", "lines")}
    assert found["lines"] >= max(found["words"], 0.85)


def test_the_largest_files_stay_below_nine_megabytes():
    sizes = {path.name: path.stat().st_size for path in (FOLDER / "readers").glob("*.[ko]*")}
    assert {f"{name}.{kind}" for name in SHIPPED for kind in ("keras", "onnx")} == set(sizes)
    assert max(sizes.values()) <= 9_000_000 and sum(sizes.values()) <= 27_000_000


def test_a_pattern_mends_plates():
    samples = real_samples("plates_cn")[:300]
    plain = word_accuracy(samples, language_model=None)
    # A letter and five letters or digits, behind the province that the reader does not know.
    matching = word_accuracy(samples, language_model=None, pattern="[a-z][a-z0-9]{5}")
    assert matching >= plain + 0.15
