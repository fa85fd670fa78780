"""The best epoch of a run: its weights, and the end of a training that finds no better one."""

import math
import shutil
import signal
import types

import keras
import numpy as np
import pytest
from short_runs import STEPS, assert_same_end, at_step, at_validation_batch, send, start

from crnn_keras.model.crnn import build_crnn
from crnn_keras.training import TrainingStopped, best_epoch, callbacks
from crnn_keras.training.validation import validate

pytestmark = pytest.mark.loop

# Word accuracy and loss of each epoch: the second is the best of the first four.
MEASURED = [(0.1, 3.0), (0.5, 2.0), (0.5, 2.0), (0.4, 1.0), (0.5, 1.5), (0.2, 9.0)]
# The weights of an epoch do not depend on the number of epochs.
ENDLESS = {"schedule": "constant", "learning_rate": 1e-3}


@pytest.mark.parametrize(
    ("measured", "best"),
    [
        ([], 0),
        ([(0.0, 9.0)], 1),
        ([(0.0, 9.0), (0.0, 8.0), (0.0, 8.5)], 2),
        ([(0.5, 1.0), (0.6, 2.0), (0.6, 2.0)], 2),
        ([(0.6, 2.0), (0.6, 1.0), (0.5, 0.1)], 2),
        ([(0.0, math.nan), (0.0, math.inf)], 1),
        ([(0.0, math.nan), (0.0, 99.0), (0.0, math.nan)], 2),
        ([(0.1, math.nan), (0.0, 1.0)], 1),
        (MEASURED, 5),
    ],
)
def test_best_epoch_has_the_highest_accuracy_then_the_lowest_loss_and_is_the_first(measured, best):
    assert best_epoch([{"word_accuracy": a, "loss": loss} for a, loss in measured]) == best


@pytest.fixture
def measured(monkeypatch):
    """Has the validation of an epoch find what `MEASURED` says, as a function of the step."""

    def measure(model, batches, *, after_batch):
        loss, report = validate(model, batches, after_batch=after_batch)
        epoch = int(keras.ops.convert_to_numpy(model.optimizer.iterations)) // STEPS
        accuracy, loss = MEASURED[epoch - 1]
        facts = {"cases": report.cases, "cer": report.cer, "word_accuracy": accuracy}
        return loss, types.SimpleNamespace(**facts)

    monkeypatch.setattr(callbacks, "validate", measure)


def weights_of(model):
    return [weight.numpy().tobytes() for weight in model.weights]


def saved(path):
    return weights_of(keras.models.load_model(path))


@pytest.fixture(scope="module")
def after_epoch(tmp_path_factory, word_sets):
    """The weights after each epoch, as a callback sees them."""

    def copy(epoch, logs):
        weights[epoch + 1] = weights_of(callback.model)

    weights = {}
    callback = keras.callbacks.LambdaCallback(on_epoch_end=copy)
    folder = tmp_path_factory.mktemp("runs")
    start(word_sets, folder / "plain", epochs=6, callbacks=[callback], **ENDLESS)
    return weights


def states_in(folder):
    return sorted(path.name for path in (folder / "state").iterdir())


slow = pytest.mark.slow


@slow
@pytest.mark.parametrize(("patience", "ended", "best"), [(0, 6, 5), (1, 3, 2), (3, 6, 5)])
def test_patience_ends_the_training_with_the_weights_of_the_best_epoch(
    tmp_path, capsys, word_sets, measured, after_epoch, patience, ended, best
):
    model, history = start(word_sets, tmp_path, epochs=6, patience=patience, **ENDLESS)
    lines = capsys.readouterr().out.splitlines()
    assert [row["epoch"] for row in history] == list(range(1, ended + 1))
    assert [", the best so far" in line for line in lines[:ended]] == [
        best_epoch(history[:epoch]) == epoch for epoch in range(1, ended + 1)
    ]
    assert weights_of(model) == saved(tmp_path / "model.keras") == after_epoch[best]
    assert saved(tmp_path / "last.keras") == after_epoch[ended]
    if ended < 6:
        for fact in ("after 1 epoch without", f"than epoch {best}, word accuracy 50.00%"):
            assert fact in lines[ended]
    assert len(lines) == ended + (ended < 6)


@slow
def test_training_that_has_ended_goes_on_with_more_patience_only(
    tmp_path, capsys, word_sets, measured
):
    whole = start(word_sets, tmp_path / "whole", epochs=5, patience=3, **ENDLESS)
    folder = tmp_path / "run"
    ended = start(word_sets, folder, epochs=4, patience=1, **ENDLESS)
    states = states_in(folder)
    capsys.readouterr()
    for epochs in (4, 5):
        again = start(word_sets, folder, epochs=epochs, patience=1, **ENDLESS)
        assert_same_end(ended, again)
        printed = capsys.readouterr().out
        for fact in (f"{folder} has ended after epoch 3 of {epochs}", "Nothing is trained"):
            assert fact in printed
        assert states_in(folder) == states
    assert_same_end(whole, start(word_sets, folder, epochs=5, patience=3, **ENDLESS))
    assert f"{folder} continues after epoch 3 of 5." in capsys.readouterr().out
    # Less patience than the run had: it is over, and keeps what it has.
    assert_same_end(whole, start(word_sets, folder, epochs=5, patience=1, **ENDLESS))


@slow
def test_patience_ends_a_cosine_before_its_last_epoch_and_larger_one_goes_on(
    tmp_path, word_sets, measured
):
    whole = start(word_sets, tmp_path / "whole", epochs=4)
    for patience, ended in ((1, 3), (2, 4)):
        parts = start(word_sets, tmp_path / "parts", epochs=4, patience=patience)
        assert len(parts[1]) == ended
    assert_same_end(whole, parts)


@slow
@pytest.mark.parametrize("where", ["step", "validation"])
def test_run_that_is_stopped_in_the_last_epoch_of_its_patience_ends_in_it(
    tmp_path, monkeypatch, word_sets, measured, where
):
    options = {"epochs": 6, "patience": 1, **ENDLESS}
    unbroken = start(word_sets, tmp_path / "unbroken", **options)
    step = 2 * STEPS + 1
    added = [at_step(step, send(signal.SIGTERM))] if where == "step" else []
    with monkeypatch.context() as patch, pytest.raises(TrainingStopped, match="epoch 3 of 6"):
        if where == "validation":
            at_validation_batch(patch, 2 * 2 + 1, send(signal.SIGTERM))
        start(word_sets, tmp_path / "run", callbacks=added, **options)
    ended = start(word_sets, tmp_path / "run", **options)
    assert_same_end(unbroken, ended)
    assert len(ended[1]) == 3
    for name in ("model.keras", "last.keras"):
        assert saved(tmp_path / "run" / name) == saved(tmp_path / "unbroken" / name)


@slow
@pytest.mark.parametrize("index", [0, 3, 4])
def test_death_between_the_state_and_the_files_loses_no_weights(
    tmp_path, monkeypatch, word_sets, measured, after_epoch, index
):
    """Dies before one of the writes of `last.keras` and `model.keras` after the epochs."""

    class Death(BaseException):
        pass

    options = {"epochs": 4, **ENDLESS}
    count = iter(range(index))
    write = callbacks.save_model

    def write_or_die(model, path):
        if next(count, None) is None:
            raise Death
        write(model, path)

    with monkeypatch.context() as patch, pytest.raises(Death):
        patch.setattr(callbacks, "save_model", write_or_die)
        start(word_sets, tmp_path, **options)
    epochs = index // 2 + 1  # the third epoch, which is not the best, writes `last.keras` only
    # What it has left is written before a step is done.
    with pytest.raises(TrainingStopped):
        start(word_sets, tmp_path, callbacks=[at_step(1, send(signal.SIGTERM))], **options)
    best = best_epoch([{"word_accuracy": a, "loss": loss} for a, loss in MEASURED[:epochs]])
    assert saved(tmp_path / "model.keras") == after_epoch[best]
    assert saved(tmp_path / "last.keras") == after_epoch[epochs]
    model, _ = start(word_sets, tmp_path, **options)
    assert weights_of(model) == saved(tmp_path / "model.keras") == after_epoch[2]
    assert saved(tmp_path / "last.keras") == after_epoch[4]


@slow
def test_files_that_were_removed_come_back_from_the_state(tmp_path, word_sets, measured):
    ended = start(word_sets, tmp_path, epochs=3, **ENDLESS)
    names = ("model.keras", "last.keras", "history.csv")
    before = [saved(tmp_path / name) for name in names[:2]]
    for name in names:
        (tmp_path / name).unlink()
    assert_same_end(ended, start(word_sets, tmp_path, epochs=3, **ENDLESS))
    assert [saved(tmp_path / name) for name in names[:2]] == before
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 4


@slow
def test_best_weights_are_safe_from_a_damaged_newest_state(tmp_path, word_sets, measured):
    whole = start(word_sets, tmp_path / "run", epochs=4, **ENDLESS)
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    weights = tmp_path / "copy" / "state" / states_in(tmp_path / "copy")[-1] / "variables.npz"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert_same_end(whole, start(word_sets, tmp_path / "copy", epochs=4, **ENDLESS))


@slow
def test_callback_that_stops_and_patience_each_end_the_call(tmp_path, word_sets, measured):
    def stop_at(epoch):
        def on_epoch_end(index, logs):
            if index + 1 == epoch:
                callback.model.stop_training = True

        callback = keras.callbacks.LambdaCallback(on_epoch_end=on_epoch_end)
        return [callback]

    options = {"epochs": 6, "patience": 1, **ENDLESS}
    whole = start(word_sets, tmp_path / "whole", **options)
    # By the callback, by both at once, by the patience.
    assert len(start(word_sets, tmp_path / "run", callbacks=stop_at(2), **options)[1]) == 2
    both = start(word_sets, tmp_path / "run", callbacks=stop_at(3), **options)
    assert_same_end(whole, both)
    assert_same_end(whole, start(word_sets, tmp_path / "run", callbacks=stop_at(4), **options))


@slow
def test_best_weights_are_those_that_were_measured(tmp_path, word_sets, measured, after_epoch):
    """A callback that changes the weights after the validation, as averaging ones do."""

    def spoil(index, logs):
        for weight in callback.model.weights:
            weight.assign(np.zeros(weight.shape))

    callback = keras.callbacks.LambdaCallback(on_epoch_end=spoil)
    model, _ = start(word_sets, tmp_path, epochs=1, callbacks=[callback], **ENDLESS)
    assert weights_of(model) == saved(tmp_path / "model.keras") == after_epoch[1]
    assert not any(map(any, saved(tmp_path / "last.keras")))


@slow
def test_epoch_cut_short_leaves_the_best_weights_in_memory(
    tmp_path, word_sets, char_dict, measured, after_epoch
):
    def stop():
        model.stop_training = True

    model = build_crnn(char_dict, seed=5)
    added = [at_step(3 * STEPS + 2, stop)]
    history = start(word_sets, tmp_path, model, epochs=6, callbacks=added, **ENDLESS)[1]
    assert len(history) == 3
    assert weights_of(model) == saved(tmp_path / "model.keras") == after_epoch[2]
    assert saved(tmp_path / "last.keras") == after_epoch[3]


@slow
def test_first_epochs_without_a_correct_word_are_told_apart_by_their_loss(tmp_path, word_sets):
    """Of fresh weights no epoch reads a word at first, while the loss falls."""
    history = start(word_sets, tmp_path, epochs=3, patience=1)[1]
    assert [row["word_accuracy"] for row in history] == [0, 0, 0]
    assert best_epoch(history) == 3


@slow
def test_patience_is_no_setting_of_the_state(tmp_path, word_sets):
    start(word_sets, tmp_path, epochs=1, patience=7)
    assert "patience" not in (tmp_path / "state" / "000002" / "state.json").read_text()
