"""The curves of a training: collected while it runs, drawn in a notebook, for TensorBoard."""

import doctest
import signal
import sys
import types

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from short_runs import EPOCHS, STEPS, assert_same_end, at_step, send, start

from crnn_keras.evaluation import plots
from crnn_keras.notebook import live_curves
from crnn_keras.notebook.live_curves import LiveCurves
from crnn_keras.notebook.watched import WatchedTraining
from crnn_keras.training import TrainingStopped, schedules
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


def test_points_are_as_many_steps_apart_as_asked():
    curves = play(TrainingCurves(every=2), [8, 6, 4, 3, 2, 1, 1, 1, 1, 1], steps=5)
    expected = [(2, 7), (4, 3.5), (5, 2), (7, 1), (9, 1), (10, 1)]
    np.testing.assert_allclose(curves.losses, expected)


def test_the_rates_of_a_schedule_are_those_of_the_optimizer():
    assert doctest.testmod(schedules).failed == 0
    rates = dict(schedules.rates_by_step("cosine", 0.003, 1000, every=25))
    assert list(rates) == list(range(0, 1001, 25))
    # What notebook 04 gives as a formula, with 50 steps of warm-up.
    assert rates[25] == pytest.approx(0.003 * (0.01 + 0.99 / 2), rel=1e-5)
    assert rates[50] == pytest.approx(0.003) and rates[525] == pytest.approx(0.0015, rel=1e-5)
    assert rates[1000] == pytest.approx(0, abs=1e-9)
    assert schedules.rates_by_step("constant", 0.01, 30) == [(0, 0.01), (20, 0.01), (30, 0.01)]


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


# === Words that are read meanwhile ===


def watch(folder):
    """Watches two canvases, one of them black, at every second step."""
    canvases = np.zeros((2, 32, 100, 1), np.uint8)
    canvases[1, 8:24, 20:80:9] = 255
    return WatchedTraining(canvases, ["", "abcd"], folder / "watched.json", every=2)


@pytest.mark.slow
def test_watching_changes_nothing_and_survives_an_interruption(tmp_path, word_sets):
    plain = start(word_sets, tmp_path / "plain")
    unbroken, stopped, continued, ended = (watch(tmp_path / name) for name in ("one", *3 * ["two"]))
    watching = start(word_sets, tmp_path / "one", callbacks=[unbroken])
    assert_same_end(plain, watching)
    last = EPOCHS * STEPS
    assert list(unbroken.texts) == [0, 2, 3, 5, 6] and last == 6
    assert all(len(texts) == 2 for texts in unbroken.texts.values())
    assert [step for step, _ in unbroken.losses] == [2, 3, 5, 6]
    with pytest.raises(TrainingStopped):
        # After a point, before the next one.
        added = [stopped, at_step(STEPS, send(signal.SIGTERM))]
        start(word_sets, tmp_path / "two", callbacks=added)
    broken = start(word_sets, tmp_path / "two", callbacks=[continued])
    assert_same_end(plain, broken)
    assert continued.texts == unbroken.texts
    np.testing.assert_allclose(continued.losses, unbroken.losses, rtol=1e-4)
    # A training that has ended shows what it showed.
    start(word_sets, tmp_path / "two", callbacks=[ended])
    assert (ended.texts, ended.losses) == (continued.texts, continued.losses)


def test_a_new_training_in_an_old_folder_forgets_what_was_watched(tmp_path):
    (tmp_path / "watched.json").write_text('{"losses": [[2, 9.0]], "texts": [[2, ["a", "b"]]]}')
    watched = watch(tmp_path)
    watched._read = lambda: ["", "x"]
    play(watched, [8, 6, 4], steps=3)
    assert watched.texts == dict.fromkeys((0, 2, 3), ["", "x"])
    np.testing.assert_allclose(watched.losses, [(2, 7), (3, 4)])
    # A state of an earlier step than the file, as after a kill.
    again = watch(tmp_path)
    again._read = watched._read
    play(again, [], steps=3, step=2)
    assert list(again.texts) == [0, 2] and [step for step, _ in again.losses] == [2]


@pytest.mark.parametrize(
    ("texts", "plateau", "moments"),
    [
        ({0: ["x"], 20: [""], 40: ["a"], 60: [""], 80: ["ab"]}, (20, 60), [0, 40, 80]),
        (
            {0: [""], 20: [""], 40: ["ab"], 60: [""], 80: [""], 99: ["a", "b"]},
            (60, 80),
            [0, 80, 99],
        ),
        ({0: ["", "x"], 20: ["a", "b"]}, None, [0, 20]),
        ({0: [""]}, None, [0]),
        ({}, None, []),
    ],
)
def test_the_plateau_is_the_longest_time_with_few_characters(tmp_path, texts, plateau, moments):
    watched = watch(tmp_path)
    watched.texts = texts
    assert (watched.plateau, watched.moments) == (plateau, moments)


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


def test_losses_of_other_trainings_are_a_band_by_epoch():
    bands = [{"seed": seed, "step": 2, "loss": loss} for seed, loss in ((1, 8.0), (2, 4.0))]
    figure = plots.live_curves([(1, 60.0)], [], 4, bands=bands)
    band = figure.axes[0].collections[0].get_paths()[0].get_extents()
    assert (band.xmin, band.ymin, band.ymax) == (0.5, 4, 8)
    assert len(figure.axes[0].lines) == 3


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
