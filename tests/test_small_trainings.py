"""The small trainings of lesson 03c: what they draw, what they learn, where they end."""

import math

import numpy as np
import pytest
from keras import ops

from crnn_keras.evaluation import plots
from crnn_keras.model.ctc import ctc_loss, is_feasible
from crnn_keras.notebook import small_trainings as small
from crnn_keras.synth import bundled_fonts


@pytest.fixture(scope="module")
def codes():
    return small.draw_codes(12, bundled_fonts(), seed=3)


def test_codes_are_drawn_with_their_labels_and_can_be_cut_and_joined(codes):
    again = small.draw_codes(4, bundled_fonts(), seed=3)
    assert np.array_equal(again.canvases, codes[:4].canvases) and again.texts == codes.texts[:4]
    assert small.draw_codes(4, bundled_fonts(), seed=4).texts != again.texts
    for label, text in zip(codes.labels, codes.texts, strict=True):
        assert small.CHAR_DICT.decode(label) == text and 2 <= len(text) <= 5
    joined = codes[:3] + codes[5:7]
    assert len(joined) == 5 and joined.texts == codes.texts[:3] + codes.texts[5:7]
    assert joined.canvases.shape == (5, 16, 64, 1) and joined.labels.shape == (5, 5)


@pytest.mark.parametrize("frames", [16, 8, 4])
def test_a_network_without_knowledge_has_the_loss_of_the_formula(codes, frames):
    network = small.build_network(frames)
    logits = ops.convert_to_numpy(network.predict_on_batch(codes.canvases))
    assert logits.shape == (12, frames, 11)
    losses = ops.convert_to_numpy(ctc_loss(np.zeros_like(logits), codes.labels))
    fits = ops.convert_to_numpy(is_feasible(codes.labels, np.full(12, frames)))
    for loss, text, is_fitting in zip(losses, codes.texts, fits, strict=True):
        repeats = sum(a == b for a, b in zip(text, text[1:], strict=False))
        paths = math.comb(frames + len(text) - repeats, 2 * len(text))
        assert is_fitting == (paths > 0) == (frames >= len(text) + repeats)
        expected = frames * math.log(11) - math.log(paths) if paths else 0
        assert loss == pytest.approx(expected, abs=1e-3)


def test_a_few_images_are_learned_and_the_curves_have_a_point_every_ten_steps(codes):
    few = codes[:4]
    network = small.build_network(seed=1)
    trained = small.train_network(network, few, {"few": few}, steps=45, batch_size=8)
    assert [step for step, _ in trained.losses] == [10, 20, 30, 40, 45]
    assert trained.losses[0][1] > 5 > 0.5 > trained.final_loss()
    assert trained.final_accuracy("few") == 1
    assert trained.texts["few"] == small.read_codes(network, few) == list(few.texts)


def test_a_training_ends_where_its_loss_is_not_finite(codes):
    def broken(labels, logits):
        return ctc_loss(logits, labels) + math.inf

    network = small.build_network(4)
    trained = small.train_network(network, codes, {"all": codes}, steps=9, loss=broken)
    assert trained.losses == [(1, math.inf)] and len(trained.texts["all"]) == 12


def test_curves_are_drawn_in_one_color_each_and_without_what_is_not_finite():
    losses = {"right": [(10, 20.0), (20, 0.0)], "wrong": [(10, math.inf), (20, 30.0)]}
    accuracies = {"right": [(10, 0.5), (20, 1.0)], "other": [(10, 0.0), (20, 0.25)]}
    figure = plots.compare_trainings(losses, accuracies, bound=2.0)
    left, right = figure.axes
    drawn = [{line.get_label(): line for line in axes.lines} for axes in (left, right)]
    assert list(drawn[0]) == ["right", "wrong", "no lower"] and list(drawn[1]) == ["right", "other"]
    assert drawn[0]["right"].get_color() == drawn[1]["right"].get_color() == plots.BLUE
    assert list(drawn[0]["wrong"].get_xdata()) == [20]
    assert list(drawn[1]["other"].get_ydata()) == [0.0, 0.25]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["right", "wrong", "no lower", "other"]
    assert "right, wrong, other" in figure.get_label()
