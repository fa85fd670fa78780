"""Several devices train one reader as one would. The GPUs are parts of the processor here."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from test_backends import skip_unless_installed

from crnn_keras.char_dict import CharDict
from crnn_keras.data.batches import Batches
from crnn_keras.data.records import Records
from crnn_keras.images import Canvas
from crnn_keras.training import distribute

WORKER = pathlib.Path(__file__).with_name("distribute_worker.py")
LAUNCH = ["-m", "crnn_keras.training.distribute", "--here", "2"]


@pytest.fixture(scope="module")
def train_on(tmp_path_factory, word_sets):
    """Function that trains in a process of its own: the run folder, and what the worker found."""

    def train(backend, *names, launcher=(), folder=None, **variables):
        skip_unless_installed(backend)
        here = tmp_path_factory.mktemp("runs")
        folder = folder or here / "run"
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": backend}
        environment |= {"PYTHONPATH": str(WORKER.parent.parent), **variables}
        command = [*launcher, WORKER, word_sets, folder, here / "out.json", *names]
        command = [sys.executable, *map(str, command)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        return folder, json.loads((here / "out.json").read_text())

    return train


def newest_state(run):
    return max((run / "state").iterdir())


@pytest.fixture(scope="module")
def one_jax(train_on):
    return train_on("jax")


def test_two_jax_processes_continue_a_run_as_one_would(tmp_path, train_on, one_jax):
    """They begin from the state after the first epoch, and end with the second's losses.

    The sums over a batch are taken in another order, which shows in the sixth digit.
    """
    whole, expected = one_jax
    shutil.copytree(whole, tmp_path / "run")
    shutil.rmtree(newest_state(tmp_path / "run"))
    folder, found = train_on("jax", launcher=LAUNCH, folder=tmp_path / "run")
    assert (found["processes"], found["devices"]) == (2, 2)
    assert found["losses"][0] == expected["losses"][0]
    np.testing.assert_allclose(found["losses"], expected["losses"], rtol=1e-4)
    np.testing.assert_allclose(found["logits"], expected["logits"], atol=1e-2)
    # One process wrote: the same files, and no more.
    files = [sorted(p.relative_to(r) for p in r.rglob("*")) for r in (folder, whole)]
    assert files[0] == files[1]
    reader = keras.models.load_model(folder / "model.keras")
    with np.load(newest_state(folder) / "variables.npz") as arrays:
        saved = {arrays[name].tobytes() for name in arrays.files}
    assert all(weight.numpy().tobytes() in saved for weight in reader.weights)


def test_two_jax_devices_of_a_process_train_as_one(train_on, one_jax):
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    _, found = train_on("jax", **flags)
    assert (found["processes"], found["devices"]) == (1, 2)
    np.testing.assert_allclose(found["losses"], one_jax[1]["losses"], rtol=1e-4)


def test_two_tensorflow_devices_train_nearly_as_one(train_on):
    """Within 10 %: each device normalises by the images of its own half, and drops the same
    features as the other. Losses that were summed instead of averaged would be twice as large."""
    _, expected = train_on("tensorflow")
    _, found = train_on("tensorflow", "CPU:0", "CPU:1")
    assert (found["processes"], found["devices"]) == (1, 2)
    np.testing.assert_allclose(found["losses"], expected["losses"], rtol=0.1)
    assert np.shape(found["logits"]) == (8, 25, 37)


def test_two_torch_processes_train_nearly_as_one(tmp_path, train_on):
    """As on TensorFlow: each normalises by its own half. Both continue a run of one process."""
    whole, expected = train_on("torch")
    shutil.copytree(whole, tmp_path / "run")
    shutil.rmtree(newest_state(tmp_path / "run"))
    folder, found = train_on("torch", launcher=LAUNCH, folder=tmp_path / "run")
    assert (found["processes"], found["devices"]) == (2, 2)
    assert found["losses"][0] == expected["losses"][0]
    np.testing.assert_allclose(found["losses"], expected["losses"], rtol=0.1)
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in whole.iterdir())


def test_torch_processes_keep_the_same_weights(tmp_path):
    """The mean gradient of halves that differ: by hand (1 + 3) / 2 and (2 + 6) / 2.

    A `backward` that fails after the first gradient is passed over by both, and the next counts.
    """
    skip_unless_installed("torch")
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import sys, json, keras, torch, numpy as np\n"
        "from crnn_keras.training import distribute\n"
        "from crnn_keras.training.distribute.group import average_gradients\n"
        "with distribute.scope() as group:\n"
        "    weight = keras.Variable(np.ones(2, 'float32'))\n"
        "    average_gradients([weight])\n"
        "    def fail(_):\n"
        "        raise ArithmeticError\n"
        "    other = torch.ones(2, requires_grad=True)\n"
        "    other.register_hook(fail)\n"
        "    try:\n"
        "        (weight.value + other.exp()).sum().backward()\n"
        "    except ArithmeticError:\n"
        "        weight.value.grad.zero_()\n"
        "    scale = keras.ops.convert_to_tensor([[1.0, 2.0], [3.0, 6.0]][group.rank])\n"
        "    keras.ops.sum(weight.value * scale).backward()\n"
        "    with open(f'{sys.argv[1]}/{group.rank}.json', 'w') as file:\n"
        "        json.dump(weight.value.grad.tolist(), file)\n"
    )
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    environment["PYTHONPATH"] = str(WORKER.parent.parent)
    command = [sys.executable, *LAUNCH, str(worker), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert found == [[2.0, 4.0], [2.0, 4.0]]


@pytest.mark.parametrize("processes", [2, 4])
def test_shards_make_up_the_batches_of_one_process(word_sets, processes):
    def batches(shard):
        order = {"seed": 5, "shuffle": True, "augment": True, "random_erasing": 0.5, "shard": shard}
        char_dict = CharDict.from_preset("alphanumeric36")
        made = Batches(Records(word_sets / "train"), char_dict, Canvas(), batch_size=8, **order)
        return list(made.train_dataset(start_step=3).take(3).as_numpy_iterator())

    whole = batches((0, 1))
    shards = [batches((rank, processes)) for rank in range(processes)]
    for step, arrays in enumerate(whole):
        for index, expected in enumerate(arrays):
            found = np.concatenate([shard[step][index] for shard in shards])
            np.testing.assert_array_equal(found, expected)
        assert [len(shard[step][0]) for shard in shards] == [8 // processes] * processes
        assert len(arrays[0]) == 8


def test_validation_is_whole_in_every_process(word_sets):
    def texts(shard):
        char_dict = CharDict.from_preset("alphanumeric36")
        made = Batches(
            Records(word_sets / "validation"), char_dict, Canvas(), batch_size=8, shard=shard
        )
        return [labels.tolist() for _, labels, _ in made.iter_once()]

    assert texts((0, 1)) == texts((1, 2))


def test_batch_that_cannot_be_shared_is_refused(word_sets):
    with pytest.raises(ValueError, match="8 .* 3 .* 9"):
        char_dict = CharDict.from_preset("alphanumeric36")
        Batches(Records(word_sets / "train"), char_dict, Canvas(), batch_size=8, shard=(0, 3))


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        ("tensorflow", "trains in one process only. .*KERAS_BACKEND=jax.*one process for all GPUs"),
        ("torch", "one host without a GPU, .*KERAS_BACKEND=jax for GPUs and for several hosts"),
    ],
)
def test_what_keras_cannot_do_is_refused(monkeypatch, backend, message):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    with pytest.raises(ValueError, match=message), distribute.scope():
        pass


def test_cluster_of_tensorflow_workers_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    workers = [f"10.0.0.{number}:1234" for number in (1, 2)]
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {"worker": workers}}))
    with pytest.raises(ValueError, match="TF_CONFIG names 2 workers.*=jax"), distribute.scope():
        pass


def test_several_devices_under_torch_are_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    message = "one GPU under torch, but 2 .*=jax or tensorflow"
    with pytest.raises(ValueError, match=message), distribute.scope(["cuda:0", "cuda:1"]):
        pass


def test_alone_there_is_one_process_and_the_run_folder_is_the_folder(tmp_path):
    with distribute.scope() as group:
        assert group.part == (0, 1)
        assert group.run_folder(tmp_path) == tmp_path
