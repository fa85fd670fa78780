"""OpenVINO and LiteRT exports read what `Recognizer` reads, and all formats are compared."""

import json
import operator
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from crnn_keras import synth
from crnn_keras.char_dict import CharDict
from crnn_keras.images import Canvas
from crnn_keras.inference import load_images
from crnn_keras.inference.export import export_litert, export_openvino
from crnn_keras.inference.recognizer import Recognizer
from crnn_keras.model.calibration import Calibration
from crnn_keras.model.crnn import build_crnn
from crnn_keras.model.saving import save_model

pytest.importorskip("openvino")
pytest.importorskip("ai_edge_litert")

from crnn_keras.evaluation import exports  # noqa: E402
from crnn_keras.evaluation.exports import compare_exports  # noqa: E402
from crnn_keras.inference.litert_recognizer import LiteRTRecognizer  # noqa: E402
from crnn_keras.inference.openvino_recognizer import OpenVinoRecognizer  # noqa: E402

pytestmark = pytest.mark.slow

COUNT = 200
KEEP = Canvas("keep", 32, (48, 96, 160))
FORMATS = {
    "openvino": (export_openvino, OpenVinoRecognizer, ".xml"),
    "litert": (export_litert, LiteRTRecognizer.load, ".tflite"),
}


@pytest.fixture(scope="module")
def labelled():
    """Pairs of a rendered word and its text."""
    texts, fonts = synth.WordTexts(synth.read_words(), seed=99), synth.bundled_fonts()
    return [
        (
            synth.render_word(texts.text(index), fonts[index % len(fonts)], seed=99, index=index),
            texts.text(index),
        )
        for index in range(COUNT)
    ]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A small model of several canvas widths, with weights that tell images apart."""
    path = tmp_path_factory.mktemp("fresh") / "model.keras"
    model = build_crnn(CharDict.from_preset("alphanumeric36"), KEEP, architecture="small")
    kernel = model.get_layer("logits").kernel
    kernel.assign(np.random.default_rng(0).normal(0, 3, kernel.shape))
    model.calibration = Calibration(0.5, 1.0)
    save_model(model, path)
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory, fresh):
    """Exports a model once: its path, what reads the export, and the largest difference."""
    made = {}

    def export(name, model, weights="float32"):
        key = name, model, weights
        if key not in made:
            write, load, suffix = FORMATS[name]
            path = tmp_path_factory.mktemp(name) / f"model{suffix}"
            difference = write(fresh if model == "fresh" else model, path, weights=weights)
            made[key] = path, load(path), difference
        return made[key]

    return export


@pytest.mark.parametrize("model", ["words", "fresh"])
@pytest.mark.parametrize("name", FORMATS)
def test_an_export_reads_as_the_recognizer_on_200_images(exported, labelled, fresh, name, model):
    _, ours, difference = exported(name, model)
    recognizer = Recognizer.load(fresh if model == "fresh" else model)
    assert difference < 1e-4
    assert (ours.char_dict, ours.canvas) == (recognizer.char_dict, recognizer.canvas)
    assert ours.calibration == recognizer.calibration
    assert (ours.language_model is None) == (recognizer.language_model is None)
    images = [image for image, _ in labelled]
    found, expected = (reader.read(images) for reader in (ours, recognizer))
    assert [p.text for p in found] == [p.text for p in expected]
    np.testing.assert_allclose(
        [p.confidence for p in found], [p.confidence for p in expected], rtol=1e-3, atol=1e-5
    )
    for _, canvases in load_images(images[:20], ours.canvas).batches():
        np.testing.assert_allclose(
            ours.predict_logits(canvases), recognizer.predict_logits(canvases), atol=1e-3
        )


@pytest.mark.parametrize("name", FORMATS)
def test_float16_halves_the_weights_and_moves_logits_a_little(exported, name):
    sizes = {}
    for weights in ("float32", "float16"):
        path, _, difference = exported(name, "fresh", weights)
        sizes[weights] = sum(f.stat().st_size for f in path.parent.iterdir() if f.is_file())
    assert sizes["float16"] < 0.65 * sizes["float32"]
    assert 0 < difference < 0.1


def test_int8_of_litert_quarters_the_weights_and_reads_the_same_words(exported, labelled):
    path, reader, difference = exported("litert", "words", "int8")
    plain, recognizer, _ = exported("litert", "words")
    # All but the language model, which is as large in both.
    (metadata,) = zipfile.ZipFile(path).infolist()
    sizes = [file.stat().st_size - metadata.compress_size for file in (path, plain)]
    assert sizes[0] < 0.3 * sizes[1]
    # More than rounded weights alone would do: activations have 8 bits too.
    assert 0.1 < difference < 5
    texts, expected = (
        [p.text for p in own.read([image for image, _ in labelled], language_model=None)]
        for own in (reader, recognizer)
    )
    assert sum(map(operator.eq, texts, expected)) >= 0.97 * COUNT


@pytest.mark.parametrize("name", FORMATS)
def test_several_threads_read_what_one_reads(exported, labelled, name):
    _, reader, _ = exported(name, "fresh")
    images = [image for image, _ in labelled[:60]]
    expected = [p.text for p in reader.read(images)]
    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(reader.read, [images] * 4):
            assert [p.text for p in found] == expected


def test_a_litert_file_holds_its_metadata_as_a_zip(exported):
    path, reader, _ = exported("litert", "fresh")
    with zipfile.ZipFile(path) as archive:
        metadata = json.loads(archive.read("crnn_keras.json"))
    assert metadata["canvas"]["widths"] == [48, 96, 160]
    assert CharDict.from_config(metadata["char_dict"]) == reader.char_dict


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_no_export_is_refused_by_name(tmp_path, exported, name):
    _, load, suffix = FORMATS[name]
    bad = tmp_path / f"bad{suffix}"
    with pytest.raises(ValueError, match="bad.* does not exist"):
        load(bad)
    bad.write_bytes(b"no model")
    with pytest.raises(ValueError, match=f"bad{suffix}"):
        load(bad)
    cut = exported(name, "fresh")[0].read_bytes()
    bad.write_bytes(cut[: len(cut) // 2])
    with pytest.raises(ValueError, match=f"bad{suffix}"):
        load(bad)


def test_names_and_weights_that_cannot_be_are_refused_before_any_work(tmp_path):
    with pytest.raises(ValueError, match=r"words\.bin does not end in \.xml"):
        export_openvino("words", tmp_path / "words.bin")
    with pytest.raises(ValueError, match="weights.*int8"):
        export_openvino("words", tmp_path / "words.xml", weights="int8")
    with pytest.raises(ValueError, match="weights.*int4"):
        export_litert("words", tmp_path / "words.tflite", weights="int4")
    for write, _, suffix in FORMATS.values():
        with pytest.raises(ValueError, match="none.keras does not exist"):
            write("none.keras", tmp_path / f"x{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_formats_are_compared_side_by_side(tmp_path, labelled, fresh, monkeypatch):
    # Each of the nine takes seconds, and has its own tests.
    measured = {"saved_model", "onnx float32", "onnx float16", "litert int8"}
    formats = {own.name: own for own in exports._FORMATS}
    assert len(formats) == 9 and measured < set(formats)
    monkeypatch.setattr(exports, "_FORMATS", [formats[name] for name in sorted(measured)])
    figures = compare_exports(fresh, labelled[:24], folder=tmp_path / "all", rounds=2)
    names = [own.name for own in figures]
    assert names[0].startswith("keras on ") and set(names[1:]) == measured
    for own in (own for own in figures if not own.refusal):
        assert own.images == 24 and own.bytes > 10_000
        median, least, most = own.milliseconds
        assert 0 < least <= median <= most
        # Fresh weights read no word.
        assert own.correct == 0
        assert (own.difference is None) == (own.name == "saved_model")
    differences = {own.name: own.difference for own in figures}
    assert differences[names[0]] == 0 < differences["onnx float32"] < 1e-4
    assert 1e-4 < differences["onnx float16"] < 0.5


def test_nothing_to_compare_with_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no image"):
        compare_exports("words", [], folder=tmp_path)
