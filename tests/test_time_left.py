"""The estimate of how long an epoch and a training will take."""

import types

import pytest

from crnn_keras.training.time_left import TimeLeft


def a_run(**changes):
    facts = {"steps": 100, "steps_done": 0, "epoch": 0, "epochs": 4, "patience": 0}
    facts |= {"validation": types.SimpleNamespace(steps_per_epoch=30), "validation_seconds": None}
    return types.SimpleNamespace(**{**facts, **changes})


def after(run, *, steps, seconds):
    """Times some steps of a run after its first one."""
    time = TimeLeft(run)
    time.begin_epoch()
    for done in range(1, steps + 2):
        run.steps_done += 1
        time.add_step(1000.0 + (done - 1) * seconds / steps)
    return time


def test_there_is_no_estimate_before_five_seconds_of_steps():
    run = a_run()
    time = TimeLeft(run)
    assert time.describe() == ""
    time.begin_epoch()
    run.steps_done = 1
    assert time.add_step(1000.0) is None  # the compilation is not timed
    run.steps_done = 5
    assert time.add_step(1004.0) == 1.0
    assert time.describe() == ""


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        # 89 steps of a second, and 30 batches of a third for a validation that is not measured.
        ({}, "1 min 39 s left in the epoch, 7 min 9 s in all"),
        ({"validation_seconds": 61}, "2 min 30 s left in the epoch, 10 min 33 s in all"),
        ({"patience": 2}, "1 min 39 s left in the epoch, at most 7 min 9 s in all"),
        ({"epoch": 3}, "1 min 39 s left"),
        ({"epoch": 3, "patience": 2}, "1 min 39 s left"),
        # The rest of an epoch that was interrupted.
        ({"steps_done": 80}, "19 s left in the epoch, 5 min 49 s in all"),
    ],
)
def test_the_epoch_and_the_run_count_steps_and_validations(changes, text):
    assert after(a_run(**changes), steps=10, seconds=10).describe() == text


def test_a_new_epoch_begins_with_the_speed_of_the_one_before():
    run = a_run()
    time = after(run, steps=99, seconds=99)
    run.epoch, run.steps_done, run.validation_seconds = 1, 0, 20
    time.begin_epoch()
    assert time.describe() == "2 min left in the epoch, 6 min in all"
    for done, now in ((1, 0.0), (11, 20.0)):
        run.steps_done = done
        time.add_step(now)
    assert time.describe() == "3 min 18 s left in the epoch, 10 min 38 s in all"
