"""The same numbers on every backend, each in a process of its own: see `backend_worker.py`."""

import importlib.util
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest
from backend_worker import LAYER_CASES, few_classes, logits_of, many_classes, set_weights

from crnn_keras.model.architectures import ARCHITECTURES
from crnn_keras.model.crnn import build_crnn
from crnn_keras.model.saving import save_model

WORKER = pathlib.Path(__file__).with_name("backend_worker.py")
PACKAGES = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}


def skip_unless_installed(backend):
    if importlib.util.find_spec(PACKAGES[backend]) is None:
        pytest.skip(f"{backend} is not installed")


def environment_of(backend):
    """Environment of a process on a backend, which imports this project."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["PYTHONPATH"] = str(WORKER.parent.parent)
    if backend == "torch":
        environment["OMP_NUM_THREADS"] = "1"  # see conftest.py
    return environment


def run_worker(backend, worker, *arguments):
    """Runs a program of the tests on a backend; gives the `CompletedProcess`, if it did not fail.

    To be killed is no failure.
    """
    done = subprocess.run(
        [sys.executable, worker, *map(str, arguments)],
        env=environment_of(backend),
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode not in (0, -signal.SIGKILL):
        pytest.fail(f"{worker.name} on {backend} failed:\n{done.stderr[-3000:]}")
    return done


@pytest.fixture(scope="module")
def saved_here(tmp_path_factory, char_dict):
    """A reader that this process saved: the file and the logits it gives here."""
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    model = build_crnn(char_dict)
    set_weights(model, seed=6)
    save_model(model, path)
    return path, logits_of(model)


@pytest.fixture(scope="module")
def computed(tmp_path_factory, saved_here):
    """Function that gives a backend's numbers, worked out once."""
    folder, found = tmp_path_factory.mktemp("computed"), {}

    def numbers(backend):
        if backend not in found:
            skip_unless_installed(backend)
            out = folder / f"{backend}.npz"
            assert run_worker(backend, WORKER, "compute", saved_here[0], out).returncode == 0
            found[backend] = dict(np.load(out))
        return found[backend]

    return numbers


@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize("case", ["few", "many"])
def test_ctc_is_the_same_as_on_tensorflow(computed, backend, case):
    here, there = computed("tensorflow"), computed(backend)
    loss, gradient = f"{case}_loss", f"{case}_gradient"
    np.testing.assert_allclose(there[loss], here[loss], rtol=1e-4)
    np.testing.assert_allclose(there[gradient], here[gradient], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("backend", PACKAGES)
def test_label_without_room_has_no_loss_on_any_backend(computed, backend):
    found = computed(backend)
    assert list(found["few_loss"] == 0) == [False] * 4 + [True, False]
    assert (found["few_gradient"][4] == 0).all()


@pytest.mark.parametrize("backend", PACKAGES)
def test_gradient_stops_at_the_last_frame_on_every_backend(computed, backend):
    found = computed(backend)
    for name, (_, _, frames) in (("few", few_classes()), ("many", many_classes())):
        for gradient, count in zip(found[f"{name}_gradient"], frames, strict=True):
            assert (gradient[count:] == 0).all()


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_logits_are_the_same_as_on_tensorflow(computed, backend):
    here, there = computed("tensorflow")["set_logits"], computed(backend)["set_logits"]
    assert here.std() > 0.1
    np.testing.assert_allclose(there, here, atol=1e-4)


def test_layers_called_directly_give_what_hooked_ones_give(computed):
    torch = computed("torch")
    assert torch["hooked"].all()
    np.testing.assert_array_equal(torch["hooked_logits"], torch["set_logits"])


@pytest.mark.parametrize("backend", PACKAGES)
def test_reader_saved_here_reads_the_same_there(computed, saved_here, backend):
    assert saved_here[1].std() > 0.1
    np.testing.assert_allclose(computed(backend)["loaded_logits"], saved_here[1], atol=1e-4)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_shipped_reader_gives_the_same_texts_as_on_tensorflow(computed, backend):
    here, there = computed("tensorflow"), computed(backend)
    assert len(set(here["texts"])) > 30
    assert there["texts"].tolist() == here["texts"].tolist()
    np.testing.assert_allclose(there["confidences"], here["confidences"], rtol=1e-3)


@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_one_step_gives_the_same_loss_and_weights_as_on_tensorflow(computed, backend, architecture):
    here, there = computed("tensorflow"), computed(backend)
    loss, weights = f"{architecture}_step_loss", f"{architecture}_step_weights"
    assert here[loss] > 1
    np.testing.assert_allclose(there[loss], here[loss], rtol=1e-4)
    # Rounding adds up over the layers of `deep`, which has the most: one of its 938,165 weights was
    # found 1.02e-4 away.
    tolerance = 5e-4 if architecture == "deep" else 1e-4
    np.testing.assert_allclose(there[weights], here[weights], atol=tolerance)


@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize("case", LAYER_CASES)
def test_layers_give_what_keras_gives_there_and_on_tensorflow(computed, backend, case):
    there, here = computed(backend), computed("tensorflow")
    names = [name for name in there if name.startswith(f"ours {case}: ")]
    assert len(names) > 4
    for name in names:
        keras_own = there[name.replace("ours", "keras", 1)]
        np.testing.assert_allclose(there[name], keras_own, rtol=1e-4, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(there[name], here[name], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("case", LAYER_CASES)
def test_layers_give_in_16_bits_what_keras_gives_on_torch(computed, case):
    """bfloat16 keeps 8 bits: each number errs by up to 0.4 % of the largest that it was made of."""
    found = computed("torch")
    names = [name for name in found if name.startswith(f"ours in 16 bits {case}: ")]
    assert len(names) > 4
    for name in names:
        ours, theirs = found[name], found[name.replace("ours", "keras", 1)]
        exact = found[name.replace(" in 16 bits", "", 1)]
        bound = 0.01 * max(np.abs(exact).max(), 1)
        np.testing.assert_allclose(ours, theirs, atol=bound, err_msg=name)
        np.testing.assert_allclose(ours, exact, atol=bound, err_msg=name)
