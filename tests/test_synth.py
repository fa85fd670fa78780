import hashlib
import io
import string
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image, features

from crnn_keras.synth import Style, bundled_fonts, render_jpeg, render_many, render_word, rendering
from crnn_keras.synth.degrade import noise
from crnn_keras.synth.style import _LIMITS
from crnn_keras.utils import parallel

LETTERS_AND_DIGITS = string.digits + string.ascii_letters
PLAIN = Style.plain()
FONTS = bundled_fonts()
LARGEST = {name: high for name, (_, high) in _LIMITS.items() if name not in ("height", "quality")}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    paths = []
    for number in range(2):
        path = tmp_path_factory.mktemp("photographs") / f"{number}.png"
        Image.effect_noise((600, 400), 60).save(path)
        paths.append(str(path))
    return paths


@pytest.mark.parametrize("text", ["i", "W", "Word", "two words", "0123456789" * 3, "."])
@pytest.mark.parametrize("height", [16, 36, 61])
def test_a_image_has_the_height_of_its_style(text, height):
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
        image = render_word(text, FONTS[3 * index], style, 2, index, photographs)
        assert image.height == 36 and 8 <= image.width <= 40 * 36
        low, high = image.getextrema()
        assert high > low, "nothing is to be seen"
        images.add((image.size, image.tobytes()))
    undone = [render_word(text, FONTS[3 * i], plain, 2, i, photographs) for i in range(6)]
    assert images != {(image.size, image.tobytes()) for image in undone}


@pytest.mark.parametrize("text", ["i", ".", "W", "rhododendronwellingt", "a b"])
def test_all_effects_at_their_largest_still_draw(text, photographs):
    for index in range(40):
        style = Style(**LARGEST, height=32, quality=1)
        image = render_word(text, FONTS[index % 20], style, 5, index, photographs)
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
    with pytest.raises(ValueError, match="Nothing to draw"):
        render_word(text, FONTS[0])


@pytest.mark.parametrize("contrast", [20, 60, 127])
def test_ink_and_paper_differ_by_the_contrast_at_least(contrast):
    darker = 0
    for index in range(60):
        image = render_word("HELLO", FONTS[index % 20], Style.plain(contrast=contrast), 0, index)
        pixels = np.asarray(image).astype(int)
        paper = np.bincount(pixels[[0, -1]].ravel()).argmax()
        ink = pixels.ravel()[np.abs(pixels - paper).argmax()]
        assert abs(ink - paper) >= contrast - 2
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


def test_the_whole_text_is_in_the_image():
    # The ink of both ends: a T's bar is the widest thing there is.
    for index in range(40):
        style = Style.plain(slant=0.3, slope=0.12, tilt=0.1, curve=1)
        pixels = np.asarray(render_word("TooT", FONTS[index % 20], style, 1, index)).astype(int)
        edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        paper = np.bincount(edge).argmax()
        assert (np.abs(edge - paper) > 30).mean() < 0.1


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
    whole = hashlib.sha256()
    for index in range(200):
        whole.update(render_jpeg(f"Word{index}", fonts, seed=7, index=index))
    expected = "dc3f0bf6e54d68ec9e529211a10b73b004cde5e9d9854907c70d2e2f89ee5cae"
    assert whole.hexdigest() == expected


@pytest.mark.parametrize(
    "change",
    [{"seed": 4}, {"index": 9}, {"text": "word"}, {"style": PLAIN}],
    ids=lambda change: next(iter(change)),
)
def test_anything_else_gives_another_image(change):
    asked = {"text": "Word", "fonts": FONTS, "seed": 3, "index": 8}
    assert render_jpeg(**asked | change) != render_jpeg(**asked)


def test_images_of_a_seed_are_all_different_and_use_all_fonts(monkeypatch):
    used, draw = set(), rendering._draw

    def note(text, font, *arguments):
        used.add(font)
        return draw(text, font, *arguments)

    monkeypatch.setattr(rendering, "_draw", note)
    images = {render_jpeg("Word", FONTS, Style(), 0, index) for index in range(300)}
    assert len(images) == 300
    assert used == set(FONTS)


def test_a_image_is_a_gray_jpeg():
    image = Image.open(io.BytesIO(render_jpeg("Word", FONTS)))
    assert (image.format, image.mode, image.height) == ("JPEG", "L", 36)


def test_a_lower_quality_makes_smaller_files():
    sizes = [
        sum(len(render_jpeg("Word", FONTS, Style(quality=quality), 0, i)) for i in range(40))
        for quality in (5, 50, 95)
    ]
    assert sizes == sorted(set(sizes))


def test_noise_is_even_around_0_with_its_deviation():
    drawn = noise((400, 500), 10, np.random.default_rng(0))
    assert abs(drawn.mean()) < 0.1
    assert abs(drawn.std() - 10) < 0.1
    assert np.abs(drawn).max() <= 30


# Many images.


@pytest.mark.parametrize("chunk", [1, 2, 7, 250])
def test_image_i_of_many_is_the_one_of_index_i(chunk, photographs):
    texts = ["one", "Two", "3", "four", "FIVE"]
    style = Style(background=1, photographs=1)
    expected = [render_jpeg(t, FONTS, style, 6, i, photographs) for i, t in enumerate(texts)]
    images = render_many(texts, FONTS, style, 6, chunk=chunk, photographs=photographs)
    assert list(images) == expected


@pytest.mark.parametrize("processes", [1, 2])
def test_no_texts_make_no_images(processes):
    assert list(render_many([], FONTS, processes=processes)) == []


def test_two_processes_draw_the_same_as_one_with_few_chunks_under_way(monkeypatch):
    started, asked = [], []

    class Pool(parallel.ProcessPoolExecutor):
        def __init__(self, processes, context, **options):
            started.append(processes)
            super().__init__(processes, context, **options)

        def submit(self, *arguments):
            asked.append(arguments)
            return super().submit(*arguments)

    monkeypatch.setattr(parallel, "ProcessPoolExecutor", Pool)
    texts = [LETTERS_AND_DIGITS[number % 62] for number in range(2000)]
    style = Style(height=16)
    alone = list(render_many(texts, FONTS, style, seed=2, processes=1))
    assert started == []
    images = render_many(texts, FONTS, style, seed=2, processes=2, chunk=50)
    first = next(images)
    assert len(asked) <= 6
    assert [first, *images] == alone
    assert started == [2] and len(asked) == 40
