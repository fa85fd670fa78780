"""Models with another dictionary: they keep what they have learned, and can learn the rest."""

import logging
import subprocess
import sys

import numpy as np
import pytest
from backends import environment_of, skip_unless_installed

from crnn_keras import synth
from crnn_keras.char_dict import CharDict
from crnn_keras.images import Canvas, make_canvas, to_canvas
from crnn_keras.inference.recognizer import Recognizer
from crnn_keras.model import layers
from crnn_keras.model.calibration import Calibration
from crnn_keras.model.crnn import build_crnn
from crnn_keras.model.ctc import CTCLoss
from crnn_keras.model.saving import save_model
from crnn_keras.training import make_optimizer
from crnn_keras.training.fine_tuning.load import (
    NEW_PROBABILITY,
    describe_char_dict_change,
    load_for_fine_tuning,
    with_char_dict,
)
from crnn_keras.training.start import make_model

pytestmark = pytest.mark.slow

WORDS = ["lantern", "Mirror", "4711", "OCEAN", "bridge", "station", "hotel", "market"]
# The canvas of the shipped model.
WIDTH = 128
FRAMES = WIDTH // 4
LATIN = "0123456789abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(scope="module")
def shipped():
    recognizer = Recognizer.load("words")
    # Models with other characters have no calibration, and these tests compare what networks read.
    recognizer.calibration = recognizer.language_model = None
    return recognizer


@pytest.fixture(scope="module")
def images():
    """Words in several fonts, as degraded as in training, so that some are misread."""
    fonts = synth.bundled_fonts()
    texts = WORDS * 3
    return [synth.render_word(text, fonts[i % 20], seed=1, index=i) for i, text in enumerate(texts)]


@pytest.fixture(scope="module")
def before(shipped, images):
    return shipped.read(images)


def texts(predictions):
    return [prediction.text for prediction in predictions]


@pytest.mark.parametrize("new", ["中文é!", CharDict.from_preset("gb2312").characters])
def test_predictions_are_unchanged_by_new_characters(shipped, images, before, new):
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


def test_predictions_are_unchanged_by_another_order(shipped, images, before):
    order = np.random.default_rng(0).permutation(list("é" + LATIN + "中"))
    extended = with_char_dict(shipped.model, CharDict("".join(order), fold_case=True))
    after = Recognizer(extended).read(images)
    assert texts(after) == texts(before)
    confidences = [[row.confidence for row in predictions] for predictions in (before, after)]
    np.testing.assert_allclose(*confidences, rtol=FRAMES * NEW_PROBABILITY + 2e-5)


def test_dropped_characters_are_gone_and_the_others_stay(shipped):
    letters = LATIN[10:]
    extended = with_char_dict(shipped.model, CharDict(letters, fold_case=True))
    kernel, bias = extended.get_layer("logits").get_weights()
    old_kernel, old_bias = shipped.model.get_layer("logits").get_weights()
    np.testing.assert_array_equal(kernel, old_kernel[:, [0, *range(11, 37)]])
    np.testing.assert_array_equal(bias, old_bias[[0, *range(11, 37)]])


def test_a_dictionary_changed_and_changed_back_gives_the_same_model(shipped):
    wide = CharDict("é" + LATIN[::-1] + "中", fold_case=True)
    again = with_char_dict(with_char_dict(shipped.model, wide), shipped.char_dict)
    assert again.get_config() == shipped.model.get_config()
    for here, there in zip(again.weights, shipped.model.weights, strict=True):
        np.testing.assert_array_equal(here.numpy(), there.numpy(), err_msg=here.path)


@pytest.mark.parametrize("architecture", ["small", "paper"])
def test_everything_else_of_the_model_stays(architecture):
    canvas = Canvas("keep", 32, (64, 96))
    model = build_crnn(CharDict("ab", normalization="none"), canvas, architecture, seed=7)
    before = [weight.numpy() for weight in model.weights]
    extended = with_char_dict(model, CharDict("abé"))
    assert (extended.canvas, extended.seed) == (canvas, 7)
    assert extended.architecture_name == architecture
    assert extended.char_dict == CharDict("abé")
    for here, there in zip(extended.weights[:-2], before[:-2], strict=True):
        np.testing.assert_array_equal(here.numpy(), there)
    for here, there in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(here.numpy(), there)


def test_extended_model_is_saved_with_its_dictionary(tmp_path, shipped, images):
    extended = with_char_dict(shipped.model, CharDict(LATIN + "é", fold_case=True))
    save_model(extended, tmp_path / "model.keras")
    loaded = Recognizer.load(tmp_path / "model.keras")
    assert loaded.char_dict == extended.char_dict
    assert loaded.read(images) == Recognizer(extended).read(images)


def test_new_characters_are_learned(shipped):
    """A few steps on words with é or &: both are read, and plain words still are."""
    char_dict = CharDict(LATIN + "é&", fold_case=True)
    model = with_char_dict(shipped.model, char_dict)
    fonts, _ = synth.fonts_with(char_dict.characters, synth.bundled_fonts())
    style = synth.Style.plain(tilt=0.03, blur=0.3, noise=3, contrast=120)
    words = ["café", "a&b", "r&d", "été", "hotel", "bébé", "m&m", "door"] * 8
    canvases = np.stack(
        [
            to_canvas(
                synth.render_word(text, fonts[i % len(fonts)], style, seed=2, index=i),
                shipped.canvas,
            )
            for i, text in enumerate(words)
        ]
    )
    labels = np.zeros((len(words), 5), np.int32)
    for row, text in zip(labels, words, strict=True):
        row[: len(text)] = char_dict.encode(text)
    model.compile(make_optimizer("adamw", 2e-3), CTCLoss())

    def loss():
        return float(model.test_on_batch(canvases, labels))

    first = loss()
    for step in range(80):
        rows = slice(step % 2, None, 2)
        model.train_on_batch(canvases[rows], labels[rows])
    assert loss() < first / 10
    found = texts(Recognizer(model).read([canvas[..., 0] for canvas in canvases]))
    assert np.mean([here == there for here, there in zip(found, words, strict=True)]) > 0.9


def test_model_for_the_data_it_was_trained_on_is_unchanged(shipped, caplog):
    caplog.set_level(logging.INFO, "crnn_keras")
    model = load_for_fine_tuning("words", shipped.char_dict, shipped.canvas)
    assert caplog.messages == [] and len(model.language_model) == 200_000
    model.language_model = None
    assert model.get_config() == shipped.model.get_config()
    for here, there in zip(model.weights, shipped.model.weights, strict=True):
        np.testing.assert_array_equal(here.numpy(), there.numpy())


def test_what_changes_is_logged(caplog):
    caplog.set_level(logging.INFO, "crnn_keras")
    char_dict = CharDict(LATIN[1:] + "é!", normalization="half_width")
    canvas = make_canvas("keep", 256)
    model = load_for_fine_tuning("words", char_dict, canvas, seed=9)
    about_canvas, about_characters = caplog.records
    assert about_canvas.levelname == "INFO"
    assert str(Canvas(widths=(WIDTH,))) in about_canvas.getMessage()
    assert str(canvas) in about_canvas.getMessage()
    # A character is lost.
    assert about_characters.levelname == "WARNING"
    message = about_characters.getMessage()
    for fact in ("words", "35 ", "2 ", "1 ", "'0'", "'é!'", "fold_case", "half_width"):
        assert fact in message
    assert (model.canvas, model.char_dict, model.seed) == (canvas, char_dict, 9)
    assert Recognizer(model).predict_logits(np.zeros((1, 32, 216, 1), np.uint8)).shape == (
        1,
        54,
        38,
    )


@pytest.mark.parametrize(
    ("characters", "is_kept"),
    [("0123456789", False), ("一是人", False), ("abcdefghijklmn", True), ("ABCDEFGHIJKLMN-", True)],
)
def test_a_language_model_of_other_characters_is_left_out(caplog, characters, is_kept):
    with caplog.at_level("INFO", logger="crnn_keras"):
        model = load_for_fine_tuning("words", CharDict(characters), Canvas("stretch", 32, (128,)))
    assert (model.language_model is not None) == is_kept
    assert ("language model is left out" in caplog.text) != is_kept


def test_characters_that_are_added_are_no_warning(caplog):
    caplog.set_level(logging.INFO, "crnn_keras")
    char_dict = CharDict(LATIN + "é", fold_case=True)
    load_for_fine_tuning("words", char_dict, Canvas(widths=(WIDTH,)))
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_a_model_of_stretched_words_reads_kept_ones_of_the_same_width(shipped, images):
    kept = [image.resize((WIDTH, 32)) for image in images]  # the same on both canvases
    model = load_for_fine_tuning("words", shipped.char_dict, Canvas("keep", 32, (WIDTH, 2 * WIDTH)))
    assert texts(Recognizer(model).read(kept, language_model=None)) == texts(shipped.read(kept))


@pytest.fixture(scope="module")
def shallow(tmp_path_factory, char_dict):
    """File of a `mobile` model whose batch norms are not as new."""
    model = build_crnn(char_dict, None, "mobile", seed=5)
    rng = np.random.default_rng(5)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([0.5 + rng.random(weight.shape) for weight in layer.weights])
    path = tmp_path_factory.mktemp("models") / "mobile.keras"
    save_model(model, path)
    return path


def test_a_deeper_model_begins_with_the_logits_of_the_shallow_one(shallow, char_dict, caplog):
    caplog.set_level(logging.INFO, "crnn_keras")
    deep = load_for_fine_tuning(shallow, char_dict, Canvas(), architecture="deep")
    (message,) = caplog.messages
    assert "mobile.keras is mobile" in message and "deep" in message
    added = [layer for layer in deep.layers if isinstance(layer, layers.ResidualConv2D)]
    assert [layer.name for layer in added] == ["conv1a", "conv2a", "conv4a", "conv5a"]
    assert deep.count_params() <= 1e6
    canvases = np.random.default_rng(1).integers(0, 256, (3, 32, 100, 1), dtype=np.uint8)
    before = Recognizer.load(shallow).predict_logits(canvases)
    np.testing.assert_allclose(Recognizer(deep).predict_logits(canvases), before, atol=1e-5)
    for layer in added:
        layer.norm.gamma.assign(np.ones(layer.norm.gamma.shape))
    assert np.abs(Recognizer(deep).predict_logits(canvases) - before).max() > 1e-2


def test_a_deeper_model_is_saved_with_its_architecture(tmp_path, shallow, char_dict):
    deep = load_for_fine_tuning(shallow, char_dict, Canvas(), architecture="deep")
    save_model(deep, tmp_path / "deep.keras")
    loaded = Recognizer.load(tmp_path / "deep.keras").model
    assert loaded.architecture_name == "deep"
    for here, there in zip(deep.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(here.numpy(), there.numpy())


@pytest.mark.parametrize("architecture", ["small", "paper"])
def test_a_model_cannot_continue_in_another_shape(shallow, char_dict, architecture):
    with pytest.raises(ValueError, match=f"'mobile' .*'{architecture}'.* conv1.*'deep'"):
        load_for_fine_tuning(shallow, char_dict, Canvas(), architecture=architecture)


def test_an_unknown_architecture_is_refused_with_the_known_ones(shallow, char_dict):
    with pytest.raises(ValueError, match="'huge'.*small.*mobile.*deep.*paper"):
        load_for_fine_tuning(shallow, char_dict, Canvas(), architecture="huge")


def test_another_height_is_refused(char_dict):
    with pytest.raises(ValueError, match="words .* 32 pixels.* 48.*height 32"):
        load_for_fine_tuning("words", char_dict, Canvas(height=48))


def test_a_file_that_does_not_exist_is_refused(tmp_path, char_dict):
    with pytest.raises(ValueError, match=r"absent\.keras does not exist"):
        load_for_fine_tuning(tmp_path / "absent.keras", char_dict, Canvas())


def test_change_of_a_dictionary_is_described_by_its_counts():
    described = describe_char_dict_change(CharDict("abc"), CharDict("bcde"))
    counts, _, difference = described.partition("(")
    assert [word for word in counts.split() if word.isdigit()] == ["2", "2", "1"]
    assert "'a'" in difference and "'de'" in difference


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_logits_with_another_dictionary_are_the_same_on_every_backend(tmp_path, shipped, backend):
    skip_unless_installed(backend)
    canvases = np.random.default_rng(0).integers(0, 256, (2, 32, WIDTH, 1), dtype=np.uint8)
    np.save(tmp_path / "canvases.npy", canvases)
    char_dict = CharDict("é" + LATIN[::-1], fold_case=True)
    char_dict.save(tmp_path / "char_dict.json")
    code = (
        "import sys, numpy as np; from crnn_keras import CharDict, Recognizer, with_char_dict; "
        "folder = sys.argv[1]; char_dict = CharDict.load(folder + '/char_dict.json'); "
        "recognizer = Recognizer(with_char_dict(Recognizer.load('words').model, char_dict)); "
        "logits = recognizer.predict_logits(np.load(folder + '/canvases.npy')); "
        "np.save(folder + '/there.npy', logits)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    environment = environment_of(backend)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    here = Recognizer(with_char_dict(shipped.model, char_dict)).predict_logits(canvases)
    np.testing.assert_allclose(np.load(tmp_path / "there.npy"), here, atol=1e-3)


def test_a_calibration_is_not_copied(tmp_path):
    model = build_crnn(CharDict("ab"))
    model.calibration = Calibration(0.5, 0.0)
    assert with_char_dict(model, CharDict("abc")).calibration is None
    save_model(model, tmp_path / "model.keras")
    again = load_for_fine_tuning(tmp_path / "model.keras", model.char_dict, model.canvas)
    assert again.calibration is None
    assert model.calibration == Calibration(0.5, 0.0)


@pytest.mark.parametrize("start", ["small", "mobile"])
def test_a_training_may_start_from_an_architecture(char_dict, start):
    model = make_model(start, char_dict, Canvas(), seed=3, precision="mixed_bfloat16")
    assert (model.architecture_name, model.seed, model.origin) == (start, 3, "fresh weights")
    assert model.dtype_policy.name == "mixed_bfloat16"


def test_a_training_may_start_from_a_model(shallow, char_dict):
    model = make_model(shallow, char_dict, Canvas(), seed=3, precision="mixed_bfloat16")
    assert (model.architecture_name, model.seed) == ("mobile", 3)
    assert model.origin != "fresh weights"
    assert model.dtype_policy.name == "mixed_bfloat16"


def test_a_training_cannot_start_from_anything_else(char_dict):
    with pytest.raises(ValueError, match="smal .*small.*mobile.*deep.*paper.*words.*ascii"):
        make_model("smal", char_dict, Canvas())
