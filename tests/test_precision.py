"""Mixed precision: layers compute in 16 bits, weights, logits and loss are float32."""

import json
import pathlib
import shutil

import keras
import numpy as np
import pytest
from backends import PACKAGES, run_worker, skip_unless_installed

from crnn_keras.char_dict import CharDict
from crnn_keras.data.batches import Batches
from crnn_keras.data.records import Records
from crnn_keras.images import Canvas
from crnn_keras.inference.recognizer import Recognizer
from crnn_keras.model.crnn import PRECISIONS, build_crnn
from crnn_keras.model.saving import save_model
from crnn_keras.training import train
from crnn_keras.training.fine_tuning import load_for_fine_tuning, with_char_dict

pytestmark = pytest.mark.backends

WORKER = pathlib.Path(__file__).with_name("precision_worker.py")
COMPUTES = {"float32": "float32", "mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}
MIXED = PRECISIONS[1:]


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """Function that gives a backend's steps in each precision, computed once."""
    folder, found = tmp_path_factory.mktemp("precision"), {}

    def of(backend):
        if backend not in found:
            skip_unless_installed(backend)
            out = folder / f"{backend}.json"
            assert run_worker(backend, WORKER, out).returncode == 0
            found[backend] = json.loads(out.read_text())
        return found[backend]

    return of


@pytest.mark.parametrize("backend", PACKAGES)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_layers_compute_in_it_but_weights_logits_and_loss_are_float32(steps, backend, precision):
    found = steps(backend)[precision]
    inner = COMPUTES[precision]
    assert found["computes"] == {"conv1": inner, "bilstm1": inner, "logits": "float32"}
    assert found["weights"] == ["float32"]
    assert found["logits"] == found["loss"] == "float32"


@pytest.mark.parametrize("backend", PACKAGES)
@pytest.mark.parametrize("precision", MIXED)
def test_mixed_steps_have_the_losses_of_float32(steps, backend, precision):
    """Within 5 %: bfloat16 keeps 8 bits, so a layer's outputs err by 0.4 %, and dropout draws
    other masks in another dtype. A wrong scale would change them by a factor, and a float16 that
    underflows would not learn."""
    found, plain = steps(backend)[precision], steps(backend)["float32"]
    assert found["finite"]
    assert plain["taken"] == len(plain["losses"])
    # Steps that the loss scaling skipped, since a gradient was too large for float16.
    skipped = len(found["losses"]) - found["taken"]
    assert skipped <= (2 if precision == "mixed_float16" else 0)
    expected = plain["losses"][: found["taken"]]
    np.testing.assert_allclose(found["losses"][skipped:], expected, rtol=0.05)
    assert expected[-1] < 0.8 * expected[0]


@pytest.mark.parametrize("backend", PACKAGES)
def test_only_float16_scales_its_loss(steps, backend):
    optimizers = {precision: found["optimizer"] for precision, found in steps(backend).items()}
    assert optimizers == {
        "float32": "AdamW",
        "mixed_bfloat16": "AdamW",
        "mixed_float16": "LossScaleOptimizer",
    }


def canvases():
    return np.random.default_rng(2).integers(0, 256, size=(3, 32, 100, 1), dtype=np.uint8)


@pytest.mark.parametrize("precision", MIXED)
def test_saved_reader_keeps_its_precision_and_reads(tmp_path, char_dict, precision):
    model = build_crnn(char_dict, seed=3, precision=precision)
    save_model(model, tmp_path / "model.keras")
    loaded = Recognizer.load(tmp_path / "model.keras").model
    assert loaded.dtype_policy.name == precision
    assert loaded.get_layer("bilstm1").compute_dtype == COMPUTES[precision]
    logits = keras.ops.convert_to_numpy(loaded.predict_on_batch(canvases()))
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(
        logits, keras.ops.convert_to_numpy(model.predict_on_batch(canvases()))
    )
    # The same weights in float32 give nearly the same.
    plain = with_char_dict(model, char_dict, precision="float32")
    assert plain.get_layer("bilstm1").compute_dtype == "float32"
    exact = keras.ops.convert_to_numpy(plain.predict_on_batch(canvases()))
    assert 0 < np.abs(logits - exact).max() < 0.05 * np.abs(exact).max()


def test_reader_of_before_there_was_a_precision_is_float32(char_dict):
    config = build_crnn(char_dict).get_config()
    del config["precision"]
    assert type(build_crnn(char_dict)).from_config(config).dtype_policy.name == "float32"


@pytest.mark.parametrize(("asked", "expected"), [(None, "mixed_bfloat16"), ("float32", "float32")])
def test_training_from_a_reader_takes_the_precision_asked_for(tmp_path, char_dict, asked, expected):
    save_model(build_crnn(char_dict, precision="mixed_bfloat16"), tmp_path / "model.keras")
    model = load_for_fine_tuning(tmp_path / "model.keras", char_dict, Canvas(), precision=asked)
    assert model.dtype_policy.name == expected


def test_building_a_reader_leaves_the_default_precision_as_it_was(char_dict):
    build_crnn(char_dict, precision="mixed_bfloat16")
    assert keras.config.dtype_policy().name == "float32"
    assert keras.layers.Dense(1).compute_dtype == "float32"
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert build_crnn(char_dict).get_layer("conv1").compute_dtype == "float32"
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("precision", ["float16", "bfloat16", "half", None, ""])
def test_unknown_precision_is_refused_with_the_known(char_dict, precision):
    with pytest.raises(ValueError, match="is unknown.*float32.*mixed_bfloat16.*mixed_float16"):
        build_crnn(char_dict, precision=precision)


def test_float16_run_that_was_stopped_continues_bit_for_bit(tmp_path, word_sets):
    def run(folder):
        char_dict, canvas = CharDict.from_preset("alphanumeric36"), Canvas()
        records = Records(word_sets / "validation")
        model = build_crnn(char_dict, canvas, seed=5, precision="mixed_float16")
        batches = Batches(records, char_dict, canvas, batch_size=8, seed=5, shuffle=True)
        validation = Batches(records, char_dict, canvas, batch_size=8)
        return train(model, batches, validation, folder=folder, epochs=2, steps_per_epoch=2)

    run(tmp_path / "unbroken")
    shutil.copytree(tmp_path / "unbroken", tmp_path / "broken")
    shutil.rmtree(max((tmp_path / "broken" / "state").iterdir()))
    run(tmp_path / "broken")
    states = [
        max((tmp_path / name / "state").iterdir()) / "variables.npz"
        for name in ("unbroken", "broken")
    ]
    with np.load(states[0]) as one, np.load(states[1]) as other:
        assert one.files == other.files
        assert [one[name].tobytes() for name in one.files] == [
            other[name].tobytes() for name in other.files
        ]
        # The scale began at 2**15. The first gradients overflowed: a smaller one is in the state.
        assert any(array.shape == () and array in (2**14, 2**13) for array in one.values())
