"""`keras.json` of any content, and JAX_ENABLE_X64: the same texts, the same step of training."""

import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from backends import environment_of, skip_unless_installed

from crnn_keras.char_dict import CharDict
from crnn_keras.images import Canvas
from crnn_keras.model.crnn import build_crnn
from crnn_keras.model.ctc import ctc_loss
from crnn_keras.utils.backend import keras_defaults

WORKER = pathlib.Path(__file__).with_name("environment_worker.py")
FIRST = {"image_data_format": "channels_first", "floatx": "float16", "epsilon": 0.5}
DOUBLE = {"image_data_format": "channels_first", "floatx": "float64", "epsilon": 1e-30}


@pytest.fixture
def odd_keras(request):
    """Sets what `keras.json` may set, in this process, and restores it."""
    names = ("floatx", "image_data_format", "epsilon")
    before = {name: getattr(keras.config, name)() for name in names}
    for name, value in request.param.items():
        getattr(keras.config, f"set_{name}")(value)
    yield request.param
    for name, value in before.items():
        getattr(keras.config, f"set_{name}")(value)


def make_logits():
    canvases = np.random.default_rng(1).integers(0, 256, (2, 32, 100, 1), dtype=np.uint8)
    model = build_crnn(CharDict("abc"), Canvas(), "mobile", seed=4)
    return model, model.predict_on_batch(canvases)


@pytest.fixture(scope="module")
def usual_logits():
    return make_logits()[1]


@pytest.mark.parametrize("odd_keras", [FIRST, DOUBLE], indirect=True, ids=["first", "double"])
def test_a_network_is_built_and_computes_as_usual(odd_keras, usual_logits):
    model, logits = make_logits()
    assert model.output_shape == (None, 25, 4) and logits.dtype == np.float32
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    np.testing.assert_array_equal(logits, usual_logits)


@pytest.mark.parametrize("odd_keras", [FIRST, DOUBLE], indirect=True, ids=["first", "double"])
def test_the_loss_is_float32_and_the_same(odd_keras):
    # Two frames, three equally likely classes: 3 of the 9 paths spell [1].
    loss = ctc_loss(np.zeros((1, 2, 3), "float32"), np.array([[1, 0]]))
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    assert float(loss[0]) == pytest.approx(np.log(3), rel=1e-6)


@pytest.mark.parametrize("odd_keras", [FIRST], indirect=True, ids=["first"])
def test_keras_defaults_are_set_and_the_own_ones_restored(odd_keras):
    with pytest.raises(ZeroDivisionError), keras_defaults():
        assert keras.config.floatx() == "float32" and keras.config.epsilon() == 1e-7
        assert keras.config.image_data_format() == "channels_last"
        raise ZeroDivisionError
    assert {name: getattr(keras.config, name)() for name in odd_keras} == odd_keras


@pytest.fixture(scope="module")
def computed(tmp_path_factory, word_sets):
    """Function `(backend, keras.json, **environment)` that gives a worker's numbers, once."""
    found = {}

    def numbers(backend, content="{}", **environment):
        skip_unless_installed(backend)
        key = backend, content, *environment
        if key not in found:
            home = tmp_path_factory.mktemp("keras")
            (home / "keras.json").write_text(content)
            done = subprocess.run(
                [sys.executable, WORKER, word_sets, home / "run"],
                env={**environment_of(backend), "KERAS_HOME": str(home), **environment},
                capture_output=True,
                text=True,
                timeout=600,
            )
            assert done.returncode == 0, done.stderr[-3000:]
            found[key] = json.loads(done.stdout.splitlines()[-1])
        return found[key]

    return numbers


ODD = {
    "float16": (json.dumps(FIRST), {}),
    "float64": (json.dumps(DOUBLE), {}),
    "broken": ('{"floatx": ', {}),
    "x64 float64": (json.dumps(DOUBLE), {"JAX_ENABLE_X64": "1"}),
}
CASES = [
    ("tensorflow", "float16"),
    ("tensorflow", "broken"),
    ("jax", "x64 float64"),
    ("torch", "float64"),
]


@pytest.mark.slow
@pytest.mark.backends
@pytest.mark.parametrize(("backend", "odd"), CASES, ids=map("-".join, CASES))
def test_texts_and_training_are_those_of_the_usual_environment(computed, backend, odd):
    content, environment = ODD[odd]
    usual, here = computed(backend), computed(backend, content, **environment)
    assert [text for text, _ in here["texts"]] == ["exit", "market", "exit", "market"]
    for (_, one), (_, other) in zip(here["texts"], usual["texts"], strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    assert here["step"] == pytest.approx(usual["step"], rel=1e-4)
    assert here["ctc"] == pytest.approx(usual["ctc"], rel=1e-5)
    assert here["dtype"] == "float32"


UNUSABLE = {
    "unknown backend": ('{"backend": "theano"}', None, "theano"),
    "backend of another type": ('{"backend": 3}', None, "3"),
    "unknown backend in the environment": ("{}", "caffe", "caffe"),
    "backend that only reads": ('{"backend": "openvino"}', None, "openvino"),
    "no object": ("[]", None, "AttributeError"),
    "a number": ("3", None, "AttributeError"),
    "bfloat16": ('{"floatx": "bfloat16"}', None, "bfloat16"),
    "epsilon of another type": ('{"epsilon": "small"}', None, "small"),
    "image_data_format": ('{"image_data_format": "channels_middle"}', None, "channels_middle"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", UNUSABLE)
def test_keras_that_cannot_start_is_one_line_at_the_command_line(tmp_path, case):
    content, backend, named = UNUSABLE[case]
    (tmp_path / "keras.json").write_text(content)
    environment = environment_of(backend or "")
    if backend is None:
        environment.pop("KERAS_BACKEND")
    done = subprocess.run(
        [pathlib.Path(sys.executable).with_name("crnn-keras"), "train", "--run", "mine"],
        env={**environment, "KERAS_HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("crnn-keras: error")]
    assert named in line and str(tmp_path / "keras.json") in line and "tensorflow, jax" in line
