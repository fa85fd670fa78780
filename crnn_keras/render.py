"""Words drawn as pictures: many fonts, bent, blurred and noisy, the same for the same seed.

Every picture is a pure function of `(style, text, seed, index)`: no clock, no global state, so a
picture can be drawn again by any process, in any order.
"""

import functools
import io
import pathlib
import string
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import matplotlib
import numpy as np
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from crnn_keras.samples import split_samples

WORD_LIST = pathlib.Path(__file__).parent / "words" / "english.txt"
# Drawn at this size, then scaled to the height of the picture.
_FONT_PIXELS = 40
# Families in matplotlib's folder that hold formulas, not text.
_BUNDLED_TEXT_FONTS = ("DejaVuSans", "DejaVuSerif", "STIXGeneral", "cmb10", "cmr10", "cmss", "cmtt")


@dataclass(frozen=True)
class Style:
    """How rough the rendered pictures are. Tilt, blur and noise are the largest values drawn.

    Args:
        height: height of the pictures in pixels.
        tilt: shift of each corner, as a share of the picture's height.
        blur: radius of the Gaussian blur in pixels of the finished picture.
        noise: standard deviation of the noise in grey levels of 255.
        contrast: smallest difference between ink and paper in grey levels, 127 at most.
        shadow: share of pictures whose text throws a shadow.
        background: share of pictures on a gradient or blotches rather than plain paper.
    """

    height: int = 36
    tilt: float = 0.12
    blur: float = 1.0
    noise: float = 12.0
    contrast: int = 60
    shadow: float = 0.2
    background: float = 0.5

    def __post_init__(self):
        if not 0 <= self.contrast <= 127:
            raise ValueError(
                f"Contrast {self.contrast} is outside 0 to 127: on middle grey paper no ink has it."
            )


def bundled_fonts():
    """Text fonts that matplotlib carries: 20 faces of free licence, the same on every machine.

    Returns:
        Sorted list of paths.
    """
    folder = pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return sorted(
        str(path)
        for path in folder.glob("*.ttf")
        if path.stem.startswith(_BUNDLED_TEXT_FONTS) and "Display" not in path.stem
    )


@functools.lru_cache(maxsize=4096)
def _font_characters(path):
    """Characters a font file has glyphs for."""
    return frozenset(map(chr, TTFont(path, lazy=True).getBestCmap() or ()))


def fonts_with(characters, fonts):
    """Splits fonts by whether they have every character.

    Args:
        characters: string of the characters that will be drawn. A space needs no glyph.
        fonts: list of font paths.

    Returns:
        Tuple of the usable fonts and a dict of `font path: missing characters`.

    Raises:
        ValueError: no font has them all.
    """
    needed = set(characters) - {" "}
    missing = {font: "".join(sorted(needed - _font_characters(font))) for font in fonts}
    usable = [font for font in fonts if not missing[font]]
    if not usable:
        best = min(missing, key=lambda font: len(missing[font]), default=None)
        closest = f" The closest, {best}, lacks {missing[best][:20]!r}." if best else ""
        raise ValueError(
            f"None of {len(fonts)} fonts has all {len(needed)} characters.{closest} "
            "Give fonts that cover the text, for Chinese for example those of Debian's "
            "fonts-noto-cjk, or draw fewer characters."
        )
    return usable, {font: gap for font, gap in missing.items() if gap}


def read_words(path=WORD_LIST):
    """Reads a word list, one word a line.

    Args:
        path: text file in UTF-8. The default holds 39,478 English words, a part of
            SCOWL (see `words/COPYING`).

    Returns:
        List of distinct words in the file's order.

    Raises:
        ValueError: the file holds no word.
    """
    lines = pathlib.Path(path).read_text(encoding="utf-8-sig").splitlines()
    words = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not words:
        raise ValueError(f"{path} holds no word. Expected one word a line.")
    return words


def draw_texts(words, count, seed, numbers=0.08, codes=0.06, max_length=14):
    """Texts to render: mostly words, in the cases signs have them, some numbers, some codes.

    Args:
        words: list of words to draw from.
        count: number of texts.
        seed: integer; the same gives the same texts.
        numbers: share of texts that are digits only, of 1 to 8.
        codes: share of texts of 3 to 8 mixed letters and digits, in one case and, as on tickets,
            without those that look alike (0 and o, 1 and i and l).
        max_length: words longer than this many characters are not drawn; numbers and codes are
            no longer either.

    Returns:
        List of `count` strings. A word comes in lower case (45 %), upper case (30 %) or
        with a capital (25 %).

    Raises:
        ValueError: no word is short enough.
    """
    rng = np.random.default_rng([seed, 1])
    words = [word for word in words if len(word) <= max_length]
    if not words:
        raise ValueError(f"No word has at most {max_length} characters. Give more words.")
    longest = min(max_length, 8)
    cases = (str.lower, str.upper, str.capitalize)
    letters = np.array(sorted(set(string.ascii_lowercase + string.digits) - set("01oil")))
    digits = np.array(list(string.digits))
    texts = []
    for kind, pick in zip(rng.random(count), rng.integers(len(words), size=count), strict=True):
        if kind < numbers:
            text = "".join(rng.choice(digits, rng.integers(1, longest + 1)))
        elif kind < numbers + codes:
            case = cases[rng.integers(2)]
            size = rng.integers(min(3, longest), longest + 1)
            text = case("".join(rng.choice(letters, size)))
        else:
            text = cases[rng.choice(3, p=(0.45, 0.3, 0.25))](words[pick])
        texts.append(text)
    return texts


def deal_texts(words, count, shares, seed):
    """Texts to render for each part of a set, none of them in two parts in any case.

    Args:
        words: list of distinct words.
        count: number of texts in all.
        shares: dict of `part name: share`, see `samples.split_samples`.
        seed: integer; the same gives the same texts.

    Returns:
        Dict of `part name: list of texts`, see `draw_texts`.
    """
    parts, whole = split_samples(words, shares, seed), sum(shares.values())
    texts, taken = {}, set()
    for number, (name, share) in enumerate(shares.items()):
        wanted = round(count * share / whole)
        # Numbers and codes may come again: twice as many are drawn as needed.
        drawn = draw_texts(parts[name], 2 * wanted if taken else wanted, 10 * seed + number)
        texts[name] = [text for text in drawn if text.lower() not in taken][:wanted]
        taken.update(text.lower() for text in texts[name])
    return texts


@functools.lru_cache(maxsize=1024)
def _font(path):
    # The basic layout engine is always there; libraqm may or may not be, and would draw otherwise.
    return ImageFont.truetype(path, _FONT_PIXELS, layout_engine=ImageFont.Layout.BASIC)


def _draw_mask(text, font, rng):
    """Ink coverage of the text (255 = ink) on a tight canvas, with spaced letters now and then."""
    font = _font(font)
    spacing = rng.uniform(0, 0.15) * _FONT_PIXELS if rng.random() < 0.25 else 0.0
    pad = rng.uniform(0.04, 0.3, size=4) * _FONT_PIXELS
    left, top, right, bottom = font.getbbox(text)
    width = right - left + spacing * (len(text) - 1) + pad[0] + pad[1]
    mask = Image.new("L", (max(int(width), 1), max(int(bottom - top + pad[2] + pad[3]), 1)))
    pen = ImageDraw.Draw(mask)
    x, y = pad[0] - left, pad[2] - top
    if not spacing:
        pen.text((x, y), text, fill=255, font=font)
        return mask
    for i, character in enumerate(text):
        pen.text((x + font.getlength(text[:i]) + spacing * i, y), character, fill=255, font=font)
    return mask


def _perspective(source, target):
    """The eight coefficients Pillow wants: from the target's corners to the source's."""
    rows = []
    for (x, y), (u, v) in zip(target, source, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    return np.linalg.solve(np.array(rows, float), np.array(source, float).ravel())


def _bend(mask, style, rng):
    """Scales the mask to its height and moves each corner a little."""
    width = max(round(mask.width * style.height / mask.height * rng.uniform(0.8, 1.15)), 4)
    corners = np.array([(0, 0), (mask.width, 0), (mask.width, mask.height), (0, mask.height)])
    target = np.array([(0, 0), (width, 0), (width, style.height), (0, style.height)], float)
    shift = rng.uniform(0, style.tilt * style.height, size=(4, 2))
    target += shift * [(1, 1), (-1, 1), (-1, -1), (1, -1)]
    if rng.random() < 0.3:  # slanted as handwriting and italics are
        target[:2, 0] += rng.uniform(-0.2, 0.3) * style.height
        target[:, 0] -= min(target[:, 0].min(), 0)
        width = max(width, int(np.ceil(target[:, 0].max())))
    coefficients = _perspective(corners, target)
    size = (width, style.height)
    return mask.transform(size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC)


def _paper(size, style, rng):
    """Grey levels of the background, before ink: plain, a gradient, or soft blotches."""
    width, height = size
    level = rng.uniform(0, 255)
    paper = np.full((height, width), level)
    if rng.random() < style.background:
        amount = rng.uniform(5, 40)
        if rng.random() < 0.5:
            slope_x, slope_y = rng.uniform(-1, 1, size=2)
            paper += amount * (
                slope_x * np.linspace(-1, 1, width) + slope_y * np.linspace(-1, 1, height)[:, None]
            )
        else:
            blotches = rng.normal(0, 1, size=(4, max(width // 8, 2))).astype(np.float32)
            spread = Image.fromarray(blotches).resize(size, Image.Resampling.BICUBIC)
            paper += amount * np.asarray(spread)
    return paper, level


def render_word(text, font, style=Style(), seed=0, index=0):
    """Draws one word.

    Args:
        text: what to write.
        font: path of a font that has its characters.
        style: a `Style`.
        seed: integer.
        index: which picture of this seed it is; each has its own random numbers.

    Returns:
        Gray Pillow image, `style.height` pixels high and as wide as the word needs.

    Raises:
        ValueError: the text is empty.
    """
    if not text.strip():
        raise ValueError(f"Nothing to draw: the text is {text!r}. Expected at least one character.")
    rng = np.random.default_rng([seed, 3, index])
    ink = _bend(_draw_mask(text, font, rng), style, rng)
    paper, level = _paper(ink.size, style, rng)
    room_below, room_above = level - style.contrast, 255 - style.contrast - level
    darker = rng.random() * (max(room_below, 0) + max(room_above, 0)) < max(room_below, 0)
    color = rng.uniform(0, room_below) if darker else rng.uniform(level + style.contrast, 255)
    if rng.random() < style.shadow:
        offset = tuple(int(v) for v in rng.integers(1, 4, size=2))
        shadow = Image.new("L", ink.size)
        shadow.paste(ink, offset)
        shadow = shadow.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5)))
        depth = rng.uniform(0.2, 0.6) * (1 if darker else -1) * style.contrast
        paper = paper - np.asarray(shadow) / 255 * depth
    coverage = np.asarray(ink) / 255
    picture = paper * (1 - coverage) + color * coverage
    picture = picture + rng.normal(0, rng.uniform(0, style.noise), size=picture.shape)
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0, style.blur)))


def render_jpeg(text, fonts, style=Style(), seed=0, index=0):
    """Draws one word in a font chosen by `(seed, index)` and encodes it.

    Args:
        text, style, seed, index: as in `render_word`.
        fonts: list of font paths that have the characters.

    Returns:
        Bytes of a gray jpeg of quality 70 to 95.
    """
    rng = np.random.default_rng([seed, 4, index])
    image = render_word(text, fonts[rng.integers(len(fonts))], style, seed, index)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(rng.integers(70, 96)))
    return buffer.getvalue()


def _render_chunk(start, texts, fonts, style, seed):
    return [render_jpeg(text, fonts, style, seed, start + i) for i, text in enumerate(texts)]


def render_many(texts, fonts, style=Style(), seed=0, processes=1, chunk=250):
    """Draws many words, on all cores if told to.

    Args:
        texts: list of strings.
        fonts: list of font paths that have the characters.
        style: a `Style`.
        seed: integer. Picture `i` is `render_jpeg(texts[i], fonts, style, seed, i)`.
        processes: how many processes draw. The pictures do not depend on it.
        chunk: pictures handed to a process at a time.

    Yields:
        Bytes of a jpeg for each text, in order.
    """
    starts = range(0, len(texts), chunk)
    jobs = [(start, texts[start : start + chunk], fonts, style, seed) for start in starts]
    # A process takes a second or two to start.
    processes = min(processes, len(texts) // 1000)
    if processes <= 1:
        for job in jobs:
            yield from _render_chunk(*job)
        return
    # Spawned, not forked: a fork would copy TensorFlow's threads in an unusable state.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for pictures in pool.map(_render_chunk, *zip(*jobs, strict=True)):
            yield from pictures
