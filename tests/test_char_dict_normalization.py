"""The normalization of a char dict, and dictionaries saved before there was one."""

import json
import random
import unicodedata

import pytest

from crnn_keras.char_dict import NORMALIZATIONS, CharDict
from crnn_keras.char_dict.normalization import find_changed, find_lost_in_nfc, normalize_text

ACCENTED = "e\u0301"  # e and an accent, which is é in two code points


@pytest.mark.parametrize(
    ("text", "none", "nfc", "half_width"),
    [
        ("", "", "", ""),
        ("abc", "abc", "abc", "abc"),
        (ACCENTED, ACCENTED, "é", "é"),
        ("é", "é", "é", "é"),
        ("Ａ１！～", "Ａ１！～", "Ａ１！～", "A1!~"),
        ("中\u3000文", "中\u3000文", "中\u3000文", "中 文"),
        ("ｅ\u0301", "ｅ\u0301", "ｅ\u0301", "é"),
        ("\uf900", "\uf900", "豈", "豈"),
        ("\u1112\u1161\u11ab", "\u1112\u1161\u11ab", "한", "한"),
        # What NFKC would change, and wide forms outside U+FF01 to U+FF5E.
        ("²㎏①ﬁ", "²㎏①ﬁ", "²㎏①ﬁ", "²㎏①ﬁ"),
        ("￥｟ｱ「", "￥｟ｱ「", "￥｟ｱ「", "￥｟ｱ「"),
    ],
)
def test_normalizations_of_a_text(text, none, nfc, half_width):
    texts = [CharDict("x", normalization=name).normalize(text) for name in NORMALIZATIONS]
    assert texts == [none, nfc, half_width]


def test_half_width_is_ascii_moved_down_from_ff01():
    wide = "".join(map(chr, range(0xFF01, 0xFF5F))) + "\u3000"
    ascii_dict = CharDict(CharDict.from_preset("ascii").characters, normalization="half_width")
    assert ascii_dict.decode(ascii_dict.encode(wide)) == ascii_dict.characters[1:] + " "


def test_the_default_is_nfc():
    assert CharDict("é").normalization == "nfc"
    assert CharDict("é").encode(ACCENTED) == [1]
    assert CharDict("é", normalization="none").unknown(ACCENTED) == ACCENTED


def test_case_is_folded_after_the_normalization():
    folded = CharDict("aé", fold_case=True, normalization="half_width")
    assert folded.encode("ＡE\u0301É") == [1, 2, 2]
    assert "Ａ" in folded
    assert folded.unknown("ＢB") == "b"


@pytest.mark.parametrize("fold_case", [False, True])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_any_text_is_normalized_once_and_comes_back(normalization, fold_case):
    rng = random.Random(0)
    blocks = [(0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x36F), (0x4E00, 0x4EFF), (0xF900, 0xF9FF)]
    blocks += [(0xFF01, 0xFF5E), (0x3000, 0x3000), (0x1100, 0x11FF), (0x900, 0x97F)]
    for _ in range(300):
        text = "".join(chr(rng.randint(*rng.choice(blocks))) for _ in range(rng.randint(1, 12)))
        options = {"normalization": normalization, "fold_case": fold_case}
        char_dict = CharDict.from_labels([text], **options)
        normalized = char_dict.normalize(text)
        assert char_dict.normalize(normalized) == normalized
        assert char_dict.decode(char_dict.encode(text)) == normalized
        assert normalization == "none" or unicodedata.is_normalized("NFC", normalized)


@pytest.mark.parametrize(
    ("characters", "normalization", "message"),
    [
        ("a\uf900", "nfc", r"'nfc'.*'\uf900' \(U\+F900\).*'豈' \(U\+8C48\)"),
        ("aＡ１", "half_width", r"'Ａ' \(U\+FF21\), '１' \(U\+FF11\) .*'A' \(U\+0041\)"),
        ("\u3000", "half_width", r"U\+3000\).*normalization='none'"),
        ("".join(map(chr, range(0xFF01, 0xFF20))), "half_width", "and 11 others"),
        ("\u0958", "nfc", r"U\+0958\).*\(U\+0915 U\+093C\)"),
        ("a", "nfkc", "'nfkc'.*'none', 'nfc', 'half_width'"),
    ],
)
def test_characters_that_the_normalization_changes_are_refused(characters, normalization, message):
    with pytest.raises(ValueError, match=message):
        CharDict(characters, normalization=normalization)


def test_the_normalization_is_part_of_the_dictionary(tmp_path):
    wide, half = CharDict("ab", normalization="none"), CharDict("ab", normalization="half_width")
    assert wide != half
    assert len({wide, half, CharDict("ab")}) == 3
    assert "normalization='half_width'" in repr(half)
    assert wide.difference(half) == "normalization none here, half_width there"
    half.save(tmp_path / "half.json")
    assert CharDict.load(tmp_path / "half.json") == half
    assert CharDict(**half.get_config()) == CharDict.from_config(half.get_config()) == half


@pytest.mark.parametrize(
    ("characters", "normalization"),
    [
        ("abc", "nfc"),
        ("中省é", "nfc"),
        ("Ａ\u3000", "nfc"),
        ("郎\uf92c", "none"),
        ("e\u0301", "none"),
        ("e\u0301é", "nfc"),
        ("\u0e01\u0e31", "nfc"),  # a Thai letter and a vowel sign, which NFC never composes
        ("\u1112\u1161", "none"),
    ],
)
def test_a_dictionary_saved_before_there_were_normalizations(tmp_path, characters, normalization):
    config = {"characters": characters, "fold_case": False}
    expected = CharDict(characters, normalization=normalization)
    assert CharDict.from_config(config) == expected
    saved = {"format": "crnn_keras.CharDict", **config}
    (tmp_path / "old.json").write_text(json.dumps(saved), encoding="utf-8")
    assert CharDict.load(tmp_path / "old.json") == expected
    # Whatever it could write, it writes.
    assert not any(expected.unknown(a + b) for a in characters for b in characters)
    assert [expected.encode(c) for c in characters] == [[i + 1] for i in range(len(characters))]


def test_changed_and_lost_characters_are_found():
    assert find_changed("aＡ\uf900", "none") == ""
    assert find_changed("aＡ\uf900", "nfc") == "\uf900"
    assert find_changed("aＡ\uf900", "half_width") == "Ａ\uf900"
    assert find_lost_in_nfc("ae\u0301") == ["a\u0301", "e\u0301"]
    assert find_lost_in_nfc("aeáé\u0301") == []
    assert normalize_text("ÀＡ", "half_width", fold_case=True) == "àa"


def test_the_shipped_reader_has_no_normalization_and_keeps_its_dictionary():
    from crnn_keras.inference.recognizer import Recognizer

    assert Recognizer.load("words").char_dict == CharDict.from_preset("alphanumeric36")
