import itertools
import os
import re
import signal

import numpy as np
import pytest

from crnn_keras.char_dict import CharDict
from crnn_keras.data import canvas_cache
from crnn_keras.data.batches import Batches
from crnn_keras.data.plan import BatchPlan
from crnn_keras.data.records import RecordError, Records
from crnn_keras.images import Canvas, to_canvas

STRETCH = Canvas()
KEEP = Canvas("keep", 32, (64, 96, 160))


@pytest.fixture
def make(word_sets, char_dict):
    """Function that makes the batches of the 48 words, by default 7 images in a batch."""

    def made(canvas=STRETCH, batch_size=7, **options):
        records = Records(word_sets / "train")
        return Batches(records, char_dict, canvas, batch_size=batch_size, **options)

    return made


def take(batches, count, start_step=0):
    """Returns the `(canvases, labels)` of some steps."""
    return list(itertools.islice(batches.train_dataset(start_step), count))


def assert_same_batch(here, there):
    assert len(here) == len(there) == 2
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one, other)


def pixels_of(batches, position):
    return to_canvas(batches.records[position].encoded, batches.canvas)


def test_plan_is_a_function_of_seed_and_epoch_alone(make):
    one, two = make(shuffle=True, seed=3), make(shuffle=True, seed=3)
    forward = [one.plan(epoch) for epoch in (0, 1, 2)]
    backward = [two.plan(epoch) for epoch in (2, 1, 0)][::-1]
    np.testing.assert_array_equal(forward, backward)
    assert not np.array_equal(forward[0], forward[1])
    assert not np.array_equal(forward[0], make(shuffle=True, seed=4).plan(0))


def test_plan_does_not_depend_on_what_was_read_before(make):
    batches = make(shuffle=True)
    before = batches.plan(1)
    take(batches, 3)
    np.testing.assert_array_equal(batches.plan(1), before)


def test_a_step_of_a_plan_is_a_row_of_its_epoch():
    plan = BatchPlan([100, 64, 100, 100, 64], batch_size=2, seed=1, shuffle=True)
    assert plan.steps_per_epoch == 3
    rows = np.concatenate([plan.epoch(epoch) for epoch in range(3)])
    for step in (0, 8, 3, 1, 7):
        np.testing.assert_array_equal(plan.step(step), rows[step])


@pytest.mark.parametrize("canvas", [STRETCH, KEEP], ids=["stretch", "keep"])
@pytest.mark.parametrize("batch_size", [1, 7, 48, 50])
@pytest.mark.parametrize("shuffle", [True, False])
def test_every_record_comes_in_every_epoch(make, canvas, batch_size, shuffle):
    batches = make(canvas, batch_size, shuffle=shuffle)
    for epoch in (0, 1, 5):
        plan = batches.plan(epoch)
        assert plan.shape == (batches.steps_per_epoch, batch_size)
        assert set(plan.ravel()) == set(range(48))


@pytest.mark.parametrize("shuffle", [True, False])
def test_batch_holds_one_canvas_width(make, shuffle):
    batches = make(KEEP, shuffle=shuffle)
    assert set(batches.widths) == {64, 96, 160}
    widths = batches.widths[batches.plan(0)]
    assert (widths == widths[:, :1]).all()
    for (canvases, _), row in zip(take(batches, batches.steps_per_epoch), widths, strict=True):
        assert canvases.shape == (7, 32, row[0], 1)


def test_shuffled_widths_do_not_come_in_order(make):
    batches = make(KEEP, batch_size=4, shuffle=True)
    order = batches.widths[batches.plan(0)[:, 0]]
    assert list(order) != sorted(order)


def test_last_batch_is_filled_with_the_first_records(make):
    plan = make(batch_size=20).plan(0)
    np.testing.assert_array_equal(plan[2], [*range(40, 48), *range(12)])
    plan = make(batch_size=100).plan(0)
    np.testing.assert_array_equal(plan, [[*range(48), *range(48), *range(4)]])


def test_step_is_the_same_whatever_step_the_training_starts_with(make):
    batches = make(shuffle=True, augment=True)
    from_zero = take(batches, 10)
    assert batches.steps_per_epoch == 7  # the ten steps reach into the second epoch
    for start in (1, 6, 7, 9):
        assert_same_batch(take(make(shuffle=True, augment=True), 1, start)[0], from_zero[start])


def test_steps_of_one_run_are_not_alike(make):
    batches = make(batch_size=48, augment=True)
    (first, first_labels), (second, second_labels) = take(batches, 2)
    np.testing.assert_array_equal(first_labels, second_labels)
    assert (first != second).mean() > 0.5
    other, _ = take(make(batch_size=48, augment=True, seed=1), 1)[0]
    assert (first != other).mean() > 0.5


def test_images_of_one_batch_are_bent_each_in_its_own_way(make, write_words, tmp_path):
    records = write_words(tmp_path / "same", ["same"])
    batches = Batches(records, CharDict("aems"), STRETCH, batch_size=4, augment=True)
    canvases, _ = take(batches, 1)[0]
    for here, there in itertools.combinations(canvases, 2):
        assert (here != there).mean() > 0.3


def test_augmented_images_still_resemble_themselves(make):
    plain, _ = take(make(batch_size=48), 1)[0]
    bent, _ = take(make(batch_size=48, augment=True), 1)[0]
    assert bent.dtype == np.uint8

    def directions(canvases):
        ink = canvases[..., 0].astype(float)
        ink = ink - ink.mean(axis=(1, 2), keepdims=True)
        return ink.reshape(48, -1) / np.linalg.norm(ink.reshape(48, -1), axis=1)[:, None]

    likeness = directions(plain) @ directions(bent).T
    assert (likeness.argmax(axis=0) == np.arange(48)).mean() > 0.5  # by chance 0.02


@pytest.mark.parametrize("canvas", [STRETCH, KEEP], ids=["stretch", "keep"])
def test_an_erased_strip_holds_the_mean_of_the_image(make, canvas):
    plain, erased = (take(make(canvas, 8, random_erasing=rate), 1)[0][0] for rate in (0, 1))
    assert erased.dtype == np.uint8
    wide = []
    for before, after in zip(plain[..., 0], erased[..., 0], strict=True):
        changed = np.flatnonzero((before != after).any(axis=0))
        strip = after[:, changed.min() : changed.max() + 1]
        assert (strip == int(before.mean(dtype=np.float32))).all()
        wide.append(strip.shape[1] / before.shape[1])
    assert 0.04 < max(wide) < 0.14 and len(set(wide)) > 1


def test_the_fraction_of_images_loses_a_strip(make):
    plain = take(make(batch_size=48), 20)
    erased = take(make(batch_size=48, random_erasing=0.25), 20)
    lost = [
        (here != there).any(axis=(1, 2, 3))
        for (here, _), (there, _) in zip(plain, erased, strict=True)
    ]
    assert np.mean(lost) == pytest.approx(0.25, abs=0.05)
    assert (lost[0] != lost[1]).any()


@pytest.mark.parametrize("canvas", [STRETCH, KEEP], ids=["stretch", "keep"])
def test_pixels_that_are_not_augmented_are_those_of_the_canvas(make, canvas):
    batches = make(canvas)
    canvases, _ = take(batches, 1)[0]
    for row, position in enumerate(batches.plan(0)[0]):
        np.testing.assert_array_equal(canvases[row], pixels_of(batches, position))


def test_labels_are_ids_padded_with_zero(make, words, char_dict):
    batches = make()
    assert batches.texts == words[:48]
    assert batches.labels.dtype == np.int32
    assert batches.labels.shape[1] == max(map(len, words[:48]))
    for row, word in zip(batches.labels, words, strict=False):
        assert char_dict.decode(row) == word
        assert (row[len(word) :] == 0).all()


@pytest.mark.parametrize("canvas", [STRETCH, KEEP], ids=["stretch", "keep"])
@pytest.mark.parametrize(("shuffle", "seed"), [(False, 0), (True, 0), (True, 1), (True, 2)])
@pytest.mark.parametrize("batch_size", [5, 50])
def test_iter_once_yields_every_record_with_its_own_row(make, canvas, shuffle, seed, batch_size):
    batches = make(canvas, batch_size, shuffle=shuffle, seed=seed)
    seen = []
    for canvases, labels, positions in batches.iter_once():
        assert len(canvases) == len(labels) == batch_size
        for row, position in enumerate(positions):
            np.testing.assert_array_equal(canvases[row], pixels_of(batches, position))
            np.testing.assert_array_equal(labels[row], batches.labels[position])
        seen += positions
    assert sorted(seen) == list(range(48))
    widths = batches.widths[seen]
    assert list(widths) == sorted(widths)


def test_iter_once_may_be_called_again(make):
    batches = make()
    first, second = ([rows for _, _, rows in batches.iter_once()] for _ in range(2))
    assert first == second


@pytest.mark.parametrize("cache_bytes", [0, 5 * 32 * 100])
def test_cache_does_not_change_the_pixels(make, cache_bytes):
    for kept, decoded in zip(
        take(make(shuffle=True), 15), take(make(shuffle=True, cache_bytes=cache_bytes), 15),
        strict=True,
    ):  # fmt: skip
        assert_same_batch(kept, decoded)


def test_cache_saves_decoding_up_to_its_size(make, monkeypatch):
    decoded, own = [], Canvas()

    def counted(encoded, canvas):
        # The threads of another test may still make batches ahead.
        if canvas is own:
            decoded.append(1)
        return to_canvas(encoded, canvas)

    monkeypatch.setattr("crnn_keras.data.canvas_cache.to_canvas", counted)
    for cache_bytes, expected in ((2**30, 48), (10 * 32 * 100, 48 + 38), (0, 96)):
        decoded.clear()
        batches = make(own, batch_size=8, cache_bytes=cache_bytes)
        for _ in range(2):
            assert len(list(batches.iter_once())) == 6
        assert len(decoded) == expected


@pytest.fixture
def partly_bad(tmp_path, write_words):
    """Good and bad labels in turn: one with an unknown character, one of 14 equal letters."""
    drawn = ["good", "bad", "fine", "long", "last"]
    texts = ["good", "b-d", "fine", "a" * 14, "last"]
    return write_words(tmp_path / "partly_bad", texts, drawn)


def test_record_that_cannot_be_trained_on_is_skipped_and_named(partly_bad, char_dict):
    batches = Batches(partly_bad, char_dict, STRETCH, batch_size=2)
    assert batches.texts == ["good", "fine", "last"]
    assert len(batches) == 3
    assert [issue.kind for issue in batches.skipped] == [
        "unknown character",
        "label too long",
    ]
    folder = partly_bad.folder
    assert [issue.where for issue in batches.skipped] == [
        f"{folder}, record 1 (word 1)",
        f"{folder}, record 3 (word 3)",
    ]
    assert "'-'" in batches.skipped[0].reason
    assert "27 frames, its image has 25" in batches.skipped[1].reason


def test_labels_follow_the_protocol(write_words, char_dict, tmp_path):
    texts = ["hello", "wall", "mile"]
    drawn = write_words(tmp_path / "words", ["Hello!", "***", "7-Mile"], texts)
    batches = Batches(drawn, char_dict, STRETCH, batch_size=2, protocol="alphanumeric")
    # An image of marks alone teaches to read nothing.
    assert (batches.texts, batches.skipped) == (["hello", "", "7mile"], [])
    assert take(batches, 1)[0][1].shape == (2, 5)
    assert len(Batches(drawn, CharDict.from_preset("ascii"), STRETCH, batch_size=2)) == 3


def test_an_unknown_protocol_is_refused(make):
    with pytest.raises(ValueError, match="'loose'.*'exact'"):
        make(protocol="loose")


def test_records_behind_one_skipped_keep_their_own_images(partly_bad, char_dict):
    batches = Batches(partly_bad, char_dict, STRETCH, batch_size=3)
    canvases, _, _ = next(iter(batches.iter_once()))
    for row, stored in enumerate((0, 2, 4)):
        expected = to_canvas(partly_bad[stored].encoded, STRETCH)
        np.testing.assert_array_equal(canvases[row], expected)


def test_longest_label_that_fits_is_kept(tmp_path, write_words, char_dict):
    texts = ["a" * 13, "ab" * 12 + "a"]  # 13 letters and 12 blanks between them; 25 letters
    records = write_words(tmp_path / "tight", texts, ["full", "full"])
    batches = Batches(records, char_dict, STRETCH, batch_size=1)
    assert (batches.texts, batches.skipped) == (texts, [])


def test_set_without_a_usable_record_says_why(tmp_path, write_words):
    records = write_words(tmp_path / "bad", ["b-d"], ["bad"])
    with pytest.raises(ValueError, match="bad has no usable record.*'b-d'.*'-'"):
        Batches(records, CharDict("abd"), STRETCH, batch_size=2)


def test_texts_are_folded_as_the_dictionary_folds(tmp_path, write_words, char_dict):
    records = write_words(tmp_path / "mixed", ["Mixed", "CASE"])
    batches = Batches(records, char_dict, STRETCH, batch_size=2)
    assert batches.texts == ["mixed", "case"]
    assert [char_dict.decode(row) for row in batches.labels] == ["mixed", "case"]


def test_empty_label_is_a_row_of_zeros(tmp_path, write_words, char_dict):
    records = write_words(tmp_path / "empty", ["", "word"], ["nothing", "word"])
    batches = Batches(records, char_dict, STRETCH, batch_size=2)
    np.testing.assert_array_equal(batches.labels[0], np.zeros(4))
    assert char_dict.decode(batches.labels[1]) == "word"


# Images decoded in processes


@pytest.fixture
def in_processes(monkeypatch):
    """Lets even few images be decoded by two processes."""
    monkeypatch.setattr(canvas_cache, "_WORTH_PROCESSES", 1)
    monkeypatch.setattr(canvas_cache, "count_cores", lambda: 2)
    monkeypatch.setattr(canvas_cache, "_CHUNK", 3)


@pytest.mark.parametrize("canvas", [STRETCH, KEEP], ids=["stretch", "keep"])
@pytest.mark.parametrize("cache_bytes", [0, 30_000], ids=["none kept", "some kept"])
def test_processes_decode_and_augment_what_threads_do(make, in_processes, canvas, cache_bytes):
    options = {"shuffle": True, "augment": 0.5, "random_erasing": 0.5}
    kept = take(make(canvas, **options), 9)
    others = take(make(canvas, cache_bytes=cache_bytes, **options), 9)
    for here, there in zip(kept, others, strict=True):
        assert_same_batch(here, there)


def test_a_record_that_another_process_cannot_read_is_named(make, in_processes):
    batches = make(cache_bytes=0, batch_size=48)
    batches.make_batch(0)
    shard = batches.records.folder / batches.records.info["shards"][0]["file"]
    original = shard.read_bytes()
    shard.write_bytes(original[:-30] + b"x" * 30)
    try:
        with pytest.raises(RecordError, match=re.escape(str(shard))):
            batches.make_batch(0)
    finally:
        shard.write_bytes(original)


def test_a_killed_process_is_said(make, in_processes, monkeypatch):
    monkeypatch.setattr(canvas_cache, "_run_job", _die)
    with pytest.raises(ChildProcessError, match="killed"):
        make(cache_bytes=0).make_batch(0)


def _die(shared, job):
    os.kill(os.getpid(), signal.SIGKILL)
