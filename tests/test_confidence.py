"""Confidences are calibrated, measured, and used to keep correct predictions."""

import doctest
import importlib
import json
import math

import numpy as np
import pytest

from crnn_keras.evaluation.confidence import (
    calibrate,
    evaluate_calibration,
    expected_calibration_error,
    reliability_bins,
    risk_coverage,
    select,
    threshold_for,
    threshold_for_predictions,
)
from crnn_keras.evaluation.metrics import wilson_interval
from crnn_keras.inference.base import Prediction
from crnn_keras.model.calibration import Calibration, fit_calibration


def simulated(count, slope, offset, seed=0, digits=None):
    """Simulates confidences, and which texts are correct: by a chance that is known."""
    random = np.random.default_rng(seed)
    log_odds = random.normal(1, 2, count)
    confidences = 1 / (1 + np.exp(-log_odds))
    correct = random.random(count) < 1 / (1 + np.exp(-(slope * log_odds + offset)))
    return confidences if digits is None else confidences.round(digits), correct


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
def test_a_larger_confidence_never_gives_a_smaller_chance(slope, offset):
    near_one = 1 - np.arange(200, dtype=np.float32) * 2.0**-24
    confidences = np.sort(
        np.concatenate([np.linspace(0, 1, 5001), np.geomspace(1e-30, 1), near_one])
    )
    chances = Calibration(slope, offset).apply(confidences)
    assert (np.diff(chances) >= 0).all()
    assert chances[0] >= 0 and chances[-1] <= 1 and chances[0] < chances[-1]


def test_a_confidence_of_1_gives_a_chance_below_1():
    low, almost, high = Calibration(0.5, 0.0).apply(np.array([0, 1 - 2.0**-24, 1], np.float32))
    assert 0 < low < 1e-3 and 0.999 < almost < high < 1


def test_a_calibration_goes_through_json():
    calibration = fit_calibration(*simulated(500, 0.6, -0.4))
    again = Calibration.from_config(json.loads(json.dumps(calibration.get_config())))
    assert again == calibration


@pytest.mark.parametrize(
    "slope", [0, -1.0, math.nan, math.inf, "1", b"1", None, True, 10**400, [1]]
)
def test_invalid_slopes_are_refused(slope):
    with pytest.raises(ValueError, match="slope"):
        Calibration(slope=slope)


@pytest.mark.parametrize("offset", [math.nan, -math.inf, "0", [0.0]])
def test_invalid_offsets_are_refused(offset):
    with pytest.raises(ValueError, match="offset"):
        Calibration(offset=offset)


@pytest.mark.parametrize("config", [{}, {"slope": 1.0}, {"slope": 1, "offset": 0, "x": 0}, None])
def test_invalid_configs_are_refused(config):
    with pytest.raises(ValueError, match="slope.*offset"):
        Calibration.from_config(config)


@pytest.mark.parametrize("confidence", [-0.1, 1.1, math.nan])
def test_confidences_outside_of_0_to_1_are_named(confidence):
    with pytest.raises(ValueError, match="Confidence #1"):
        Calibration().apply([0.5, confidence])
    with pytest.raises(ValueError, match="Confidence #1"):
        fit_calibration([0.5, confidence], [True, False])


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.4, -0.8), (2.0, 1.5)])
def test_fit_finds_the_slope_and_the_offset(slope, offset):
    found = fit_calibration(*simulated(40_000, slope, offset))
    assert found.slope == pytest.approx(slope, rel=0.05)
    assert found.offset == pytest.approx(offset, abs=0.06)


def test_fit_has_the_least_loss_by_platts_targets():
    confidences, correct = simulated(60, 0.7, -0.5, seed=3)
    found = fit_calibration(confidences, correct)
    hits, misses = correct.sum(), (~correct).sum()
    targets = np.where(correct, (hits + 1) / (hits + 2), 1 / (misses + 2))

    def loss(calibration):
        chances = calibration.apply(confidences)
        return -np.sum(targets * np.log(chances) + (1 - targets) * np.log(1 - chances))

    for slope, offset in [(1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3)]:
        near = Calibration(found.slope + slope, found.offset + offset)
        assert loss(near) > loss(found)


def test_fit_lowers_the_error_of_other_predictions():
    calibration = fit_calibration(*simulated(3000, 0.5, -1.0, seed=1))
    confidences, correct = simulated(3000, 0.5, -1.0, seed=2)
    before = expected_calibration_error(confidences, correct)
    after = expected_calibration_error(calibration.apply(confidences), correct)
    assert before > 0.15 and after < 0.04


@pytest.mark.parametrize("answer", [True, False])
@pytest.mark.parametrize("confidences", [[0.0, 0.2, 0.9, 1.0], [1.0] * 4])
def test_all_correct_or_all_wrong_gives_platts_fraction(answer, confidences):
    calibration = fit_calibration(confidences, [answer] * 4)
    chances = calibration.apply(confidences)
    # Five sixths, as if there were one more correct and one more wrong prediction.
    assert chances == pytest.approx(5 / 6 if answer else 1 / 6, abs=0.005)
    assert calibration.slope > 0


def test_a_confidence_that_separates_correct_from_wrong_gives_a_finite_calibration():
    calibration = fit_calibration([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1])
    low, high = calibration.apply([0.15, 0.85])
    assert 0.1 < low < 0.4 and 0.6 < high < 0.9


@pytest.mark.parametrize(
    "confidences",
    [
        # The same for all, except for rounding; reversed; unrelated.
        [0.7] * 8,
        [0.7 + 1e-9] * 6 + [0.7] * 2,
        np.linspace(0.1, 0.9, 8),
        [0.2, 0.9] * 4,
    ],
)
def test_confidence_without_information_gives_the_accuracy_and_keeps_the_order(confidences):
    calibration = fit_calibration(confidences, [1, 1, 1, 1, 1, 1, 0, 0])
    chances = calibration.apply(confidences)
    # Platt's targets: six times 7/8 and twice 1/4.
    fraction = (6 * 7 / 8 + 2 / 4) / 8
    assert chances == pytest.approx(fraction, abs=0.005)
    assert chances.mean() == pytest.approx(fraction, abs=1e-9)
    assert calibration.slope == 0.001


def test_fit_converges_where_full_newton_steps_diverge():
    counts, log_odds = [8312, 1, 325, 19], np.array([9.015, -7.818, -14.98, 13.397])
    confidences = np.repeat(1 / (1 + np.exp(-log_odds)), counts)
    correct = np.repeat([False, False, False, True], counts)
    calibration = fit_calibration(confidences, correct)
    # At the least loss, the residuals do not correlate with anything that the fit can use.
    residuals = calibration.apply(confidences) - np.where(correct, 20 / 21, 1 / 8640)
    assert residuals.mean() == pytest.approx(0, abs=1e-9)
    assert (residuals * np.repeat(log_odds, counts)).mean() == pytest.approx(0, abs=1e-8)


def test_fit_ends_at_hard_data():
    for seed in range(60):
        random = np.random.default_rng(seed)
        count = int(random.integers(1, 30))
        confidences = random.beta(0.05, 0.05, count).round(int(random.integers(1, 17)))
        calibration = fit_calibration(confidences, random.random(count) < random.random())
        assert calibration.slope > 0
        assert np.isfinite(calibration.apply(confidences)).all()


def test_expected_calibration_error_by_hand():
    confidences, correct = [0.9, 0.1, 0.2, 0.8], [1, 0, 1, 1]
    # Bins 0.1, 0.2 (mean 0.15, half correct) and 0.8, 0.9 (mean 0.85, all correct).
    assert expected_calibration_error(confidences, correct, bins=2) == pytest.approx(0.25)
    assert expected_calibration_error(confidences, correct, bins=1) == pytest.approx(0.25)
    # A bin each: 0.1, 0.8, 0.2 and 0.1 away.
    assert expected_calibration_error(confidences, correct, bins=9) == pytest.approx(0.3)
    assert expected_calibration_error([0.0, 1.0], [0, 1]) == 0.0


def test_bins_have_about_equal_counts_and_contain_every_prediction():
    confidences, correct = simulated(1000, 1.0, 0.0)
    bins = reliability_bins(confidences, correct, bins=15)
    assert {item.count for item in bins} == {66, 67}
    assert sum(item.count for item in bins) == 1000
    assert sum(item.count * item.accuracy for item in bins) == pytest.approx(correct.sum())
    assert sum(item.count * item.confidence for item in bins) == pytest.approx(confidences.sum())
    means = [item.confidence for item in bins]
    assert means == sorted(means)
    first = bins[0]
    hits = round(first.accuracy * first.count)
    assert first.interval == wilson_interval(hits, first.count)


def test_equal_confidences_share_a_bin():
    bins = reliability_bins([1.0, 0.5, 1.0, 1.0, 0.2, 1.0], [1, 0, 1, 0, 0, 1], bins=3)
    assert [(item.count, item.accuracy) for item in bins] == [(2, 0.0), (4, 0.75)]
    bins = reliability_bins([0.3, 0.3, 0.3, 0.9], [1, 0, 1, 0], bins=4)
    assert [item.count for item in bins] == [3, 1]


def test_risk_and_coverage_by_hand():
    curve = risk_coverage([0.7, 0.9, 0.6, 0.8], [False, True, True, True])
    assert curve.thresholds.tolist() == [0.9, 0.8, 0.7, 0.6]
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve.risk == pytest.approx([0, 0, 1 / 3, 1 / 4])
    assert curve.area == pytest.approx(7 / 48)
    # The most confident is wrong: it counts with all of its error.
    assert risk_coverage([0.9, 0.5], [False, True]).area == pytest.approx((1 + 1 / 2) / 2)


def test_equal_confidences_are_kept_together():
    confidences, correct = [0.9, 0.5, 0.5, 0.5], [1, 0, 1, 1]
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 1, 0, 3]):
        curve = risk_coverage([confidences[i] for i in order], [correct[i] for i in order])
        assert curve.coverage.tolist() == [0.25, 1.0]
        assert curve.risk.tolist() == [0.0, 0.25]
        assert curve.area == pytest.approx(0.75 * 0.25)


def test_calibration_leaves_risk_and_coverage_as_they_are():
    confidences, correct = simulated(500, 1.0, 0.0)
    raw = risk_coverage(confidences, correct)
    calibrated = risk_coverage(Calibration(0.3, -1.0).apply(confidences), correct)
    assert (raw.risk == calibrated.risk).all() and raw.area == calibrated.area


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("cautious", [False, True])
@pytest.mark.parametrize("accuracy", [0.5, 0.9, 0.99])
def test_a_threshold_reaches_the_accuracy_and_is_the_smallest(seed, cautious, accuracy):
    # Rounded, so that many are equal.
    confidences, correct = simulated(150, 1.0, 0.0, seed, digits=2)

    def reaches(threshold):
        kept = correct[confidences >= threshold].tolist()
        low, _ = wilson_interval(sum(kept), len(kept))
        return (low if cautious else sum(kept) / len(kept)) >= accuracy

    reached = [value for value in set(confidences.tolist()) if reaches(value)]
    selection = threshold_for(confidences, correct, accuracy, cautious=cautious)
    assert selection.threshold == min(reached, default=math.inf)
    assert selection.count == (confidences >= selection.threshold).sum()
    assert selection.coverage == selection.count / 150
    if reached:
        kept = correct[confidences >= selection.threshold]
        assert selection.accuracy == kept.mean() >= accuracy
        assert selection.interval == wilson_interval(int(kept.sum()), len(kept))


def test_threshold_by_hand():
    confidences, correct = [0.9, 0.8, 0.7, 0.6, 0.5], [1, 1, 0, 1, 0]
    assert threshold_for(confidences, correct, 1.0).threshold == 0.8
    # At 0.7 two of three are correct, at 0.6 three of four.
    assert threshold_for(confidences, correct, 0.75).threshold == 0.6
    assert threshold_for(confidences, correct, 0.6).coverage == 1.0
    assert threshold_for(confidences, correct, 0.6, cautious=True).count == 0


def test_without_such_a_threshold_nothing_is_kept():
    selection = threshold_for([0.9, 0.5], [False, True], 0.99)
    assert (selection.threshold, selection.coverage, selection.count) == (math.inf, 0.0, 0)
    assert math.isnan(selection.accuracy) and selection.interval == (0.0, 1.0)


def test_select_applies_a_threshold_to_other_predictions():
    selection = select([0.9, 0.8, 0.7], [True, False, True], 0.8)
    assert (selection.coverage, selection.accuracy, selection.count) == (2 / 3, 0.5, 2)


@pytest.mark.parametrize("accuracy", [0, -1, 1.01, 99, math.nan])
def test_invalid_accuracies_are_named(accuracy):
    with pytest.raises(ValueError, match=f"^accuracy is {accuracy}\\. .* above 0 and at most 1"):
        threshold_for([0.5], [True], accuracy)


@pytest.mark.parametrize(
    "measure",
    [
        fit_calibration,
        reliability_bins,
        expected_calibration_error,
        risk_coverage,
        lambda confidences, correct: select(confidences, correct, 0.5),
        lambda confidences, correct: threshold_for(confidences, correct, 0.9),
    ],
)
@pytest.mark.parametrize(
    ("confidences", "correct", "message"),
    [
        ([], [], r"\(0,\) and \(0,\)"),
        ([0.5], [True, False], r"\(1,\) and \(2,\)"),
        ([[0.5]], [[True]], r"\(1, 1\)"),
        ([0.5, math.inf], [True, False], "Confidence #1 .*inf"),
        ([0.5, 0.5], [1, 2], "Prediction #1 .*2"),
        ([0.5, 0.5], ["cat", "cat"], "Prediction #0 .*cat"),
    ],
)
def test_invalid_predictions_are_named(measure, confidences, correct, message):
    with pytest.raises(ValueError, match=message):
        measure(confidences, correct)


def test_less_than_one_bin_is_refused():
    with pytest.raises(ValueError, match="^bins is 0"):
        reliability_bins([0.5], [True], bins=0)


def make_predictions(count, seed=0):
    """Makes predictions with too high raw confidences, and labels; one in 20 has no image."""
    confidences, correct = simulated(count, 0.5, -0.5, seed)
    predictions, targets = [], []
    for index, (raw, is_correct) in enumerate(zip(confidences.tolist(), correct, strict=True)):
        targets.append("Door")
        if index % 20 == 0:
            predictions.append(Prediction(None, 0.0, f"#{index}", error="no image"))
        else:
            text = "door" if is_correct else "d00r"
            # The confidence by an earlier calibration must not count.
            predictions.append(Prediction(text, raw / 2, f"#{index}", raw_confidence=raw))
    return predictions, targets


def test_predictions_for_labelled_images_give_a_calibration():
    predictions, targets = make_predictions(3000)
    loaded = [prediction for prediction in predictions if prediction.error is None]
    expected = fit_calibration(
        [prediction.raw_confidence for prediction in loaded],
        [prediction.text == "door" for prediction in loaded],
    )
    assert calibrate(predictions, targets, protocol="alphanumeric") == expected
    assert expected.slope == pytest.approx(0.5, abs=0.1)
    assert expected.offset == pytest.approx(-0.5, abs=0.15)
    # Compared with their case, none is correct.
    assert calibrate(predictions, targets).apply(0.9) < 0.01


def test_predictions_for_labelled_images_give_a_threshold():
    predictions, targets = make_predictions(3000)
    confidences = [prediction.confidence for prediction in predictions]
    correct = [prediction.text == "door" for prediction in predictions]
    for accuracy, cautious in ((0.5, False), (0.9, False), (0.8, True)):
        options = {"protocol": "alphanumeric", "cautious": cautious}
        found = threshold_for_predictions(predictions, targets, accuracy, **options)
        assert found == threshold_for(confidences, correct, accuracy, cautious=cautious)
        assert found.accuracy >= accuracy and 0 < found.coverage < 0.95
        kept = [p for p in predictions if p.confidence >= found.threshold]
        assert len(kept) == found.count


def test_an_image_that_cannot_be_loaded_is_not_correct_even_without_a_label():
    predictions = [Prediction(None, 0.0, "#0", error="no image"), Prediction("", 0.5, "#1")]
    found = threshold_for_predictions(predictions, ["", ""], 0.5)
    assert (found.count, found.accuracy) == (2, 0.5)


def test_without_a_loaded_image_the_first_error_is_named():
    predictions = [Prediction(None, 0.0, "a.png", error="a.png does not exist.")] * 3
    with pytest.raises(ValueError, match=r"3 .* a\.png does not exist\."):
        calibrate(predictions, ["a", "b", "c"])


@pytest.mark.parametrize(
    "function", [calibrate, lambda *pair: threshold_for_predictions(*pair, 0.99)]
)
@pytest.mark.parametrize("count", [0, 1])
def test_as_many_labels_as_predictions_are_expected(function, count):
    with pytest.raises(ValueError, match=f"{count} texts and {2 * count} targets"):
        function([Prediction("a", 0.5, "#0")] * count, ["a"] * (2 * count))


def test_a_calibration_is_fitted_to_one_half_and_measured_on_the_other():
    predictions, targets = make_predictions(4000)
    report = evaluate_calibration(predictions, targets, protocol="alphanumeric", seed=3)
    assert len(report.correct) == len(report.first_half[1]) == 1900
    assert report.calibration.slope == pytest.approx(0.5, abs=0.1)
    # The own confidences of these predictions are half of the raw ones.
    assert (report.confidences["own"] == report.confidences["raw"] / 2).all()
    calibrated = report.calibration.apply(report.confidences["raw"])
    assert (report.confidences["calibrated"] == calibrated).all()
    errors = report.ece()
    assert errors["calibrated"] < 0.05 < 0.1 < errors["raw"]
    percents = {name: f"{error:.2%}" for name, error in errors.items()}
    assert str(report) == (
        f"ECE on 1,900 predictions: raw {percents['raw']}, calibrated {percents['calibrated']}, "
        f"own {percents['own']}"
    )
    assert set(report.reliability()) == set(errors)
    bins, confidences = report.reliability()["calibrated"]
    assert sum(item.count for item in bins) == len(confidences) == 1900
    assert report.risk_coverage().risk[-1] == pytest.approx(1 - report.correct.mean())


def test_the_halves_are_chosen_by_the_seed_and_share_no_image():
    # Each image has a confidence of its own, by which it is recognized.
    predictions = [Prediction("a", n / 101, "", raw_confidence=n / 101) for n in range(101)]
    halves = []
    for seed in (0, 0, 1):
        report = evaluate_calibration(
            predictions, ["a" if n > 40 else "b" for n in range(101)], seed=seed
        )
        first, second = report.first_half[0], report.confidences["calibrated"]
        assert len(set(first) | set(second)) == 101 and len(first) == 51
        assert "own" not in report.confidences
        halves.append(report.confidences["raw"].tolist())
    assert halves[0] == halves[1] != halves[2]


def test_a_threshold_comes_from_the_first_half():
    predictions, targets = make_predictions(2000)
    report = evaluate_calibration(predictions, targets, protocol="alphanumeric")
    for accuracy in (0.5, 0.8):
        threshold = threshold_for(*report.first_half, accuracy).threshold
        expected = select(report.confidences["calibrated"], report.correct, threshold)
        assert report.keep(accuracy) == expected
        assert expected.accuracy == pytest.approx(accuracy, abs=0.08)
    assert report.keep(1.0).coverage < report.keep(0.8).coverage < report.keep(0.5).coverage


@pytest.mark.parametrize("loaded", [0, 1])
def test_too_few_loaded_images_make_no_halves(loaded):
    predictions = [Prediction("a", 0.5, "#0")] * loaded + [
        Prediction(None, 0.0, "#1", error="bad")
    ] * 3
    with pytest.raises(ValueError, match=f"{loaded} of {loaded + 3} images"):
        evaluate_calibration(predictions, ["a"] * len(predictions))


@pytest.mark.parametrize("module", ["labelled", "measure", "report"])
def test_examples_give_what_they_show(module):
    results = doctest.testmod(importlib.import_module(f"crnn_keras.evaluation.confidence.{module}"))
    assert results.attempted > 0 == results.failed
