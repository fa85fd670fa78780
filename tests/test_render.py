import io
import os
import string

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image, ImageFont

from crnn_keras import render
from crnn_keras.render import (
    Style,
    bundled_fonts,
    deal_texts,
    draw_texts,
    fonts_with,
    read_words,
    render_jpeg,
    render_many,
    render_word,
)

LETTERS_AND_DIGITS = string.digits + string.ascii_letters
PLAIN = Style(tilt=0, blur=0, noise=0, shadow=0, background=0)
FONTS = bundled_fonts()


def _font_file(path, characters):
    """A font in which each of the characters is a square."""
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for corner in ((100, 700), (800, 700), (800, 0)):
        pen.lineTo(corner)
    pen.closePath()
    square, empty = pen.glyph(), TTGlyphPen(None).glyph()
    names = {ord(character): f"u{ord(character):04X}" for character in characters}
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap(names)
    builder.setupGlyf({".notdef": empty, **dict.fromkeys(names.values(), square)})
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *names.values()], (900, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Square", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return str(path)


# Fonts.


def test_there_are_20_bundled_fonts_in_a_fixed_order():
    assert len(FONTS) == len(set(FONTS)) == 20
    assert sorted(FONTS) == FONTS == bundled_fonts()


@pytest.mark.parametrize("font", FONTS, ids=os.path.basename)
def test_a_bundled_font_draws_every_letter_and_digit(font):
    usable, missing = fonts_with(LETTERS_AND_DIGITS, [font])
    assert (usable, missing) == ([font], {})
    drawn = ImageFont.truetype(font, 40)
    unknown = bytes(drawn.getmask("\U0010fffd"))
    for character in LETTERS_AND_DIGITS:
        mask = drawn.getmask(character)
        assert mask.getbbox() is not None, character
        assert bytes(mask) != unknown, character


def test_fonts_that_lack_a_character_are_named_with_it(tmp_path):
    chinese = _font_file(tmp_path / "square.ttf", "a省市")
    usable, missing = fonts_with("a 省", [FONTS[0], chinese, FONTS[1]])
    assert usable == [chinese]
    assert missing == {FONTS[0]: "省", FONTS[1]: "省"}


def test_no_font_with_the_characters_is_refused_with_the_closest(tmp_path):
    close, far = _font_file(tmp_path / "close.ttf", "ab市"), FONTS[0]
    with pytest.raises(ValueError, match=r"None of 2 fonts.*close\.ttf, lacks '省'.*fonts-noto"):
        fonts_with("省市ab", [far, close])
    with pytest.raises(ValueError, match=r"None of 20 fonts has all 1 characters.*'省'"):
        fonts_with("省", FONTS)
    with pytest.raises(ValueError, match="None of 0 fonts"):
        fonts_with("a", [])


# Words and texts.


def test_the_bundled_words_are_distinct_and_lower_case():
    words = read_words()
    assert len(words) > 30_000
    assert len({word.lower() for word in words}) == len(words)
    assert set("".join(words)) == set(string.ascii_lowercase)
    assert fonts_with("".join(words).upper(), FONTS) == (FONTS, {})


def test_words_are_read_once_each_from_any_text_file(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes("\ufefftree\r\n\r\n oak \r\ntree\r\n省".encode())
    assert read_words(path) == ["tree", "oak", "省"]


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_a_word_list_without_a_word_is_refused(tmp_path, content):
    (tmp_path / "words.txt").write_text(content)
    with pytest.raises(ValueError, match=r"words\.txt holds no word"):
        read_words(tmp_path / "words.txt")


WORDS = ["tree", "oak", "hornbeam", "ash", "sycamore", "rhododendron", "wellingtonia"]


def test_texts_are_the_same_for_the_same_seed_only():
    texts = draw_texts(WORDS, 200, seed=5)
    assert len(texts) == 200
    assert texts == draw_texts(WORDS, 200, seed=5)
    assert texts != draw_texts(WORDS, 200, seed=6)


def test_texts_are_words_in_three_cases():
    texts = draw_texts(["oak", "ash"], 300, seed=0, numbers=0, codes=0)
    assert set(texts) == {"oak", "OAK", "Oak", "ash", "ASH", "Ash"}


def test_texts_are_numbers_and_codes_as_told():
    numbers = draw_texts(WORDS, 300, seed=0, numbers=1, codes=0)
    assert set("".join(numbers)) == set(string.digits)
    assert {len(text) for text in numbers} == set(range(1, 9))
    codes = draw_texts(WORDS, 300, seed=0, numbers=0, codes=1)
    assert {len(text) for text in codes} == set(range(3, 9))
    assert all(text in (text.lower(), text.upper()) for text in codes)
    assert not set("".join(codes)) & set("01oilOIL")


@pytest.mark.parametrize("max_length", [3, 4, 8, 12])
def test_no_text_is_longer_than_max_length(max_length):
    texts = draw_texts(WORDS, 400, seed=1, numbers=0.3, codes=0.3, max_length=max_length)
    assert max(map(len, texts)) == max_length


def test_words_that_are_all_too_long_are_refused():
    with pytest.raises(ValueError, match="No word has at most 2 characters"):
        draw_texts(WORDS, 10, seed=0, max_length=2)


@pytest.mark.parametrize("shares", [{"train": 0.75, "test": 0.25}, {"train": 3, "test": 1}])
def test_texts_dealt_to_two_parts_share_no_word_number_or_code(shares):
    words = [a + b + "xyz" for a in string.ascii_lowercase for b in string.ascii_lowercase]
    parts = deal_texts(words, 400, shares, seed=4)
    assert {name: len(part) for name, part in parts.items()} == {"train": 300, "test": 100}
    written = {name: {t.lower() for t in part} & set(words) for name, part in parts.items()}
    assert written["train"] and written["test"]
    assert not {t.lower() for t in parts["train"]} & {t.lower() for t in parts["test"]}
    assert parts == deal_texts(words, 400, shares, seed=4)


# Pictures.


@pytest.mark.parametrize("text", ["i", "W", "Word", "two words", "0123456789" * 3, "."])
@pytest.mark.parametrize("height", [16, 36, 61])
def test_a_picture_has_the_height_of_its_style(text, height):
    for index in range(4):
        image = render_word(text, FONTS[index], Style(height=height), seed=1, index=index)
        assert image.mode == "L" and image.height == height


def test_longer_words_make_wider_pictures():
    widths = [render_word("m" * n, FONTS[0], PLAIN, index=3).width for n in (1, 4, 16)]
    assert widths == sorted(set(widths))


@pytest.mark.parametrize("text", ["", " ", "\t\n"])
def test_nothing_to_draw_is_refused(text):
    with pytest.raises(ValueError, match="Nothing to draw"):
        render_word(text, FONTS[0])


@pytest.mark.parametrize("contrast", [20, 60, 127])
def test_ink_and_paper_differ_by_the_contrast_at_least(contrast):
    style = Style(tilt=0, blur=0, noise=0, shadow=0, background=0, contrast=contrast)
    darker = 0
    for index in range(60):
        pixels = np.asarray(render_word("HELLO", FONTS[index % 20], style, 0, index)).astype(int)
        paper = np.bincount(pixels[:2].ravel()).argmax()
        ink = pixels.ravel()[np.abs(pixels - paper).argmax()]
        assert abs(ink - paper) >= contrast - 1
        darker += bool(ink < paper)
    assert 10 < darker < 50


@pytest.mark.parametrize("contrast", [-1, 128, 255])
def test_a_contrast_that_cannot_be_had_is_refused(contrast):
    with pytest.raises(ValueError, match=f"Contrast {contrast} is outside 0 to 127"):
        Style(contrast=contrast)


def test_a_space_between_words_stays_empty():
    pixels = np.asarray(render_word("HH HH", FONTS[0], PLAIN, seed=0, index=0)).astype(int)
    inked = np.abs(pixels - pixels[0, 0]).max(axis=0) > 30
    gaps = "".join("#" if column else " " for column in inked).strip().split("#")
    assert len(max(gaps, key=len)) > 5


def test_the_same_seed_gives_the_same_bytes():
    np.random.seed(1)
    first = render_jpeg("Word", FONTS, seed=3, index=8)
    np.random.seed(2)
    render_jpeg("other", FONTS, seed=9, index=9)
    assert render_jpeg("Word", FONTS, seed=3, index=8) == first


@pytest.mark.parametrize(
    "change",
    [{"seed": 4}, {"index": 9}, {"text": "word"}, {"style": PLAIN}],
    ids=lambda change: next(iter(change)),
)
def test_anything_else_gives_another_picture(change):
    asked = {"text": "Word", "fonts": FONTS, "seed": 3, "index": 8}
    assert render_jpeg(**asked | change) != render_jpeg(**asked)


def test_pictures_of_a_seed_are_all_different_and_use_all_fonts(monkeypatch):
    used = set()

    def note(text, font, *arguments):
        used.add(font)
        return render_word(text, font, *arguments)

    monkeypatch.setattr(render, "render_word", note)
    pictures = {render_jpeg("Word", FONTS, PLAIN, 0, index) for index in range(300)}
    assert len(pictures) == 300
    assert used == set(FONTS)


def test_a_picture_is_a_gray_jpeg():
    image = Image.open(io.BytesIO(render_jpeg("Word", FONTS)))
    assert (image.format, image.mode, image.height) == ("JPEG", "L", 36)


@pytest.mark.parametrize("chunk", [1, 2, 7, 250])
def test_picture_i_of_many_is_the_one_of_index_i(chunk):
    texts = ["one", "Two", "3", "four", "FIVE"]
    expected = [render_jpeg(text, FONTS, PLAIN, 6, i) for i, text in enumerate(texts)]
    assert list(render_many(texts, FONTS, PLAIN, 6, chunk=chunk)) == expected


@pytest.mark.parametrize("processes", [1, 2])
def test_no_texts_make_no_pictures(processes):
    assert list(render_many([], FONTS, processes=processes)) == []


def test_two_processes_draw_the_same_as_one(monkeypatch):
    started = []

    class Pool(render.ProcessPoolExecutor):
        def __init__(self, processes, **options):
            started.append(processes)
            super().__init__(processes, **options)

    monkeypatch.setattr(render, "ProcessPoolExecutor", Pool)
    texts = [LETTERS_AND_DIGITS[number % 62] for number in range(2000)]
    style = Style(height=16)
    alone = list(render_many(texts, FONTS, style, seed=2, processes=1))
    assert started == []
    assert list(render_many(texts, FONTS, style, seed=2, processes=2)) == alone
    assert started == [2]
