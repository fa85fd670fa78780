"""Char dicts of other types, from damaged and hostile files, and how long odd texts take."""

import json
import time
import unicodedata

import numpy as np
import pytest
from hypothesis import given, strategies as st

from crnn_keras.char_dict import NORMALIZATIONS, CharDict, corpus_counts
from crnn_keras.char_dict.normalization import find_lost_in_nfc, fold_text, normalize_text
from crnn_keras.utils.limits import MAX_CHARACTERS

# Characters that make no dictionary, and what the error names.
NO_CHARACTERS = {
    "two code points": (["ab", "c"], "Character 1 is 'ab'"),
    "a letter and an accent": (["a", "e\u0301"], "Character 2 is 'e\u0301'"),
    "an empty string": (["a", ""], "Character 2 is ''"),
    "a number": (["a", 1], "Character 2 is 1"),
    "nothing in a list": (["a", None], "Character 2 is None"),
    "not a number": (["a", float("nan")], "Character 2 is nan"),
    "a list in a list": ([["a"]], r"Character 1 is \['a'\]"),
    "a huge text": (["a" * 10_000], "Character 1 is 'aaa"),
    "bytes": (b"ab", "type bytes"),
    "None": (None, "type NoneType"),
    "a count": (36, "type int"),
    "an object": ({"a": 1}, "type dict"),
    "a set": ({"a"}, "type set"),
    "an array": (np.array(["a", "b"]), "type ndarray"),
    "no character": ("", "at least 1"),
    "an empty list": ([], "at least 1"),
    "repeated": (["a", "b", "a"], "'a'.* 1 and 3"),
    "a lone surrogate": ("a\ud800", r"Character 2 is U\+D800"),
    "half of an emoji": ("a\udc00", r"Character 2 is U\+DC00"),
    "NUL": ("a\0b", r"Character 2 is U\+0000"),
    "line break": ("a\nb", "2 is a line break"),
}
JSON_TYPES = (str, list, dict, int, type(None))


@pytest.mark.parametrize("name", NO_CHARACTERS)
def test_what_is_no_character_is_refused_by_name(tmp_path, name):
    characters, message = NO_CHARACTERS[name]
    with pytest.raises(ValueError, match=message):
        CharDict(characters)
    config = {"characters": characters, "fold_case": False, "normalization": "nfc"}
    for entries in (config, {"characters": characters}):
        with pytest.raises(ValueError, match=message):
            CharDict.from_config(entries)
    if isinstance(characters, JSON_TYPES):
        path = tmp_path / "signs.json"
        path.write_text(json.dumps({"format": "crnn_keras.CharDict", **config}))
        for read in (CharDict.load, CharDict.from_source):
            with pytest.raises(ValueError, match=rf"signs\.json.*{message}"):
                read(path)


def test_a_list_of_single_characters_is_taken():
    assert CharDict(["a", "省", "😀"]) == CharDict(("a", "省", "😀")) == CharDict("a省😀")


def test_there_is_a_bound_on_the_characters(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"200,001 characters.*200,000"):
        CharDict("a" * (MAX_CHARACTERS + 1))
    path = tmp_path / "list.txt"
    path.write_text("abc" * 10)
    monkeypatch.setattr("crnn_keras.char_dict.lists.MAX_CHAR_DICT_BYTES", 29)
    for name in ("list.txt", "saved.json", "char_dict.json"):
        path.rename(tmp_path / name)
        path = tmp_path / name
        with pytest.raises(ValueError, match=rf"{name}.* 30 bytes.* 29 at most"):
            CharDict.from_source(path)


@pytest.mark.parametrize("value", ["false", "true", 0, 1, None, [], 1.0, float("nan")], ids=repr)
def test_fold_case_is_true_or_false(tmp_path, value):
    calls = [
        lambda: CharDict("ab", fold_case=value),
        lambda: CharDict.from_labels(["ab"], fold_case=value),
        lambda: CharDict.from_source("digits", fold_case=value),
        lambda: CharDict.from_config({"characters": "ab", "fold_case": value}),
    ]
    path = tmp_path / "signs.json"
    content = {"format": "crnn_keras.CharDict", "characters": "ab", "fold_case": value}
    path.write_text(json.dumps(content))
    for call in (*calls, lambda: CharDict.load(path)):
        with pytest.raises(ValueError, match="fold_case is "):
            call()


@pytest.mark.parametrize("value", ["NFC", "", 1, True, [], {}, float("nan")], ids=repr)
def test_a_normalization_is_one_of_three(value):
    for call in (
        lambda: CharDict("ab", normalization=value),
        lambda: CharDict.from_labels(["ab"], normalization=value),
        lambda: CharDict.from_source("digits", normalization=value),
        lambda: CharDict.from_config({"characters": "ab", "normalization": value}),
    ):
        with pytest.raises(ValueError, match="'none', 'nfc', 'half_width'"):
            call()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "get_config"),
        ([], "get_config"),
        ("abc", "get_config"),
        ({}, "get_config"),
        ({"fold_case": False}, "get_config"),
        ({"characters": "ab", "width": 1}, "no width"),
        ({"characters": "ab", 3: 1}, "no 3"),
        ({"characters": "ab", "direction": "rtl"}, "direction is 'rtl'"),
        ({"characters": "ab", "direction": None}, "direction is None"),
    ],
)
def test_a_config_of_another_thing_is_refused(config, message):
    with pytest.raises(ValueError, match=message):
        CharDict.from_config(config)


HOSTILE = {
    "deep": b"[" * 200_000,
    "deep objects": b'{"a":' * 100_000,
    "deep inside": b'{"format": "crnn_keras.CharDict", "characters": ' + b"[" * 100_000,
    "not closed": b'{"format": "crnn_keras.CharDict"',
    "binary": bytes(range(256)),
    "NUL": b"\0" * 100,
    "empty": b"",
    "a number": b"1e999",
    "too long a number": b"1" * 10_000,
    "nan": b"NaN",
    "surrogates": b'{"format": "crnn_keras.CharDict", "characters": "\\ud800", "fold_case": false}',
    "UTF-16": '{"48": "0"}'.encode("utf-16"),
    "a key of a huge number": b'{"99999999999999999999": "0"}',
    "a negative key": b'{"-5": "0"}',
    "a value that is a list": b'{"48": [1]}',
    "a value of a huge number": b'{"48": "99999999999999999999"}',
    "many digits": b'{"48": "' + b"9" * 9999 + b'"}',
    "a code point of half a character": b'{"55296": "0"}',
}


@pytest.mark.parametrize("file", ["char_dict.json", "ord_map.json", "ord_2_index_map.json"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_gives_a_named_error(tmp_path, file, name):
    path = tmp_path / file
    path.write_bytes(HOSTILE[name])
    try:
        char_dict = CharDict.from_source(path)
    except ValueError as error:
        assert file in str(error)
    else:  # JSON in UTF-16, and an index far behind the others, say which character they mean.
        assert name in ("UTF-16", "a value of a huge number", "many digits")
        assert char_dict.characters == "0"


@given(st.binary(max_size=60) | st.text(max_size=40).map(lambda t: t.encode(errors="replace")))
def test_any_text_file_makes_a_dictionary_or_a_named_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("list") / "list.txt"
    path.write_bytes(content)
    try:
        char_dict = CharDict.from_file(path)
    except ValueError as error:
        assert "list.txt" in str(error)
    else:
        assert char_dict.decode(range(1, len(char_dict) + 1)) or len(char_dict)


@pytest.mark.parametrize("value", [None, 3, 1.5, float("nan"), b"ab", ["a"], True], ids=repr)
def test_a_label_is_text(value):
    char_dict = CharDict("ab")
    for call in (char_dict.encode, char_dict.unknown, char_dict.normalize, char_dict.comes_back):
        with pytest.raises(ValueError, match="text is .*str"):
            call(value)
    with pytest.raises(ValueError, match="Label #1 is "):
        CharDict.from_labels(["ab", value])
    assert value not in char_dict


@pytest.mark.parametrize(
    "ids", [3, None, [1.5], ["1"], [None], [float("nan")], "12", [[1]]], ids=repr
)
def test_ids_are_whole_numbers(ids):
    with pytest.raises(ValueError, match=r"whole numbers from 0 to 2"):
        CharDict("ab").decode(ids)


def test_one_string_is_no_list_of_labels():
    with pytest.raises(ValueError, match="one string 'hotel'"):
        CharDict.from_labels("hotel")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "size is 0"),
        ({"size": -1}, "size is -1"),
        ({"size": 1.5}, "size is 1.5"),
        ({"size": "9"}, "size is '9'"),
        ({"min_count": 0}, "min_count is 0"),
        ({"min_count": float("nan")}, "min_count is nan"),
        ({"extra_characters": None}, "extra_characters is None"),
        ({"fold_case": "no"}, "fold_case is 'no'"),
    ],
)
def test_wrong_arguments_of_a_corpus_are_refused_by_name(tmp_path, arguments, message):
    (tmp_path / "news.txt").write_text("abc")
    with pytest.raises(ValueError, match=message):
        CharDict.from_corpus(tmp_path / "news.txt", **arguments)


# Case.


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("İstanbul", "istanbul"),
        ("I\u0307stanbul", "istanbul"),
        ("DİYARBAKIR", "diyarbakir"),
        ("ıI", "ıi"),
        ("ΣΑΣ", "σασ"),
        ("ΟΔΟΣ ΟΔΟΣ", "οδοσ οδοσ"),
        ("οδος", "οδος"),
        ("Straße ẞ", "straße ß"),
        ("ŉ", "ŉ"),
        ("J\u030c\u01f0", "\u01f0\u01f0"),
        ("H\u0331T\u0308W\u030aY\u030a", "\u1e96\u1e97\u1e98\u1e99"),
        ("\u212a\u2126\u212b", "kωå"),
        ("ǅǈǋǲ", "ǆǉǌǳ"),
        ("Ⅷ Ⓐ Ａ", "ⅷ ⓐ ａ"),
        ("Ა𐐀", "ა𐐨"),
    ],
)
def test_case_is_folded_letter_by_letter(text, folded):
    char_dict = CharDict.from_labels([text], fold_case=True)
    assert char_dict.normalize(text) == folded
    assert char_dict.decode(char_dict.encode(text)) == folded
    assert char_dict.unknown(text) == ""


def test_turkish_labels_with_alphanumeric36():
    char_dict = CharDict.from_preset("alphanumeric36")
    assert char_dict.decode(char_dict.encode("İZMİR 35".replace(" ", ""))) == "izmir35"
    # Letters that it does not have are named as they are written.
    assert char_dict.unknown("ığŞ") == "ığş"
    assert "İ" in char_dict and "ı" not in char_dict


def test_each_letter_folds_to_one_whatever_stands_beside_it():
    letters = [chr(code) for code in range(0x30000) if not 0xD800 <= code < 0xE000]
    assert all(len(fold_text(letter)) == 1 for letter in letters)
    joined = "".join(letters)
    assert fold_text(joined) == "".join(map(fold_text, letters))
    assert fold_text(fold_text(joined)) == fold_text(joined)


@given(
    text=st.text(st.characters(codec="utf-8"), max_size=12)
    | st.text("JHTWYİIΣσςjh\u0301\u0307\u0308\u030a\u030c\u0331", max_size=6),
    normalization=st.sampled_from(NORMALIZATIONS),
    fold_case=st.booleans(),
)
def test_a_normalized_text_stays_as_it_is(text, normalization, fold_case):
    normalized = normalize_text(text, normalization, fold_case)
    assert normalize_text(normalized, normalization, fold_case) == normalized
    assert normalization == "none" or unicodedata.is_normalized("NFC", normalized)


# Time.

MARKS = "".join(
    c for c in map(chr, range(0x300, 0x30000)) if unicodedata.category(c).startswith("M")
)
LETTERS = "".join(map(chr, (*range(0xC0, 0x3000), *range(0x4E00, 0x9FFF), *range(0xAC00, 0xD7A4))))
HUGE = {
    "letters and marks": "".join(dict.fromkeys(MARKS + LETTERS)),
    "all characters": "".join(chr(c) for c in range(0x20, 0x19000) if not 0xD800 <= c < 0xE000),
    "hangul": "".join(map(chr, (*range(0xAC00, 0xD7A4), *range(0x1100, 0x1200)))),
    "marks in turn": "a" + "\u0301\u0323" * 50_000,
    "marks in the wrong order": "a" + "\u0301" * 50_000 + "\u0323" * 50_000,
    "marks of two": "a" + "\u0344\u0323" * 50_000,
    "one letter": "a" * 100_000,
    "capitals": "İΣJ\u030c" * 25_000,
    "hebrew": "ש1 (" * 25_000,
}


@pytest.mark.parametrize("name", HUGE)
def test_a_hundred_thousand_characters_take_seconds(tmp_path, name):
    text = HUGE[name]
    distinct = "".join(dict.fromkeys(text))
    find_lost_in_nfc("e\u0301"), normalize_text("e\u0301" * 99, "nfc")  # tables are made once
    begin = time.process_time()
    find_lost_in_nfc(distinct)
    char_dict = CharDict.from_labels([text], direction="logical", fold_case=True)
    char_dict.decode(char_dict.encode(text))
    char_dict.difference(CharDict("ab"))
    CharDict.from_config({"characters": distinct.replace("\0", ""), "fold_case": False})
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    corpus_counts(tmp_path / "text.txt")
    # Eight calls, by the clock of this process; by trying every pair it is a minute.
    assert time.process_time() - begin < 15


def _lost_by_trying(characters):
    """What NFC loses, found by trying every pair."""
    lost = [c for c in characters if unicodedata.normalize("NFC", c) != c]
    for mark in characters:
        for character in characters:
            composed = unicodedata.normalize("NFC", character + mark)
            if len(composed) == 1 and composed not in characters:
                lost.append(character + mark)
    return lost


@given(
    st.lists(
        st.sampled_from("aeiıoṡṣṩê\u0301\u0302\u0307\u0323\u0331\u0338=<かは\u3099\u309a豈\uf900")
        | st.sampled_from("\u1112\u1161\u11ab한하\u0915\u093c\u09c7\u09be\u212bÅ\u0fb5"),
        unique=True,
        max_size=12,
    ).map("".join)
)
def test_what_nfc_loses_is_what_trying_every_pair_finds(characters):
    assert find_lost_in_nfc(characters) == _lost_by_trying(characters)


@given(st.text("ae\u0301\u0323\u0344\u0f73\u0f71\u0308é\u3099か\u0334", min_size=100, max_size=500))
def test_many_marks_are_composed_as_python_does(text):
    assert normalize_text(text, "nfc") == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("name", ["huge", "", None, 3, ["digits"], "Digits"], ids=repr)
def test_a_name_that_is_no_preset_is_answered_with_the_presets(name):
    with pytest.raises(ValueError, match=r"digits, alphanumeric36, ascii, .*gb2312"):
        CharDict.from_preset(name)
    from crnn_keras.training.start import make_model

    if isinstance(name, str):
        with pytest.raises(
            ValueError, match=r"small, mobile, deep, wide, large, paper, words, words-large, ascii"
        ):
            make_model(name or "none", CharDict("ab"), None)
