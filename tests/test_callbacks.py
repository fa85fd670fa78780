"""The user's own callbacks: what they see, and how they end a training."""

import csv
import signal

import keras
import pytest
from short_runs import EPOCHS, STEPS, assert_same_end, at_step, at_validation_batch, send, start

from crnn_keras.model.crnn import build_crnn
from crnn_keras.training import TrainingStopped
from crnn_keras.utils import files

pytestmark = [pytest.mark.loop, pytest.mark.slow]


class Recorder(keras.callbacks.Callback):
    """Records the calls of an epoch and of the training, and the logs of the epochs' ends."""

    def __init__(self):
        super().__init__()
        self.calls, self.logs = [], []

    def on_train_begin(self, logs=None):
        self.calls.append("train begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(f"epoch {epoch} begin")

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(f"epoch {epoch} end")
        self.logs.append(logs)

    def on_train_end(self, logs=None):
        self.calls.append("train end")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, word_sets):
    """The model and the history of a run without callbacks."""
    return start(word_sets, tmp_path_factory.mktemp("runs") / "unbroken")


def assert_logs_are_of(row, logs):
    assert logs["loss"] == pytest.approx(row["train_loss"])
    for name in ("loss", "word_accuracy", "character_accuracy"):
        assert logs[f"val_{name}"] == row[name]


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_callbacks_see_the_validation_and_change_nothing(tmp_path, word_sets, unbroken):
    recorder, board = Recorder(), keras.callbacks.TensorBoard(tmp_path / "logs", update_freq=1)
    model, history = start(word_sets, tmp_path / "run", callbacks=[board, recorder])
    for row, logs in zip(history, recorder.logs, strict=True):
        assert_logs_are_of(row, logs)
    assert model.history.history["val_loss"] == [row["loss"] for row in history]
    assert (recorder.params["epochs"], recorder.params["steps"]) == (EPOCHS, STEPS)
    assert list((tmp_path / "logs" / "train").glob("events.*"))
    assert_same_end(unbroken, (model, history))


def test_early_stopping_on_the_validation_loss_ends_the_call(tmp_path, word_sets):
    # The loss falls from epoch to epoch, which counts as worse here.
    stopping = keras.callbacks.EarlyStopping(monitor="val_loss", mode="max", patience=1)
    model, history = start(word_sets, tmp_path, epochs=3, callbacks=[stopping])
    assert [row["steps"] for row in history] == [3, 6]
    assert stopping.stopped_epoch == 1
    assert len(read_csv(tmp_path / "history.csv")) == 2
    saved = keras.models.load_model(tmp_path / "model.keras")
    for here, there in zip(model.get_weights(), saved.get_weights(), strict=True):
        assert here.tobytes() == there.tobytes()


def test_callback_that_stops_within_an_epoch_ends_the_call_after_its_step(
    tmp_path, word_sets, char_dict, unbroken
):
    def stop():
        model.stop_training = True

    model = build_crnn(char_dict, seed=5)
    assert start(word_sets, tmp_path, model, callbacks=[at_step(2, stop)])[1] == []
    # Neither a row nor a model of an epoch that was cut short.
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    assert files.read_json(max((tmp_path / "state").iterdir()) / "state.json")["step"] == 2
    assert_same_end(unbroken, start(word_sets, tmp_path))


def test_an_interruption_is_no_end_of_an_epoch_for_callbacks(
    tmp_path, monkeypatch, word_sets, unbroken
):
    """The first call is stopped within epoch 0, the second while it validates epoch 1."""
    folder, rows = tmp_path / "run", unbroken[1]
    recorders = [Recorder() for _ in range(3)]
    with pytest.raises(TrainingStopped):
        start(word_sets, folder, callbacks=[recorders[0], at_step(2, send(signal.SIGTERM))])
    assert recorders[0].calls == ["train begin", "epoch 0 begin"]

    logger = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    with monkeypatch.context() as patch, pytest.raises(TrainingStopped):
        at_validation_batch(patch, 3, send(signal.SIGTERM))
        start(word_sets, folder, callbacks=[recorders[1], logger])
    calls = ["train begin", "epoch 0 begin", "epoch 0 end", "epoch 1 begin"]
    assert recorders[1].calls == calls
    assert_logs_are_of(rows[0], recorders[1].logs[0])
    # The rest of epoch 0 and epoch 1 are two calls of `fit`, but one training.
    assert [row["epoch"] for row in read_csv(tmp_path / "log.csv")] == ["0"]

    logger = keras.callbacks.CSVLogger(tmp_path / "log.csv", append=True)
    ended = start(word_sets, folder, callbacks=[recorders[2], logger])
    assert recorders[2].calls == ["train begin", "epoch 1 begin", "epoch 1 end", "train end"]
    assert_logs_are_of(rows[1], recorders[2].logs[0])
    assert [row["epoch"] for row in read_csv(tmp_path / "log.csv")] == ["0", "1"]
    assert_same_end(unbroken, ended)


def test_model_that_is_trained_twice_learns_as_a_copy_of_it(tmp_path, word_sets, char_dict):
    model, _ = start(word_sets, tmp_path / "first", epochs=1, steps_per_epoch=1)
    copy = build_crnn(char_dict, seed=5)
    for variable, learned in zip(copy.variables, model.variables, strict=True):
        variable.assign(learned.numpy())
    options = {"epochs": 1, "steps_per_epoch": 2, "optimizer": "sgd"}
    ended = start(word_sets, tmp_path / "copy", copy, **options)
    assert [row["steps"] for row in ended[1]] == [2]
    assert_same_end(ended, start(word_sets, tmp_path / "model", model, **options))
