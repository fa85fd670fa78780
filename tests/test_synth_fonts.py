"""Fonts: found, damaged, collections, and which characters they have."""

import logging
import os
import pathlib
import shutil
import string

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont
from PIL import ImageFont

from crnn_keras.synth import (
    FontError,
    Style,
    bundled_chinese_fonts,
    bundled_fonts,
    describe_fonts,
    find_fonts,
    fonts_with,
    render_word,
)
from crnn_keras.synth.fonts import font_characters, split_face

LETTERS_AND_DIGITS = string.digits + string.ascii_letters
FONTS = bundled_fonts()


def font_file(path, characters, empty=""):
    """A font in which each of the characters is a square, or nothing if it is one of `empty`."""
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for corner in ((100, 700), (800, 700), (800, 0)):
        pen.lineTo(corner)
    pen.closePath()
    square, nothing = pen.glyph(), TTGlyphPen(None).glyph()
    names = {ord(character): f"u{ord(character):04X}" for character in characters + empty}
    glyphs = {names[ord(c)]: nothing if c in empty else square for c in characters + empty}
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap(names)
    builder.setupGlyf({".notdef": nothing, **glyphs})
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", *names.values()], (900, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Square", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return str(path)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Folder that holds the only fonts of the machine."""
    folder = tmp_path / "home" / ".fonts"
    folder.mkdir(parents=True)
    monkeypatch.setattr("crnn_keras.synth.fonts.font_folders", lambda: [str(folder)])
    return folder


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


def test_the_bundled_chinese_fonts_draw_gb2312():
    rows = (bytes([row, cell]) for row in range(0xB0, 0xF8) for cell in range(0xA1, 0xFF))
    characters = b"".join(rows).decode("gb2312", "ignore")
    fonts = bundled_chinese_fonts()
    assert len(characters) == 6763 and len(fonts) == 2
    assert fonts_with(characters, fonts) == (fonts, {})
    assert render_word("省市", fonts[0]).width > 20


def test_fonts_that_lack_a_character_are_named_with_it(tmp_path):
    chinese = font_file(tmp_path / "square.ttf", "a省市")
    usable, missing = fonts_with("a 省", [FONTS[0], chinese, FONTS[1]])
    assert usable == [chinese]
    assert missing == {FONTS[0]: "省", FONTS[1]: "省"}


def test_the_loggers_of_other_packages_keep_their_levels():
    logger = logging.getLogger("fontTools")
    before = logger.level
    font_characters.__wrapped__(FONTS[0])
    assert logger.level == before == logging.NOTSET


def test_a_font_whose_glyph_is_empty_lacks_the_character(tmp_path):
    hollow = font_file(tmp_path / "hollow.ttf", "ab", empty="c")
    assert fonts_with("abc", [hollow, FONTS[0]]) == ([FONTS[0]], {hollow: "c"})
    with pytest.raises(FontError, match=r"hollow\.ttf.*'cc'"):
        render_word("cc", hollow)


def test_no_font_with_the_characters_is_refused_with_the_closest(tmp_path):
    close, far = font_file(tmp_path / "close.ttf", "ab市"), FONTS[0]
    with pytest.raises(ValueError, match=r"2 fonts.*close\.ttf.*'省'.*fonts-noto"):
        fonts_with("省市ab", [far, close])
    with pytest.raises(ValueError, match=r"20 fonts.* 1 characters.*'省'"):
        fonts_with("省", FONTS)
    with pytest.raises(ValueError, match="0 fonts"):
        fonts_with("a", [])


def test_fonts_are_found_in_all_folders_once_each(machine, tmp_path):
    first = font_file(machine / "b.ttf", "ab")
    (machine / "deep").mkdir()
    second = font_file(machine / "deep" / "A.OTF", "abc")
    shutil.copy(first, machine / "c.ttf")
    (machine / "readme.txt").write_text("no font")
    extra = tmp_path / "extra"
    extra.mkdir()
    third = font_file(extra / "z.ttf", "abcd")
    (machine / "circle").symlink_to(machine)
    assert find_fonts() == sorted([first, second])
    assert find_fonts([extra]) == sorted([first, second, third])
    with pytest.raises(FontError, match="nowhere"):
        find_fonts([tmp_path / "nowhere"])


@pytest.mark.parametrize("damage", [b"", b"no font at all", None], ids=["empty", "text", "cut"])
def test_a_damaged_font_is_skipped_and_named(machine, damage):
    good = font_file(machine / "good.ttf", "ab")
    content = pathlib.Path(FONTS[0]).read_bytes()[:3000] if damage is None else damage
    (machine / "damaged.ttf").write_bytes(content)
    with pytest.warns(UserWarning, match=r"1 fonts .*damaged\.ttf"):
        assert find_fonts() == [good]
    damaged = str(machine / "damaged.ttf")
    with pytest.raises(FontError, match=r"damaged\.ttf"):
        fonts_with("ab", [good, damaged])
    with pytest.raises(FontError, match=r"damaged\.ttf"):
        render_word("ab", damaged)
    assert list(describe_fonts("ab", [good, damaged]).unreadable) == [damaged]


def test_each_face_of_a_collection_is_a_font(machine):
    files = [font_file(machine / name, name[0] + "x") for name in ("a.ttf", "b.ttf")]
    collection = TTCollection()
    collection.fonts = [TTFont(file) for file in files]
    collection.save(machine / "both.ttc")
    for file in files:
        os.remove(file)
    faces = [f"{machine / 'both.ttc'}#0", f"{machine / 'both.ttc'}#1"]
    assert find_fonts() == faces
    assert fonts_with("xa", faces) == ([faces[0]], {faces[1]: "a"})
    assert render_word("xb", faces[1], Style.plain()).height == 36


@pytest.mark.parametrize(
    "font, expected",
    [("a.ttf", ("a.ttf", 0)), ("a.ttc#3", ("a.ttc", 3)), ("no#1/a.ttf", ("no#1/a.ttf", 0))],
)
def test_a_face_is_split_from_its_path(font, expected):
    assert split_face(font) == expected


def test_a_report_counts_fonts_and_names_packages(tmp_path):
    report = describe_fonts("ab", FONTS[:3])
    assert (report.usable, report.incomplete) == (FONTS[:3], {})
    assert str(report).startswith("3 fonts found, 3 have")
    assert "apt-get install" in str(report) and "fonts-lato" in str(report)
    chinese = font_file(tmp_path / "square.ttf", "省")
    report = describe_fonts("省", [*FONTS, chinese])
    assert report.usable == [chinese] and len(report.incomplete) == 20
    assert "fonts-noto-cjk" in repr(report) and "npm install" in repr(report)
    assert "lacks 1: '省'" in str(report)
    assert "fonts-lato" not in str(report)


def test_a_machine_with_many_fonts_needs_no_advice():
    assert describe_fonts("ab", FONTS * 6).advice == ""
