"""Several devices train one model as one would. Here processes and cores stand for GPUs."""

import itertools
import json
import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from backends import environment_of, skip_unless_installed

from crnn_keras.char_dict import CharDict
from crnn_keras.data.batches import Batches
from crnn_keras.data.records import Records
from crnn_keras.images import Canvas
from crnn_keras.training import distribute

pytestmark = pytest.mark.slow

WORKER = pathlib.Path(__file__).with_name("distribute_worker.py")
LAUNCH = ["-c", "from crnn_keras.cli import main; raise SystemExit(main())", "launch"]
LAUNCH += ["--local-processes", "2"]


@pytest.fixture(scope="module")
def train_on(tmp_path_factory, word_sets):
    """Returns a function that trains in a process of its own, and returns what the worker found.

    Runs are `RUN_FOLDER[@DEVICE,DEVICE]`.
    """

    def train(backend, *runs, launcher=(), **variables):
        skip_unless_installed(backend)
        out = tmp_path_factory.mktemp("found") / "out.json"
        command = [sys.executable, *launcher, WORKER, word_sets, out, *runs]
        environment = {**environment_of(backend), **variables}
        done = subprocess.run(
            list(map(str, command)), env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(out.read_text())

    return train


def newest_state(run):
    return max((run / "state").iterdir())


@pytest.fixture(scope="module")
def jax_runs(tmp_path_factory, train_on):
    """A run by one device of a process, and one by two: the first's folder, and both results."""
    folder = tmp_path_factory.mktemp("jax")
    flags = "--xla_force_host_platform_device_count=2"
    return folder / "one", *train_on("jax", f"{folder}/one@cpu:0", f"{folder}/two", XLA_FLAGS=flags)


def test_two_jax_devices_of_a_process_train_as_one(jax_runs):
    _, one, two = jax_runs
    assert (one["processes"], one["devices"]) == (1, 1)
    assert (two["processes"], two["devices"]) == (1, 2)
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-4)


def test_two_jax_processes_continue_a_run_as_one_would(tmp_path, train_on, jax_runs):
    """They begin from the state after the first epoch, and end with the second's losses.

    The sums over a batch are taken in another order, which shows in the sixth digit.
    """
    one, expected, _ = jax_runs
    folder = shutil.copytree(one, tmp_path / "run")
    shutil.rmtree(newest_state(folder))
    (found,) = train_on("jax", folder, launcher=LAUNCH)
    assert (found["processes"], found["devices"]) == (2, 2)
    assert found["losses"][0] == expected["losses"][0]
    np.testing.assert_allclose(found["losses"], expected["losses"], rtol=1e-4)
    np.testing.assert_allclose(found["logits"], expected["logits"], atol=1e-2)
    # One process wrote: the same files, and no more.
    files = [sorted(p.relative_to(r) for p in r.rglob("*")) for r in (folder, one)]
    assert files[0] == files[1]
    model = keras.models.load_model(folder / "model.keras")
    with np.load(newest_state(folder) / "variables.npz") as arrays:
        saved = {arrays[name].tobytes() for name in arrays.files}
    assert all(weight.numpy().tobytes() in saved for weight in model.weights)


def test_two_tensorflow_devices_train_nearly_as_one(tmp_path, train_on):
    """Within 10 %: each device normalises by the images of its own half, and drops the same
    features as the other. Losses that were summed instead of averaged would be twice as large."""
    one, two = train_on("tensorflow", f"{tmp_path}/one@CPU:0", f"{tmp_path}/two@CPU:0,CPU:1")
    assert (one["processes"], one["devices"]) == (1, 1)
    assert (two["processes"], two["devices"]) == (1, 2)
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=0.1)
    assert np.shape(two["logits"]) == (8, 25, 37)


def test_two_torch_processes_train_nearly_as_one(tmp_path, train_on):
    """As on TensorFlow: each normalises by its own half. Both continue a run of one process."""
    (expected,) = train_on("torch", tmp_path / "one")
    folder = shutil.copytree(tmp_path / "one", tmp_path / "run")
    shutil.rmtree(newest_state(folder))
    (found,) = train_on("torch", folder, launcher=LAUNCH)
    assert (found["processes"], found["devices"]) == (2, 2)
    assert found["losses"][0] == expected["losses"][0]
    np.testing.assert_allclose(found["losses"], expected["losses"], rtol=0.1)
    names = [sorted(path.name for path in run.iterdir()) for run in (folder, tmp_path / "one")]
    assert names[0] == names[1]


GRADIENTS = """
import json, sys
import keras, numpy as np, torch
from crnn_keras.training import distribute
from crnn_keras.training.distribute.group import average_gradients
from crnn_keras.utils import keras_private

def fail(_):
    raise ArithmeticError

def backward(weight, rank):
    weight.value.grad = None
    scale = keras.ops.convert_to_tensor([[1.0, 2.0], [3.0, 6.0]][rank])
    keras.ops.sum(weight.value * scale).backward()
    return weight.value.grad.tolist()

def failed_backward(weight):
    other = torch.ones(2, requires_grad=True)
    other.register_hook(fail)
    try:
        (weight.value + other.exp()).sum().backward()
    except ArithmeticError:
        return
    raise AssertionError

found = {}
with distribute.scope() as group:
    for way in ("together", "one by one"):
        if way == "one by one":
            keras_private.once_after_backward = lambda function: None
        weight = keras.Variable(np.ones(2, "float32"))
        messages, all_reduce = [], torch.distributed.all_reduce
        torch.distributed.all_reduce = lambda x: (messages.append(0), all_reduce(x))
        rows = found[way] = []
        for _ in range(2):  # two trainings of one model
            with average_gradients([weight]):
                failed_backward(weight)
                messages.clear()
                rows.append([backward(weight, group.rank), len(messages)])
        rows.append([backward(weight, group.rank), len(messages)])
        torch.distributed.all_reduce = all_reduce
with open(f"{sys.argv[1]}/{group.rank}.json", "w") as file:
    json.dump(found, file)
"""


def test_torch_processes_take_the_mean_gradient(tmp_path):
    """The mean gradient of halves that differ: by hand (1 + 3) / 2 and (2 + 6) / 2.

    A `backward` that fails after the first gradient does not count. A model that is trained twice
    sends its gradients once, and no longer sends them afterwards.
    """
    skip_unless_installed("torch")
    worker = tmp_path / "worker.py"
    worker.write_text(GRADIENTS)
    command = [sys.executable, *LAUNCH, str(worker), str(tmp_path)]
    done = subprocess.run(command, env=environment_of("torch"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    for rank, own in enumerate([[1.0, 2.0], [3.0, 6.0]]):
        rows = [[[2.0, 4.0], 1], [[2.0, 4.0], 1], [own, 1]]
        found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert found == {"together": rows, "one by one": rows}


@pytest.mark.parametrize("processes", [2, 4])
def test_shards_together_are_the_batches_of_one_process(word_sets, processes):
    def batches(shard):
        order = {"seed": 5, "shuffle": True, "augment": True, "random_erasing": 0.5, "shard": shard}
        char_dict = CharDict.from_preset("alphanumeric36")
        made = Batches(Records(word_sets / "train"), char_dict, Canvas(), batch_size=8, **order)
        return list(itertools.islice(made.train_dataset(start_step=3), 3))

    complete = batches((0, 1))
    shards = [batches((rank, processes)) for rank in range(processes)]
    for step, arrays in enumerate(complete):
        for index, expected in enumerate(arrays):
            found = np.concatenate([shard[step][index] for shard in shards])
            np.testing.assert_array_equal(found, expected)
        assert [len(shard[step][0]) for shard in shards] == [8 // processes] * processes
        assert len(arrays[0]) == 8


def test_every_process_validates_on_all_records(word_sets):
    def labels(shard):
        char_dict = CharDict.from_preset("alphanumeric36")
        made = Batches(
            Records(word_sets / "validation"), char_dict, Canvas(), batch_size=8, shard=shard
        )
        return [labels.tolist() for _, labels, _ in made.iter_once()]

    assert labels((0, 1)) == labels((1, 2))


def test_batch_that_cannot_be_divided_is_refused(word_sets):
    char_dict = CharDict.from_preset("alphanumeric36")
    with pytest.raises(ValueError, match="8 .* 3 .* 9"):
        Batches(Records(word_sets / "train"), char_dict, Canvas(), batch_size=8, shard=(0, 3))


@pytest.mark.parametrize(
    ("backend", "facts"),
    [
        ("tensorflow", "NUM_PROCESSES is 2.*tensorflow.*one process.*KERAS_BACKEND=jax"),
        ("torch", "torch.*without a GPU.*crnn-keras launch.*KERAS_BACKEND=jax"),
    ],
)
def test_what_keras_cannot_do_is_refused(monkeypatch, backend, facts):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    with pytest.raises(ValueError, match=facts), distribute.scope():
        pass


def test_cluster_of_tensorflow_workers_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    workers = [f"10.0.0.{host}:1234" for host in (1, 2)]
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {"worker": workers}}))
    with pytest.raises(ValueError, match="TF_CONFIG names 2 workers.*=jax"), distribute.scope():
        pass


def test_several_devices_under_torch_are_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    facts = "one GPU under torch, got 2 .*=jax or tensorflow"
    with pytest.raises(ValueError, match=facts), distribute.scope(["cuda:0", "cuda:1"]):
        pass


def test_a_process_alone_trains_on_all_rows_in_the_run_folder(tmp_path):
    with distribute.scope() as group:
        assert group.shard == (0, 1)
        assert group.run_folder(tmp_path) == tmp_path
