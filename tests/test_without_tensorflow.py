"""Training and reading where TensorFlow is not installed: see `without_tensorflow_worker.py`."""

import json
import pathlib

import pytest
from backends import run_worker, skip_unless_installed

pytestmark = pytest.mark.backends

WORKER = pathlib.Path(__file__).with_name("without_tensorflow_worker.py")


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_run_that_continues_equals_an_unbroken_one(backend, word_sets, tmp_path):
    skip_unless_installed(backend)
    done = run_worker(backend, WORKER, word_sets, tmp_path)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["continued"] == found["unbroken"] and len(found["unbroken"]) == 2
    here, loaded = found["texts"]
    assert here == loaded and len(here) == 3
    # What augments belongs to the training, not to the reader's file.
    assert found["layers"] == 1
    assert found["imported"] == []
