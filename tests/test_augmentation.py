"""Augmentation: by hand, by its statistics, and the same on the CPU and on each backend."""

import itertools

import keras
import numpy as np
import pytest

from crnn_keras.images.augmentation import (
    DRAWS,
    Augmentation,
    augment_canvases,
    changes,
    erase_strips,
)

NOTHING = {name: 0.0 for name in Augmentation.__dataclass_fields__ if name != "strength"}
STRONG = Augmentation.strong()


def augment(canvases, augmentation, *, seed=0, step=0, rows=None):
    count = len(canvases)
    rows = rows or slice(0, count)
    return augment_canvases(
        canvases[rows], augmentation, seed=seed, step=step, batch_size=count, rows=rows
    )


def random_canvases(count=64, height=32, width=100):
    return np.random.default_rng(1).integers(0, 256, (count, height, width, 1), dtype=np.uint8)


def smooth_canvases(count=64, height=32, width=100):
    """Slopes of gray levels, on which a shift or a blur by a pixel changes little."""
    y, x = np.mgrid[:height, :width]
    rows = [60 + (x * (i % 3) + y * (i % 5)) % 150 for i in range(count)]
    return np.array(rows, np.uint8)[..., None]


def extreme(row, value, count=1):
    """Draws that change one thing only, by its largest amount."""
    draws = np.full((DRAWS, count), 0.5, np.float32)
    draws[14] = 1.0  # no inversion
    draws[row] = value
    return draws


# By hand


@pytest.mark.parametrize("augmentation", [Augmentation(strength=0), Augmentation(**NOTHING)])
def test_nothing_is_changed_where_nothing_is_asked_for(augmentation):
    canvases = random_canvases()
    assert augmentation.is_neutral
    np.testing.assert_array_equal(augment(canvases, augmentation), canvases)
    assert not Augmentation().is_neutral and not STRONG.is_neutral


@pytest.mark.parametrize(
    "row, changed, expected",
    [
        (4, {"shift_x": 3.0}, lambda x, y: (x + 3, y)),
        (5, {"shift_y": 2.0}, lambda x, y: (x, y + 2)),
        (0, {"scale_x": 0.08}, lambda x, y: (50 + 1.08 * (x - 50), y)),
        (3, {"scale_y": 0.15}, lambda x, y: (x, 16 + 1.15 * (y - 16))),
        (1, {"shear": 0.35}, lambda x, y: (x + 0.35 * (y - 16), y)),
        (2, {"slope": 0.06}, lambda x, y: (x, y + 0.06 * (x - 50))),
        (
            10,
            {"rotation": 30.0},
            lambda x, y: (
                50 + np.cos(np.pi / 6) * (x - 50) - np.sin(np.pi / 6) * (y - 16),
                16 + np.sin(np.pi / 6) * (x - 50) + np.cos(np.pi / 6) * (y - 16),
            ),
        ),
        (
            11,
            {"perspective": 0.2},
            lambda x, y: (
                50 + (x - 50) / (1 + 0.2 * (x - 50) / 50),
                16 + (y - 16) / (1 + 0.2 * (x - 50) / 50),
            ),
        ),
    ],
)
def test_pixels_come_from_where_a_hand_worked_map_says(row, changed, expected):
    done = changes(extreme(row, 1.0), Augmentation(**{**NOTHING, **changed}), height=32, width=100)
    for x, y in itertools.product((0, 50, 99), (0, 16, 31)):
        along_x, along_y, constant = (float(np.squeeze(value)) for value in done.w)
        w = along_x * x + along_y * y + constant
        found = [
            (float(np.squeeze(a)) * x + float(np.squeeze(b)) * y + float(np.squeeze(c))) / w
            for a, b, c in (done.x, done.y)
        ]
        np.testing.assert_allclose(found, expected(x, y), rtol=1e-5, atol=1e-4)


def test_a_shift_moves_columns_and_repeats_the_last_one():
    canvases = random_canvases(1)
    shifted = {**NOTHING, "shift_x": 4.0}
    found = augment(canvases, Augmentation(**shifted), seed=3)[0, ..., 0].astype(float)
    draw = np.random.default_rng([3, 10, 0]).random((DRAWS, 1), dtype=np.float32)[4, 0]
    shift = 4.0 * (2 * draw - 1)
    columns = np.clip(np.arange(100) + shift, 0, 99)
    left = np.floor(columns).astype(int)
    right, part = np.minimum(left + 1, 99), columns - left
    old = canvases[0, ..., 0].astype(float)
    expected = (1 - part) * old[:, left] + part * old[:, right]
    # OpenCV rounds places to 1/32 of a pixel.
    assert np.abs(found - expected).max() <= 255 / 64 + 2


@pytest.mark.parametrize(
    "changed, low, high",
    [
        ({"contrast": 0.3}, 127.5 - 0.7 * 100, 127.5 - 1.25 * 100),
        ({"brightness": 30.0}, 27.5 - 30, 27.5 + 30),
        ({"inversion": 1.0}, 227.5, 227.5),
    ],
)
def test_gray_levels_are_changed_within_their_range(changed, low, high):
    canvases = np.full((256, 4, 4, 1), 27.5).astype(np.uint8)
    canvases[:] = 28
    found = augment(canvases, Augmentation(**{**NOTHING, **changed}))[:, 0, 0, 0].astype(float)
    low, high = sorted((low, high))
    assert found.min() >= max(low, 0) - 1 and found.max() <= high + 2
    assert found.max() - found.min() >= 0.9 * (min(high, 255) - max(low, 0)) - 2


def test_half_of_the_images_get_noise_and_its_size_is_even():
    canvases = np.full((1000, 8, 32, 1), 128, np.uint8)
    found = augment(canvases, Augmentation(**{**NOTHING, "noise": 10.0})).astype(float)
    deviations = found.std(axis=(1, 2, 3))
    noisy = deviations[deviations > 0.3]
    assert len(noisy) == pytest.approx(480, abs=60)
    assert noisy.mean() == pytest.approx(5.1, abs=0.4) and noisy.max() < 11.5
    # Each image has its own noise.
    first, second = found[deviations > 3][:2] - 128
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.25


def test_blur_is_a_mix_with_the_mean_of_the_neighbors():
    canvases = np.zeros((400, 9, 9, 1), np.uint8)
    canvases[:, 4, 4] = 180
    once = augment(canvases, Augmentation(**{**NOTHING, "blur": 1.0}))[..., 0]
    sums = once.astype(float).sum(axis=(1, 2))
    assert sums == pytest.approx(180, abs=9)  # each pixel is cut to a whole number
    assert once[:, 4, 4].min() < 30 and (once[:, 4, 4] == 180).mean() > 0.4
    twice = augment(canvases, Augmentation(**{**NOTHING, "blur": 2.0}))[..., 0]
    assert (twice[:, 2, 4] > 0).any() and not (once[:, 2, 4] > 0).any()


def test_lost_resolution_makes_blocks():
    canvases = random_canvases(200)
    coarse = augment(canvases, Augmentation(**{**NOTHING, "resolution": 3.0}))[..., 0]
    equal = (coarse[:, :, 1:] == coarse[:, :, :-1]).mean(axis=(1, 2))
    assert (equal < 0.05).mean() == pytest.approx(0.5, abs=0.15)  # by chance 1/256
    assert equal.max() > 0.5


def test_an_erased_strip_is_upright_and_gray():
    canvases = random_canvases(8)
    same = {"seed": 0, "step": 0, "batch_size": 8, "rows": slice(0, 8)}
    assert np.array_equal(erase_strips(canvases, 0.0, **same), canvases)
    erased = erase_strips(canvases, 1.0, **same)
    assert (erased != canvases).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize(
    "name, value", [("rotation", 46), ("blur", -1), ("strength", 2), ("noise", None)]
)
def test_a_number_out_of_its_range_is_named(name, value):
    with pytest.raises(ValueError, match=f"^{name} is"):
        Augmentation(**{name: value})


# A pure function


@pytest.mark.parametrize("augmentation", [Augmentation(), STRONG], ids=["default", "strong"])
def test_rows_are_changed_alike_whoever_changes_them(augmentation):
    canvases = random_canvases(12)
    whole = augment(canvases, augmentation, seed=2, step=7)
    parts = [
        augment(canvases, augmentation, seed=2, step=7, rows=slice(i, i + 4)) for i in (0, 4, 8)
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert (augment(canvases, augmentation, seed=2, step=8) != whole).mean() > 0.5


def test_noise_reaches_around_its_end_for_vast_canvases():
    canvases = np.full((3, 512, 1024, 1), 128, np.uint8)
    found = augment(canvases, Augmentation(**{**NOTHING, "noise": 30.0}), seed=5)
    assert found.shape == canvases.shape and found.std() > 1


# On the device


def _on_device(canvases, augmentation, draws):
    from crnn_keras.model.layers.augment import change_canvases

    noise = np.zeros(canvases.shape[:3], np.float32)
    changed = change_canvases(
        keras.ops.convert_to_tensor(canvases.astype(np.float32)),
        augmentation,
        draws=keras.ops.convert_to_tensor(draws),
        noise=keras.ops.convert_to_tensor(noise),
    )
    return keras.ops.convert_to_numpy(changed)


@pytest.mark.parametrize("width", [100, 36])
@pytest.mark.parametrize("augmentation", [Augmentation(), STRONG], ids=["default", "strong"])
def test_the_device_changes_canvases_as_the_cpu_does(augmentation, width):
    quiet = Augmentation(**{**augmentation.get_config(), "noise": 0.0})
    canvases = smooth_canvases(48, width=width)
    here = augment(canvases, quiet, seed=4, step=9).astype(float)
    draws = np.random.default_rng([4, 10, 9]).random((DRAWS, 48), dtype=np.float32)
    there = _on_device(canvases, quiet, draws)
    difference = np.abs(here - there)
    # OpenCV rounds places to 1/32 of a pixel and gray levels to whole ones at each step.
    assert np.median(difference) < 1.5 and (difference > 12).mean() < 0.03


@pytest.mark.parametrize("augmentation", [Augmentation(), STRONG], ids=["default", "strong"])
def test_both_have_the_same_statistics(augmentation):
    from crnn_keras.model.layers import Augment

    canvases = smooth_canvases(1536, width=64)
    here = augment(canvases, augmentation).astype(float)
    layer = Augment(augmentation, seed=1)
    there = keras.ops.convert_to_numpy(layer(canvases.astype(np.float32), training=True))
    there = np.rint(there)  # the CPU's gray levels are whole

    def statistics(found):
        pixels = found.reshape(len(found), -1)
        return np.array(
            [
                pixels.mean(),
                pixels.std(),
                pixels.mean(axis=1).std(),
                pixels.std(axis=1).mean(),
                np.abs(np.diff(found[..., 0], axis=2)).mean(),
            ]
        )

    np.testing.assert_allclose(statistics(here), statistics(there), rtol=0.08)
