"""The same numbers on a GPU as on the CPU, on each backend that has one: `make test-gpu`.

Each backend computes in processes of their own, see `gpu_worker.py`. Numbers are compared in full
float32. By default a GPU multiplies in TF32, which keeps 11 bits: what it reads is compared too.
"""

import csv
import importlib.util
import os
import pathlib
import signal
from unittest import mock

import numpy as np
import pytest
from backends import PACKAGES, run_worker, skip_unless_installed
from gpu_worker import EPOCHS, STEP_ARCHITECTURES, STEPS

pytestmark = [
    pytest.mark.backends,
    pytest.mark.skipif(
        "CRNN_KERAS_GPU" not in os.environ, reason="needs a GPU: make test-gpu runs it"
    ),
]

WORKER = pathlib.Path(__file__).with_name("gpu_worker.py")
CPU = {"JAX_PLATFORMS": "cpu", "KERAS_TORCH_DEVICE": "cpu", "CUDA_VISIBLE_DEVICES": "-1"}
# NVIDIA's libraries obey the first on every backend, JAX' own kernels the second.
FULL_FLOAT32 = {"NVIDIA_TF32_OVERRIDE": "0", "JAX_DEFAULT_MATMUL_PRECISION": "highest"}
# For a trial of this file on a machine without a GPU.
PRETEND = os.environ.get("CRNN_KERAS_GPU") == "pretend"


def run(backend, environment, *arguments):
    with mock.patch.dict(os.environ, environment):
        return run_worker(backend, WORKER, *arguments)


@pytest.fixture(scope="module")
def devices():
    """What each installed backend computes on: "cpu", "gpu" or "other", and the machine."""
    installed = [name for name, package in PACKAGES.items() if importlib.util.find_spec(package)]
    return {name: run(name, {}, "device").stdout.split("\n")[:2] for name in installed}


def test_a_backend_has_a_gpu(devices):
    kinds = {name: kind for name, (kind, _) in devices.items()}
    for _, machine in devices.values():
        print(machine)
    if "gpu" not in kinds.values() and not PRETEND:
        pytest.fail(f"No backend has a GPU, they compute on {kinds}. Expected one: run it there.")


@pytest.fixture(params=list(PACKAGES))
def backend(request, devices):
    skip_unless_installed(request.param)
    if devices[request.param][0] != "gpu" and not PRETEND:
        pytest.skip(f"{request.param} has no GPU here")
    return request.param


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """Function that gives the arrays of a task on the CPU and on the GPU, computed once."""
    folder, found = tmp_path_factory.mktemp("gpu"), {}

    def arrays(backend, task, *, full=True):
        key = backend, task, full
        if key not in found:
            places = {"cpu": CPU, "gpu": FULL_FLOAT32 if full else {}}
            found[key] = []
            for place, environment in places.items():
                out = folder / f"{backend}_{task}_{place}_{full}.npz"
                assert run(backend, environment, task, out).returncode == 0
                found[key].append(dict(np.load(out)))
        return found[key]

    return arrays


@pytest.mark.parametrize("case", ["few", "many"])
def test_loss_and_its_gradient_are_the_same(computed, backend, case):
    here, there = computed(backend, "numbers")
    loss, gradient = f"{case} loss", f"{case} gradient"
    np.testing.assert_allclose(there[loss], here[loss], rtol=1e-4)
    np.testing.assert_allclose(there[gradient], here[gradient], rtol=1e-4, atol=1e-5)


def test_logits_are_the_same(computed, backend):
    here, there = (found["logits"] for found in computed(backend, "numbers"))
    assert here.std() > 0.1
    np.testing.assert_allclose(there, here, atol=1e-4)


@pytest.mark.parametrize("architecture", STEP_ARCHITECTURES)
def test_one_step_gives_the_same_loss_and_weights(computed, backend, architecture):
    here, there = computed(backend, "numbers")
    loss, weights = f"{architecture} loss", f"{architecture} weights"
    assert here[loss] > 1
    np.testing.assert_allclose(there[loss], here[loss], rtol=1e-4)
    np.testing.assert_allclose(there[weights], here[weights], atol=1e-4)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_steps_have_the_losses_of_float32_on_the_cpu(computed, backend, precision):
    """Within 5 %, as on the CPU: see `test_precision.py`."""
    here, there = computed(backend, "numbers")
    expected, losses = here["losses in float32"], there[f"losses in {precision}"]
    taken = int(there[f"taken in {precision}"])
    # Steps that the loss scaling skipped, since a gradient was too large for float16.
    skipped = len(losses) - taken
    assert skipped <= (2 if precision == "mixed_float16" else 0)
    np.testing.assert_allclose(losses[skipped:], expected[:taken], rtol=0.05)


def test_shipped_reader_reads_the_same(computed, backend):
    here, there = computed(backend, "read")
    assert len(set(here["texts"])) > 30
    assert there["texts"].tolist() == here["texts"].tolist()
    np.testing.assert_allclose(there["confidences"], here["confidences"], rtol=1e-3)


def test_shipped_reader_reads_the_same_in_tf32_but_for_a_word(computed, backend):
    """On an H100 logits were 0.27 (torch) and 0.15 (JAX) apart at most; 1 is allowed."""
    here, there = computed(backend, "read", full=False)
    np.testing.assert_allclose(there["logits"], here["logits"], rtol=0, atol=1.0)
    assert (there["texts"] != here["texts"]).sum() <= 1


def history_of(run_folder):
    with open(run_folder / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_training_ends_with_the_accuracy_of_the_cpu_also_after_a_kill(backend, tmp_path, word_sets):
    """A GPU adds up in another order each time, so weights are not the same to the last bit."""
    places = {"cpu": CPU, "gpu": {}, "killed": {}}
    killed = run(backend, {}, "train", word_sets, tmp_path / "killed", STEPS + STEPS // 2)
    assert killed.returncode == -signal.SIGKILL
    ends = {}
    for name, environment in places.items():
        done = run(backend, environment, "train", word_sets, tmp_path / name)
        assert done.returncode == 0
        assert ("continues after" in done.stdout) == (name == "killed")
        ends[name] = history_of(tmp_path / name)
    for rows in ends.values():
        assert len(rows) == EPOCHS
        assert float(rows[0]["word_accuracy"]) < 0.5
        assert float(rows[-1]["word_accuracy"]) > 0.9
