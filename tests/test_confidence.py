"""Confidence is calibrated, measured, and used to keep what is right."""

import json
import math

import numpy as np
import pytest

from crnn_keras.evaluation.confidence import (
    Calibration,
    calibrate,
    evaluate_calibration,
    expected_calibration_error,
    fit_calibration,
    reliability_bins,
    risk_coverage,
    select,
    threshold_for,
    threshold_for_readings,
)
from crnn_keras.evaluation.metrics import wilson_interval
from crnn_keras.inference.base import Prediction


def simulated(count, slope, offset, seed=0, digits=None):
    """Confidences of a reader, and what was right: by a chance that is known."""
    random = np.random.default_rng(seed)
    log_odds = random.normal(1, 2, count)
    confidences = 1 / (1 + np.exp(-log_odds))
    right = random.random(count) < 1 / (1 + np.exp(-(slope * log_odds + offset)))
    return confidences if digits is None else confidences.round(digits), right


def test_calibration_has_the_values_of_its_formula():
    calibration = Calibration(slope=0.5, offset=0.0)
    # The odds of 9 to 1 become their root, 3 to 1.
    assert calibration.apply(0.9) == pytest.approx(0.75, abs=1e-12)
    found = Calibration(1.0, math.log(3)).apply([[0.5, 0.25]])
    assert found == pytest.approx(np.array([[0.75, 0.5]]), abs=1e-12)


def test_calibration_that_changes_nothing_changes_no_bit():
    confidences = np.random.default_rng(0).random(1000, np.float32)
    confidences[:2] = 0, 1
    assert (Calibration().apply(confidences) == confidences.astype(np.float64)).all()
    assert Calibration.from_config(Calibration().get_config()) == Calibration()


@pytest.mark.parametrize(
    ("slope", "offset"), [(0.001, 0.0), (0.3, -1.0), (1.0, 0.5), (40.0, 9.0), (1e9, -1e9)]
)
def test_surer_readings_never_get_a_smaller_chance(slope, offset):
    near_one = 1 - np.arange(200, dtype=np.float32) * 2.0**-24
    confidences = np.sort(
        np.concatenate([np.linspace(0, 1, 5001), np.geomspace(1e-30, 1), near_one])
    )
    chances = Calibration(slope, offset).apply(confidences)
    assert (np.diff(chances) >= 0).all()
    assert chances[0] >= 0 and chances[-1] <= 1 and chances[0] < chances[-1]


def test_certain_readings_get_a_chance_short_of_certainty():
    low, almost, high = Calibration(0.5, 0.0).apply(np.array([0, 1 - 2.0**-24, 1], np.float32))
    assert 0 < low < 1e-3 and 0.999 < almost < high < 1


def test_calibration_travels_as_json():
    calibration = fit_calibration(*simulated(500, 0.6, -0.4))
    again = Calibration.from_config(json.loads(json.dumps(calibration.get_config())))
    assert again == calibration


@pytest.mark.parametrize("slope", [0, -1.0, math.nan, math.inf, "1", None, True, 10**400])
def test_slopes_that_do_not_suit_are_refused(slope):
    with pytest.raises(ValueError, match="slope of a calibration"):
        Calibration(slope=slope)


@pytest.mark.parametrize("offset", [math.nan, -math.inf, "0", [0.0]])
def test_offsets_that_do_not_suit_are_refused(offset):
    with pytest.raises(ValueError, match="offset of a calibration"):
        Calibration(offset=offset)


@pytest.mark.parametrize("config", [{}, {"slope": 1.0}, {"slope": 1, "offset": 0, "x": 0}, None])
def test_configs_that_do_not_suit_are_refused(config):
    with pytest.raises(ValueError, match="a slope and an offset, got"):
        Calibration.from_config(config)


@pytest.mark.parametrize("confidence", [-0.1, 1.1, math.nan])
def test_confidences_outside_of_0_to_1_are_named(confidence):
    with pytest.raises(ValueError, match="Confidence #1 is"):
        Calibration().apply([0.5, confidence])
    with pytest.raises(ValueError, match="Confidence #1 is"):
        fit_calibration([0.5, confidence], [True, False])


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.4, -0.8), (2.0, 1.5)])
def test_fit_finds_the_slope_and_the_offset(slope, offset):
    found = fit_calibration(*simulated(40_000, slope, offset))
    assert found.slope == pytest.approx(slope, rel=0.05)
    assert found.offset == pytest.approx(offset, abs=0.06)


def test_fit_has_the_least_loss_by_platts_targets():
    confidences, right = simulated(60, 0.7, -0.5, seed=3)
    found = fit_calibration(confidences, right)
    hits, misses = right.sum(), (~right).sum()
    targets = np.where(right, (hits + 1) / (hits + 2), 1 / (misses + 2))

    def loss(calibration):
        chances = calibration.apply(confidences)
        return -np.sum(targets * np.log(chances) + (1 - targets) * np.log(1 - chances))

    for slope, offset in [(1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3)]:
        near = Calibration(found.slope + slope, found.offset + offset)
        assert loss(near) > loss(found)


def test_fit_lowers_the_error_of_readings_it_did_not_see():
    calibration = fit_calibration(*simulated(3000, 0.5, -1.0, seed=1))
    confidences, right = simulated(3000, 0.5, -1.0, seed=2)
    before = expected_calibration_error(confidences, right)
    after = expected_calibration_error(calibration.apply(confidences), right)
    assert before > 0.15 and after < 0.04


@pytest.mark.parametrize("answer", [True, False])
@pytest.mark.parametrize("confidences", [[0.0, 0.2, 0.9, 1.0], [1.0] * 4])
def test_all_right_or_all_wrong_gives_platts_share(answer, confidences):
    calibration = fit_calibration(confidences, [answer] * 4)
    chances = calibration.apply(confidences)
    # Five sixths: as if one more reading of each kind had been seen.
    assert chances == pytest.approx(5 / 6 if answer else 1 / 6, abs=0.005)
    assert calibration.slope > 0


def test_confidence_that_parts_right_from_wrong_gives_something_finite():
    calibration = fit_calibration([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1])
    low, high = calibration.apply([0.15, 0.85])
    assert 0.1 < low < 0.4 and 0.6 < high < 0.9


@pytest.mark.parametrize(
    "confidences",
    [
        # The same for all, but for rounding; the wrong way round; nothing to do with it.
        [0.7] * 8,
        [0.7 + 1e-9] * 6 + [0.7] * 2,
        np.linspace(0.1, 0.9, 8),
        [0.2, 0.9] * 4,
    ],
)
def test_confidence_without_information_gives_the_share_right_and_keeps_the_order(confidences):
    calibration = fit_calibration(confidences, [1, 1, 1, 1, 1, 1, 0, 0])
    chances = calibration.apply(confidences)
    # Platt's targets: six times 7/8 and twice 1/4.
    share = (6 * 7 / 8 + 2 / 4) / 8
    assert chances == pytest.approx(share, abs=0.005)
    assert chances.mean() == pytest.approx(share, abs=1e-9)
    assert calibration.slope == 0.001


def test_fit_finds_its_way_where_whole_newton_steps_go_astray():
    counts, log_odds = [8312, 1, 325, 19], np.array([9.015, -7.818, -14.98, 13.397])
    confidences = np.repeat(1 / (1 + np.exp(-log_odds)), counts)
    right = np.repeat([False, False, False, True], counts)
    calibration = fit_calibration(confidences, right)
    # At the least loss, what is left of the targets goes with nothing that the fit can use.
    left = calibration.apply(confidences) - np.where(right, 20 / 21, 1 / 8640)
    assert left.mean() == pytest.approx(0, abs=1e-9)
    assert (left * np.repeat(log_odds, counts)).mean() == pytest.approx(0, abs=1e-8)


def test_fit_ends_at_hard_data():
    for seed in range(60):
        random = np.random.default_rng(seed)
        count = int(random.integers(1, 30))
        confidences = random.beta(0.05, 0.05, count).round(int(random.integers(1, 17)))
        calibration = fit_calibration(confidences, random.random(count) < random.random())
        assert calibration.slope > 0
        assert np.isfinite(calibration.apply(confidences)).all()


def test_expected_calibration_error_by_hand():
    confidences, right = [0.9, 0.1, 0.2, 0.8], [1, 0, 1, 1]
    # Bins 0.1, 0.2 (mean 0.15, half right) and 0.8, 0.9 (mean 0.85, all right).
    assert expected_calibration_error(confidences, right, bins=2) == pytest.approx(0.25)
    assert expected_calibration_error(confidences, right, bins=1) == pytest.approx(0.25)
    # A bin each: 0.1, 0.8, 0.2 and 0.1 away.
    assert expected_calibration_error(confidences, right, bins=9) == pytest.approx(0.3)
    assert expected_calibration_error([0.0, 1.0], [0, 1]) == 0.0


def test_bins_hold_about_equal_numbers_and_every_reading():
    confidences, right = simulated(1000, 1.0, 0.0)
    bins = reliability_bins(confidences, right, bins=15)
    assert {part.count for part in bins} == {66, 67}
    assert sum(part.count for part in bins) == 1000
    assert sum(part.count * part.accuracy for part in bins) == pytest.approx(right.sum())
    assert sum(part.count * part.confidence for part in bins) == pytest.approx(confidences.sum())
    means = [part.confidence for part in bins]
    assert means == sorted(means)
    first = bins[0]
    hits = round(first.accuracy * first.count)
    assert first.interval == wilson_interval(hits, first.count)


def test_equal_confidences_share_a_bin():
    bins = reliability_bins([1.0, 0.5, 1.0, 1.0, 0.2, 1.0], [1, 0, 1, 0, 0, 1], bins=3)
    assert [(part.count, part.accuracy) for part in bins] == [(2, 0.0), (4, 0.75)]
    bins = reliability_bins([0.3, 0.3, 0.3, 0.9], [1, 0, 1, 0], bins=4)
    assert [part.count for part in bins] == [3, 1]


def test_risk_and_coverage_by_hand():
    curve = risk_coverage([0.7, 0.9, 0.6, 0.8], [False, True, True, True])
    assert curve.thresholds.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve.risk == pytest.approx([0, 0, 1 / 3, 1 / 4])
    assert curve.area == pytest.approx(7 / 48)
    # The surest is wrong: it counts with all of its error.
    assert risk_coverage([0.9, 0.5], [False, True]).area == pytest.approx((1 + 1 / 2) / 2)


def test_equal_confidences_are_kept_together():
    confidences, right = [0.9, 0.5, 0.5, 0.5], [1, 0, 1, 1]
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 1, 0, 3]):
        curve = risk_coverage([confidences[i] for i in order], [right[i] for i in order])
        assert curve.coverage.tolist() == [0.25, 1.0]
        assert curve.risk.tolist() == [0.0, 0.25]
        assert curve.area == pytest.approx(0.75 * 0.25)


def test_calibration_leaves_risk_and_coverage_as_they_are():
    confidences, right = simulated(500, 1.0, 0.0)
    raw = risk_coverage(confidences, right)
    calibrated = risk_coverage(Calibration(0.3, -1.0).apply(confidences), right)
    assert (raw.risk == calibrated.risk).all() and raw.area == calibrated.area


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("cautious", [False, True])
@pytest.mark.parametrize("accuracy", [0.5, 0.9, 0.99])
def test_threshold_keeps_its_promise_and_is_the_smallest(seed, cautious, accuracy):
    # Rounded, so that many are equal.
    confidences, right = simulated(150, 1.0, 0.0, seed, digits=2)

    def reaches(threshold):
        kept = right[confidences >= threshold].tolist()
        low, _ = wilson_interval(sum(kept), len(kept))
        return (low if cautious else sum(kept) / len(kept)) >= accuracy

    reached = [value for value in set(confidences.tolist()) if reaches(value)]
    selection = threshold_for(confidences, right, accuracy, cautious)
    assert selection.threshold == min(reached, default=math.inf)
    assert selection.count == (confidences >= selection.threshold).sum()
    assert selection.coverage == selection.count / 150
    if reached:
        kept = right[confidences >= selection.threshold]
        assert selection.accuracy == kept.mean() >= accuracy
        assert selection.interval == wilson_interval(int(kept.sum()), len(kept))


def test_threshold_by_hand():
    confidences, right = [0.9, 0.8, 0.7, 0.6, 0.5], [1, 1, 0, 1, 0]
    assert threshold_for(confidences, right, 1.0).threshold == 0.8
    # At 0.7 two of three are right, at 0.6 again three of four.
    assert threshold_for(confidences, right, 0.75).threshold == 0.6
    assert threshold_for(confidences, right, 0.6).coverage == 1.0
    assert threshold_for(confidences, right, 0.6, cautious=True).count == 0


def test_threshold_that_nothing_reaches_keeps_nothing():
    selection = threshold_for([0.9, 0.5], [False, True], 0.99)
    assert (selection.threshold, selection.coverage, selection.count) == (math.inf, 0.0, 0)
    assert math.isnan(selection.accuracy) and selection.interval == (0.0, 1.0)


def test_select_tries_a_threshold_on_other_readings():
    selection = select([0.9, 0.8, 0.7], [True, False, True], 0.8)
    assert (selection.coverage, selection.accuracy, selection.count) == (2 / 3, 0.5, 2)


@pytest.mark.parametrize("accuracy", [0, -1, 1.01, 99, math.nan])
def test_accuracies_that_do_not_suit_are_named(accuracy):
    with pytest.raises(ValueError, match="0.99 is 99 %"):
        threshold_for([0.5], [True], accuracy)


@pytest.mark.parametrize(
    "measure",
    [
        fit_calibration,
        reliability_bins,
        expected_calibration_error,
        risk_coverage,
        lambda confidences, right: select(confidences, right, 0.5),
        lambda confidences, right: threshold_for(confidences, right, 0.9),
    ],
)
@pytest.mark.parametrize(
    ("confidences", "right", "message"),
    [
        ([], [], r"at least one; got shapes \(0,\) and \(0,\)"),
        ([0.5], [True, False], r"got shapes \(1,\) and \(2,\)"),
        ([[0.5]], [[True]], r"got shapes \(1, 1\)"),
        ([0.5, math.inf], [True, False], "Confidence #1 is inf"),
        ([0.5, 0.5], [1, 2], "Reading #1 is marked .*2"),
        ([0.5, 0.5], ["cat", "cat"], "Reading #0 is marked .*cat"),
    ],
)
def test_readings_that_do_not_suit_are_named(measure, confidences, right, message):
    with pytest.raises(ValueError, match=message):
        measure(confidences, right)


def test_less_than_one_bin_is_refused():
    with pytest.raises(ValueError, match="at least 1 bin, got 0"):
        reliability_bins([0.5], [True], bins=0)


def made_readings(count, seed=0):
    """Readings whose raw confidence is too high, beside their labels; one in 20 unreadable."""
    confidences, right = simulated(count, 0.5, -0.5, seed)
    readings, targets = [], []
    for number, (raw, is_right) in enumerate(zip(confidences.tolist(), right, strict=True)):
        targets.append("Door")
        if number % 20 == 0:
            readings.append(Prediction(None, 0.0, f"#{number}", error="no image"))
        else:
            text = "door" if is_right else "d00r"
            # What an earlier calibration made of it must not count.
            readings.append(Prediction(text, raw / 2, f"#{number}", raw_confidence=raw))
    return readings, targets


def test_readings_of_labelled_images_calibrate_a_reader():
    readings, targets = made_readings(3000)
    readable = [reading for reading in readings if reading.error is None]
    expected = fit_calibration(
        [reading.raw_confidence for reading in readable],
        [reading.text == "door" for reading in readable],
    )
    assert calibrate(readings, targets, "alphanumeric") == expected
    assert expected.slope == pytest.approx(0.5, abs=0.1)
    assert expected.offset == pytest.approx(-0.5, abs=0.15)
    # In another case, none is right.
    assert calibrate(readings, targets).apply(0.9) < 0.01


def test_readings_of_labelled_images_tell_the_threshold():
    readings, targets = made_readings(3000)
    confidences = [reading.confidence for reading in readings]
    right = [reading.text == "door" for reading in readings]
    for accuracy, cautious in ((0.5, False), (0.9, False), (0.8, True)):
        found = threshold_for_readings(readings, targets, accuracy, "alphanumeric", cautious)
        assert found == threshold_for(confidences, right, accuracy, cautious)
        assert found.accuracy >= accuracy and 0 < found.coverage < 0.95
        kept = [r for r in readings if r.confidence >= found.threshold]
        assert len(kept) == found.count


def test_a_image_that_cannot_be_read_is_not_right_even_without_a_label():
    readings = [Prediction(None, 0.0, "#0", error="no image"), Prediction("", 0.5, "#1")]
    found = threshold_for_readings(readings, ["", ""], 0.5)
    assert (found.count, found.accuracy) == (2, 0.5)


def test_no_readable_image_is_named_with_its_error():
    readings = [Prediction(None, 0.0, "a.png", error="a.png does not exist.")] * 3
    with pytest.raises(ValueError, match=r"None of the 3 .* a\.png does not exist\."):
        calibrate(readings, ["a", "b", "c"])


@pytest.mark.parametrize("function", [calibrate, lambda r, t: threshold_for_readings(r, t, 0.99)])
@pytest.mark.parametrize("count", [0, 1])
def test_labels_that_do_not_go_with_the_readings_are_refused(function, count):
    with pytest.raises(ValueError, match="Expected as many readings as labels"):
        function([Prediction("a", 0.5, "#0")] * count, ["a"] * (2 * count))


def test_a_calibration_is_learnt_from_one_half_and_measured_on_the_other():
    readings, targets = made_readings(4000)
    trial = evaluate_calibration(readings, targets, "alphanumeric", seed=3)
    assert len(trial.right) == len(trial.learnt[1]) == 1900
    assert trial.calibration.slope == pytest.approx(0.5, abs=0.1)
    # These readings' own confidences are half of the raw ones.
    assert (trial.confidences["own"] == trial.confidences["raw"] / 2).all()
    calibrated = trial.calibration.apply(trial.confidences["raw"])
    assert (trial.confidences["calibrated"] == calibrated).all()
    errors = trial.ece()
    assert errors["calibrated"] < 0.05 < 0.1 < errors["raw"]
    assert str(trial) == (
        f"ECE on 1,900 readings: raw {errors['raw']:.2%}, calibrated {errors['calibrated']:.2%}, "
        f"own {errors['own']:.2%}"
    )
    assert set(trial.reliability()) == set(errors)
    bins, confidences = trial.reliability()["calibrated"]
    assert sum(part.count for part in bins) == len(confidences) == 1900
    assert trial.risk_coverage().risk[-1] == pytest.approx(1 - trial.right.mean())


def test_the_halves_are_chosen_by_the_seed_and_share_no_image():
    # Only what is right tells images apart: each of them has a confidence of its own.
    readings = [Prediction("a", n / 101, "", raw_confidence=n / 101) for n in range(101)]
    halves = []
    for seed in (0, 0, 1):
        trial = evaluate_calibration(
            readings, ["a" if n > 40 else "b" for n in range(101)], seed=seed
        )
        learnt, tried = trial.learnt[0], trial.confidences["calibrated"]
        assert len(set(learnt) | set(tried)) == 101 and len(learnt) == 51
        assert "own" not in trial.confidences
        halves.append(trial.confidences["raw"].tolist())
    assert halves[0] == halves[1] != halves[2]


def test_a_threshold_comes_from_the_half_that_was_learnt_from():
    readings, targets = made_readings(2000)
    trial = evaluate_calibration(readings, targets, "alphanumeric")
    for accuracy in (0.5, 0.8):
        threshold = threshold_for(*trial.learnt, accuracy).threshold
        expected = select(trial.confidences["calibrated"], trial.right, threshold)
        assert trial.keep(accuracy) == expected
        assert expected.accuracy == pytest.approx(accuracy, abs=0.08)
    assert trial.keep(1.0).coverage < trial.keep(0.8).coverage < trial.keep(0.5).coverage


@pytest.mark.parametrize("readable", [0, 1])
def test_too_few_readable_images_make_no_halves(readable):
    readings = [Prediction("a", 0.5, "#0")] * readable + [
        Prediction(None, 0.0, "#1", error="bad")
    ] * 3
    with pytest.raises(ValueError, match=f"Only {readable} of {readable + 3} images"):
        evaluate_calibration(readings, ["a"] * len(readings))
