"""The direction of writing: ids in the order of the image, texts in the order of reading."""

import itertools
import json
import random
import time

import numpy as np
import pytest
from bidi import get_display
from bidi.mirror import MIRRORED
from hypothesis import given, strategies as st
from PIL import Image

from crnn_keras.char_dict import DIRECTIONS, CharDict, has_right_to_left
from crnn_keras.char_dict.direction import is_reversible, to_logical, to_visual
from crnn_keras.data.check import check_splits
from crnn_keras.data.labels import Sample
from crnn_keras.data.labels.sample import check_label
from crnn_keras.images import Canvas
from crnn_keras.model.decoding import Lexicon, best_path, read_with_lexicon

# Worked out by hand: the order of reading, and what an image shows from left to right.
EXAMPLES = {
    "hebrew": ("שלום", "םולש"),
    "hebrew, digits": ("שלום 123", "123 םולש"),
    "digits, hebrew": ("123 שלום", "םולש 123"),
    "latin, hebrew": ("abc שלום", "abc םולש"),
    "brackets": ("(עברית)", "(תירבע)"),
    "brackets around digits": ("שלום (12)", "(12) םולש"),
    "brackets around latin": ("שלום (abc) שלום", "םולש (abc) םולש"),
    "a bracket of latin": ("שלום abc(d) שלום", "םולש abc(d) םולש"),
    "quotation marks": ("«שלום»", "«םולש»"),
    "punctuation": ("שלום!", "!םולש"),
    "arabic": ("مرحبا", "ابحرم"),
    "arabic, percentage": ("نسبة 50%", "%50 ةبسن"),
    "arabic, years": ("عام 2010-2020", "2020-2010 ماع"),
    "hebrew, years": ("שנת 2010-2020", "2010-2020 תנש"),
    "arabic, date": ("يوم 12/5/2020", "12/5/2020 موي"),
    "arabic, its digits": ("عام ١٢٣", "١٢٣ ماع"),
    "arabic, marks": ("مَرحَبا", "ابحَرمَ"),
    "hebrew, marks": ("שָׁלוֹם", "םוֹלשָׁ"),
    "persian, joiner": ("می\u200cخواهم", "مهاوخی\u200cم"),
    "syriac": ("ܫܠܡܐ 7", "7 ܐܡܠܫ"),
    "thaana": ("ދިވެހި", "ހިވެދި"),
    "n'ko": ("ߒߞߏ", "ߏߞߒ"),
    "adlam": ("𞤀𞤣", "𞤣𞤀"),
    "latin": ("abc (1-2)", "abc (1-2)"),
    "chinese": ("中文（1）", "中文（1）"),
    "devanagari": ("नमस्ते", "नमस्ते"),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_ids_follow_the_image_and_texts_come_back(name):
    text, shown = EXAMPLES[name]
    char_dict = CharDict.from_labels([text], direction="visual")
    assert "".join(char_dict.characters[i - 1] for i in char_dict.encode(text)) == shown
    assert char_dict.decode(char_dict.encode(text)) == text
    assert char_dict.comes_back(text)
    logical = CharDict.from_labels([text], direction="logical")
    assert "".join(logical.characters[i - 1] for i in logical.encode(text)) == text
    assert logical.decode(logical.encode(text)) == text


ALPHABETS = st.sampled_from(
    ["אבגדה 123", "عربيةم ١٢٣", "אבa1 .-%/", "عرa1 .,%/", "אa()[]«» ", "ש\u05b8\u05c1ב a", "ab (1)"]
)


@given(
    text=ALPHABETS.flatmap(lambda alphabet: st.text(alphabet, min_size=1, max_size=20)),
    direction=st.sampled_from(DIRECTIONS),
)
def test_any_text_comes_back_or_is_named(text, direction):
    char_dict = CharDict.from_labels([text], direction=direction)
    decoded, order = char_dict.decode_with_order(char_dict.encode(text))
    assert char_dict.comes_back(text) == (decoded == char_dict.normalize(text))
    assert sorted(order) == list(range(len(decoded)))
    assert char_dict.unknown(text) == ""
    if direction == "logical":
        assert char_dict.comes_back(text)


def _plain(text):
    """The order alone: python-bidi's fast implementation mirrors nothing."""
    return "".join(min(c, MIRRORED.get(c, c)) for c in text)


@given(text=st.text("אבעa1٣-%/. ([)]", min_size=1, max_size=15))
def test_the_order_is_that_of_python_bidi(text):
    if not has_right_to_left(text):
        return
    assert _plain(to_visual(text, "visual")) == _plain(get_display(text))
    assert _plain(to_visual(text, "visual_rtl")) == _plain(get_display(text, base_dir="R"))


@pytest.mark.parametrize("direction", ["visual", "visual_rtl"])
@pytest.mark.parametrize("alphabet", ["אa1()", "עa1/.", "ע1٣-%"])
def test_what_one_text_alone_looks_like_is_read_as_that_text(alphabet, direction):
    texts = ("".join(c) for n in range(1, 6) for c in itertools.product(alphabet, repeat=n))
    looks = {}
    for text in filter(has_right_to_left, texts):
        looks.setdefault(to_visual(text, direction), []).append(text)
    for shown, alike in looks.items():
        assert to_logical(shown, direction)[0] in alike
    # More than half of them are the only one.
    assert sum(len(alike) for alike in looks.values()) < 2 * len(looks)


def test_texts_that_look_alike_are_named():
    char_dict = CharDict("abc שלום12", direction="visual")
    assert char_dict.encode("שלום abc") == char_dict.encode("abc שלום")
    assert char_dict.decode(char_dict.encode("שלום abc")) == "abc שלום"
    assert [char_dict.comes_back(t) for t in ("abc שלום", "שלום abc")] == [True, False]
    rtl = CharDict("abc שלום12", direction="visual_rtl")
    for text in ("abc שלום", "שלום abc", "12 שלום abc", "abc 12"):
        assert rtl.decode(rtl.encode(text)) == text
    # An invisible character that changes the order of others.
    assert not CharDict("ש\u202eab\u202c", direction="visual").comes_back("ש\u202eab\u202c")


def test_labels_choose_their_direction_and_it_is_said(capsys):
    assert CharDict.from_labels(["abc", "中"]).direction == "logical"
    assert capsys.readouterr().out == ""
    hebrew = CharDict.from_labels(["abc", "שלום"])
    assert hebrew.direction == "visual"
    printed = capsys.readouterr().out
    assert "direction='visual'" in printed and "שלום" in printed and "logical" in printed
    assert "direction='visual'" in repr(hebrew) and "direction" not in repr(CharDict("a"))
    # Both begin with either script, so the text's first letter does not decide.
    assert CharDict.from_labels(["ab שלום", "שלום ab"]).direction == "visual_rtl"
    assert CharDict.from_labels(["ab שלום", "ab תודה"]).direction == "visual"
    assert CharDict.from_labels(["שלום"], direction="logical").direction == "logical"
    assert CharDict.from_source("labels", texts=["مرحبا"]).direction == "visual"
    assert CharDict.from_source("labels", texts=["مرحبا"], direction="logical").direction == (
        "logical"
    )


def test_lists_and_corpora_choose_their_direction(tmp_path, capsys):
    path = tmp_path / "arabic.txt"
    path.write_text("ا\nب\nت\n", encoding="utf-8")
    assert CharDict.from_file(path).direction == "visual"
    assert CharDict.from_source(path).direction == "visual"
    assert CharDict.from_source(path, direction="visual_rtl").direction == "visual_rtl"
    assert CharDict.from_corpus(path).direction == "visual"
    (tmp_path / "ord_map.json").write_text('{"0_index": "1488"}')
    assert CharDict.from_old_json(tmp_path).direction == "visual"
    assert CharDict.from_old_json(tmp_path, direction="logical").direction == "logical"
    assert CharDict.from_source("digits").direction == "logical"
    CharDict("אב").save(tmp_path / "saved.json")
    capsys.readouterr()
    assert CharDict.from_source(tmp_path / "saved.json").direction == "logical"
    assert CharDict.from_source(tmp_path / "saved.json", direction="visual").direction == "visual"
    assert capsys.readouterr().out == ""


def test_the_direction_is_part_of_the_dictionary(tmp_path):
    logical, visual = CharDict("אב"), CharDict("אב", direction="visual")
    assert logical != visual and len({logical, visual}) == 2
    assert logical.difference(visual) == "direction logical here, visual there"
    assert "direction" not in logical.get_config()
    for char_dict in (logical, visual):
        char_dict.save(tmp_path / "saved.json")
        assert CharDict.load(tmp_path / "saved.json") == char_dict
        config = json.loads(json.dumps(char_dict.get_config()))
        assert CharDict.from_config(config) == char_dict


@pytest.mark.parametrize("direction", ["rtl", "", None, 1, True, ["visual"]])
def test_another_direction_is_refused(direction):
    with pytest.raises(ValueError, match=r"direction is .*'logical', 'visual', 'visual_rtl'"):
        CharDict("ab", direction=direction)
    if direction is not None:
        with pytest.raises(ValueError, match=r"direction is .*'visual_rtl'"):
            CharDict.from_labels(["ab"], direction=direction)


def test_a_bracket_is_known_as_the_image_shows_it():
    char_dict = CharDict("א)", direction="visual")
    assert char_dict.encode("(א") == [1, 2]
    assert char_dict.unknown("(א") == "" and char_dict.unknown(")א") == "("
    assert CharDict.from_labels(["(א"]).characters == "()א"


def _logits(path, num_classes):
    """Logits whose likeliest class in each frame is that of the path."""
    return np.eye(num_classes, dtype=np.float32)[path][None] * 9


def test_best_path_reads_in_the_order_of_reading_with_the_frames_of_each_character():
    char_dict = CharDict("אבג (1)", direction="visual")
    text = "אב (11)"
    shown = char_dict.encode(text)
    assert [char_dict.characters[i - 1] for i in shown] == list("(11) בא")
    path = [0, shown[0], shown[1], 0, *shown[2:], 0]
    (decoded,) = best_path(_logits(path, char_dict.num_classes), char_dict)
    assert decoded.text == text
    assert decoded.ids == tuple(shown)
    # Of א, ב, the space, the bracket that opens, two digits, the bracket that closes.
    assert [first for first, _, _ in decoded.spans] == [8, 7, 6, 5, 2, 4, 1]


def test_a_word_list_is_read_in_the_order_of_reading():
    char_dict = CharDict("אבג12", direction="visual")
    lexicon = Lexicon(["אבג", "גבא", "אב12"], char_dict)
    for word in lexicon.words:
        logits = _logits([i for c in char_dict.encode(word) for i in (c, 0)], char_dict.num_classes)
        (choice,) = read_with_lexicon(logits, lexicon, delta=1)
        assert choice.text == choice.best_path.text == word
        assert choice.probability > 0.9


@pytest.mark.parametrize("unit", ["ع", "עa1 ", "(ע", "ע%1", "[(", "\u05b8", "ש\u05b8"])
def test_long_texts_take_a_time_that_grows_with_their_length(unit):
    text = "ש" + unit * (20_000 // len(unit))
    begin = time.process_time()
    to_logical(to_visual(text, "visual"), "visual")
    assert time.process_time() - begin < 3


def test_characters_that_unicode_does_not_know_do_no_harm():
    rng = random.Random(0)
    for _ in range(200):
        text = "".join(chr(rng.randrange(0xE000)) for _ in range(8)) + "ש"
        text = "".join(c for c in text if not "\ud800" <= c <= "\udfff")
        assert len(to_visual(text, "visual")) == len(text)
        assert isinstance(is_reversible(text, "visual"), bool)


def test_the_check_names_labels_that_do_not_come_back():
    char_dict = CharDict("abc שלום\u202e", direction="visual")
    assert check_label("abc שלום", char_dict, 32, where="labels.tsv, line 2") is None
    issue = check_label("שלום abc", char_dict, 32, where="labels.tsv, line 3")
    assert (issue.kind, issue.where) == ("direction of writing", "labels.tsv, line 3")
    assert "'שלום abc'" in issue.reason and "'abc שלום'" in issue.reason
    issue = check_label("ש\u202eל", char_dict, 32, where="labels.tsv, line 4")
    assert issue.kind == "direction of writing" and "invisible" in issue.reason


def test_the_check_warns_of_labels_that_run_against_the_frames(tmp_path):
    samples = []
    for index, text in enumerate(["exit", "שלום", "مرحبا"]):
        path = tmp_path / f"{index}.png"
        Image.fromarray(np.random.default_rng(index).integers(0, 255, (32, 100), np.uint8)).save(
            path
        )
        samples.append(Sample(str(path), text, f"labels.tsv, line {index + 1}"))
    texts = [sample.text for sample in samples]
    kind = "right-to-left labels in logical order"
    for direction, expected in (("logical", 1), ("visual", 0)):
        char_dict = CharDict.from_labels(texts, direction=direction)
        issues = check_splits({"train": samples}, char_dict, Canvas()).issues
        found = [issue for issue in issues if issue.kind == kind]
        assert len(found) == expected
        if found:
            assert found[0].where == "labels.tsv, line 2" and "2 labels" in found[0].reason


@pytest.mark.slow
def test_a_saved_reader_keeps_its_direction(tmp_path):
    from crnn_keras import OnnxRecognizer, Recognizer, build_crnn, export_onnx, export_saved_model

    char_dict = CharDict("אבגד (12)", direction="visual")
    model = build_crnn(char_dict, Canvas(widths=(64,)), "small", seed=1)
    for weight in model.weights[-2:]:
        weight.assign(np.random.default_rng(0).normal(0, 99, weight.shape) * (weight.ndim > 1))
    model.save(tmp_path / "hebrew.keras")
    recognizer = Recognizer.load(tmp_path / "hebrew.keras")
    assert recognizer.char_dict == char_dict
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 2, (4, 8), np.uint8).repeat(8, 0).repeat(8, 1) * 255 for _ in "1" * 9]
    export_onnx(tmp_path / "hebrew.keras", tmp_path / "hebrew.onnx")
    onnx = OnnxRecognizer.load(tmp_path / "hebrew.onnx")
    assert onnx.char_dict == char_dict
    texts = [prediction.text for prediction in recognizer.read(images)]
    assert texts == [prediction.text for prediction in onnx.read(images)]
    assert max(map(len, texts)) > 1
    with pytest.raises(ValueError, match=r"hebrew\.keras.*'visual'.*export_onnx"):
        export_saved_model(tmp_path / "hebrew.keras", tmp_path / "served")
    assert not list(tmp_path.rglob("saved_model.pb"))


@pytest.mark.parametrize(
    "lengths", [[6], [-1], [1.5], ["5"], [None], [True], [], [5, 5], [float("nan")]], ids=repr
)
def test_input_lengths_are_numbers_of_frames(lengths):
    with pytest.raises(ValueError, match="input_lengths is"):
        best_path(np.zeros((1, 5, 3)), CharDict("ab"), input_lengths=lengths)


@pytest.mark.parametrize("delta", [-1, 1.5, "1", True, float("nan"), [1]], ids=repr)
def test_an_edit_distance_is_a_whole_number(delta):
    with pytest.raises(ValueError, match="Delta is "):
        Lexicon(["ab"], CharDict("ab")).candidates("ab", delta)
