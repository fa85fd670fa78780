"""Rendering of scripts that run from right to left, and of those whose letters join or move."""

import os
import subprocess
import sys

import numpy as np
import pytest
from fontTools.feaLib.builder import addOpenTypeFeaturesFromString
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image, ImageDraw, ImageFont, features

from crnn_keras.synth import (
    FontError,
    Recipe,
    Style,
    bundled_chinese_fonts,
    bundled_fonts,
    describe_fonts,
    fonts_with,
    render_word,
)
from crnn_keras.synth.letters import draw_letters
from crnn_keras.synth.shaping import is_shaped, split_clusters, split_units

DEJAVU = next(font for font in bundled_fonts() if font.endswith("DejaVuSans.ttf"))
needs_raqm = pytest.mark.skipif(not features.check("raqm"), reason="Pillow has no raqm here")
# A word of each script, in which letters join, stand before the letter they follow, or stack.
SHAPED = {
    "Arabic": "مرحبا",
    "Persian": "می\u200cخواهم",
    "Urdu": "ہندی",
    "Syriac": "ܫܠܡܐ",
    "N'Ko": "ߒߞߏ",
    "Thaana": "ދިވެހި",
    "Devanagari": "हिन्दी",
    "Bengali": "বাংলা",
    "Gurmukhi": "ਪੰਜਾਬੀ",
    "Gujarati": "ગુજરાતી",
    "Oriya": "ଓଡ଼ିଆ",
    "Tamil": "தமிழ்",
    "Telugu": "తెలుగు",
    "Kannada": "ಕನ್ನಡ",
    "Malayalam": "മലയാളം",
    "Sinhala": "සිංහල",
    "Thai": "ภาษาไทย",
    "Lao": "ລາວ",
    "Khmer": "ខ្មែរ",
    "Myanmar": "မြန်မာ",
    "Tibetan": "བོད",
    "Mongolian": "ᠮᠣᠩᠭᠣᠯ",
    "Javanese": "ꦗꦮ",
    "Hebrew with points": "שָׁלוֹם",
    "an accent that has no letter": "x\u0301y",
    "old Hangul": "\u1112\u119e\u11ab",
}


def _draw(text, font=DEJAVU):
    """The ink of a text without effects."""
    letters = draw_letters(
        text, font, 40, style=Style.plain(), colors=(0, 255), rng=np.random.default_rng(0)
    )
    (ink,) = letters.layers
    return ink


def _expected(text, engine, font=DEJAVU):
    """The ink that Pillow draws at once."""
    opened = ImageFont.truetype(font, 40, layout_engine=engine)
    image = Image.new("L", (800, 200))
    options = {"language": "und"} if engine == ImageFont.Layout.RAQM else {}
    ImageDraw.Draw(image).text((100, 100), text, 255, opened, anchor="ls", **options)
    return np.asarray(image.crop(image.getbbox()))


def _crop(ink):
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@pytest.mark.parametrize("name", SHAPED)
def test_a_text_of_such_a_script_is_one_unit(name, monkeypatch):
    text = SHAPED[name]
    assert any(map(is_shaped, text))
    if features.check("raqm"):
        assert split_units(text) == [text]
        assert split_units(f"ab {text} 12") == [f"ab {text} 12"]
    assert "".join(split_clusters(text)) == text
    monkeypatch.setattr(features, "check", lambda name: name != "raqm")
    for draw in (split_units, lambda text: render_word(text, DEJAVU)):
        with pytest.raises(ValueError, match=r"U\+[0-9A-F]{4,5}.*raqm.*pip install pillow"):
            draw(text)
    for report in (fonts_with, describe_fonts):
        with pytest.raises(ValueError, match="raqm"):
            report(text, [DEJAVU])


@pytest.mark.parametrize(
    "text", ["abc", "é", "e\u0301", "Привет", "中文（1）", "にほんご", "한국", "ա"]
)
def test_other_texts_are_drawn_letter_by_letter_without_raqm(text, monkeypatch):
    monkeypatch.setattr(features, "check", lambda name: name != "raqm")
    assert len(split_units(text)) in (len(text), 1)
    assert not any(map(is_shaped, split_units(text)))


def test_an_accent_is_part_of_its_letter():
    assert split_units("e\u0301t\u00e9") == ["é", "t", "é"]
    assert (_draw("e\u0301") == _draw("é")).all()
    # What has no mark stays as it is: fonts may lack the other of two characters that look alike.
    assert split_units("\uf900") == ["\uf900"]


@needs_raqm
@pytest.mark.parametrize("text", ["مرحبا", "نسبة 50%", "abc مرحبا", "שָׁלוֹם", "x\u0301y"])
def test_the_ink_is_that_of_a_shaper(text):
    assert (_crop(_draw(text)) == _expected(text, ImageFont.Layout.RAQM)).all()
    assert not np.array_equal(_crop(_draw(text)), _expected(text, ImageFont.Layout.BASIC))


def test_hebrew_is_drawn_from_right_to_left_without_raqm(monkeypatch):
    monkeypatch.setattr(features, "check", lambda name: name != "raqm")
    for text, shown in {"שלום": "םולש", "(אב) 12": "12 (בא)", "abc שלום": "abc םולש"}.items():
        assert split_units(text) == list(shown)
        assert (_crop(_draw(text)) == _crop(_draw_in_order(shown))).all()


def _draw_in_order(shown):
    """The ink of letters from left to right: each by itself, as Latin ones are."""
    opened = ImageFont.truetype(DEJAVU, 40, layout_engine=ImageFont.Layout.BASIC)
    image, pen = Image.new("L", (800, 200)), 100.0
    for letter in shown:
        ImageDraw.Draw(image).text((int(pen + 0.5), 100), letter, 255, opened, anchor="ls")
        pen += opened.getlength(letter)
    return np.asarray(image)


def _indic_font(path, rules):
    """A font with KA (wide), the vowel I (narrow) and the virama; with rules or without."""
    widths = {0x915: 800, 0x93F: 200, 0x94D: 100, 0x20: 300}
    glyphs = {".notdef": TTGlyphPen(None).glyph()}
    for code, width in widths.items():
        pen = TTGlyphPen(None)
        if code != 0x20:
            corners = ((0, 0), (0, 700), (width - 50, 700), (width - 50, 0))
            pen.moveTo(corners[0])
            for corner in corners[1:]:
                pen.lineTo(corner)
            pen.closePath()
        glyphs[f"u{code:04X}"] = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(list(glyphs))
    builder.setupCharacterMap({code: f"u{code:04X}" for code in widths})
    builder.setupGlyf(glyphs)
    metrics = {f"u{code:04X}": (width, 0) for code, width in widths.items()}
    builder.setupHorizontalMetrics({".notdef": (500, 0), **metrics})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Indic", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    if rules:
        feature = f"languagesystem {rules} dflt; feature liga {{ sub u0915 u094D by u0020; }} liga;"
        addOpenTypeFeaturesFromString(builder.font, feature)
    builder.save(path)
    return str(path)


@needs_raqm
def test_a_vowel_of_devanagari_stands_before_its_letter(tmp_path):
    font = _indic_font(tmp_path / "indic.ttf", "dev2")
    columns = _crop(_draw("कि", font)).any(0)
    gap = int(np.flatnonzero(~columns)[0])
    # The narrow vowel is on the left, though the text has it behind the wide letter.
    assert gap < len(columns) / 2


@needs_raqm
def test_a_font_without_rules_for_a_script_lacks_its_characters(tmp_path):
    good = _indic_font(tmp_path / "good.ttf", "deva")
    bare = _indic_font(tmp_path / "bare.ttf", "")
    other = _indic_font(tmp_path / "other.ttf", "arab")
    assert fonts_with("कि\u200d", [good, bare, other]) == ([good], {bare: "कि", other: "कि"})
    assert describe_fonts("कि", [good, bare]).usable == [good]
    with pytest.raises(FontError, match=r"lacks 'कि'"):
        fonts_with("कि", [bare])
    assert fonts_with("مرحبا\u200c שָׁ", [DEJAVU]) == ([DEJAVU], {})


@needs_raqm
def test_an_arabic_word_list_becomes_a_set(tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("مرحبا\nشكرا\nكتاب\n", encoding="utf-8")
    texts = {"kind": "words", "file": str(words), "numbers": 0, "codes": 0}
    recipe = Recipe(texts, [DEJAVU], style=Style(height=32))
    recipe.check()
    samples = [recipe.open().sample(index) for index in range(20)]
    assert {text for _, text in samples} == {"مرحبا", "شكرا", "كتاب"}
    code = "import sys; from crnn_keras.synth import Recipe; r = Recipe.load(sys.argv[1]).open();"
    code += "import hashlib; print(hashlib.sha256(b''.join(r.sample(i)[0] for i in range(20)))"
    code += ".hexdigest())"
    recipe.save(tmp_path / "recipe.json")
    command = [sys.executable, "-c", code, str(tmp_path / "recipe.json")]
    # HarfBuzz takes the language of the machine's settings unless it is told another.
    environment = {**os.environ, "LC_ALL": "C", "LANG": "ur_PK.UTF-8"}
    digests = {
        subprocess.run(command, env=environment, capture_output=True, check=True).stdout,
        subprocess.run(command, capture_output=True, check=True).stdout,
    }
    assert len(digests) == 1


def test_the_fingerprint_covers_what_shapes(tmp_path, monkeypatch):
    prints = {}
    for name, word in {"latin": "exit", "arabic": "مرحبا", "hebrew": "שלום"}.items():
        (tmp_path / name).write_text(word, encoding="utf-8")
        recipe = Recipe({"kind": "words", "file": str(tmp_path / name)}, [DEJAVU])
        prints[name] = recipe, recipe.fingerprint()
    monkeypatch.setattr("crnn_keras.synth.shaping.versions", lambda: {"raqm": "another"})
    changed = [name for name, (recipe, before) in prints.items() if recipe.fingerprint() != before]
    assert changed == ["arabic"]


def test_chinese_is_drawn_as_before():
    font = bundled_chinese_fonts()[0]
    assert split_units("省市 区") == list("省市 区")
    assert (_crop(_draw("省", font)) == _expected("省", ImageFont.Layout.BASIC, font)).all()
