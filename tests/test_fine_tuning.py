"""Readers with another dictionary: what they knew they know, and they can learn the rest."""

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from crnn_keras import synth
from crnn_keras.char_dict import CharDict
from crnn_keras.images import Canvas, make_canvas, to_canvas
from crnn_keras.inference.recognizer import Recognizer
from crnn_keras.model import layers
from crnn_keras.model.calibration import Calibration
from crnn_keras.model.crnn import build_crnn
from crnn_keras.model.ctc import ctc_loss
from crnn_keras.model.saving import save_model
from crnn_keras.training import make_optimizer, training_model
from crnn_keras.training.fine_tuning import (
    NEW_PROBABILITY,
    describe_char_dict_change,
    load_for_fine_tuning,
    with_char_dict,
)

WORDS = ["lantern", "Mirror", "4711", "OCEAN", "bridge", "station", "hotel", "market"]
# Of the shipped reader's canvas.
WIDTH = 128
FRAMES = WIDTH // 4
LATIN = "0123456789abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(scope="module")
def shipped():
    recognizer = Recognizer.load("words")
    # Other characters lose it, and these tests compare confidences.
    recognizer.calibration = None
    return recognizer


@pytest.fixture(scope="module")
def images():
    """Words in several fonts, as rough as they are trained on, so that some are misread."""
    fonts = synth.bundled_fonts()
    texts = WORDS * 3
    return [synth.render_word(text, fonts[i % 20], seed=1, index=i) for i, text in enumerate(texts)]


@pytest.fixture(scope="module")
def before(shipped, images):
    return shipped.read(images)


def texts(readings):
    return [reading.text for reading in readings]


@pytest.mark.parametrize("new", ["中文é!", CharDict.from_preset("gb2312").characters])
def test_readings_are_unchanged_by_new_characters(shipped, images, before, new):
    extended = with_char_dict(shipped.model, CharDict(LATIN + new, fold_case=True))
    after = Recognizer(extended).read(images)
    assert extended.output_shape == (None, FRAMES, 37 + len(new))
    assert texts(after) == texts(before)
    for here, there in zip(before, after, strict=True):
        assert [span[:2] for span in here.spans] == [span[:2] for span in there.spans]
        assert 0 <= 1 - there.confidence / here.confidence + 1e-5 < FRAMES * NEW_PROBABILITY + 2e-5


def test_new_characters_are_never_likelier_than_the_blank(shipped):
    extended = with_char_dict(shipped.model, CharDict(LATIN + "中文é!", fold_case=True))
    noise = np.random.default_rng(0).integers(0, 256, (4, 32, WIDTH, 1), dtype=np.uint8)
    logits = Recognizer(extended).predict_logits(noise)
    gap = logits[..., :1] - logits[..., 37:]
    np.testing.assert_allclose(gap, np.log(4 / NEW_PROBABILITY), atol=1e-3)


def test_readings_are_unchanged_by_another_order(shipped, images, before):
    order = np.random.default_rng(0).permutation(list("é" + LATIN + "中"))
    extended = with_char_dict(shipped.model, CharDict("".join(order), fold_case=True))
    after = Recognizer(extended).read(images)
    assert texts(after) == texts(before)
    confidence = [[reading.confidence for reading in some] for some in (before, after)]
    np.testing.assert_allclose(*confidence, rtol=FRAMES * NEW_PROBABILITY + 2e-5)


def test_dropped_characters_are_gone_and_the_others_stay(shipped):
    letters = LATIN[10:]
    extended = with_char_dict(shipped.model, CharDict(letters, fold_case=True))
    kernel, bias = extended.get_layer("logits").get_weights()
    old_kernel, old_bias = shipped.model.get_layer("logits").get_weights()
    np.testing.assert_array_equal(kernel, old_kernel[:, [0, *range(11, 37)]])
    np.testing.assert_array_equal(bias, old_bias[[0, *range(11, 37)]])


def test_a_reader_there_and_back_is_the_same(shipped):
    wide = CharDict("é" + LATIN[::-1] + "中", fold_case=True)
    again = with_char_dict(with_char_dict(shipped.model, wide), shipped.char_dict)
    assert again.get_config() == shipped.model.get_config()
    for here, there in zip(again.weights, shipped.model.weights, strict=True):
        np.testing.assert_array_equal(here.numpy(), there.numpy(), err_msg=here.path)


@pytest.mark.parametrize("preset", ["small", "paper"])
def test_everything_else_of_the_reader_stays(preset):
    canvas = Canvas("keep", 32, (64, 96))
    model = build_crnn(CharDict("ab", normalization="none"), canvas, preset, seed=7)
    before = [weight.numpy() for weight in model.weights]
    extended = with_char_dict(model, CharDict("abé"))
    assert (extended.canvas, extended.preset, extended.seed) == (canvas, preset, 7)
    assert extended.char_dict == CharDict("abé")
    for here, there in zip(extended.weights[:-2], before[:-2], strict=True):
        np.testing.assert_array_equal(here.numpy(), there)
    for here, there in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(here.numpy(), there)


def test_extended_reader_is_saved_whole(tmp_path, shipped, images):
    extended = with_char_dict(shipped.model, CharDict(LATIN + "é", fold_case=True))
    save_model(extended, tmp_path / "model.keras")
    loaded = Recognizer.load(tmp_path / "model.keras")
    assert loaded.char_dict == extended.char_dict
    assert loaded.read(images) == Recognizer(extended).read(images)


def test_new_characters_are_learnt(shipped):
    """A few steps on words with é or &: both are read, and plain words are still."""
    char_dict = CharDict(LATIN + "é&", fold_case=True)
    model = with_char_dict(shipped.model, char_dict)
    fonts, _ = synth.fonts_with(char_dict.characters, synth.bundled_fonts())
    style = synth.Style.plain(tilt=0.03, blur=0.3, noise=3, contrast=120)
    labels = ["café", "a&b", "r&d", "été", "hotel", "bébé", "m&m", "door"] * 8
    canvases = np.stack(
        [
            to_canvas(
                synth.render_word(text, fonts[i % len(fonts)], style, seed=2, index=i),
                shipped.canvas,
            )
            for i, text in enumerate(labels)
        ]
    )
    ids = np.zeros((len(labels), 5), np.int32)
    for row, text in zip(ids, labels, strict=True):
        row[: len(text)] = char_dict.encode(text)
    frames = np.full(len(labels), FRAMES, np.int32)
    whole = training_model(model, ids.shape[1])
    whole.compile(make_optimizer("adamw", 2e-3), lambda _, losses: keras.ops.mean(losses))
    inputs = {"canvas": canvases, "labels": ids, "frames": frames}

    def loss():
        logits = model.predict_on_batch(canvases)
        return float(np.mean(keras.ops.convert_to_numpy(ctc_loss(logits, ids, frames))))

    first = loss()
    for step in range(80):
        rows = slice(step % 2, None, 2)
        batch = {name: values[rows] for name, values in inputs.items()}
        whole.train_on_batch(batch, np.zeros(len(frames[rows])))
    assert loss() < first / 10
    read = texts(Recognizer(model).read([canvas[..., 0] for canvas in canvases]))
    assert np.mean([here == there for here, there in zip(read, labels, strict=True)]) > 0.9


def test_reader_from_a_shipped_reader_for_the_same_data_is_that_reader(shipped, capsys):
    model = load_for_fine_tuning("words", shipped.char_dict, shipped.canvas)
    assert capsys.readouterr().out == ""
    assert model.get_config() == shipped.model.get_config()
    for here, there in zip(model.weights, shipped.model.weights, strict=True):
        np.testing.assert_array_equal(here.numpy(), there.numpy())


def test_reader_from_says_what_differs(shipped, capsys):
    char_dict = CharDict(LATIN[1:] + "é!", normalization="half_width")
    model = load_for_fine_tuning("words", char_dict, make_canvas("keep", 256), seed=9)
    said = capsys.readouterr().out
    assert "words: 35 characters stay, 2 are new, 1 are dropped (only here: '0'; only" in said
    assert "fold_case True here, False there; normalization nfc here, half_width there)" in said
    assert "words learnt on Canvas(mode='stretch', height=32, widths=(128,)); it goes on" in said
    assert (model.canvas, model.char_dict, model.seed) == (make_canvas("keep", 256), char_dict, 9)
    canvases = np.zeros((1, 32, 216, 1), np.uint8)
    assert Recognizer(model).predict_logits(canvases).shape == (1, 54, 38)


def test_a_reader_of_stretched_words_reads_kept_ones_of_the_same_width(shipped, images):
    kept = [image.resize((WIDTH, 32)) for image in images]  # the same on both canvases
    model = load_for_fine_tuning("words", shipped.char_dict, Canvas("keep", 32, (WIDTH, 2 * WIDTH)))
    assert texts(Recognizer(model).read(kept)) == texts(shipped.read(kept))


@pytest.fixture(scope="module")
def shallow(tmp_path_factory, char_dict):
    """File of a `mobile` reader whose batch norms have seen something."""
    model = build_crnn(char_dict, preset="mobile", seed=5)
    rng = np.random.default_rng(5)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([0.5 + rng.random(weight.shape) for weight in layer.weights])
    path = tmp_path_factory.mktemp("readers") / "mobile.keras"
    save_model(model, path)
    return path


def test_a_deeper_reader_begins_as_the_shallow_one_reads(shallow, char_dict, capsys):
    deep = load_for_fine_tuning(shallow, char_dict, Canvas(), preset="deep")
    assert "mobile.keras has the preset mobile; it goes on as deep." in capsys.readouterr().out
    added = [layer for layer in deep.layers if isinstance(layer, layers.ResidualConv2D)]
    assert [layer.name for layer in added] == ["conv1a", "conv2a", "conv4a", "conv5a"]
    assert deep.count_params() <= 1e6
    canvases = np.random.default_rng(1).integers(0, 256, (3, 32, 100, 1), dtype=np.uint8)
    before = Recognizer.load(shallow).predict_logits(canvases)
    np.testing.assert_allclose(Recognizer(deep).predict_logits(canvases), before, atol=1e-5)
    for layer in added:
        layer.norm.gamma.assign(np.ones(layer.norm.gamma.shape))
    assert np.abs(Recognizer(deep).predict_logits(canvases) - before).max() > 1e-2


def test_a_deeper_reader_is_saved_whole(tmp_path, shallow, char_dict):
    deep = load_for_fine_tuning(shallow, char_dict, Canvas(), preset="deep")
    save_model(deep, tmp_path / "deep.keras")
    loaded = Recognizer.load(tmp_path / "deep.keras").model
    assert loaded.preset == "deep"
    for here, there in zip(deep.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(here.numpy(), there.numpy())


@pytest.mark.parametrize("preset", ["small", "paper"])
def test_a_reader_cannot_go_on_in_another_shape(shallow, char_dict, preset):
    with pytest.raises(ValueError, match=f"'mobile' cannot go on as '{preset}': its layer conv1"):
        load_for_fine_tuning(shallow, char_dict, Canvas(), preset=preset)


def test_reader_from_refuses_another_height(char_dict):
    with pytest.raises(ValueError, match="words reads canvases of 32 pixels.*have 48.*height 32"):
        load_for_fine_tuning("words", char_dict, Canvas(height=48))


def test_reader_from_nothing_is_refused(tmp_path, char_dict):
    with pytest.raises(ValueError, match=r"absent\.keras does not exist"):
        load_for_fine_tuning(tmp_path / "absent.keras", char_dict, Canvas())


def test_extension_in_words():
    said = describe_char_dict_change(CharDict("abc"), CharDict("bcde"))
    assert said == (
        "2 characters stay, 2 are new, 1 are dropped (only here: 'a'; only there: 'de')."
    )


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_extended_the_same_on_every_backend(tmp_path, shipped, backend):
    """Another backend extends the shipped reader and gives the same logits as this one."""
    pytest.importorskip(backend, reason=f"{backend} is not installed")
    canvases = np.random.default_rng(0).integers(0, 256, (2, 32, WIDTH, 1), dtype=np.uint8)
    np.save(tmp_path / "canvases.npy", canvases)
    char_dict = CharDict("é" + LATIN[::-1], fold_case=True)
    char_dict.save(tmp_path / "char_dict.json")
    code = (
        "import sys, numpy as np; from crnn_keras.char_dict import CharDict; "
        "from crnn_keras.training.fine_tuning import with_char_dict; "
        "from crnn_keras.inference.recognizer import Recognizer; f = sys.argv[1]; "
        "made = with_char_dict(Recognizer.load('words').model, CharDict.load(f + '/char_dict.json'))"
        "; np.save(f + '/there.npy', Recognizer(made).predict_logits(np.load(f + '/canvases.npy')))"
    )
    root = str(pathlib.Path(__file__).parents[1])
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": root}
    environment |= {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    here = Recognizer(with_char_dict(shipped.model, char_dict)).predict_logits(canvases)
    np.testing.assert_allclose(np.load(tmp_path / "there.npy"), here, atol=1e-3)


def test_a_calibration_is_left_behind(tmp_path):
    model = build_crnn(CharDict("ab"))
    model.calibration = Calibration(0.5, 0.0)
    assert with_char_dict(model, CharDict("abc")).calibration is None
    save_model(model, tmp_path / "model.keras")
    again = load_for_fine_tuning(tmp_path / "model.keras", model.char_dict, model.canvas)
    assert again.calibration is None
    assert model.calibration == Calibration(0.5, 0.0)
