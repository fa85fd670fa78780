"""Renders texts as images: many fonts, warped, blurred and noisy, the same for the same seed.

Every text and every image is a pure function of its arguments, seed and index: no clock, no
global state, so any process of any machine with the same fonts can draw it again, in any order.
For that reason grays pass through sums, products and roots of single numbers only: sums of many
floats, powers and logarithms differ between machines in the last digits.

| file | takes | gives |
|---|---|---|
| `fonts` | folders, characters | fonts of the machine, and which of them can draw a text |
| `font_report` | characters, fonts | a summary, and packages that bring more fonts |
| `texts` | a word list | words in the cases of signs, numbers, codes |
| `lines` | lines of a text file | the lines as they are, with their spaces |
| `chinese` | characters, a corpus or frequencies | lines that contain rare characters too |
| `style` | | a probability or a largest strength for every effect |
| `shaping` | a text | what is drawn as a whole: scripts whose letters join, move or stack |
| `letters` | a text, a font | ink, outline and shadow |
| `warp` | letters | perspective, slant, arcs and waves, at the image's size |
| `background` | a size, photographs | the background of the letters |
| `degrade` | the image | light, blur, lost resolution, noise |
| `rendering` | a text, a seed, an index | the image; many images on all cores |
| `recipe` | all of these as plain data | samples by index, and a fingerprint of the set |
"""

from crnn_keras.synth.background import find_photographs
from crnn_keras.synth.chinese import ChineseTexts
from crnn_keras.synth.font_report import FontReport, describe_fonts
from crnn_keras.synth.fonts import (
    FontError,
    bundled_chinese_fonts,
    bundled_fonts,
    file_hash,
    find_fonts,
    fonts_with,
)
from crnn_keras.synth.lines import LineTexts
from crnn_keras.synth.recipe import Recipe, Renderer
from crnn_keras.synth.rendering import (
    GlyphBox,
    render_jpeg,
    render_many,
    render_word,
    render_word_with_boxes,
)
from crnn_keras.synth.style import Style
from crnn_keras.synth.texts import SIGN_TEXTS, WORD_LIST, WordTexts, read_words

__all__ = [
    "SIGN_TEXTS",
    "WORD_LIST",
    "ChineseTexts",
    "FontError",
    "FontReport",
    "GlyphBox",
    "LineTexts",
    "Recipe",
    "Renderer",
    "Style",
    "WordTexts",
    "bundled_chinese_fonts",
    "bundled_fonts",
    "describe_fonts",
    "file_hash",
    "find_fonts",
    "find_photographs",
    "fonts_with",
    "read_words",
    "render_jpeg",
    "render_many",
    "render_word",
    "render_word_with_boxes",
]
