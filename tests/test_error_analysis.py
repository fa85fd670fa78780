"""Images are measured, and errors are counted by category."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from crnn_keras import synth
from crnn_keras.char_dict import CharDict
from crnn_keras.data.labels import Sample
from crnn_keras.evaluation.error_analysis import (
    CATEGORIES,
    ImageFacts,
    analyze_errors,
    categorize_errors,
    measure_image,
)
from crnn_keras.evaluation.error_analysis.baseline import Baseline, find_baseline
from crnn_keras.evaluation.error_analysis.categories import find_categories
from crnn_keras.evaluation.error_analysis.confusables import CONFUSABLES, only_confusables
from crnn_keras.evaluation.metrics import evaluate
from crnn_keras.images import Canvas, make_canvas, to_gray
from crnn_keras.inference.base import Prediction


def baseline(*, rise=0.0, rise_gain=1.0, bend=0.0, bend_gain=1.0):
    return Baseline(rise=rise, rise_gain=rise_gain, bend=bend, bend_gain=bend_gain)


LEVEL = baseline()
PLAIN = ImageFacts(
    width=100,
    height=32,
    contrast=120.0,
    two_greys=0.9,
    ink_fraction=0.2,
    rim_fraction=0.0,
    edge_width=2.0,
    baseline=LEVEL,
)


def word_image(text="walking", **effects):
    font = next(font for font in synth.bundled_fonts() if font.endswith("DejaVuSans.ttf"))
    return synth.render_word(text, font, synth.Style.plain(clean=1, **effects))


def moved(gray, rise=0.0, bend=0.0):
    """Moves the columns up along a slope, an arc, or both, in fractions of the height."""
    paper = np.asarray(gray)[0, 0]
    room = gray.height
    pixels = np.pad(np.asarray(gray), ((room // 2, room // 2), (0, 0)), constant_values=paper)
    across = np.linspace(0, 1, gray.width)
    up = 2 * room * (rise * (across - 0.5) + bend * 4 * across * (1 - across))
    columns = [np.roll(column, -round(by)) for column, by in zip(pixels.T, up, strict=True)]
    return Image.fromarray(np.stack(columns, 1))


@pytest.mark.parametrize(
    ("rise", "bend"),
    [(0, 0), (0.25, 0), (-0.25, 0), (0, 0.25), (0, -0.25), (0.125, 0.25), (-0.125, -0.25)],
)
@pytest.mark.parametrize("text", ["WALKING", "baseline"])
def test_the_baseline_of_a_text_is_found(text, rise, bend):
    line = find_baseline(moved(word_image(text), rise, bend))
    assert line.bend == pytest.approx(bend, abs=0.07)
    assert (line.bend_gain > 1.25) == bool(bend)
    if not bend:
        # With an arc, the best straight line is whichever touches most of it.
        assert line.rise == pytest.approx(rise, abs=0.07)
        assert (line.rise_gain > 1.3) == bool(rise)


@pytest.mark.parametrize("text", ["WALKING", "baseline", "walking", "hotel"])
@pytest.mark.parametrize("moves", [{"rise": 0.25}, {"rise": -0.25}, {"bend": 0.25}])
def test_the_baseline_does_not_depend_on_size_or_polarity(text, moves):
    gray = moved(word_image(text), **moves)
    inverse = Image.fromarray(255 - np.asarray(gray))
    larger = gray.resize((2 * gray.width, 2 * gray.height))
    lines = [find_baseline(image) for image in (gray, inverse, larger)]
    assert len({line.bend for line in lines}) == 1
    if "rise" in moves:
        # With an arc, several straight lines touch equally much of it, except for resizing.
        assert len({line.rise for line in lines}) == 1


@pytest.mark.parametrize("size", [(1, 1), (100, 32), (1, 300), (500, 2)])
def test_a_flat_image_is_level_without_contrast_and_without_edges(size):
    facts = measure_image(Image.new("L", size, 90))
    assert facts == ImageFacts(
        width=size[0],
        height=size[1],
        contrast=0.0,
        two_greys=1.0,
        ink_fraction=0.0,
        rim_fraction=0.0,
        edge_width=0.0,
        baseline=LEVEL,
    )


@pytest.mark.parametrize(
    ("levels", "contrast", "two_greys"),
    [
        ([40, 40, 40, 200], 160, 1),
        ([100, 110], 10, 1),
        ([0, 0, 255, 255], 255, 1),
        ([0, 100, 100, 200], 400 / 3, 2 / 3),
        (range(256), 128, 0.75),
    ],
)
def test_two_greys_are_separated(levels, contrast, two_greys):
    pixels = np.tile(np.array(levels, np.uint8), (12, 5))
    facts = measure_image(Image.fromarray(pixels))
    assert facts.contrast == pytest.approx(contrast, abs=0.01)
    assert facts.two_greys == pytest.approx(two_greys, abs=1e-4)


@pytest.mark.parametrize(
    ("rows", "ink", "rim"),
    [
        (["....", ".##.", ".##.", "...."], 4 / 16, 0),
        (["####", "#..#", "#..#", "####"], 4 / 16, 0),
        (["#...", ".##.", "...."], 3 / 12, 2 / 14),
        (["....", "####", "...."], 4 / 12, 2 / 14),
    ],
)
@pytest.mark.parametrize("greys", [(30, 220), (220, 30)])
def test_ink_is_what_the_rim_is_not(rows, ink, rim, greys):
    pixels = np.array([[greys[mark == "#"] for mark in row] for row in rows], np.uint8)
    facts = measure_image(Image.fromarray(pixels))
    assert (facts.ink_fraction, facts.rim_fraction) == pytest.approx((ink, rim))


def test_edges_grow_with_the_blur_not_with_the_contrast():
    sharp = np.asarray(word_image(), float)
    widths = []
    for sigma in (0, 1, 2, 3):
        blurred = ndimage.gaussian_filter(sharp, sigma)
        widths.append(measure_image(Image.fromarray(blurred.round().astype(np.uint8))).edge_width)
    assert widths == sorted(widths)
    assert widths[0] < 2.5 and widths[2] > 3.5
    faint = Image.fromarray((100 + 0.2 * sharp).round().astype(np.uint8))
    assert measure_image(faint).edge_width == pytest.approx(widths[0], rel=0.1)


def test_edges_are_measured_at_the_size_of_the_canvas():
    gray = word_image()
    tiny = gray.resize((gray.width // 4, gray.height // 4), Image.Resampling.BILINEAR)
    assert measure_image(tiny).edge_width > 1.5 * measure_image(gray).edge_width


def categories(target="word", text="ward", confidence=0.5, canvas=Canvas(), **facts):  # noqa: B008
    report = evaluate([target], [text], [confidence])
    return find_categories(report.cases[0], ImageFacts(**vars(PLAIN) | facts), canvas)


@pytest.mark.parametrize(
    ("inside", "outside", "category"),
    [
        ({"target": 13 * "a"}, {"target": 12 * "a"}, "long"),
        ({"width": 201}, {"width": 200}, "squeezed"),
        ({"target": "at"}, {"target": "cat"}, "short"),
        ({"target": "no7"}, {"target": "not"}, "digits"),
        ({"height": 11, "width": 40}, {"height": 12, "width": 40}, "small"),
        ({"contrast": 49.9}, {"contrast": 50}, "low contrast"),
        ({"edge_width": 3.6}, {"edge_width": 3.5}, "blurred"),
        ({"two_greys": 0.74}, {"two_greys": 0.75}, "relief or clutter"),
        ({"ink_fraction": 0.36}, {"ink_fraction": 0.35}, "heavy"),
        ({"ink_fraction": 0.36}, {"ink_fraction": 0.36, "rim_fraction": 0.11}, "heavy"),
        ({"rim_fraction": 0.11}, {"rim_fraction": 0.1}, "busy rim"),
        ({"height": 151}, {"height": 150}, "upright"),
        ({"height": 151}, {"height": 151, "target": "at"}, "upright"),
        (
            {"baseline": baseline(rise=-0.31, rise_gain=1.4)},
            {"baseline": baseline(rise=-0.31, rise_gain=1.2)},
            "tilted",
        ),
        (
            {"baseline": baseline(rise=0.31, rise_gain=1.4)},
            {"baseline": baseline(rise=0.25, rise_gain=1.4)},
            "tilted",
        ),
        (
            {"baseline": baseline(bend=0.2, bend_gain=1.3)},
            {"baseline": baseline(bend=0.2, bend_gain=1.3), "target": "at"},
            "curved",
        ),
        (
            {"baseline": baseline(bend=-0.2, bend_gain=1.3)},
            {"baseline": baseline(bend=-0.2, bend_gain=1.2)},
            "curved",
        ),
        ({"text": "w0rd"}, {"text": "wxrd"}, "confusables"),
        ({"text": "Word"}, {"text": "word"}, "case"),
        ({"text": "wordl"}, {"text": "wor"}, "beyond the label"),
        ({"text": "wordword"}, {"text": "iswordword"}, "beyond the label"),
        (
            {"text": "push", "confidence": 0.95},
            {"text": "push", "confidence": 0.94},
            "doubtful label",
        ),
        (
            {"target": "abc", "text": "xyz", "confidence": 1.0},
            {"target": "io1", "text": "l0j", "confidence": 1.0},
            "doubtful label",
        ),
        (
            {"target": "abc", "text": "xyz", "confidence": 1.0},
            {"target": "abc", "text": "xy", "confidence": 1.0},
            "doubtful label",
        ),
    ],
)
def test_a_category_has_its_bound(inside, outside, category):
    assert category in categories(**inside)
    assert category not in categories(**outside)


def test_a_wider_canvas_has_room_for_more():
    wide = make_canvas("keep", 256)
    long = {"target": 20 * "a", "width": 220}
    assert categories(**long) == ["long", "squeezed"]
    assert categories(**long, canvas=wide) == []


def test_every_category_has_a_name_of_its_own():
    assert len({category.name for category in CATEGORIES}) == len(CATEGORIES)


def test_a_correct_prediction_has_no_category_of_errors():
    assert categories("i0", "i0", confidence=1.0) == ["short", "digits"]


@pytest.mark.parametrize(
    ("target", "text", "expected"),
    [
        ("corn", "c0m", True),
        ("m", "rn", True),
        ("wvv", "vvw", True),
        ("il10", "lljo", True),
        ("Ola", "0la", True),
        ("0", "9", False),
        ("corn", "cornl", False),
        ("corn", "co", False),
        ("", "1", False),
        ("same", "same", False),
        ("Same", "same", False),
    ],
)
def test_confusables_are_exchanged_in_place(target, text, expected):
    assert only_confusables(target, text) is expected
    assert only_confusables(text, target) is expected


def test_every_pair_of_a_group_is_confusable():
    for group in CONFUSABLES:
        assert all(only_confusables(a, b) for a in group for b in group if a != b)


def faint_image():
    return Image.fromarray((90 + 0.1 * np.asarray(word_image())).astype(np.uint8))


def test_the_table_counts_images_and_errors_by_category(encode):
    plain, faint = word_image(), faint_image()
    images = [plain, faint, np.asarray(faint), encode(plain, "PNG"), b"no image", faint, plain]
    targets = ["walking"] * 6 + ["w2"]
    texts = ["walking", "walking", "wa1king", "walkinge", None, "xxx", "w"]
    analysis = categorize_errors(evaluate(targets, texts), images, Canvas())
    table = analysis.table()
    assert table[["images", "errors"]].T.to_dict("list") == {
        "low contrast": [3, 2],
        "short": [1, 1],
        "digits": [1, 1],
        "confusables": [1, 1],
        "beyond the label": [1, 1],
        "cannot be opened": [1, 1],
        "other": [1, 0],
    }
    assert list(table.index[:1]) == ["low contrast"]
    row = table.loc["low contrast"]
    assert row["criterion"] == "under 50 grey levels"
    assert row["word_accuracy"] == pytest.approx(1 / 3)
    assert row["others_accuracy"] == pytest.approx(1 / 4)
    assert row["fraction_of_errors"] == pytest.approx(2 / 5)
    assert row["accuracy_if_correct"] == pytest.approx(4 / 7)
    assert list(analysis.unreadable) == ["#4"]


def test_examples_are_errors_of_their_category_that_can_be_shown():
    faint = faint_image()
    images = [faint] * 5 + [b"no image"]
    report = evaluate(["walking"] * 6, ["walking", "xx", "xx", "wa1king", "xx", None])
    analysis = categorize_errors(report, images, Canvas())
    found = [(name, case.position) for name, case in analysis.examples(2)]
    assert found == [("low contrast", 1), ("low contrast", 3), ("confusables", 3)]


def test_without_errors_there_is_a_table_and_no_example():
    analysis = categorize_errors(evaluate(["walking"], ["walking"]), [word_image()], Canvas())
    assert analysis.table()["fraction_of_errors"].tolist() == [0]
    assert analysis.table().index.tolist() == ["other"]
    assert analysis.examples(3) == []


def test_as_many_images_as_cases_are_expected():
    with pytest.raises(ValueError, match="2 cases, got 1 images"):
        categorize_errors(evaluate(["a", "b"], ["a", "b"]), [word_image()], Canvas())


def test_a_recognizer_is_analyzed_on_a_labelled_set(tmp_path):
    class Fixed:
        char_dict, canvas = CharDict.from_preset("alphanumeric36"), Canvas()

        def read(self, images):
            return [Prediction(text, 0.5, "") for text in ("walking", "wa1king")[: len(images)]]

    path = tmp_path / "a.png"
    word_image().save(path)
    samples = [Sample(str(path), "Walking!", f"line {line}") for line in (1, 2)]
    table = analyze_errors(Fixed(), samples).table()
    assert table["errors"].to_dict() == {"confusables": 1, "other": 0}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("2271_1", ["busy rim", "curved"]),
        ("2518_2", ["busy rim", "curved"]),
        ("2551_1", ["curved"]),
        ("696_5", ["tilted"]),
        ("726_2", ["relief or clutter", "busy rim", "tilted"]),
        ("2128_9", ["busy rim", "tilted"]),
        ("2631_1", ["blurred", "relief or clutter", "busy rim"]),
        ("672_1", []),
        ("907_1", []),
        ("1100_1", []),
    ],
)
def test_real_images_are_what_one_sees(data_folder, name, expected):
    facts = measure_image(to_gray(data_folder("iiit5k_train") / "images" / f"{name}.png"))
    (case,) = evaluate(["letters"], ["letters"]).cases
    assert find_categories(case, facts, Canvas()) == expected
