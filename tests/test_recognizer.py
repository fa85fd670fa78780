"""`Recognizer`: any sort of image in, readings out, and nothing foreign loaded."""

import io
import json
import zipfile

import keras
import numpy as np
import pytest

from crnn_keras import synth
from crnn_keras.char_dict import CharDict
from crnn_keras.data.labels import Sample
from crnn_keras.evaluation.confidence import Calibration, calibrate
from crnn_keras.images import Canvas
from crnn_keras.inference import recognizer as recognizer_module
from crnn_keras.inference.recognizer import Recognizer
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
    readings = shipped.read(images)
    assert [reading.text for reading in readings] == [word.lower() for word in WORDS]
    assert all(0.5 < reading.confidence <= 1 for reading in readings)
    assert [len(reading.spans) for reading in readings] == [len(word) for word in WORDS]


def test_the_other_shipped_reader_tells_capitals_and_marks(images):
    reader = Recognizer.load("ascii")
    assert reader.char_dict == CharDict.from_preset("ascii")
    assert reader.model.count_params() <= 1e6 and reader.calibration is not None
    font = synth.bundled_fonts()[0]
    marked = synth.render_word("$12.50", font, synth.Style.mild(), seed=1)
    readings = reader.read([*images, marked])
    assert [reading.text for reading in readings] == [*WORDS, "$12.50"]


def test_samples_are_read_and_named_by_where_their_labels_stand(shipped, images, tmp_path):
    images[0].save(tmp_path / "a.png")
    samples = [
        Sample(str(tmp_path / "a.png"), "lantern", "labels.tsv, line 1"),
        Sample(str(tmp_path / "b.png"), "mirror", "labels.tsv, line 2"),
    ]
    read, missing = shipped.read(samples)
    assert (read.text, read.source) == ("lantern", "labels.tsv, line 1")
    assert missing.text is None and "b.png does not exist" in missing.error


def test_arrays_paths_bytes_and_images_read_the_same(shipped, images, tmp_path):
    path = tmp_path / "word.png"
    path.write_bytes(png(images[0]))
    gray = np.asarray(images[0])
    forms = [path, str(path), png(images[0]), images[0], gray, np.stack([gray] * 3, axis=-1)]
    readings = shipped.read(forms)
    assert {reading.text for reading in readings} == {"lantern"}
    assert len({reading.confidence for reading in readings}) == 1


def test_one_image_alone(shipped, images):
    assert [reading.text for reading in shipped.read(images[0])] == ["lantern"]


def test_folder_is_read_in_order_and_other_files_are_named(shipped, images, tmp_path):
    for number, image in enumerate(images):
        image.save(tmp_path / f"{number}.png")
    (tmp_path / "notes.txt").write_text("no image")
    readings = shipped.read(tmp_path)
    assert [reading.text for reading in readings] == [*map(str.lower, WORDS), None]
    assert "notes.txt" in readings[-1].error and "not an image" in readings[-1].error


def test_a_bad_image_gives_an_error_and_the_others_are_read(shipped, images, tmp_path):
    truncated = png(images[0])[:-300]
    given = [images[0], truncated, tmp_path / "missing.png", b"", np.zeros((0, 5), np.uint8)]
    readings = shipped.read([*given, images[1]])
    assert [reading.text for reading in readings] == ["lantern", None, None, None, None, "mirror"]
    assert all(reading.error and reading.confidence == 0 for reading in readings[1:5])
    assert "does not exist" in readings[2].error


def test_no_images_no_readings(shipped):
    assert shipped.read([]) == []


def test_a_reading_does_not_depend_on_its_neighbours():
    char_dict = CharDict.from_preset("digits")
    reader = Recognizer(build_crnn(char_dict, Canvas("keep", 32, (48, 96, 160)), seed=3))
    rng = np.random.default_rng(0)
    sizes = [(20, 30), (32, 150), (40, 60), (32, 900), (10, 10)]
    given = [rng.integers(0, 256, size, dtype=np.uint8) for size in sizes]
    together = reader.read(given, batch_size=2)
    for image, reading in zip(given, together, strict=True):
        alone = reader.read(image)[0]
        assert alone.text == reading.text
        assert alone.confidence == pytest.approx(reading.confidence, rel=1e-4)


def test_a_reader_is_calibrated_and_saved_with_it(tmp_path):
    recognizer = Recognizer(build_crnn(CharDict.from_preset("digits")))
    noise = np.random.default_rng(0).integers(0, 256, (20, 32, 100), dtype=np.uint8)
    before = recognizer.read(list(noise))
    targets = [reading.text if i % 2 else "wrong" for i, reading in enumerate(before)]
    recognizer.calibration = calibrate(before, targets)
    assert isinstance(recognizer.model.calibration, Calibration)
    save_model(recognizer.model, tmp_path / "reader.keras")
    after = Recognizer.load(tmp_path / "reader.keras").read(list(noise))
    for reading, plain in zip(after, before, strict=True):
        assert reading.text == plain.text
        assert reading.raw_confidence == pytest.approx(plain.confidence, rel=1e-4)
        # Half of them are right, whatever their confidence.
        assert 0.2 < reading.confidence < 0.8


def test_a_lexicon_decides_between_its_words(shipped, images):
    lexicons = [
        Lexicon(words, shipped.char_dict)
        for words in (["Lantarn", "Bantern"], ["mirror"], ["4712", "4611"], ["river"])
    ]
    readings = shipped.read(images, lexicon=lexicons, delta=1)
    assert [reading.raw_text for reading in readings] == [word.lower() for word in WORDS]
    assert [reading.choice.candidates for reading in readings] == [2, 1, 2, 0]
    assert readings[0].text in lexicons[0].words and readings[2].text in lexicons[2].words
    assert (readings[1].text, readings[3].text) == ("mirror", "ocean")
    # Not what the network would have read: it thinks little of it.
    assert readings[0].raw_confidence < 0.5 < readings[1].raw_confidence


def test_missing_reader_names_the_shipped_ones(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere\.keras does not exist.*words"):
        Recognizer.load(tmp_path / "nowhere.keras")


def test_keras_file_of_another_program_is_refused(tmp_path):
    path = tmp_path / "other.keras"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(path)
    with pytest.raises(ValueError, match=r"other\.keras holds a Sequential of another program"):
        Recognizer.load(path)


def test_file_that_is_no_archive_is_refused(tmp_path):
    path = tmp_path / "text.keras"
    path.write_text("weights")
    with pytest.raises(ValueError, match=r"text\.keras is no \.keras file"):
        Recognizer.load(path)


def test_truncated_reader_is_refused(tmp_path):
    path = tmp_path / "cut.keras"
    path.write_bytes(recognizer_module.SHIPPED["words"].read_bytes()[:-5000])
    with pytest.raises(ValueError, match=r"cut\.keras"):
        Recognizer.load(path)


def test_archive_that_would_unpack_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(recognizer_module, "_MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(ValueError, match="would unpack to"):
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
    with pytest.raises(ValueError, match=r"evil\.keras cannot be loaded"):
        Recognizer.load(path)
