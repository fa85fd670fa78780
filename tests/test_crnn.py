import json
import zipfile

import keras
import numpy as np
import pytest

from crnn_keras.char_dict import CharDict
from crnn_keras.images import Canvas
from crnn_keras.inference.recognizer import Recognizer
from crnn_keras.model.architectures import ARCHITECTURES
from crnn_keras.model.calibration import Calibration
from crnn_keras.model.crnn import CRNN, build_crnn
from crnn_keras.model.saving import save_model
from crnn_keras.model.sizes import measure_architecture
from tools.readers.convert import convert

KEEP = Canvas("keep", 32, (32, 64, 100, 160, 256))


def canvases(count, height=32, width=100, seed=0):
    shape = (count, height, width, 1)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def logits_of(model, images):
    return keras.ops.convert_to_numpy(model.predict_on_batch(images))


def values_of(model):
    return [weight.numpy() for weight in model.weights]


def test_paper_has_the_size_of_the_paper(char_dict):
    model = build_crnn(char_dict, architecture="paper")
    assert 8.3e6 < model.count_params() < 8.8e6
    assert model.output_shape == (None, 25, 37)


def test_small_has_at_most_a_million_weights(char_dict):
    model = build_crnn(char_dict)
    assert model.architecture_name == "small"
    assert 0.5e6 < model.count_params() <= 1e6
    assert model.output_shape == (None, 25, 37)


@pytest.mark.parametrize(
    ("architecture", "weights", "mflop"),
    [("deep", 938_165, 103), ("wide", 2_326_597, 347), ("large", 7_602_261, 1099)],
)
def test_larger_architectures_have_the_documented_size(char_dict, architecture, weights, mflop):
    canvas = Canvas(widths=(128,))
    model = build_crnn(char_dict, canvas, architecture)
    assert (model.architecture_name, model.count_params()) == (architecture, weights)
    assert model.output_shape == (None, 32, 37)
    cost = measure_architecture(model.architecture, canvas, char_dict.num_classes)
    # A product and a sum.
    assert round(2 * cost.operations / 1e6) == mflop


@pytest.mark.parametrize(("padding", "first"), [("same", 1), ("symmetric", 0)])
def test_padding_decides_which_pixels_strides_keep(padding, first):
    lists = {"filters": [1], "kernel_sizes": [3], "strides": [[2, 4]], "pool_sizes": [[1, 1]]}
    entry = {**ARCHITECTURES["small"], **lists, "residuals": [0], "batch_norm": [False]}
    model = CRNN(CharDict("ab"), Canvas(), **{**entry, "padding": padding})
    layer = model.get_layer("conv1")
    center = np.zeros((3, 3, 1, 1), "float32")
    center[1, 1] = 1
    layer.set_weights([center, np.zeros(1)])
    images = canvases(1)
    kept = keras.Model(model.inputs, layer.output).predict_on_batch(images)
    # For 32 x 100 pixels and these strides, `"same"` puts no zeros in front.
    expected = images[:, first::2, first::4] / 127.5 - 1
    np.testing.assert_allclose(keras.ops.convert_to_numpy(kept), expected, atol=1e-6)


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_frames_are_a_quarter_of_the_width_for_every_width(char_dict, architecture):
    model = build_crnn(char_dict, KEEP, architecture)
    for width in KEEP.widths:
        logits = logits_of(model, canvases(2, width=width))
        assert logits.shape == (2, width // 4, 37)
        assert KEEP.frames(32, width) == width // 4


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
@pytest.mark.parametrize("height", [16, 48])
def test_other_heights_still_end_in_one_row_of_frames(char_dict, architecture, height):
    model = build_crnn(char_dict, Canvas(height=height), architecture)
    assert logits_of(model, canvases(1, height)).shape == (1, 25, 37)


@pytest.mark.parametrize("characters", ["a", "abc", "省市0123"])
def test_classes_are_the_characters_and_the_blank(characters):
    model = build_crnn(CharDict(characters))
    assert model.output_shape[-1] == len(characters) + 1


def test_outputs_are_logits_not_probabilities(char_dict):
    logits = logits_of(build_crnn(char_dict), canvases(1))
    assert logits.dtype == np.float32
    assert (logits < 0).any()
    assert np.abs(logits.sum(-1) - 1).max() > 0.01


def test_same_seed_gives_the_same_weights_and_another_seed_others(char_dict):
    one, two, other = (build_crnn(char_dict, seed=seed) for seed in (1, 1, 2))
    for here, there in zip(values_of(one), values_of(two), strict=True):
        np.testing.assert_array_equal(here, there)
    pairs = zip(values_of(one), values_of(other), strict=True)
    assert sum(not np.array_equal(here, there) for here, there in pairs) >= 7


def test_image_is_read_the_same_alone_and_among_others(char_dict):
    model = build_crnn(char_dict)
    images = canvases(4)
    together = logits_of(model, images)
    for row in range(4):
        alone = logits_of(model, images[row : row + 1])
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


def test_reading_does_not_drop_features(char_dict):
    model = build_crnn(char_dict)
    assert any(isinstance(layer, keras.layers.Dropout) for layer in model.layers)
    images = canvases(2)
    np.testing.assert_array_equal(logits_of(model, images), logits_of(model, images))


@pytest.mark.parametrize(
    ("char_dict", "canvas", "architecture"),
    [
        (CharDict("0123abc", fold_case=True), Canvas(), "small"),
        (CharDict("省市 aB"), KEEP, "small"),
        (CharDict("省市"), Canvas(height=48, widths=(120,)), "paper"),
    ],
)
def test_saved_reader_comes_back_whole(tmp_path, char_dict, canvas, architecture):
    model = build_crnn(char_dict, canvas, architecture, seed=4)
    images = canvases(2, canvas.height, canvas.widths[-1])
    save_model(model, tmp_path / "new" / "model.keras")
    loaded = keras.models.load_model(tmp_path / "new" / "model.keras")
    assert isinstance(loaded, CRNN)
    assert (loaded.char_dict, loaded.canvas) == (char_dict, canvas)
    assert (loaded.architecture_name, loaded.seed) == (architecture, 4)
    np.testing.assert_array_equal(logits_of(loaded, images), logits_of(model, images))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["model.keras"]


def test_saving_that_fails_keeps_the_earlier_reader(tmp_path, monkeypatch, char_dict):
    path = tmp_path / "model.keras"
    model = build_crnn(char_dict)
    save_model(model, path)
    before = path.read_bytes()

    def half_written(target, *_, **__):
        target.write_bytes(before[:1000])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model, "save", half_written)
    with pytest.raises(OSError, match="No space"):
        save_model(model, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_architectures_are_plain_lists_in_the_config(char_dict):
    for name, entry in ARCHITECTURES.items():
        config = build_crnn(char_dict, architecture=name).get_config()
        assert {key: config[key] for key in entry} == entry
        assert json.loads(json.dumps(config)) == config


def test_a_network_of_other_sizes_is_built_from_its_lists_and_comes_back(tmp_path, char_dict):
    entry = {**ARCHITECTURES["mobile"], "lstm_units": [16, 8], "residuals": [0, 2, 0, 0, 0]}
    model = CRNN(char_dict, Canvas(), **entry)
    assert model.architecture_name == "custom"
    save_model(model, tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert (loaded.architecture, loaded.architecture_name) == (entry, "custom")
    np.testing.assert_array_equal(logits_of(loaded, canvases(1)), logits_of(model, canvases(1)))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"filters": [8, 8]}, "'filters': 2"),
        ({"strides": [[1, 1]] * 5}, "width by 1.* 4"),
        ({"pool_sizes": [[2, 2]] + [[1, 1]] * 4}, "width by 8"),
        ({"lstm_units": []}, "lstm_units"),
    ],
)
def test_lists_that_make_no_network_are_refused(char_dict, change, named):
    with pytest.raises(ValueError, match=named):
        CRNN(char_dict, Canvas(), **{**ARCHITECTURES["mobile"], **change})


def test_a_reader_whose_config_names_an_architecture_is_refused_and_can_be_converted(tmp_path):
    path = tmp_path / "old.keras"
    model = build_crnn(CharDict("ab"), architecture="mobile")
    save_model(model, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    content = json.loads(entries["config.json"])
    for key in ARCHITECTURES["mobile"]:
        del content["config"][key]
    content["config"]["preset"] = "mobile"
    entries["config.json"] = json.dumps(content)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    with pytest.raises(ValueError, match="tools.readers convert"):
        Recognizer.load(path)
    assert convert(path) and not convert(path)
    np.testing.assert_array_equal(
        logits_of(Recognizer.load(path).model, canvases(1)), logits_of(model, canvases(1))
    )


def test_model_can_be_made_again_from_its_config(char_dict):
    model = build_crnn(char_dict, KEEP, seed=9)
    again = CRNN.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]


def test_unknown_architecture_is_refused_with_the_known_ones(char_dict):
    with pytest.raises(ValueError, match="'huge' is unknown.*small.*wide.*large.*paper"):
        build_crnn(char_dict, architecture="huge")


def test_a_calibration_is_saved_with_the_reader_and_may_be_set_later(tmp_path):
    model = build_crnn(CharDict("ab"))
    assert model.calibration is None and model.get_config()["calibration"] is None
    path = tmp_path / "model.keras"
    for calibration in (Calibration(0.5, -1.0), None, Calibration(0.25, 2.0)):
        model.calibration = calibration
        save_model(model, path)
        assert keras.models.load_model(path).calibration == calibration
        assert CRNN.from_config(model.get_config()).calibration == calibration


def test_a_calibration_may_be_given_as_its_config():
    config = Calibration(0.5, -1.0).get_config()
    model = CRNN(CharDict("ab"), Canvas(), **ARCHITECTURES["small"], calibration=config)
    assert model.calibration == Calibration(0.5, -1.0)
    model.calibration = {"slope": 2.0, "offset": 0.0}
    assert model.calibration == Calibration(2.0, 0.0)


@pytest.mark.parametrize("given", [0.5, "sure", {"slope": 1.0}, {"slope": -1.0, "offset": 0.0}])
def test_what_is_no_calibration_is_refused_and_the_old_one_stays(given):
    model = build_crnn(CharDict("ab"))
    model.calibration = Calibration(0.5, 0.0)
    with pytest.raises(ValueError, match="calibration"):
        model.calibration = given
    assert model.calibration == Calibration(0.5, 0.0)


@pytest.mark.parametrize(("key", "default"), [("calibration", None), ("padding", "same")])
def test_a_reader_saved_before_there_was_a_choice_loads(tmp_path, key, default):
    save_model(build_crnn(CharDict("ab")), tmp_path / "new.keras")
    with (
        zipfile.ZipFile(tmp_path / "new.keras") as new,
        zipfile.ZipFile(tmp_path / "old.keras", "w") as old,
    ):
        for name in new.namelist():
            content = new.read(name)
            if name == "config.json":
                content = json.loads(content)
                del content["config"][key]
                content = json.dumps(content)
            old.writestr(name, content)
    assert Recognizer.load(tmp_path / "old.keras").model.get_config()[key] == default
