"""What goes wrong within a training: weights, disks, records."""

import errno
import shutil

import keras
import numpy as np
import pytest

from crnn_keras.data.batches import Batches
from crnn_keras.data.records import RecordError, Records
from crnn_keras.images import Canvas
from crnn_keras.model.crnn import build_crnn
from crnn_keras.model.saving import save_model
from crnn_keras.training import train, write_history
from crnn_keras.training.bad_batches import describe_nan_loss
from crnn_keras.utils import files

pytestmark = pytest.mark.loop


def batches_of(folder, char_dict, **options):
    return Batches(Records(folder), char_dict, Canvas(), batch_size=8, **options)


@pytest.fixture
def start(word_sets, char_dict):
    """Returns a function that trains for two epochs of four steps, and returns the history."""

    def begin(folder, sets=word_sets, after_batches=lambda: None, **options):
        batches = batches_of(sets / "train", char_dict, shuffle=True, cache_bytes=0)
        validation = batches_of(sets / "validation", char_dict, cache_bytes=0)
        after_batches()
        settings = {"epochs": 2, "steps_per_epoch": 4, "schedule": "constant", **options}
        return train(build_crnn(char_dict), batches, validation, folder=folder, **settings)

    return begin


def steps_of_states(folder):
    return [
        files.read_json(path / "state.json")["step"]
        for path in sorted((folder / "state").iterdir())
    ]


def test_loss_that_is_not_finite_stops_at_its_step_and_names_the_images(
    tmp_path, start, word_sets, char_dict
):
    # After one step with such a rate the weights are huge; the first loss is an ordinary one.
    with pytest.raises(FloatingPointError) as error:
        start(tmp_path, learning_rate=3e38)
    lines = str(error.value).splitlines()
    batches = batches_of(word_sets / "train", char_dict, shuffle=True)
    assert lines[0] == "The loss became nan in step 2. Its batch:"
    assert [line.strip() for line in lines[1:6]] == batches.describe_step(1)[:5]
    assert lines[6:8] == [
        "  and 3 more",
        "The batch of step 1, which changed the weights last:",
    ]
    assert [line.strip() for line in lines[8:13]] == batches.describe_step(0)[:5]
    assert lines[14].startswith(f"{tmp_path}/state/000001 holds the last good state.")
    assert "`batches.describe_step(1)`" in lines[14]
    assert steps_of_states(tmp_path) == [0]


def test_first_step_has_no_step_before_it(word_sets, char_dict):
    batches = batches_of(word_sets / "train", char_dict)
    lines = describe_nan_loss(float("inf"), batches, 0).splitlines()
    assert lines[0] == "The loss became inf in step 1. Its batch:"
    assert lines[1:] == [*(f"  {name}" for name in batches.describe_step(0)[:5]), "  and 3 more"]


class SpoilWeights(keras.callbacks.Callback):
    """Puts a nan among the weights, when an epoch begins or at the end of a step."""

    def __init__(self, *, epoch=None, step=None, index=0):
        super().__init__()
        self.epoch, self.step, self.index = epoch, step, index

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            self._spoil()

    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 == self.step:
            self._spoil()

    def _spoil(self):
        weight = self.model.trainable_variables[self.index]
        values = np.array(weight.numpy())
        values.flat[0] = np.nan
        weight.assign(values)


def test_weights_that_are_not_finite_are_found_before_they_are_saved(
    tmp_path, start, word_sets, char_dict
):
    with pytest.raises(FloatingPointError) as error:
        start(tmp_path, save_minutes=0, callbacks=[SpoilWeights(step=3)])
    lines = str(error.value).splitlines()
    assert lines[0].startswith("After step 3 1 of ")
    assert "conv1/kernel" in lines[0] and lines[0].endswith("The batch of step 3:")
    batches = batches_of(word_sets / "train", char_dict, shuffle=True)
    assert [line.strip() for line in lines[1:6]] == batches.describe_step(2)[:5]
    assert "`batches.describe_step(2)`" in lines[-1]
    assert steps_of_states(tmp_path) == [1, 2]


def test_run_continues_after_the_last_good_state(tmp_path, start):
    # In the last layer: on some processors TensorFlow's batch norm with ReLU makes 0 of a nan.
    spoil = SpoilWeights(epoch=1, index=-1)
    with pytest.raises(FloatingPointError, match="nan in step 5"):
        start(tmp_path / "run", callbacks=[spoil])
    assert steps_of_states(tmp_path / "run") == [0, 4]
    rows = start(tmp_path / "run")
    assert [row["steps"] for row in rows] == [4, 8]
    assert all(np.isfinite(row["loss"]) for row in rows)


def test_full_disk_stops_the_run_and_leaves_the_state_before(tmp_path, start, fill_disk):
    fill_disk(files, 10_000_000)  # a state takes 7 million bytes
    with pytest.raises(OSError, match="No space left .* state .* takes [0-9,]+ bytes"):
        start(tmp_path / "run")
    assert steps_of_states(tmp_path / "run") == [0]


def test_full_disk_under_the_history_names_it(tmp_path, fill_disk):
    write_history(tmp_path / "history.csv", [])
    before = (tmp_path / "history.csv").read_bytes()
    fill_disk(files, 10)
    with pytest.raises(OSError, match=r"history\.csv takes [0-9]+ bytes") as error:
        write_history(tmp_path / "history.csv", [])
    assert error.value.errno == errno.ENOSPC
    assert (tmp_path / "history.csv").read_bytes() == before


@pytest.mark.parametrize("room", [0, 1_000_000])
def test_full_disk_under_the_model_leaves_the_earlier_model(tmp_path, char_dict, fill_disk, room):
    model = build_crnn(char_dict)
    save_model(model, tmp_path / "model.keras")
    before = (tmp_path / "model.keras").read_bytes()
    fill_disk(keras.src.saving.saving_lib, room)
    with pytest.raises(OSError, match=r"model\.keras takes 2,[0-9,]+ bytes"):
        save_model(model, tmp_path / "model.keras")
    assert (tmp_path / "model.keras").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


@pytest.mark.parametrize(("split", "damage"), [("train", "remove"), ("validation", "flip")])
def test_shard_that_breaks_during_training_is_named(tmp_path, start, word_sets, split, damage):
    shutil.copytree(word_sets, tmp_path / "sets")
    shard = tmp_path / "sets" / split / "00000.tfrecord"

    def break_shard():
        if damage == "remove":
            shard.unlink()
            return
        content = bytearray(shard.read_bytes())
        # All records are damaged, and none is longer or shorter.
        content[100::50] = bytes(255 - byte for byte in content[100::50])
        shard.write_bytes(content)

    with pytest.raises(RecordError) as error:
        start(tmp_path / "run", tmp_path / "sets", break_shard)
    message = str(error.value)
    assert {"train": "training", "validation": "validation"}[split] in message.partition(".")[0]
    assert str(shard) in message
    assert {"remove": "is missing", "flip": "checksum"}[damage] in message
    assert f"records.verify({str(shard.parent)!r})" in message
    assert steps_of_states(tmp_path / "run") == [0]


def test_describe_step_names_each_record_of_a_batch_once(word_sets, char_dict):
    validation = Records(word_sets / "validation")
    batches = Batches(validation, char_dict, Canvas(), batch_size=16)
    names = batches.describe_step(5)
    assert len(names) == len(validation) == 12
    label = validation[7].text
    assert names[7] == f"{validation.folder}, record 7 (word 7), label '{label}'"
