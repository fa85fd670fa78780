"""Word accuracy, error rates, intervals and confusions by hand."""

import pytest

from crnn_keras.char_dict import alphanumeric, exact
from crnn_keras.evaluation.metrics import evaluate, wilson_interval


@pytest.mark.parametrize(
    ("target", "text", "distance", "confusions"),
    [
        ("cat", "cat", 0, {}),
        ("cat", "cut", 1, {("a", "u"): 1}),
        ("cat", "ct", 1, {("a", ""): 1}),
        ("cat", "chat", 1, {("", "h"): 1}),
        ("cat", "", 3, {("c", ""): 1, ("a", ""): 1, ("t", ""): 1}),
        ("", "no", 2, {("", "n"): 1, ("", "o"): 1}),
        ("", "", 0, {}),
        ("aaa", "bbb", 3, {("a", "b"): 3}),
        ("Cat", "cat", 1, {("C", "c"): 1}),
        ("中国", "中図", 1, {("国", "図"): 1}),
        ("kitten", "sitting", 3, {("k", "s"): 1, ("e", "i"): 1, ("", "g"): 1}),
    ],
)
def test_edits_and_confusions_of_one_pair(target, text, distance, confusions):
    report = evaluate([target], [text])
    assert report.cases[0].distance == distance
    assert dict(report.confusions) == confusions
    assert report.word_accuracy == float(distance == 0)


@pytest.mark.parametrize(
    ("targets", "texts", "cer", "one_minus_ned"),
    [
        (["abcd"], ["abcd"], 0.0, 1.0),
        (["abcd"], ["abce"], 1 / 4, 3 / 4),
        (["abcd"], [""], 1.0, 0.0),
        (["ab"], ["abcd"], 1.0, 1 / 2),
        (["a"], ["xyz"], 3.0, 0.0),
        ([""], ["xy"], 2.0, 0.0),
        ([""], [""], 0.0, 1.0),
        # 1-NED is a mean over texts, CER a fraction of all characters.
        (["abcd", "ab"], ["abcd", "xy"], 2 / 6, 1 / 2),
    ],
)
def test_character_error_rate_and_one_minus_ned(targets, texts, cer, one_minus_ned):
    report = evaluate(targets, texts)
    assert report.cer == pytest.approx(cer)
    assert report.one_minus_ned == pytest.approx(one_minus_ned)


# Newcombe, 1998, Two-sided confidence intervals for the single proportion, table I, method 3.
@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_has_the_published_values(hits, count, low, high):
    assert wilson_interval(hits, count) == pytest.approx((low, high), abs=6e-5)
    mirrored = wilson_interval(count - hits, count)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=6e-5)


@pytest.mark.parametrize("count", [1, 7, 3000])
def test_wilson_interval_stays_between_0_and_1_and_contains_the_fraction(count):
    for hits in (0, count // 2, count):
        low, high = wilson_interval(hits, count)
        assert 0 <= low < high <= 1
        assert low - 1e-9 <= hits / count <= high + 1e-9


def test_wilson_interval_narrows_with_z():
    assert wilson_interval(5, 10, z=0.0) == pytest.approx((0.5, 0.5))


@pytest.mark.parametrize(
    ("text", "clean"),
    [("Hello, World!", "helloworld"), ("№ 5-A", "5a"), ("Café", "caf"), ("...", ""), ("中", "")],
)
def test_alphanumeric_keeps_lower_letters_and_digits(text, clean):
    assert alphanumeric(text) == clean


def test_exact_keeps_everything():
    assert exact(" A-b ") == " A-b "


def test_protocol_decides_what_counts_as_an_error():
    targets, texts = ["Don't", "5 €"], ["dont", "5"]
    assert evaluate(targets, texts).word_accuracy == 0.0
    lenient = evaluate(targets, texts, protocol="alphanumeric")
    assert lenient.word_accuracy == 1.0
    assert [(case.target, case.text) for case in lenient.cases] == [("dont", "dont"), ("5", "5")]


def test_label_that_the_protocol_empties_still_counts():
    report = evaluate(["!!", "a"], ["?", "b"], protocol="alphanumeric")
    assert len(report.cases) == 2
    assert report.word_accuracy == 0.5


def test_an_image_that_could_not_be_loaded_counts_as_an_empty_text():
    report = evaluate(["ab", "cd"], ["ab", None])
    assert report.cases[1].text == ""
    assert (report.word_accuracy, report.cer) == (0.5, 0.5)


def test_cases_have_the_order_and_the_confidences():
    report = evaluate(["a", "b"], ["a", "c"], [0.9, 0.4])
    assert [(c.position, c.target, c.text, c.confidence) for c in report.cases] == [
        (0, "a", "a", 0.9),
        (1, "b", "c", 0.4),
    ]


def test_confidences_are_zero_if_none_are_given():
    assert evaluate(["a"], ["a"]).cases[0].confidence == 0.0


def test_worst_comes_by_edits_for_its_length_then_by_confidence():
    targets = ["abcd", "abcd", "ab", "abcd", "", "ab"]
    texts = ["abcx", "abcd", "xy", "abcy", "q", "zz"]
    confidences = [0.2, 1.0, 0.5, 0.9, 0.1, 0.8]
    report = evaluate(targets, texts, confidences)
    # Edits for the length: 1/4, none, 1, 1/4, 1 (an empty label counts as one long), 1.
    assert [case.position for case in report.worst(10)] == [5, 2, 4, 3, 0]
    assert [case.position for case in report.worst(2)] == [5, 2]
    assert evaluate(["a"], ["a"]).worst(5) == []


def test_summary_and_text_contain_the_measures():
    report = evaluate(["ab", "cd", "ef", "gh"], ["ab", "cd", "ef", "gx"])
    summary = report.summary()
    assert summary["images"] == 4
    assert summary["word_accuracy"] == 0.75
    assert summary["interval_95"] == pytest.approx([0.3006, 0.9544], abs=1e-4)
    assert summary["cer"] == pytest.approx(1 / 8)
    assert summary["one_minus_ned"] == pytest.approx(0.875)
    assert str(report) == (
        "word accuracy 75.00% (95 % interval 30.06% to 95.44%), CER 12.50%, 1-NED 0.8750, 4 images"
    )


def test_spaces_are_measured_apart():
    targets = ["a b c", "a b", "ab", "Total 12", "x y"]
    texts = ["a b c", "ab", "a b", "Tota1 12", None]
    report = evaluate(targets, texts)
    # Right; a space lost; one added; a letter wrong; nothing read.
    assert report.word_accuracy == 0.2
    assert report.accuracy_without_spaces == 0.6
    assert report.space_accuracy == 0.4
    assert report.summary()["accuracy_without_spaces"] == 0.6
    assert report.summary()["space_accuracy"] == 0.4
    assert "without spaces 60.00%, all spaces right in 40.00%" in str(report)
    # A space read as another character is no space.
    assert evaluate(["a b"], ["a-b"]).space_accuracy == 0.0
    assert not evaluate(["ab"], ["ac"]).has_spaces


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"targets": ["a"], "texts": []}, "0 texts and 1 targets"),
        ({"targets": [], "texts": ["a"]}, "1 texts and 0 targets"),
        ({"targets": [], "texts": []}, "0 texts and 0 targets"),
        (
            {"targets": ["a"], "texts": ["a"], "protocol": "loose"},
            "'loose'.*'exact', 'alphanumeric'",
        ),
        (
            {"targets": ["a", "b"], "texts": ["a", "b"], "confidences": [1.0]},
            "1 confidences and 2 targets",
        ),
        (
            {"targets": ["a"], "texts": ["a"], "confidences": [1.0, 0.5]},
            "2 confidences and 1 targets",
        ),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluate(**arguments)
