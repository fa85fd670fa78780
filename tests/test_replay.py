"""Replay: records of an old task that come again in the batches of a new one."""

import numpy as np
import pytest

from crnn_keras import Batches, Canvas, CharDict, Recipe, open_records
from crnn_keras.data.build import prepare_rendered
from crnn_keras.synth import bundled_fonts

CHAR_DICT = CharDict.from_preset("alphanumeric36")


def _records(folder, canvas, *, seed, rows=24):
    recipe = Recipe(fonts=bundled_fonts()[:2], seed=seed, fractions={"train": 1})
    prepare_rendered(recipe, CHAR_DICT, canvas, folder=folder, rows=rows)
    return open_records(folder / "records" / "train")


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder, canvas = tmp_path_factory.mktemp("sets"), Canvas()
    return _records(folder / "own", canvas, seed=1), _records(folder / "old", canvas, seed=2)


def _batches(sets, **changes):
    settings = {"batch_size": 8, "replay": sets[1], "replay_fraction": 0.3, "shuffle": True}
    return Batches(sets[0], CHAR_DICT, Canvas(), **{**settings, **changes})


def _texts(batches, step):
    _, labels = next(iter(batches.train_dataset(start_step=step)))
    return [CHAR_DICT.decode(label) for label in labels]


def test_each_batch_holds_the_stated_fraction(sets):
    batches = _batches(sets)
    own, old = set(batches.texts), set(batches.replay.texts)
    assert batches.replayed == 2 and len(batches) == len(own) == 24
    assert batches.steps_per_epoch == 4  # 24 images, 6 of them in a batch
    for step in range(8):
        texts = _texts(batches, step)
        assert sum(text in old for text in texts) == 2 and sum(text in own for text in texts) == 6
        described = batches.describe_step(step)
        assert sorted(text.rpartition("'")[0].rpartition("'")[2] for text in described) == sorted(
            texts
        )


def test_an_epoch_holds_every_own_image_and_all_are_replayed_in_turn(sets):
    batches = _batches(sets)
    seen = [_texts(batches, step) for step in range(12)]
    assert set(batches.texts) <= {text for texts in seen[:4] for text in texts}
    assert set(batches.replay.texts) <= {text for texts in seen for text in texts}


def test_a_step_is_a_pure_function_of_the_seed(sets):
    first, again, other = _batches(sets), _batches(sets), _batches(sets, seed=7)
    assert _texts(first, 5) == _texts(again, 5) != _texts(other, 5)
    continued, unbroken = first.train_dataset(start_step=5), first.train_dataset(start_step=4)
    for index in range(2):
        (a, b), (c, d) = continued[index], unbroken[index + 1]
        assert np.array_equal(a, c) and np.array_equal(b, d)


def test_processes_share_a_batch_with_its_replayed_images(sets):
    whole = _texts(_batches(sets), 3)
    parts = [_texts(_batches(sets, shard=(rank, 2)), 3) for rank in (0, 1)]
    assert parts[0] + parts[1] == whole


def test_validation_goes_over_own_images_only(sets):
    batches = _batches(sets, shuffle=False)
    positions = [position for *_, part in batches.iter_once() for position in part]
    assert sorted(positions) == list(range(24))


def test_a_width_that_is_not_replayed_has_own_images_only(tmp_path, sets):
    canvas = Canvas(mode="keep", widths=(64, 128, 256))
    own = _records(tmp_path / "own", canvas, seed=1)
    old = _records(tmp_path / "few", canvas, seed=3, rows=1)
    batches = Batches(
        own, CHAR_DICT, canvas, batch_size=4, replay=old, replay_fraction=0.5, shuffle=True
    )
    (replayed_width,) = set(batches.replay.widths)
    widths = set()
    for step in range(batches.steps_per_epoch):
        canvases, labels = next(iter(batches.train_dataset(start_step=step)))
        count = sum(CHAR_DICT.decode(label) in batches.replay.texts for label in labels)
        assert len(canvases) == 4 and count == (2 if canvases.shape[2] == replayed_width else 0)
        widths.add(canvases.shape[2])
    assert len(widths) > 1


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({"replay": None}, "no records to replay"),
        ({"replay_fraction": 0.0}, "replay_fraction is 0.0"),
        ({"replay_fraction": 0.05}, "from 1 to 7"),
        ({"replay_fraction": 1.0}, "from 1 to 7"),
        ({"replay_fraction": 1.5}, "replay_fraction"),
    ],
)
def test_fractions_that_leave_no_image_of_a_kind_are_refused(sets, changes, expected):
    with pytest.raises(ValueError, match=expected):
        _batches(sets, **changes)


def test_replayed_records_that_cannot_be_used_are_counted(sets):
    only_a = CharDict("abcdefghijklmnopqrstuvwxyz", fold_case=True)
    batches = Batches(sets[0], only_a, Canvas(), batch_size=8, replay=sets[1], replay_fraction=0.3)
    skipped = {issue.where.partition(",")[0] for issue in batches.skipped}
    assert len(batches.skipped) == 48 - len(batches) - len(batches.replay)
    assert skipped <= {str(sets[0].folder), str(sets[1].folder)}
