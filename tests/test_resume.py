"""Runs that are stopped and go on, in this process; `test_kills.py` has those that are killed."""

import os
import pathlib
import signal
import threading
import time

import pytest
from jupyter_client.manager import start_new_kernel

from crnn_keras import training as training
from crnn_keras.data.batches import Batches
from crnn_keras.data.records import Records
from crnn_keras.images import Canvas
from crnn_keras.model.crnn import build_crnn
from crnn_keras.training import TrainingStopped, train
from crnn_keras.training import callbacks as run_module

EPOCHS, STEPS = 2, 3


@pytest.fixture(autouse=True)
def python_handles_ctrl_c():
    """As in a shell's foreground; jobs in the background inherit that Ctrl-C is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def start(word_sets, char_dict):
    """Function that trains in a folder, with dropout and augmentation; gives reader and history."""

    def begin(folder, model=None, **options):
        make = {"char_dict": char_dict, "canvas": Canvas(), "batch_size": 8}
        batches = Batches(Records(word_sets / "train"), **make, seed=5, shuffle=True, augment=True)
        validation = Batches(Records(word_sets / "validation"), **make)
        model = model or build_crnn(char_dict, seed=5)
        return model, train(model, batches, validation, folder, EPOCHS, STEPS, **options)

    return begin


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, start):
    folder = tmp_path_factory.mktemp("runs") / "unbroken"
    return folder, *start(folder)


def without_seconds(history):
    return [{name: row[name] for name in row if name != "seconds"} for row in history]


def assert_same_end(unbroken, model, history):
    for here, there in zip(unbroken[1].weights, model.weights, strict=True):
        assert here.numpy().tobytes() == there.numpy().tobytes()
    assert without_seconds(history) == without_seconds(unbroken[2])


def signal_at(monkeypatch, number, step, where="step"):
    """Sends this process a signal during a step, or in the validation of an epoch."""
    seen = {"count": 0}

    def count():
        seen["count"] += 1
        if seen["count"] == step:
            os.kill(os.getpid(), number)

    if where == "step":
        monkeypatch.setattr(run_module.ProgressLine, "step", lambda *_: count())
    else:
        evaluated = training.validation.best_path
        monkeypatch.setattr(
            training.validation, "best_path", lambda *given: (count(), evaluated(*given))[1]
        )


# Signal, at which step or validation batch of that process it comes, and what is said.
STOPS = [
    (signal.SIGINT, 1, "step", "SIGINT came: .* after step 1 of 3 in epoch 1 of 2"),
    (signal.SIGTERM, 1, "step", "SIGTERM came: .* after step 2 of 3 in epoch 1 of 2"),
    (signal.SIGINT, 1, "step", "SIGINT came: .* after step 3 of 3 in epoch 1 of 2"),
    (signal.SIGTERM, 4, "validation", "SIGTERM came: .* after step 3 of 3 in epoch 2 of 2"),
]


def test_stopped_run_saves_and_goes_on_to_the_same_end(
    tmp_path, monkeypatch, capsys, start, unbroken
):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    for number, step, where, said in STOPS:
        with monkeypatch.context() as patch:
            signal_at(patch, number, step, where)
            with pytest.raises(TrainingStopped, match=f"{said}.*/state/0.*To continue") as error:
                start(tmp_path)
        assert len(error.traceback) < 6
        assert error.value._render_traceback_() == [f"TrainingStopped: {error.value}"]
        assert handlers == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    model, history = start(tmp_path)
    printed = capsys.readouterr().out
    for step, epoch in ((1, 1), (2, 1), (3, 1), (3, 2)):
        assert f"{tmp_path} stands after step {step} of 3 in epoch {epoch} of 2." in printed
    assert_same_end(unbroken, model, history)


def test_second_ctrl_c_does_not_wait_for_the_end_of_the_step(tmp_path, monkeypatch, start):
    def impatient(*_):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(run_module.ProgressLine, "step", impatient)
    with pytest.raises(KeyboardInterrupt) as error:
        start(tmp_path)
    assert not isinstance(error.value, TrainingStopped)
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["000001"]


def test_interrupted_notebook_cell_saves_and_the_kernel_lives_on(tmp_path, word_sets):
    tests = str(pathlib.Path(__file__).parent)
    manager, client = start_new_kernel(env={**os.environ, "PYTHONPATH": tests})
    try:
        given = (str(word_sets), 1000, str(tmp_path), 0)
        # What is asked right after an error would be refused if the kernel had to stop on errors.
        client.execute(
            f"import kill_worker; kill_worker.train_a_little{given}", stop_on_error=False
        )
        # A state is saved after each step: that of the second one tells that `fit` is running.
        patience = time.monotonic() + 120
        while not any(int(path.name) > 1 for path in tmp_path.glob("state/[0-9]*[0-9]")):
            assert manager.is_alive() and time.monotonic() < patience
            time.sleep(0.1)
        manager.interrupt_kernel()
        reply = client.get_shell_msg(timeout=60)["content"]
        assert reply["ename"] == "TrainingStopped"
        assert f"saved in {tmp_path}" in reply["evalue"] and "To continue" in reply["evalue"]
        assert client.execute_interactive("1 + 1", timeout=60)["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_ignored_signals_stay_ignored(tmp_path, monkeypatch, start, unbroken):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        signal_at(monkeypatch, signal.SIGINT, 2)
        assert_same_end(unbroken, *start(tmp_path))
    finally:
        signal.signal(signal.SIGINT, before)


def test_training_in_a_thread_saved_at_each_step_ends_the_same(tmp_path, start, unbroken):
    found = []
    thread = threading.Thread(target=lambda: found.extend(start(tmp_path, save_minutes=0)))
    thread.start()
    thread.join()
    assert_same_end(unbroken, *found)
    # The first state, one a step, one an epoch; and the unbroken run, saved every ten minutes.
    for folder, count in ((tmp_path, 1 + EPOCHS * (STEPS + 1)), (unbroken[0], 1 + EPOCHS)):
        names = sorted(path.name for path in (folder / "state").iterdir())
        assert names == [f"{count - 1:06d}", f"{count:06d}"]


def test_reader_that_has_learnt_gets_its_first_weights_back(
    tmp_path, monkeypatch, char_dict, start, unbroken
):
    """As in a notebook: the cell failed, and is run again with the model that it left."""
    model = build_crnn(char_dict, seed=5)
    before = model.get_weights()
    with monkeypatch.context() as patch:
        patch.setattr(run_module.ProgressLine, "step", _fail)
        with pytest.raises(RuntimeError, match="on purpose"):
            start(tmp_path, model)
    assert any(
        (here != there).any() for here, there in zip(before, model.get_weights(), strict=True)
    )
    assert_same_end(unbroken, *start(tmp_path, model))


def _fail(*_):
    raise RuntimeError("on purpose")


def test_another_precision_is_refused(start, unbroken, char_dict):
    model = build_crnn(char_dict, seed=5, precision="mixed_bfloat16")
    with pytest.raises(ValueError, match="precision: 'float32' there, 'mixed_bfloat16' now"):
        start(unbroken[0], model)
