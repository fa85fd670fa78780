"""The curves of a training: collected while it runs, drawn in a notebook, for TensorBoard."""

import signal
import sys
import types

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from short_runs import STEPS, at_step, send, start

from crnn_keras.evaluation import plots
from crnn_keras.notebook import live_curves
from crnn_keras.notebook.live_curves import LiveCurves
from crnn_keras.training import TrainingStopped
from crnn_keras.training.curves import TensorBoardCurves, TrainingCurves
from crnn_keras.utils.progress import HEADLESS

pytestmark = pytest.mark.loop

ROW = {"loss": 2.5, "word_accuracy": 0.25, "character_accuracy": 0.5, "learning_rate": 0.001}


def a_row(epoch, steps):
    return {**ROW, "epoch": epoch, "steps": epoch * steps, "train_loss": 9.0 / epoch}


def play(curves, losses, *, steps, step=0, history=()):
    """Calls a callback as a training does, whose steps have these losses, from a step on."""
    history = list(history)
    curves.set_params({"epochs": 9, "steps": steps, "step": step, "history": history})
    curves.on_train_begin()
    sums, losses = 0.0, list(losses)
    first = step - step % steps
    for now in range(first, first + len(losses)):
        if now % steps == 0:
            sums = 0.0
        sums += losses[now - first]
        if now < step:
            continue
        if now in (step, now - now % steps):
            curves.on_epoch_begin(now // steps)
        curves.on_train_batch_end(now % steps, {"loss": sums / (now % steps + 1)})
        if (now + 1) % steps == 0:
            history.append(a_row(now // steps + 1, steps))
            curves.on_epoch_end(now // steps)
    curves.on_train_end()
    return curves


def test_each_step_of_a_short_epoch_is_a_point_with_its_own_loss():
    curves = play(TrainingCurves(), [8, 6, 4, 3, 2, 1], steps=3)
    expected = [(1, 8), (2, 6), (3, 4), (4, 3), (5, 2), (6, 1)]
    np.testing.assert_allclose(curves.losses, expected)
    assert [row["epoch"] for row in curves.history] == [1, 2]


def test_a_long_epoch_has_some_fifty_points_that_are_means():
    losses = [float(step % 10) for step in range(2 * 505)]
    curves = play(TrainingCurves(), losses, steps=505)
    steps = [step for step, _ in curves.losses]
    assert steps[:51] == [*range(10, 501, 10), 505] and len(steps) == 102
    assert [loss for _, loss in curves.losses[:50]] == pytest.approx([4.5] * 50)


def test_a_continued_run_begins_with_its_history():
    losses = [8.0, 6, 4, 3, 2, 1]
    curves = play(TrainingCurves(), losses[3:], steps=3, step=4, history=[a_row(1, 3)])
    # The mean of the first epoch; the first step after the interruption only counts.
    np.testing.assert_allclose(curves.losses, [(3, 9), (6, 1)])
    assert [row["epoch"] for row in curves.history] == [1, 2]


def read_events(folder):
    event_accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    events = event_accumulator.EventAccumulator(str(folder))
    events.Reload()
    return {
        tag: [(event.step, event.tensor_proto.float_val[0]) for event in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
    }


def test_tensorboard_reads_loss_by_step_and_the_validation(tmp_path):
    pytest.importorskip("tensorboard")
    play(TensorBoardCurves(tmp_path / "board"), [8, 6, 4], steps=3)
    play(TensorBoardCurves(tmp_path / "board"), [3, 2, 1], steps=3, step=3, history=[a_row(1, 3)])
    found = read_events(tmp_path / "board")
    losses = [(1, 8), (2, 6), (3, 4), (4, 3), (5, 2), (6, 1)]
    np.testing.assert_allclose(found.pop("train/loss"), losses)
    for name, value in ROW.items():
        tag = f"train/{name}" if name == "learning_rate" else f"validation/{name}"
        np.testing.assert_allclose(found.pop(tag), [(3, value), (6, value)])
    assert not found


def test_tensorboard_that_is_missing_is_named_with_the_way_to_get_it(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorboard.summary", raising=False)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'crnn_keras\[tensorboard\]'"):
        TensorBoardCurves(tmp_path / "board")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_tensorboard_of_a_run_that_was_stopped_has_each_epoch(tmp_path, word_sets):
    pytest.importorskip("tensorboard")
    board = tmp_path / "board"
    with pytest.raises(TrainingStopped):
        added = [TensorBoardCurves(board), at_step(STEPS + 1, send(signal.SIGTERM))]
        start(word_sets, tmp_path / "run", callbacks=added)
    _, history = start(word_sets, tmp_path / "run", callbacks=[TensorBoardCurves(board)])
    found = read_events(board)
    rows = {row["steps"]: row for row in history}
    for name in ("loss", "word_accuracy", "character_accuracy"):
        expected = [(step, row[name]) for step, row in rows.items()]
        np.testing.assert_allclose(found[f"validation/{name}"], expected, rtol=1e-6)
    assert [step for step, _ in found["train/learning_rate"]] == list(rows)
    losses = dict(found["train/loss"])
    assert set(losses) >= {1, 2, 3, 6}
    mean = sum(losses[step] for step in (1, 2, 3)) / 3
    assert mean == pytest.approx(history[0]["train_loss"], rel=1e-4)


# === In a notebook ===


def test_the_figure_draws_nothing_epochs_and_many_steps():
    for losses, history in (
        ([], []),
        ([(1, 60.0)], []),
        ([(1, 60.0), (2, 3.0)], [a_row(1, 2)]),
    ):
        figure = plots.live_curves(losses, history, 2)
        left, right = figure.axes
        assert list(left.lines[0].get_xdata()) == [step / 2 for step, _ in losses]
        assert list(left.lines[1].get_ydata()) == [row["loss"] for row in history]
        assert list(right.lines[0].get_ydata()) == [row["word_accuracy"] for row in history]
        figure.canvas.draw()


@pytest.fixture
def shown(monkeypatch):
    """What a notebook shows: the figures displayed, and those that took their place."""
    shown = types.SimpleNamespace(displayed=[], updated=[])

    def display(image, display_id):
        assert display_id is True
        shown.displayed.append(image)
        return types.SimpleNamespace(update=shown.updated.append)

    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr(live_curves, "in_kernel", lambda: True)
    monkeypatch.delenv(HEADLESS, raising=False)
    return shown


def test_one_figure_is_drawn_anew_while_it_trains(shown):
    play(LiveCurves(seconds=0), [8, 6, 4, 3, 2, 1], steps=3)
    assert len(shown.displayed) == 1 and len(shown.updated) >= 2
    assert shown.updated[-1].data.startswith(b"\x89PNG")


def test_a_figure_is_drawn_at_most_every_few_seconds_and_at_each_epoch(shown):
    play(LiveCurves(seconds=1000), [8, 6, 4, 3, 2, 1], steps=3)
    # The first point, and the ends of two epochs.
    assert (len(shown.displayed), len(shown.updated)) == (1, 2)


def test_a_training_that_is_continued_or_run_again_gets_a_figure_of_its_own(shown):
    curves = LiveCurves(seconds=1000)
    play(curves, [], steps=3, step=3, history=[a_row(1, 3)])
    assert (len(shown.displayed), len(shown.updated)) == (1, 0)
    play(curves, [], steps=3, step=3, history=[a_row(1, 3)])
    assert (len(shown.displayed), len(shown.updated)) == (2, 0)


def test_where_nobody_watches_there_is_one_figure_at_the_end(shown, monkeypatch):
    monkeypatch.setenv(HEADLESS, "1")
    play(LiveCurves(seconds=0), [8, 6, 4, 3, 2, 1], steps=3)
    assert (len(shown.displayed), len(shown.updated)) == (1, 0)


def test_outside_of_a_notebook_nothing_is_drawn(shown, monkeypatch):
    monkeypatch.setattr(live_curves, "in_kernel", lambda: False)
    play(LiveCurves(seconds=0), [8, 6, 4], steps=3)
    assert shown.displayed == []


SCRIPT = """
from crnn_keras.notebook.live_curves import LiveCurves
curves = LiveCurves(seconds=0)
history = []
curves.set_params({"epochs": 2, "steps": 2, "step": 0, "history": history})
curves.on_train_begin()
curves.on_epoch_begin(0)
for step in range(2):
    curves.on_train_batch_end(step, {"loss": 9.0 - step})
curves.on_train_end()
"""


@pytest.mark.slow
@pytest.mark.parametrize("headless", ["", "1"])
def test_a_kernel_keeps_one_image_in_the_output_of_the_cell(tmp_path, monkeypatch, headless):
    monkeypatch.setenv(HEADLESS, headless)
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SCRIPT)])
    NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    images = [
        output
        for output in book.cells[0].outputs
        if "image/png" in output.get("data", {}) and output.output_type == "display_data"
    ]
    assert len(images) == 1
