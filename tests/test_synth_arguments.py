"""Numbers, types and files of rendering that make no sense are refused by name."""

import json
import os
import re

import numpy as np
import pytest

from crnn_keras.synth import (
    ChineseTexts,
    LineTexts,
    Recipe,
    Renderer,
    Style,
    WordTexts,
    bundled_fonts,
    describe_fonts,
    file_hash,
    find_fonts,
    fonts_with,
    read_words,
    render_jpeg,
    render_many,
    render_word,
)
from crnn_keras.synth.style import _LIMITS

FONTS = bundled_fonts()
NAN, INFINITE = float("nan"), float("inf")
NO_NUMBERS = ["1", None, True, NAN, INFINITE, [1], 1j]


@pytest.mark.parametrize("name", _LIMITS)
@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_a_setting_of_style_is_a_number(name, value):
    with pytest.raises(ValueError, match=f"^{name} is "):
        Style(**{name: value})


def test_a_whole_number_of_style_is_whole():
    for name in ("height", "contrast", "quality"):
        with pytest.raises(ValueError, match=f"^{name} is 40.5"):
            Style(**{name: 40.5})
    style = Style(height=np.int64(40), tilt=np.float32(0.25))
    assert (type(style.height), type(style.tilt)) == (int, float)


@pytest.mark.parametrize(
    ("make", "name", "values"),
    [
        (WordTexts, "seed", [-1, 0.5, 2**32, *NO_NUMBERS]),
        (WordTexts, "max_length", [0, -3, 1e9, 10**9, 2.5, *NO_NUMBERS]),
        (WordTexts, "numbers", [-0.1, 1.1, *NO_NUMBERS]),
        (WordTexts, "codes", [-0.1, 1.1, *NO_NUMBERS]),
        (WordTexts, "marks", [-0.1, 2, *NO_NUMBERS]),
        (WordTexts, "common", [-1, *NO_NUMBERS]),
        (WordTexts, "upper", [-0.1, 0.96, *NO_NUMBERS]),
        (WordTexts, "capital", [-0.1, 0.96, *NO_NUMBERS]),
        (LineTexts, "seed", [-1, 0.5, 2**32, *NO_NUMBERS]),
        (LineTexts, "max_length", [0, -3, 1e9, 10**9, 2.5, *NO_NUMBERS]),
        (ChineseTexts, "seed", [-1, 0.5, *NO_NUMBERS]),
        (ChineseTexts, "shortest", [0, -1, 21, 1.5, *NO_NUMBERS]),
        (ChineseTexts, "longest", [0, -1, 10**9, 1.5, *NO_NUMBERS]),
        (ChineseTexts, "rare", [-0.1, 1.1, *NO_NUMBERS]),
    ],
)
def test_a_wrong_number_of_texts_is_refused_by_name(make, name, values):
    source = "abcd" if make is ChineseTexts else ["ab", "cd"]
    for value in values:
        with pytest.raises(ValueError, match=f"{name} (is )?{re.escape(repr(value))}"):
            make(source, **{name: value})


@pytest.mark.parametrize("index", [-1, 0.5, *NO_NUMBERS], ids=repr)
def test_an_index_is_a_whole_number_from_0(index):
    recipe = Recipe(fonts=FONTS)
    calls = [
        WordTexts(["ab"]).text,
        LineTexts(["ab"]).text,
        ChineseTexts("ab").text,
        recipe.open().text,
        recipe.open().sample,
        lambda index: render_word("ab", FONTS[0], index=index),
        lambda index: render_jpeg("ab", FONTS, index=index),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="index is "):
            call(index)


def test_numbers_of_numpy_are_numbers():
    assert WordTexts(["ab"], np.int64(3), max_length=np.int32(4)).text(np.int64(2))
    word = render_word("ab", FONTS[0], seed=np.int64(1), index=np.int32(2))
    assert word.tobytes() == render_word("ab", FONTS[0], seed=1, index=2).tobytes()
    assert Recipe(fonts=FONTS, seed=np.int64(5)) == Recipe(fonts=FONTS, seed=5)


@pytest.mark.parametrize(
    ("name", "value"),
    [("seed", -1), ("seed", "1"), ("style", {}), ("style", None), ("processes", 0)]
    + [("processes", -2), ("chunk_size", 0), ("chunk_size", 1.5)],
)
def test_a_wrong_argument_of_rendering_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"{name} is "):
        list(render_many(["ab"], FONTS, **{name: value}))


@pytest.mark.parametrize("text", [None, 5, b"ab", ["a"], NAN])
def test_what_is_drawn_is_text(text):
    with pytest.raises(ValueError, match="text is "):
        render_word(text, FONTS[0])
    with pytest.raises(ValueError, match="Word #1 is "):
        WordTexts(["ab", text])
    with pytest.raises(ValueError, match="Line #1 is "):
        LineTexts(["ab", text])


def test_a_list_is_not_one_string():
    for call in (lambda: render_jpeg("ab", FONTS[0]), lambda: render_jpeg("ab", [])):
        with pytest.raises(ValueError, match="fonts"):
            call()
    for call in (fonts_with, describe_fonts):
        with pytest.raises(ValueError, match="fonts is "):
            call("ab", FONTS[0])
        with pytest.raises(ValueError, match="characters is "):
            call(["ab"], FONTS)
    with pytest.raises(ValueError, match="one string"):
        WordTexts("hotel")


def test_a_text_that_is_too_long_is_refused():
    with pytest.raises(ValueError, match=r"1,001 characters.*1,000"):
        render_word("a" * 1001, FONTS[0])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"seed": True}, "seed is True"),
        ({"seed": 2**70}, "seed is"),
        ({"split": 3}, "split is 3"),
        ({"fonts": "a.ttf"}, "fonts are 'a.ttf'"),
        ({"fonts": [1]}, "One of the fonts is 1"),
        ({"fonts": {}}, "fonts are"),
        ({"backgrounds": "a.jpg"}, "backgrounds are"),
        ({"style": []}, "style is"),
        ({"style": {"height": 1e9}}, "height is"),
        ({"style": {"height": "36"}}, "height is '36'"),
        ({"style": {"noise": NAN}}, "noise is nan"),
        ({"fractions": {"train": -1}, "split": "train"}, "fractions"),
        ({"fractions": {"train": "1"}}, "fractions"),
        ({"fractions": [1]}, "fractions is"),
        ({"texts": "words"}, "texts is"),
        ({"texts": {"kind": ["words"]}}, "kind"),
        ({"texts": {"kind": "words", "file": 3}}, "file is 3"),
        ({"texts": {"kind": "words", "numbers": "0.1"}}, "numbers is '0.1'"),
        ({"texts": {"kind": "words", "numbers": -1}}, "numbers is -1"),
        ({"texts": {"kind": "words", "max_length": 10**12}}, "max_length is"),
        ({"texts": {"kind": "words", "max_length": 3.9}}, "max_length is 3.9"),
        ({"texts": {"kind": "chinese", "characters": ["ab"]}}, "Character 1 is 'ab'"),
        ({"texts": {"kind": "chinese", "characters": 5}}, "characters"),
        ({"texts": {"kind": "chinese", "characters": "省", "longest": 10**9}}, "longest is"),
        ({"texts": {"kind": "chinese", "characters": "省", "frequencies": [1]}}, "frequencies is"),
        (
            {"texts": {"kind": "chinese", "characters": "省", "frequencies": {"省": -1}}},
            "frequency of '省' is -1",
        ),
    ],
    ids=str,
)
def test_a_recipe_of_other_types_or_huge_numbers_is_refused(tmp_path, config, message):
    config = {"texts": {"kind": "words"}, "fonts": FONTS} | config
    with pytest.raises(ValueError, match=message):
        Recipe.from_config(config)
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"recipe\.json.*{message}"):
        Recipe.load(path)


@pytest.mark.parametrize("content", ["[]", "3", "null", '"words"', "[" * 100_000, "{", b"\xff\0"])
def test_a_file_that_is_no_recipe_is_named(tmp_path, content):
    path = tmp_path / "recipe.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=r"recipe\.json"):
        Recipe.load(path)


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "recipe.json"
    Recipe(fonts=FONTS).save(path)
    monkeypatch.setattr("crnn_keras.synth.recipe.MAX_RECIPE_BYTES", 99)
    with pytest.raises(ValueError, match=r"recipe\.json has .* bytes\. Expected 99 at most"):
        Recipe.load(path)
    (tmp_path / "words.txt").write_text("hotel\n" * 20)
    monkeypatch.setattr("crnn_keras.synth.texts.MAX_WORD_LIST_BYTES", 99)
    with pytest.raises(ValueError, match=r"words\.txt has 120 bytes\. Expected 99 at most"):
        read_words(tmp_path / "words.txt")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_pipe_is_not_waited_for(tmp_path):
    for name in ("words.txt", "font.ttf"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(ValueError, match=r"words\.txt"):
        read_words(tmp_path / "words.txt")
    with pytest.raises(ValueError, match=r"words\.txt"):
        ChineseTexts("ab", corpus=tmp_path / "words.txt")
    with pytest.raises(ValueError, match=r"font\.ttf"):
        render_word("ab", str(tmp_path / "font.ttf"))
    assert str(tmp_path / "font.ttf") not in find_fonts([tmp_path])
    for name in ("gone.txt", ""):
        with pytest.raises(ValueError, match=r"is no file"):
            read_words(tmp_path / name)
    with pytest.raises(ValueError, match=r"words\.txt"):
        recipe = Recipe({"kind": "words", "file": str(tmp_path / "words.txt")}, FONTS)
        Renderer(recipe).sample(0)
    for call in (recipe.fingerprint, lambda: file_hash(tmp_path / "font.ttf")):
        with pytest.raises(OSError, match="no file"):
            call()
