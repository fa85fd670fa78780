"""Runs that are stopped and continued in this process; `test_kills.py` kills processes."""

import os
import pathlib
import signal
import threading
import time

import pytest
from jupyter_client.manager import start_new_kernel
from short_runs import EPOCHS, STEPS, assert_same_end, at_step, at_validation_batch, send, start

from crnn_keras.model.crnn import build_crnn
from crnn_keras.training import TrainingStopped, callbacks

pytestmark = [pytest.mark.loop, pytest.mark.slow]


@pytest.fixture(autouse=True)
def python_handles_ctrl_c():
    """As in the foreground of a shell: jobs in the background inherit that Ctrl-C is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, word_sets):
    """A finished run: its folder, and its model and history."""
    folder = tmp_path_factory.mktemp("runs") / "unbroken"
    return folder, start(word_sets, folder)


# Signal, at which step or validation batch of that process it comes, and the facts of the message.
STOPS = [
    (signal.SIGINT, 1, "step", "SIGINT .* step 1 of 3 in epoch 1 of 2"),
    (signal.SIGTERM, 1, "step", "SIGTERM .* step 2 of 3 in epoch 1 of 2"),
    (signal.SIGINT, 1, "step", "SIGINT .* step 3 of 3 in epoch 1 of 2"),
    (signal.SIGTERM, 4, "validation", "SIGTERM .* step 3 of 3 in epoch 2 of 2"),
]


def test_stopped_run_saves_and_continues_to_the_same_end(
    tmp_path, monkeypatch, capsys, word_sets, unbroken
):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    for number, index, where, facts in STOPS:
        with monkeypatch.context() as patch:
            added = [at_step(index, send(number))] if where == "step" else []
            if where == "validation":
                at_validation_batch(patch, index, send(number))
            with pytest.raises(TrainingStopped, match=f"{facts}.*{tmp_path}/state/0") as error:
                start(word_sets, tmp_path, callbacks=added)
        assert len(error.traceback) < 6
        assert error.value._render_traceback_() == [f"TrainingStopped: {error.value}"]
        assert handlers == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    ended = start(word_sets, tmp_path)
    printed = capsys.readouterr().out
    for step, epoch in ((1, 1), (2, 1), (3, 1), (3, 2)):
        assert f"{tmp_path} continues after step {step} of 3 in epoch {epoch} of 2." in printed
    assert_same_end(unbroken[1], ended)


def test_second_ctrl_c_does_not_wait_for_the_end_of_the_step(tmp_path, word_sets):
    def send_twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as error:
        start(word_sets, tmp_path, callbacks=[at_step(1, send_twice)])
    assert not isinstance(error.value, TrainingStopped)
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["000001"]


def test_interrupted_notebook_cell_saves_and_the_kernel_lives_on(tmp_path, word_sets):
    tests = str(pathlib.Path(__file__).parent)
    manager, client = start_new_kernel(env={**os.environ, "PYTHONPATH": tests})
    try:
        arguments = f"{str(word_sets)!r}, 1000, {str(tmp_path)!r}, save_minutes=0"
        # A kernel that stops on errors would refuse the next cell.
        client.execute(
            f"import kill_worker; kill_worker.train_a_little({arguments})", stop_on_error=False
        )
        # A state is saved after each step: that of the second one tells that `fit` is running.
        patience = time.monotonic() + 120
        while not any(int(path.name) > 1 for path in tmp_path.glob("state/[0-9]*[0-9]")):
            assert manager.is_alive() and time.monotonic() < patience
            time.sleep(0.1)
        manager.interrupt_kernel()
        reply = client.get_shell_msg(timeout=60)["content"]
        assert reply["ename"] == "TrainingStopped"
        assert f"{tmp_path}/state/0" in reply["evalue"]
        assert client.execute_interactive("1 + 1", timeout=60)["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_ignored_signals_stay_ignored(tmp_path, word_sets, unbroken):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ended = start(word_sets, tmp_path, callbacks=[at_step(2, send(signal.SIGINT))])
        assert_same_end(unbroken[1], ended)
    finally:
        signal.signal(signal.SIGINT, before)


def test_training_in_a_thread_saved_at_each_step_ends_the_same(tmp_path, word_sets, unbroken):
    ended = []
    thread = threading.Thread(
        target=lambda: ended.extend(start(word_sets, tmp_path, save_minutes=0))
    )
    thread.start()
    thread.join()
    assert_same_end(unbroken[1], ended)
    # The first state, one a step, one an epoch; and the unbroken run, saved every ten minutes.
    for folder, count in ((tmp_path, 1 + EPOCHS * (STEPS + 1)), (unbroken[0], 1 + EPOCHS)):
        names = sorted(path.name for path in (folder / "state").iterdir())
        assert names == [f"{count - 1:06d}", f"{count:06d}"]


def test_model_that_has_learned_gets_its_first_weights_back(
    tmp_path, monkeypatch, char_dict, word_sets, unbroken
):
    """As in a notebook: the cell failed, and is run again with the model that it left."""

    class Line(callbacks.ProgressLine):
        def __exit__(self, *error):
            closed.append(True)

    def fail():
        raise RuntimeError("on purpose")

    closed = []
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    model = build_crnn(char_dict, seed=5)
    before = model.get_weights()
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="on purpose"):
        patch.setattr(callbacks, "ProgressLine", Line)
        start(word_sets, tmp_path, model, callbacks=[at_step(1, fail)])
    assert closed == [True]
    assert handlers == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    assert any(
        (here != there).any() for here, there in zip(before, model.get_weights(), strict=True)
    )
    assert_same_end(unbroken[1], start(word_sets, tmp_path, model))


def test_another_precision_is_refused(word_sets, unbroken, char_dict):
    model = build_crnn(char_dict, seed=5, precision="mixed_bfloat16")
    with pytest.raises(ValueError, match="precision: 'float32' saved, 'mixed_bfloat16' now"):
        start(word_sets, unbroken[0], model)
