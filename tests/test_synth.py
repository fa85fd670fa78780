"""Rendered images: size, contrast, the same bytes for the same seed, many on all cores."""

import doctest
import hashlib
import importlib
import io
import re
import string
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image, features

from crnn_keras.synth import (
    Style,
    bundled_fonts,
    render_jpeg,
    render_many,
    render_word,
    render_word_with_boxes,
    rendering,
)
from crnn_keras.synth.degrade import make_noise
from crnn_keras.synth.style import _LIMITS

LETTERS_AND_DIGITS = string.digits + string.ascii_letters
PLAIN = Style.plain()
FONTS = bundled_fonts()
LARGEST = {name: high for name, (_, high) in _LIMITS.items() if name not in ("height", "quality")}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    paths = []
    for index in range(2):
        path = tmp_path_factory.mktemp("photographs") / f"{index}.png"
        Image.effect_noise((600, 400), 60).save(path)
        paths.append(str(path))
    return paths


def options(seed, index, photographs):
    return {"seed": seed, "index": index, "photographs": photographs}


@pytest.mark.parametrize("text", ["i", "W", "Word", "two words", "0123456789" * 3, "."])
@pytest.mark.parametrize("height", [16, 36, 61])
def test_an_image_has_the_height_of_its_style(text, height):
    for index in range(4):
        image = render_word(text, FONTS[index], Style(height=height), seed=1, index=index)
        assert image.mode == "L" and image.height == height


@pytest.mark.parametrize("text", ["i", "rhododendronwellingt"])
@pytest.mark.parametrize("name", LARGEST)
def test_each_effect_at_its_largest_still_draws(name, text, photographs):
    needed = {"photographs": {"background": 1}, "sharp": {"blur": 3}}
    changes = needed.get(name, {})
    # Of two letters the first can be the larger one, if they are capitals.
    text = f"{text} {text}".upper() if name == "initial" else text
    style = Style.plain(**changes | {name: LARGEST[name]})
    plain = Style.plain(**changes)
    images = set()
    for index in range(6):
        image = render_word(text, FONTS[3 * index], style, **options(2, index, photographs))
        assert image.height == 36 and 8 <= image.width <= 40 * 36
        low, high = image.getextrema()
        assert high > low, "the image is empty"
        images.add((image.size, image.tobytes()))
    without = [
        render_word(text, FONTS[3 * i], plain, **options(2, i, photographs)) for i in range(6)
    ]
    assert images != {(image.size, image.tobytes()) for image in without}


@pytest.mark.parametrize("text", ["i", ".", "W", "rhododendronwellingt", "a b"])
def test_all_effects_at_their_largest_still_draw(text, photographs):
    for index in range(40):
        style = Style(**LARGEST, height=32, quality=1)
        image = render_word(text, FONTS[index % 20], style, **options(5, index, photographs))
        assert image.height == 32 and 8 <= image.width <= 40 * 32


@pytest.mark.parametrize("name", [field.name for field in fields(Style)])
def test_a_setting_outside_its_limits_is_refused_by_name(name):
    low, high = _LIMITS[name]
    for value in (low - 1, high + 1):
        with pytest.raises(ValueError, match=f"(?i){name}.* {value}"):
            Style(**{name: value})


def test_longer_words_make_wider_images():
    widths = [render_word("m" * n, FONTS[0], PLAIN, index=3).width for n in (1, 4, 16)]
    assert widths == sorted(set(widths))


@pytest.mark.parametrize("text", ["", " ", "\t\n"])
def test_nothing_to_draw_is_refused(text):
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        render_word(text, FONTS[0])


@pytest.mark.parametrize("contrast", [20, 60, 127])
def test_ink_and_background_differ_by_the_contrast_at_least(contrast):
    darker = 0
    for index in range(60):
        style = Style.plain(contrast=contrast)
        image = render_word("HELLO", FONTS[index % 20], style, index=index)
        pixels = np.asarray(image).astype(int)
        background = np.bincount(pixels[[0, -1]].ravel()).argmax()
        ink = pixels.ravel()[np.abs(pixels - background).argmax()]
        assert abs(ink - background) >= contrast - 2
        darker += bool(ink < background)
    assert 10 < darker < 50


@pytest.mark.parametrize("contrast", [-1, 128, 255])
def test_a_contrast_that_is_out_of_range_is_refused(contrast):
    with pytest.raises(ValueError, match=f"contrast is {contrast}.* 0 to 127"):
        Style(contrast=contrast)


def test_a_space_between_words_stays_empty():
    pixels = np.asarray(render_word("HH HH", FONTS[0], PLAIN, seed=0, index=0)).astype(int)
    inked = np.abs(pixels - pixels[0, 0]).max(axis=0) > 30
    gaps = "".join("#" if column else " " for column in inked).strip().split("#")
    assert len(max(gaps, key=len)) > 5


def test_the_whole_text_is_in_the_image():
    # The ink of both ends: a T's bar is the widest thing there is.
    for index in range(40):
        style = Style.plain(slant=0.3, slope=0.12, tilt=0.1, curve=1)
        image = render_word("TooT", FONTS[index % 20], style, seed=1, index=index)
        pixels = np.asarray(image).astype(int)
        edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        background = np.bincount(edge).argmax()
        assert (np.abs(edge - background) > 30).mean() < 0.1


def test_the_same_seed_gives_the_same_bytes():
    np.random.seed(1)
    first = render_jpeg("Word", FONTS, seed=3, index=8)
    np.random.seed(2)
    render_jpeg("other", FONTS, seed=9, index=9)
    assert render_jpeg("Word", FONTS, seed=3, index=8) == first


def test_the_bytes_are_those_of_other_machines():
    """Made with numpy with and without AVX2."""
    if features.version("freetype2") != "2.14.3":
        pytest.skip("the expected bytes were made with FreeType 2.14.3, which draws the letters")
    fonts = [font for font in FONTS if "DejaVuSans" in font]
    digest = hashlib.sha256()
    for index in range(200):
        digest.update(render_jpeg(f"Word{index}", fonts, seed=7, index=index))
    expected = "dc3f0bf6e54d68ec9e529211a10b73b004cde5e9d9854907c70d2e2f89ee5cae"
    assert digest.hexdigest() == expected


@pytest.mark.parametrize(
    "change",
    [{"seed": 4}, {"index": 9}, {"text": "word"}, {"style": PLAIN}],
    ids=lambda change: next(iter(change)),
)
def test_anything_else_gives_another_image(change):
    arguments = {"text": "Word", "fonts": FONTS, "seed": 3, "index": 8}
    assert render_jpeg(**arguments | change) != render_jpeg(**arguments)


def test_images_of_a_seed_are_all_different_and_use_all_fonts(monkeypatch):
    used, render = set(), rendering._render

    def note(text, font, style, **options):
        used.add(font)
        return render(text, font, style, **options)

    monkeypatch.setattr(rendering, "_render", note)
    images = {render_jpeg("Word", FONTS, index=index) for index in range(300)}
    assert len(images) == 300
    assert used == set(FONTS)


def test_an_image_is_a_gray_jpeg():
    image = Image.open(io.BytesIO(render_jpeg("Word", FONTS)))
    assert (image.format, image.mode, image.height) == ("JPEG", "L", 36)


def test_a_lower_quality_makes_smaller_files():
    sizes = [
        sum(len(render_jpeg("Word", FONTS, Style(quality=quality), index=i)) for i in range(40))
        for quality in (5, 50, 95)
    ]
    assert sizes == sorted(set(sizes))


def test_noise_is_even_around_0_with_its_deviation():
    drawn = make_noise((400, 500), 10, np.random.default_rng(0))
    assert abs(drawn.mean()) < 0.1
    assert abs(drawn.std() - 10) < 0.1
    assert np.abs(drawn).max() <= 30


# Many images.


@pytest.mark.parametrize("chunk_size", [1, 2, 7, 250])
def test_image_i_of_many_is_the_one_of_index_i(chunk_size, photographs):
    texts = ["one", "Two", "3", "four", "FIVE"]
    style = Style(background=1, photographs=1)
    expected = [
        render_jpeg(text, FONTS, style, **options(6, i, photographs))
        for i, text in enumerate(texts)
    ]
    common = {"seed": 6, "photographs": photographs}
    images = render_many(texts, FONTS, style, chunk_size=chunk_size, **common)
    assert list(images) == expected


@pytest.mark.parametrize("processes", [1, 2])
def test_no_texts_make_no_images(processes):
    assert list(render_many([], FONTS, processes=processes)) == []


def test_two_processes_draw_the_same_as_one(monkeypatch):
    used, parallel_map = [], rendering.parallel_map

    def note(function, jobs, *, processes):
        used.append(processes)
        return parallel_map(function, jobs, processes=processes)

    monkeypatch.setattr(rendering, "parallel_map", note)
    texts = [LETTERS_AND_DIGITS[i % 62] for i in range(2000)]
    style = Style(height=16)
    drawn = [list(render_many(texts, FONTS, style, seed=2, processes=count)) for count in (1, 2)]
    assert drawn[0] == drawn[1]
    assert used == [1, 2]


MODULES = ["chinese", "font_report", "recipe", "rendering", "style", "texts"]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_print_what_they_say(name):
    result = doctest.testmod(importlib.import_module(f"crnn_keras.synth.{name}"))
    assert result.attempted and not result.failed


@pytest.mark.parametrize(
    "style", [Style(), Style.signs(), PLAIN], ids=["default", "signs", "plain"]
)
def test_boxes_come_with_the_image_that_is_drawn_without_them(style):
    for index in range(20):
        arguments = ("Sign 12", FONTS[index % len(FONTS)], style)
        image, boxes = render_word_with_boxes(*arguments, seed=5, index=index)
        assert image.tobytes() == render_word(*arguments, seed=5, index=index).tobytes()
        assert {box.character for box in boxes} <= set("Sign12")
        for box in boxes:
            assert 0 <= box.left < box.right <= image.width
            assert 0 <= box.top < box.bottom <= image.height


def test_a_box_ends_where_the_ink_ends():
    # Clean paper, so that the pixels show where the ink is.
    style = Style.plain(clean=1)
    for index in range(20):
        image, boxes = render_word_with_boxes("lH", FONTS[0], style, index=index)
        pixels = np.asarray(image).astype(int)
        is_ink = np.abs(pixels - pixels[0, 0]) > np.abs(pixels - pixels[0, 0]).max() / 2
        columns = np.flatnonzero(is_ink.any(0))
        assert [box.character for box in boxes] == ["l", "H"]
        assert abs(boxes[0].left - columns[0]) <= 1 and abs(boxes[1].right - columns[-1] - 1) <= 1
        gap = slice(boxes[0].right + 1, boxes[1].left - 1)
        assert not is_ink[:, gap].any()


def test_letters_that_are_drawn_together_have_no_boxes():
    with pytest.raises(ValueError, match="shaping"):
        render_word_with_boxes("سلام", FONTS[0])


def test_boxes_run_from_left_to_right_in_the_image():
    # A font without Hebrew draws a frame for each letter, in the same places.
    _, boxes = render_word_with_boxes("שלום", FONTS[0], PLAIN)
    assert [box.character for box in boxes] == list("םולש")
    assert [box.left for box in boxes] == sorted(box.left for box in boxes)
