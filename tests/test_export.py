"""Exports predict what `Recognizer` predicts: a SavedModel without Keras, ONNX on its runtime."""

import collections
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from keras import ops

from crnn_keras import synth
from crnn_keras.char_dict import CharDict
from crnn_keras.data import records
from crnn_keras.images import Canvas, to_canvas
from crnn_keras.inference.export import export_onnx, export_saved_model
from crnn_keras.inference.export.confidence import calibrate, text_probability
from crnn_keras.inference.recognizer import SHIPPED, Recognizer
from crnn_keras.model import decoding
from crnn_keras.model.calibration import Calibration
from crnn_keras.model.crnn import build_crnn
from crnn_keras.model.decoding.best_path import best_path
from crnn_keras.model.saving import save_model

pytestmark = pytest.mark.slow

COUNT = 200
CALIBRATION = Calibration(0.5, 1.0)

# Runs where neither Keras nor crnn_keras can be imported.
CLIENT = """
import json, pathlib, sys
for name in ("keras", "crnn_keras", "PIL"):
    sys.modules[name] = None
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
read = model.signatures["serving_default"]
folder = pathlib.Path(sys.argv[2])
images = [path.read_bytes() for path in sorted(folder.iterdir())]
answer = read(image_bytes=tf.constant(images))
one = read(image_bytes=tf.constant(images[:1]))
none = read(image_bytes=tf.constant([], tf.string))
errors = {}
for name in ("text", "cut", "bomb", "empty"):
    try:
        read(image_bytes=tf.constant([images[0], (folder.parent / "bad" / name).read_bytes()]))
        errors[name] = None
    except tf.errors.InvalidArgumentError as error:
        errors[name] = str(error)
print(json.dumps({
    "texts": [text.decode() for text in answer["text"].numpy()],
    "confidences": answer["confidence"].numpy().tolist(),
    "one": one["text"].numpy()[0].decode(),
    "none": none["text"].shape.as_list(),
    "errors": errors,
}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, png_of_size):
    """Images of rendered words in jpeg, png and bmp, and some that are none."""
    top = tmp_path_factory.mktemp("export")
    (top / "images").mkdir()
    words = synth.WordTexts(synth.read_words(), seed=99)
    texts = [words.text(index) for index in range(COUNT)]
    fonts = synth.bundled_fonts()
    for index, text in enumerate(texts):
        font = fonts[index % len(fonts)]
        suffix = ("jpg", "png", "bmp")[index % 3]
        image = synth.render_word(text, font, seed=99, index=index)
        image.save(top / "images" / f"{index:03d}.{suffix}")
    (top / "bad").mkdir()
    (top / "bad" / "text").write_text("no image")
    whole = (top / "images" / "001.png").read_bytes()
    (top / "bad" / "cut").write_bytes(whole[: len(whole) // 2])
    (top / "bad" / "bomb").write_bytes(png_of_size(40_000, 40_000))
    (top / "bad" / "empty").write_bytes(b"")
    return top


def ask(saved_model, folder):
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", CLIENT, str(saved_model), str(folder / "images")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(result.stdout)


def test_a_saved_model_predicts_what_the_recognizer_predicts_on_200_images(folder, tmp_path):
    recognizer = Recognizer.load("words")
    recognizer.calibration = CALIBRATION
    save_model(recognizer.model, tmp_path / "words.keras")
    saved_model = export_saved_model(tmp_path / "words.keras", tmp_path / "reader", version=3)
    assert saved_model == tmp_path / "reader" / "3"
    assert (saved_model / "saved_model.pb").is_file()
    assert [path.name for path in (tmp_path / "reader").iterdir()] == ["3"]

    answer = ask(saved_model, folder)
    predictions = recognizer.read(folder / "images")
    assert answer["texts"] == [p.text for p in predictions]
    confidences = [p.confidence for p in predictions]
    np.testing.assert_allclose(answer["confidences"], confidences, rtol=1e-3, atol=1e-6)
    raw = [p.raw_confidence for p in predictions]
    assert np.abs(np.subtract(confidences, raw)).max() > 0.1
    assert len(set(answer["texts"])) > COUNT / 2
    assert answer["one"] == answer["texts"][0]
    assert answer["none"] == [0]
    assert "jpeg, png or bmp" in answer["errors"]["text"]
    assert "jpeg, png or bmp" in answer["errors"]["empty"]
    assert "50,000,000 pixels" in answer["errors"]["bomb"]
    assert answer["errors"]["cut"]


def test_keeps_aspect_and_unicode(folder, tmp_path):
    canvas = Canvas("keep", 32, (48, 96, 160))
    model = build_crnn(CharDict("省京沪川0123456789"), canvas, seed=5)
    kernel = model.get_layer("logits").kernel
    kernel.assign(np.random.default_rng(0).normal(0, 3, kernel.shape))
    save_model(model, tmp_path / "keep.keras")
    answer = ask(export_saved_model(tmp_path / "keep.keras", tmp_path / "keep"), folder)
    predictions = Recognizer.load(tmp_path / "keep.keras").read(folder / "images")
    assert answer["texts"] == [p.text for p in predictions]
    confidences = [p.confidence for p in predictions]
    np.testing.assert_allclose(answer["confidences"], confidences, rtol=1e-3, atol=1e-6)
    assert any(character in "省京沪川" for text in answer["texts"] for character in text)


@pytest.mark.parametrize(
    "calibration", [Calibration(), CALIBRATION, Calibration(0.001, 3.0), Calibration(40.0, -9.0)]
)
def test_calibration_by_keras_operations_is_that_by_numpy(calibration):
    near_one = 1 - np.arange(50) * 2.0**-24
    parts = [np.linspace(0, 1, 1001), np.geomspace(1e-30, 1), near_one]
    confidences = np.concatenate(parts)
    found = ops.convert_to_numpy(calibrate(ops.convert_to_tensor(confidences), calibration))
    np.testing.assert_allclose(found, calibration.apply(confidences), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("scale", "frames"), [(0.5, 1), (2.0, 7), (9.0, 25), (60.0, 12)])
def test_probabilities_by_keras_operations_are_those_by_numpy(scale, frames):
    char_dict = CharDict("abc")
    logits = np.random.default_rng(frames).normal(0, scale, (30, frames, 4)).astype(np.float32)
    # Texts without a character, with one, and with equal neighbours.
    logits[0, :, 0] += 1e3
    logits[1, :, 1] += 1e3
    logits[2, ::2, 2] += 1e3
    logits[2, 1::2, 0] += 1e3
    ids = [found.ids for found in best_path(logits, char_dict)]
    padded = np.array([[*own, *[0] * (frames - len(own))] for own in ids])
    found = ops.convert_to_numpy(text_probability(logits, padded))
    expected = decoding.likelihoods(logits, ids)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert expected[:3] == pytest.approx(1) and len({len(i) for i in ids}) >= min(frames, 4)


def test_a_version_is_replaced_as_a_whole(tmp_path):
    first = export_saved_model(SHIPPED["words"], tmp_path / "reader")
    (first / "left_over").write_text("of the old one")
    assert export_saved_model(SHIPPED["words"], tmp_path / "reader") == first
    assert not (first / "left_over").exists()


@pytest.mark.parametrize("export", [export_saved_model, export_onnx])
def test_a_missing_model_is_refused(tmp_path, export):
    with pytest.raises(ValueError, match=r"none\.keras"):
        export(tmp_path / "none.keras", tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def onnx_files(tmp_path_factory):
    """Function that exports a model to ONNX once; it returns the path, the recognizer, the file."""
    onnx = pytest.importorskip("onnx")
    from crnn_keras.inference.onnx_recognizer import OnnxRecognizer

    made = {}

    def exported(preset, canvas):
        if (preset, canvas) in made:
            return made[preset, canvas]
        folder = tmp_path_factory.mktemp("onnx")
        if preset == "words":
            path = SHIPPED["words"]
        else:
            path = folder / "reader.keras"
            model = build_crnn(CharDict("省京沪川0123456789"), canvas, preset, seed=5)
            kernel = model.get_layer("logits").kernel
            kernel.assign(np.random.default_rng(0).normal(0, 3, kernel.shape))
            model.calibration = CALIBRATION
            save_model(model, path)
        assert export_onnx(path, folder / "reader.onnx") < 1e-4
        assert [p.suffix for p in folder.iterdir() if p != path] == [".onnx"]
        network = onnx.load(folder / "reader.onnx")
        made[preset, canvas] = path, OnnxRecognizer.load(folder / "reader.onnx"), network
        return made[preset, canvas]

    return exported


KEEP = Canvas("keep", 32, (48, 96, 160))
WORDS = Canvas("stretch", 32, (128,))


@pytest.mark.parametrize(("preset", "canvas"), [("words", WORDS), ("small", KEEP)])
def test_onnx_reads_as_the_recognizer_on_200_images(folder, onnx_files, preset, canvas):
    path, exported, _ = onnx_files(preset, canvas)
    recognizer = Recognizer.load(path)
    assert exported.char_dict == recognizer.char_dict and exported.canvas == recognizer.canvas
    assert exported.calibration == recognizer.calibration
    ours, theirs = (r.read(folder / "images") for r in (exported, recognizer))
    assert [p.text for p in ours] == [p.text for p in theirs]
    assert [p.source for p in ours] == [p.source for p in theirs]
    confidences = [[p.confidence for p in predictions] for predictions in (ours, theirs)]
    np.testing.assert_allclose(*confidences, rtol=1e-3, atol=1e-6)
    # Random weights read similar texts, but not all the same.
    assert len({p.text for p in ours}) > COUNT / 4
    for image in sorted((folder / "images").iterdir())[:20]:
        batch = to_canvas(image, canvas)[None].repeat(3, axis=0)
        np.testing.assert_allclose(
            exported.predict_logits(batch), recognizer.predict_logits(batch), atol=1e-4
        )


def test_onnx_names_bad_images_as_the_recognizer(folder, onnx_files):
    path, exported, _ = onnx_files("words", WORDS)
    bad = sorted((folder / "bad").iterdir())
    ours, theirs = (reader.read(bad) for reader in (exported, Recognizer.load(path)))
    assert ours == theirs
    assert all(p.error for p in ours)


@pytest.mark.parametrize(
    ("preset", "canvas", "layers", "convolutions"),
    [("words", WORDS, 1, 10), ("small", KEEP, 1, 7), ("paper", KEEP, 2, 7)],
)
def test_each_bilstm_is_folded_into_lstm_nodes(onnx_files, preset, canvas, layers, convolutions):
    _, _, network = onnx_files(preset, canvas)
    kinds = collections.Counter(node.op_type for node in network.graph.node)
    assert not {"Loop", "Scan", "If", "BatchNormalization"} & set(kinds)
    directions = 0
    for node in network.graph.node:
        if node.op_type == "LSTM":
            named = [a.s for a in node.attribute if a.name == "direction"]
            directions += 2 if named == [b"bidirectional"] else 1
    assert directions == 2 * layers
    assert kinds["Conv"] == convolutions


def test_a_reader_in_mixed_precision_is_exported_in_float32(tmp_path):
    pytest.importorskip("onnx")
    model = build_crnn(CharDict.from_preset("digits"), precision="mixed_bfloat16")
    save_model(model, tmp_path / "mixed.keras")
    assert export_onnx(tmp_path / "mixed.keras", tmp_path / "plain.onnx") < 1e-4


@pytest.mark.parametrize(
    ("weights", "apart", "share", "same"), [("float16", 0.1, 0.55, 59), ("int8", 1.0, 0.3, 57)]
)
def test_rounded_weights_make_a_smaller_file_and_the_same_predictions(
    tmp_path, onnx_files, weights, apart, share, same
):
    from crnn_keras.inference.onnx_recognizer import OnnxRecognizer

    path, _, network = onnx_files("words", WORDS)
    recognizer = Recognizer.load(path)
    # Off the grid on which the shipped reader's weights lie.
    rng = np.random.default_rng(4)
    for weight in recognizer.model.weights:
        weight.assign(weight.numpy() * rng.uniform(0.98, 1.02, weight.shape))
    save_model(recognizer.model, tmp_path / "words.keras")
    file = tmp_path / "rounded.onnx"
    assert 1e-4 < export_onnx(tmp_path / "words.keras", file, weights=weights) < apart
    assert file.stat().st_size < share * len(network.SerializeToString())
    fonts = synth.bundled_fonts()
    images = [synth.render_word(f"word{n}", fonts[n % 20], seed=3, index=n) for n in range(60)]
    pairs = zip(OnnxRecognizer.load(file).read(images), recognizer.read(images), strict=True)
    assert sum(here.text == there.text for here, there in pairs) >= same


def test_eight_bits_by_hand():
    pytest.importorskip("onnx")
    from crnn_keras.inference.export import onnx_graph

    # The first unit's 1.27 is 127 steps of 0.01, the second unit's 32 is 64 steps of 0.5.
    values = np.array([[1.27, -0.5, 0.03], [32.0, -0.5, 1.5], [0, 0, 0]], np.float32)
    rounded, scales = onnx_graph.quantize_per_channel(values, (0,))
    assert rounded.tolist() == [[127, -50, 3], [64, -1, 3], [0, 0, 0]]
    np.testing.assert_allclose(scales, [[0.01], [0.5], [1 / 64]], rtol=1e-6)


@pytest.mark.parametrize("axes", [(0,), (-1,), (0, 1)])
def test_weights_that_lie_on_a_grid_are_kept_exactly(axes):
    pytest.importorskip("onnx")
    from crnn_keras.inference.export import onnx_graph

    rng = np.random.default_rng(1)
    grid = np.exp2(rng.integers(-9, -3, (3, 5, 1) if len(axes) == 2 else (3, 1, 1)))
    grid = np.swapaxes(grid, 0, 2) if axes == (-1,) else grid
    # Like the kernel of a convolution after its batch norm is folded in.
    scale = grid * rng.uniform(0.3, 3, grid.shape)
    values = (rng.integers(-63, 64, (3, 5, 3)) * scale).astype(np.float32)
    rounded, scales = onnx_graph.quantize_per_channel(values, axes)
    np.testing.assert_allclose(rounded * scales, values, rtol=1e-6)


@pytest.mark.parametrize(("reader", "apart"), [("words", 1e-3), ("ascii", 0.1)])
def test_the_shipped_files_hold_the_same_reader(folder, reader, apart):
    pytest.importorskip("onnxruntime")
    from crnn_keras.inference.onnx_recognizer import OnnxRecognizer

    recognizer = Recognizer.load(reader)
    paths = sorted((folder / "images").iterdir())[:32]
    canvases = np.stack([to_canvas(path, recognizer.canvas) for path in paths])
    exported = OnnxRecognizer.load(reader).predict_logits(canvases)
    np.testing.assert_allclose(exported, recognizer.predict_logits(canvases), rtol=0, atol=apart)


def test_weights_of_an_unknown_type_are_refused(tmp_path):
    with pytest.raises(ValueError, match="'int4'.*float32.*float16.*int8"):
        export_onnx("words", tmp_path / "words.onnx", weights="int4")


def test_onnx_names_its_input_its_output_and_the_sizes_that_vary(onnx_files):
    for preset, canvas, width in (("words", WORDS, 128), ("small", KEEP, "width")):
        _, _, network = onnx_files(preset, canvas)
        ends = {
            value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
            for value in (*network.graph.input, *network.graph.output)
        }
        classes = 37 if preset == "words" else 15
        assert ends["canvases"] == ["batch", 32, width, 1]
        assert ends["logits"] == ["batch", "frames", classes]


def test_records_store_what_tensorflow_can_decode(tmp_path):
    # webp is read by Pillow only: it is stored as png.
    font = synth.bundled_fonts()[0]
    image = synth.render_word("webp", font, seed=1)
    image.save(tmp_path / "word.webp", lossless=True)
    record = records.make_record((tmp_path / "word.webp").read_bytes(), "webp", "word.webp")
    assert record.encoded.startswith(b"\x89PNG")
