"""Figures show their data, also at the limits."""

import collections
import warnings

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from crnn_keras import CharDict
from crnn_keras.evaluation import plots
from crnn_keras.evaluation.confidence import ReliabilityBin, risk_coverage, select
from crnn_keras.images import Placement
from crnn_keras.inference import Alignment, Prediction
from crnn_keras.model.decoding import Pattern, path_posteriors
from crnn_keras.utils.pages import find_title


def drawn(figure):
    """Returns all texts of a drawn figure; drawing must not warn, as of a missing glyph."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def test_image_grid_has_every_title():
    images = [np.full((5, 9), 7, np.uint8), np.zeros((30, 4, 1), np.uint8)]
    assert {"one", "two"} <= set(drawn(plots.image_grid(images, ["one", "two"], columns=3)))


def test_image_grid_of_nothing():
    drawn(plots.image_grid([], []))


def test_characters_without_a_font_are_written_as_code_points(monkeypatch):
    monkeypatch.setattr(plots, "_has_glyph", lambda character: character != "省")
    image = np.zeros((5, 9), np.uint8)
    assert "<U+7701>A1" in drawn(plots.image_grid([image], ["省A1"]))


def test_curves_take_a_history():
    row = {"epoch": 1, "train_loss": 2.0, "loss": 3.0, "word_accuracy": 0.1}
    row |= {"character_accuracy": 0.5, "sequence_distance": 2.5}
    assert "training" in drawn(plots.curves([row, row | {"epoch": 2}]))


def band_rows(seed, *losses):
    return [{"seed": seed, "step": 20 * i, "loss": loss} for i, loss in enumerate(losses, start=1)]


def test_a_training_by_step_has_its_band_its_plateau_and_its_rate():
    # The third seed has not come so far yet.
    bands = [*band_rows(1, 30, 20, 2), *band_rows(2, 40, 25, 8), *band_rows(3, 35, 21)]
    figure = plots.training_by_step(
        [(20, 33.0), (40, 0.0)],
        [(0, 0.0), (40, 0.003)],
        validation=[(40, 5.0)],
        bands=pd.DataFrame(bands),
        plateau=(20, 40),
    )
    texts = drawn(figure)
    assert {"3 seeds", "almost only blanks", "training", "validation", "learning rate", "step"} <= {
        *texts
    }
    above, below = figure.axes
    span, band = above.patches[0].get_extents(), above.collections[0].get_paths()[0].get_extents()
    (left, _), (right, _) = above.transData.inverted().transform(span)
    assert (round(left), round(right)) == (20, 40)
    assert (band.xmin, band.xmax, band.ymin, band.ymax) == (20, 40, 20, 40)
    middle, training, validation = (line.get_xydata().tolist() for line in above.lines)
    assert middle == [[20, 35], [40, 21]] and validation == [[40, 5]]
    # A logarithm needs a floor.
    assert training == [[20, 33], [40, 0.001]]
    assert below.lines[0].get_xydata().tolist() == [[0, 0], [40, 0.003]]


def test_a_training_by_step_without_anything_behind_it():
    (above, _) = plots.training_by_step([(1, 2.0)], [(0, 0.1), (1, 0.1)]).axes
    assert len(above.lines) == 1 and not above.collections and not above.patches


def test_confusions_are_counted_where_they_belong():
    confusions = collections.Counter({("o", "0"): 12, ("l", ""): 3, ("", "i"): 1})
    texts = drawn(plots.confusion_matrix(confusions))
    assert {"12", "3", "1", "o", "0", "inserted", "deleted"} <= set(texts)


def test_no_confusions():
    assert "no confusions" in drawn(plots.confusion_matrix({}))


@pytest.mark.parametrize("orientation", [1, 6])
def test_each_character_stands_below_its_box(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    size = (20, 60) if orientation == 6 else (60, 20)
    Image.new("L", size).save(tmp_path / "a.png", exif=exif)
    placement = Placement(60, 20, orientation, 60)
    spans = ((2, 2, 0.98), (6, 6, 0.5), (10, 10, 0.9))
    for found in (
        Prediction("a $", 0.5, "a.png", spans=spans, placement=placement),
        Alignment("a $", -1.0, "a.png", spans=spans, placement=placement),
    ):
        figure = plots.character_boxes(tmp_path / "a.png", found)
        texts = drawn(figure)
        assert {"a", "␣", "$", "0.98", "0.50", "0.90"} <= set(texts)
        placed = {text.get_text(): text.xy for text in figure.axes[0].texts}
        # In the upright image, 4 pixels a frame.
        assert [placed[sign] for sign in "a␣$"] == [(10, 20), (26, 20), (42, 20)]


def test_an_image_without_text_has_no_boxes():
    figure = plots.character_boxes(np.zeros((20, 60), np.uint8), Prediction("", 1.0, "#0"))
    drawn(figure)
    assert not figure.axes[0].texts and not figure.axes[0].patches


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (r"[a-z]{2}\d{2}", ["a-z"] * 2 + ["0-9"] * 2),
        ("a?b+", ["a", "b", "b", "b"]),
        (r"(ab)*", ["a", "b"]),
        (r"[ac$ ]", ["␣$ac"]),
        (r"[acegikm]", ["7 characters"]),
    ],
)
def test_an_automaton_has_its_characters_on_the_arrows(expression, expected):
    pattern = Pattern(expression, CharDict.from_source("ascii"))
    texts = drawn(plots.automaton(pattern))
    states = list(map(str, range(len(pattern.accepting))))
    assert sorted(filter(None, texts)) == sorted([*states, *expected])


def test_alternatives_leave_the_rest_to_all_others():
    panels = {"no model": [("$a$", 0.5), ("", 0.25)], "model": [("a", 1.0)]}
    texts = drawn(plots.alternatives(panels))
    assert {"no model", "model", "$a$", "(no text)", "all others"} <= set(texts)
    assert {"0.500", "0.250", "1.000", "0.000"} <= set(texts)


def test_alternatives_of_nothing():
    drawn(plots.alternatives({}))


def test_heat_map_draws_the_classes_with_some_probability():
    probabilities = np.full((6, 4), 0.01)
    probabilities[:, 0] = 0.97
    probabilities[2] = [0.01, 0.01, 0.97, 0.01]
    texts = drawn(plots.heat_map(np.zeros((32, 24, 1), np.uint8), probabilities, "abc", title="b"))
    assert "b" in texts and "a" not in texts and "c" not in texts


def test_lattice_of_a_word_with_equal_neighbours():
    posteriors = path_posteriors(np.zeros((7, 3)), [1, 1, 2])
    assert posteriors.shape == (7, 7)
    assert {"frame", "blank", "character"} <= set(drawn(plots.ctc_lattice(posteriors, "aab")))


def test_layer_shapes_and_histogram(caplog):
    texts = drawn(plots.layer_shapes([("canvas", 32, 100, 1), ("conv7", 1, 25, 128)]))
    assert "1 x 25\n128 ch." in texts
    assert "characters" in drawn(plots.histogram([1, 2, 2, 5], "characters"))
    # The names are bold, which the Chinese font is not.
    assert not caplog.records


def test_a_full_width_digit_is_told_from_the_plain_one():
    texts = drawn(plots.character_frequencies({"e": 9, "4": 3, "４": 1, "５": 1, " ": 1}))
    assert {"4", "４ U+FF14", "５", "space"} <= set(texts)


@pytest.mark.parametrize("text", ["plain", "ümlaut"])
def test_characters_with_a_font_are_not_replaced(text):
    assert plots.drawable(text) == text


def test_chinese_characters_are_drawn_by_the_package_s_own_font():
    image = np.zeros((5, 9), np.uint8)
    assert "省A1" in drawn(plots.image_grid([image], ["省A1"]))


def test_prices_are_not_read_as_formulas():
    image = np.zeros((5, 9), np.uint8)
    titles = ["label $1.00\ntext $2.00", r"$\frac$"]
    assert set(titles) <= set(drawn(plots.image_grid([image] * 2, titles)))


@pytest.mark.parametrize(
    ("size", "text"), [(1, "1 characters: 50.0%"), (2, "2 characters: 80.0%"), (9, "3 characters")]
)
def test_coverage_marks_the_size(size, text):
    texts = drawn(plots.coverage({"a": 3, "b": 5, "c": 2}, size))
    assert any(text in found for found in texts)


def curve_rows(series, images, *correct):
    return [
        {"series": series, "images": images, "seed": seed, "correct": hits, "tested": 200}
        for seed, hits in enumerate(correct)
    ]


def test_learning_curves_have_a_band_and_a_label_for_each_series():
    rows = [*curve_rows("not fine-tuned", 0, 20), *curve_rows("random images", 16, 60, 80, 100)]
    rows += [*curve_rows("random images", 1000, 190, 192, 194), *curve_rows("fresh", 16, 1)]
    own = curve_rows("your reader", 64, 150)
    figure = plots.learning_curves(pd.DataFrame(rows), own)
    texts = drawn(figure)
    expected = {"not fine-tuned: 10.0", "random images: 96.0 (95.0 to 97.0)", "fresh: 0.5"}
    assert expected | {"16", "1,000", "your reader, 64: 75.0"} <= set(texts)
    (axes,) = figure.axes
    mean = next(line for line in axes.lines if line.get_marker() == "o")
    assert mean.get_xydata().tolist() == [[16, 40], [1000, 96]]
    band = axes.collections[0].get_paths()[0].get_extents()
    assert (band.ymin, band.ymax) == (30, 97)
    heights = sorted(text.get_position()[1] for text in axes.texts if text not in axes.texts[:1])
    assert len(heights) == 3 and min(np.diff(heights)) >= 6


def test_learning_curves_of_points_alone():
    assert "mine, 16: 50.0" in drawn(plots.learning_curves([], curve_rows("mine", 16, 100)))


def test_labels_of_lines_that_end_at_the_top_do_not_overlap():
    rows = [row for name in "abcd" for row in curve_rows(name, 16, 200)]
    (axes,) = plots.learning_curves(rows).figure.axes
    heights = sorted(text.get_position()[1] for text in axes.texts)
    assert min(np.diff(heights)) >= 6 and heights[-1] <= 100


def test_reliability_has_a_panel_for_each_title():
    options = {"count": 4, "interval": (0.0, 0.95)}
    bins = [
        ReliabilityBin(confidence=0.2, accuracy=0.0, **options),
        ReliabilityBin(confidence=0.9, accuracy=0.75, **options),
    ]
    figure = plots.reliability({"raw, $1": (bins, [0.2] * 4 + [0.9] * 4), "省": (bins, [1.0])})
    assert {"raw, $1", "省", "accuracy", "confidence"} <= set(drawn(figure))
    first, _, counts, _ = figure.axes
    points = first.lines[1].get_xydata().tolist()
    assert points == [[0.2, 0.0], [0.9, 0.75]]
    assert sum(bar.get_height() for bar in counts.patches) == 8


def test_risk_coverage_marks_what_is_kept():
    confidences, correct = [0.9, 0.8, 0.7, 0.6], [True, True, False, True]
    curve = risk_coverage(confidences, correct)
    marks = {"a": select(confidences, correct, 0.8), "b": select(confidences, correct, 1.0)}
    figure = plots.risk_coverage({"a": curve, "b": curve, "c": curve}, marks)
    assert {"a: 100.0% correct, 50.0% kept", "b: none kept", "c"} <= set(drawn(figure))
    points = [line.get_xydata().tolist() for line in figure.axes[0].lines]
    # Three curves and one mark.
    assert [[50.0, 0.0]] in points and len(points) == 4


def test_risk_coverage_without_errors_or_marks():
    drawn(plots.risk_coverage({"all correct": risk_coverage([0.5], [True])}))


def test_error_categories_with_errors_are_drawn():
    table = pd.DataFrame(
        {"images": [1200, 7, 5], "errors": [1100, 3, 0], "fraction_of_errors": [0.9, 0.1, 0.0]},
        index=["blurred", "curved", "small"],
    )
    texts = drawn(plots.error_categories(table))
    assert {"blurred", "curved", " 1,100 of 1,200 images", " 3 of 7 images"} <= set(texts)
    assert "small" not in texts
    assert "no errors" in drawn(plots.error_categories(table.loc[["small"]]))


def point_sizes(figure, most_pixels=700):
    """Points of CSS of each text of a figure that is shown at most so many pixels wide."""
    shown = min(1, most_pixels / (figure.get_figwidth() * figure.dpi))
    texts = figure.findobj(lambda artist: hasattr(artist, "get_fontsize"))
    return [shown * figure.dpi / 72 * 0.75 * t.get_fontsize() for t in texts if t.get_text()]


def test_texts_have_ten_points_at_700_pixels():
    image, epoch = np.zeros((32, 100), np.uint8), {"epoch": 1, "train_loss": 2.0, "loss": 3.0}
    epoch |= {"word_accuracy": 0.1, "character_accuracy": 0.5, "sequence_distance": 2.5}
    table = pd.DataFrame({"images": [9], "errors": [2], "fraction_of_errors": [1.0]}, ["long"])
    spans = tuple((i, i, 0.5) for i in range(30))
    found = Prediction("a" * 30, 0.5, "a.png", spans=spans, placement=Placement(100, 32, 1, 100))
    figures = [
        plots.image_grid([image] * 8, ["word"] * 8, columns=6),
        plots.layer_shapes([("canvas", 32, 100, 1), *[(f"conv{i}", 4, 25, 96) for i in range(7)]]),
        plots.ctc_lattice(np.full((30, 3), 1 / 3), "a"),
        plots.heat_map(image, np.eye(4), "abc", title="a"),
        plots.character_boxes(image, found),
        plots.alternatives({"a": [("b", 0.5)], "c": [("d", 0.5)]}),
        plots.curves([epoch]),
        plots.live_curves([(1, 2.0)], [epoch], 1),
        plots.compare_trainings({"a": [(1, 2.0)]}, {"a": [(1, 0.5)]}, bound=1.0),
        plots.training_by_step([(1, 2.0)], [(0, 0.1)], bands=band_rows(1, 2), plateau=(0, 1)),
        plots.confusion_matrix({(a, a): 1 for a in "abcdefghijklmn"}),
        plots.error_categories(table),
        plots.character_frequencies({"a": 3}),
        plots.image_pairs([(image, image, "near duplicate: 'a' and 'b'")] * 4),
    ]
    for figure in figures:
        assert min(point_sizes(figure)) >= 10, figure.get_label()


def test_wide_titles_have_fewer_columns():
    images = [np.zeros((10, 40), np.uint8)] * 4
    for title, rows in (("abc", 1), ("x" * 30, 2), ("x" * 60, 4)):
        figure = plots.image_grid(images, [title] * 4)
        assert figure.axes[0].get_subplotspec().get_gridspec().nrows == rows


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        (plots.ctc_lattice(np.full((3, 3), 1 / 3), "a"), ["lattice", "'a'"]),
        (plots.heat_map(np.zeros((8, 8)), np.eye(3), "ab", title="it"), ["Probability", "it"]),
        (plots.confusion_matrix({}), ["Confusions"]),
    ],
)
def test_a_figure_says_what_it_shows(figure, words):
    assert all(word in find_title(figure) for word in words)
