"""`Recognizer` reads images of any form, is saved with its calibration, loads no foreign file."""

import concurrent.futures
import doctest
import io
import json
import os
import pathlib
import pickle
import re
import shutil
import weakref
import zipfile

import backends
import keras
import numpy as np
import pytest

from crnn_keras import synth
from crnn_keras.char_dict import CharDict
from crnn_keras.data.labels import Sample
from crnn_keras.evaluation.confidence import calibrate
from crnn_keras.images import Canvas
from crnn_keras.inference import (
    BaseRecognizer,
    OnnxRecognizer,
    keras_file,
    load_images,
    recognizer as recognizer_module,
)
from crnn_keras.inference.recognizer import Recognizer
from crnn_keras.model.calibration import Calibration
from crnn_keras.model.crnn import build_crnn
from crnn_keras.model.decoding import Lexicon
from crnn_keras.model.saving import save_model

WORDS = ["lantern", "Mirror", "4711", "OCEAN"]


@pytest.fixture(scope="module")
def shipped():
    return Recognizer.load("words")


@pytest.fixture(scope="module")
def images():
    font = synth.bundled_fonts()[0]
    style = synth.Style.mild()
    return [synth.render_word(word, font, style, seed=1, index=i) for i, word in enumerate(WORDS)]


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_shipped_reader_reads_clean_words(shipped, images):
    predictions = shipped.read(images)
    assert [p.text for p in predictions] == [word.lower() for word in WORDS]
    assert all(0.5 < prediction.confidence <= 1 for prediction in predictions)
    assert [len(prediction.spans) for prediction in predictions] == [len(word) for word in WORDS]


def test_the_other_shipped_reader_reads_capitals_and_punctuation(images):
    reader = Recognizer.load("ascii")
    assert reader.char_dict == CharDict.from_preset("ascii")
    assert reader.model.count_params() <= 1e6 and reader.calibration is not None
    font = synth.bundled_fonts()[0]
    marked = synth.render_word("$12.50", font, synth.Style.mild(), seed=1)
    predictions = reader.read([*images, marked])
    assert [p.text for p in predictions] == [*WORDS, "$12.50"]


def test_samples_are_read_and_named_by_the_place_of_their_labels(shipped, images, tmp_path):
    images[0].save(tmp_path / "a.png")
    samples = [
        Sample(str(tmp_path / "a.png"), "lantern", "labels.tsv, line 1"),
        Sample(str(tmp_path / "b.png"), "mirror", "labels.tsv, line 2"),
    ]
    read, missing = shipped.read(samples)
    assert (read.text, read.source) == ("lantern", "labels.tsv, line 1")
    assert missing.text is None and "b.png" in missing.error


def test_arrays_paths_bytes_and_images_read_the_same(shipped, images, tmp_path):
    path = tmp_path / "word.png"
    path.write_bytes(png(images[0]))
    gray = np.asarray(images[0])
    forms = [path, str(path), png(images[0]), images[0], gray, np.stack([gray] * 3, axis=-1)]
    predictions = shipped.read(forms)
    assert {p.text for p in predictions} == {"lantern"}
    assert len({p.confidence for p in predictions}) == 1


def test_one_image_alone(shipped, images):
    assert [p.text for p in shipped.read(images[0])] == ["lantern"]


def test_folder_is_read_in_order_and_other_files_are_named(shipped, images, tmp_path):
    for index, image in enumerate(images):
        image.save(tmp_path / f"{index}.png")
    (tmp_path / "notes.txt").write_text("no image")
    predictions = shipped.read(tmp_path)
    assert [p.text for p in predictions] == [*map(str.lower, WORDS), None]
    assert "notes.txt" in predictions[-1].error


def test_a_bad_image_gives_an_error_and_the_others_are_read(shipped, images, tmp_path):
    truncated = png(images[0])[:-300]
    given = [images[0], truncated, tmp_path / "missing.png", b"", np.zeros((0, 5), np.uint8)]
    predictions = shipped.read([*given, images[1]])
    assert [p.text for p in predictions] == [
        "lantern",
        None,
        None,
        None,
        None,
        "mirror",
    ]
    assert all(p.error and p.confidence == 0 for p in predictions[1:5])
    assert "missing.png" in predictions[2].error


def test_no_images_give_no_predictions(shipped):
    assert shipped.read([]) == []


def test_a_prediction_does_not_depend_on_its_neighbours():
    char_dict = CharDict.from_preset("digits")
    reader = Recognizer(build_crnn(char_dict, Canvas("keep", 32, (48, 96, 160)), seed=3))
    rng = np.random.default_rng(0)
    sizes = [(20, 30), (32, 150), (40, 60), (32, 900), (10, 10)]
    given = [rng.integers(0, 256, size, dtype=np.uint8) for size in sizes]
    together = reader.read(given, batch_size=2)
    for image, prediction in zip(given, together, strict=True):
        alone = reader.read(image)[0]
        assert alone.text == prediction.text
        assert alone.confidence == pytest.approx(prediction.confidence, rel=1e-4)


def test_a_reader_is_calibrated_and_saved_with_it(tmp_path):
    recognizer = Recognizer(build_crnn(CharDict.from_preset("digits")))
    noise = np.random.default_rng(0).integers(0, 256, (20, 32, 100), dtype=np.uint8)
    before = recognizer.read(list(noise))
    targets = [prediction.text if i % 2 else "wrong" for i, prediction in enumerate(before)]
    recognizer.calibration = calibrate(before, targets)
    assert isinstance(recognizer.model.calibration, Calibration)
    recognizer.save(tmp_path / "reader.keras")
    after = Recognizer.load(tmp_path / "reader.keras").read(list(noise))
    for prediction, plain in zip(after, before, strict=True):
        assert prediction.text == plain.text
        assert prediction.raw_confidence == pytest.approx(plain.confidence, rel=1e-4)
        # Half of them are correct, whatever their confidence.
        assert 0.2 < prediction.confidence < 0.8


def test_a_lexicon_decides_between_its_words(shipped, images):
    lexicons = [
        Lexicon(words, shipped.char_dict)
        for words in (["Lantarn", "Bantern"], ["mirror"], ["4712", "4611"], ["river"])
    ]
    predictions = shipped.read(images, lexicon=lexicons, delta=1)
    assert [p.raw_text for p in predictions] == [word.lower() for word in WORDS]
    assert [prediction.choice.candidates for prediction in predictions] == [2, 1, 2, 0]
    assert predictions[0].text in lexicons[0].words and predictions[2].text in lexicons[2].words
    assert (predictions[1].text, predictions[3].text) == ("mirror", "ocean")
    # The network would have read another text and gives this one little probability.
    assert predictions[0].raw_confidence < 0.5 < predictions[1].raw_confidence


def test_missing_reader_names_the_shipped_ones(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere\.keras .*words, words-large, ascii, lines"):
        Recognizer.load(tmp_path / "nowhere.keras")


def test_keras_file_of_another_program_is_refused(tmp_path):
    path = tmp_path / "other.keras"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(path)
    with pytest.raises(ValueError, match=r"other\.keras .*Sequential.*CRNN"):
        Recognizer.load(path)


def test_file_that_is_no_archive_is_refused(tmp_path):
    path = tmp_path / "text.keras"
    path.write_text("weights")
    with pytest.raises(ValueError, match=r"text\.keras"):
        Recognizer.load(path)


def test_truncated_reader_is_refused(tmp_path):
    path = tmp_path / "cut.keras"
    path.write_bytes(recognizer_module.SHIPPED["words"].read_bytes()[:-5000])
    with pytest.raises(ValueError, match=r"cut\.keras"):
        Recognizer.load(path)


def test_archive_that_would_unpack_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(keras_file, "MAX_MODEL_UNPACKED_BYTES", 1000)
    with pytest.raises(ValueError, match=r"words\.keras .*[0-9],[0-9]{3} bytes"):
        Recognizer.load("words")


def test_code_in_a_config_is_not_run(tmp_path):
    # A Lambda in a file that claims to hold a CRNN: its marshalled code must never be unpacked.
    path = tmp_path / "evil.keras"
    source = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x + 1)])
    source.save(tmp_path / "lambda.keras")
    with zipfile.ZipFile(tmp_path / "lambda.keras") as good, zipfile.ZipFile(path, "w") as bad:
        config = json.loads(good.read("config.json"))
        config["registered_name"] = "crnn_keras>CRNN"
        for name in good.namelist():
            content = json.dumps(config) if name == "config.json" else good.read(name)
            bad.writestr(name, content)
    with pytest.raises(ValueError, match=r"evil\.keras"):
        Recognizer.load(path)


def test_two_that_save_one_file_leave_a_whole_one(tmp_path):
    models = [build_crnn(CharDict.from_preset("digits"), seed=seed) for seed in (1, 2)]
    path = tmp_path / "model.keras"
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(save_model, models * 4, [path] * 8))
    assert os.listdir(tmp_path) == ["model.keras"]
    loaded = Recognizer.load(path).model.get_weights()[0]
    assert any(np.array_equal(loaded, model.get_weights()[0]) for model in models)


def test_a_block_closes_what_it_read_with(images, tmp_path):
    with Recognizer(build_crnn(CharDict.from_preset("digits"))) as reader:
        assert len(reader.read(images)) == len(images)
        model = weakref.ref(reader.model)
    reader.close()
    for use in (
        lambda: reader.read([]),
        lambda: reader.save(tmp_path / "a.keras"),
        lambda: pickle.dumps(reader),
        lambda: reader.calibration,
    ):
        with pytest.raises(ValueError, match="closed.*Load it again"):
            use()
    assert reader.model is None and not list(tmp_path.iterdir())
    # Whoever else has the model may go on with it.
    assert model() is None or model().char_dict == CharDict.from_preset("digits")


def test_an_onnx_file_is_read_on_onnx_runtime(tmp_path, images):
    shutil.copy(recognizer_module.SHIPPED["words"].with_suffix(".onnx"), tmp_path / "mine.onnx")
    reader = Recognizer.load(tmp_path / "mine.onnx")
    assert isinstance(reader, OnnxRecognizer)
    assert [p.text for p in reader.read(images)] == [word.lower() for word in WORDS]
    with pytest.raises(ValueError, match=r"mine\.onnx .*\.keras"):
        reader.model  # noqa: B018


def test_a_model_of_another_class_is_refused():
    with pytest.raises(ValueError, match="model"):
        Recognizer(keras.Sequential())


@pytest.mark.parametrize("name", ["model", "model.h5", "model.keras.zip"])
def test_a_name_that_keras_does_not_take_is_refused(name, shipped, tmp_path):
    with pytest.raises(ValueError, match=rf"{name} .*\.keras"):
        shipped.save(tmp_path / "new" / name)
    assert not os.listdir(tmp_path)


def test_processes_load_what_threads_load(monkeypatch, char_dict, tmp_path):
    """As on a GPU, where the threads of one process would be too slow."""
    paths = []
    for index in range(6):
        paths.append(str(tmp_path / f"{index}.png"))
        synth.render_word(f"word{index}", synth.bundled_fonts()[0], seed=index).save(paths[-1])
    encoded = [pathlib.Path(path).read_bytes() for path in paths]
    images = [
        *paths,
        "no_such.png",
        *encoded,
        np.zeros((20, 60), np.uint8),
        synth.render_word("pillow", synth.bundled_fonts()[0], seed=7),
        b"no image",
        *paths,
    ]
    reader = Recognizer(build_crnn(char_dict))
    expected = reader.read(images, batch_size=2)
    monkeypatch.setattr("crnn_keras.inference.recognizer.on_cpu", lambda: False)
    monkeypatch.setattr("crnn_keras.inference.recognizer._WINDOWS_OF_THREADS", 2)
    monkeypatch.setattr(reader, "threads", 3)
    assert reader.read(images, batch_size=2) == expected
    errors = [prediction.error for prediction in expected if prediction.error]
    assert len(errors) == 2 and "no_such.png does not exist" in errors[0]


@pytest.mark.backends
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_threads_and_processes_read_as_one_alone(backend, tmp_path):
    backends.skip_unless_installed(backend)
    worker = pathlib.Path(__file__).with_name("recognizer_worker.py")
    backends.run_worker(backend, worker, tmp_path / "found.json")
    found = json.loads((tmp_path / "found.json").read_text())
    texts = found["alone"]
    assert texts[:2] == ["lantern", "mirror"]
    assert found["threads"] == [texts[: 1 + job % 8] for job in range(40)]
    assert found["pickled"] == found["process"] == texts
    # At once, not after a minute of waiting for threads that are not there.
    for error in found["forks"]:
        assert {"spawn", "loky", "OnnxRecognizer"} <= set(re.findall(r"\w+", error))


@pytest.mark.parametrize("documented", [BaseRecognizer, Recognizer, load_images])
def test_examples_give_what_they_show(documented, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(pathlib.Path(__file__).parent.parent / "examples" / "exit.png", tmp_path)
    found = doctest.DocTestFinder().find(documented, globs={})
    results = [doctest.DocTestRunner().run(example) for example in found]
    assert sum(r.attempted for r in results) > 0 == sum(r.failed for r in results)
