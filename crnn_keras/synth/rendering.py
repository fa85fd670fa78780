"""Renders one text as one image, and many texts on all cores."""

import functools
import io
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from crnn_keras.synth.background import add_bar, make_background, make_blotches, make_gradient
from crnn_keras.synth.degrade import degrade_image
from crnn_keras.synth.fonts import is_han
from crnn_keras.synth.letters import Letters, draw_letters
from crnn_keras.synth.shaping import compose, is_shaped
from crnn_keras.synth.style import Style
from crnn_keras.synth.warp import Warp, draw_warp
from crnn_keras.utils.checks import COUNT, NATURAL, TEXT, Of, check_arguments
from crnn_keras.utils.limits import MAX_DRAWN_CHARACTERS
from crnn_keras.utils.parallel import parallel_map

# Size of the font relative to the image's height: most texts are then scaled by 0.6 to 1.2.
_FONT_SCALE = 1.2
_DEFAULT = Style()
# Any whole number from 0: those of a recipe have 64 bits.
_RULES = {"style": Of(Style), "seed": NATURAL}


def _draw_colors(style, rng):
    """Draws the grays of ink and background, at least the style's contrast apart."""
    if rng.random() < style.clean:
        dark = 50 * min(rng.random(), rng.random())
        light = 255 - 50 * min(rng.random(), rng.random())
        return (dark, light) if rng.random() < 0.6 else (light, dark)
    background = 255 * rng.random()
    below = max(background - style.contrast, 0.0)
    above = max(255 - style.contrast - background, 0.0)
    # The larger of two draws: signs are made to be read.
    far = max(rng.random(), rng.random())
    if rng.random() * (below + above) < below:
        return below * (1 - far), background
    return background + style.contrast + above * far, background


@check_arguments(text=TEXT, index=NATURAL, **_RULES)
def render_word(
    text: str,
    font: str,
    style: Style = _DEFAULT,
    *,
    seed: int = 0,
    index: int = 0,
    photographs: Sequence[str] = (),
) -> Image.Image:
    """Renders one word or line.

    Args:
        text: What to write.
        font: Path of a font that has its characters.
        style: A `Style`. Defaults to `Style()`.
        seed: Integer from 0. Defaults to `0`.
        index: Index of the image among those of the seed; each has its own random numbers.
            Defaults to `0`.
        photographs: Paths of images for the background. Defaults to none.

    Returns:
        Gray Pillow image, `style.height` pixels high and as wide as the text needs.

    Raises:
        ValueError: The text is empty or too long, needs shaping that this Pillow lacks, a font or
            photograph cannot be read, or a number is out of range.

    Example:

        >>> from crnn_keras.synth import bundled_fonts
        >>> render_word("hotel", bundled_fonts()[0], seed=1).size
        (120, 36)
    """
    return _render_word(text, font, style, seed=seed, index=index, photographs=photographs)[0]


class GlyphBox(NamedTuple):
    """Box of the ink of one character in a rendered image.

    Args:
        character: The character.
        left: Left edge in pixels.
        top: Top edge in pixels.
        right: Right edge in pixels.
        bottom: Bottom edge in pixels.
    """

    character: str
    left: int
    top: int
    right: int
    bottom: int


@check_arguments(text=TEXT, index=NATURAL, **_RULES)
def render_word_with_boxes(
    text: str,
    font: str,
    style: Style = _DEFAULT,
    *,
    seed: int = 0,
    index: int = 0,
    photographs: Sequence[str] = (),
) -> tuple[Image.Image, tuple[GlyphBox, ...]]:
    """Renders one word or line, and tells where each character stands.

    Args:
        text: What to write: no text that needs shaping, such as Arabic, whose letters are drawn
            together.
        font: See `render_word`.
        style: See `render_word`. Defaults to `Style()`.
        seed: See `render_word`. Defaults to `0`.
        index: See `render_word`. Defaults to `0`.
        photographs: See `render_word`. Defaults to none.

    Returns:
        Tuple of the image that `render_word` makes of the same arguments; and a tuple of a
        `GlyphBox` for each character, from left to right. It is the box of the character's own ink
        within the image, after all warps, without outline, shadow, sides and blur. Spaces, and
        characters that are wholly cut off, have none.

    Raises:
        ValueError: See `render_word`; or the text needs shaping.

    Example:

        >>> from crnn_keras.synth import bundled_fonts, render_word_with_boxes
        >>> image, boxes = render_word_with_boxes("hotel", bundled_fonts()[0], seed=1)
        >>> [box.character for box in boxes]
        ['h', 'o', 't', 'e', 'l']
    """
    if any(map(is_shaped, compose(text))):
        raise ValueError(
            f"{text[:20]!r} needs shaping: its letters are drawn together, and have no boxes of "
            "their own. Take `render_word`, or a text of another script."
        )
    image, letters, warp = _render_word(
        text, font, style, seed=seed, index=index, photographs=photographs
    )
    boxes = []
    for glyph, coverage in zip(letters.glyphs, warp.apply(letters.glyph_layers()), strict=True):
        # Thin strokes cover no pixel wholly.
        is_ink = coverage > max(coverage.max() / 2, 1)
        rows, columns = np.flatnonzero(is_ink.any(1)), np.flatnonzero(is_ink.any(0))
        if len(rows):
            edges = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
            boxes.append(GlyphBox(glyph.unit, *map(int, edges)))
    return image, tuple(boxes)


def _render_word(text, font, style, *, seed, index, photographs):
    rng = np.random.default_rng([seed, 3, index])
    return _render(text, font, style, photographs=photographs, rng=rng)


def _render(text, font, style, *, photographs, rng) -> tuple[Image.Image, Letters, Warp]:
    """Renders one text, and returns with the image what was drawn and how it was warped."""
    if not text.strip():
        raise ValueError(f"The text to draw is {text!r}. Expected at least one visible character.")
    if len(text) > MAX_DRAWN_CHARACTERS:
        raise ValueError(
            f"The text to draw has {len(text):,} characters. Expected {MAX_DRAWN_CHARACTERS:,} at "
            "most."
        )
    colors = _draw_colors(style, rng)
    ink, level = colors
    contrast = abs(ink - level)
    size = max(int(style.height * _FONT_SCALE), 12)
    letters = draw_letters(text, font, size, style=style, colors=colors, rng=rng)
    warp = draw_warp(letters, style, rng)
    layers = warp.apply(letters.layers)
    # Small letters, as on an arc, stay readable with less blur only, and so do dense ones.
    detail = min(warp.scale * letters.box[3] / (0.7 * style.height), 1.0)
    if any(map(is_han, text)):
        detail *= 0.55
    count, height, width = layers.shape
    layers *= np.float32(1 / 255)
    coverage = layers[-1]
    if rng.random() < style.worn:
        # Faint ink would vanish if it faded as much.
        strength = np.float32((0.3 + 0.5 * rng.random()) * min(contrast / 120, 1.0))
        grid = (max(height // 4, 2), max(width // 4, 2))
        patches = np.abs(make_blotches(grid, (width, height), rng))
        layers *= np.float32(1) - strength * np.minimum(patches, np.float32(1))
    image = make_background(
        (width, height), level, contrast, style=style, photographs=photographs, rng=rng
    )
    if count == 1:
        ink = np.float32(ink)
        if rng.random() < style.shading:
            # Half of the way to the background at most, so that the text can be read.
            weight = np.float32(0.25) * (make_gradient((width, height), rng) + np.float32(1))
            ink = ink + np.float32(level - colors[0]) * weight
        image += (ink - image) * coverage
    else:
        image += layers[0] * np.float32(255) - image * coverage
    if rng.random() < style.bar:
        add_bar(image, rng)
    image = degrade_image(image, style, rng, contrast=contrast, detail=detail)
    return image, letters, warp


@check_arguments(text=TEXT, index=NATURAL, **_RULES)
def render_jpeg(
    text: str,
    fonts: Sequence[str],
    style: Style = _DEFAULT,
    *,
    seed: int = 0,
    index: int = 0,
    photographs: Sequence[str] = (),
) -> bytes:
    """Renders one word or line in a random font and encodes it as jpeg.

    Args:
        text: What to write.
        fonts: Paths of fonts that have its characters; `(seed, index)` decides which is used.
        style: A `Style`. Defaults to `Style()`.
        seed: Integer from 0. Defaults to `0`.
        index: Index of the image among those of the seed. Defaults to `0`.
        photographs: Paths of images for the background. Defaults to none.

    Returns:
        Bytes of a gray jpeg. Its quality is `style.quality` to 95; high ones are more frequent.

    Raises:
        ValueError: As `render_word`.
    """
    # One generator for font, image and quality: each generator takes time to start.
    rng = np.random.default_rng([seed, 4, index])
    if isinstance(fonts, str) or not fonts:
        raise ValueError(f"The fonts are {fonts!r}. Expected a list of at least one path.")
    font = fonts[int(rng.random() * len(fonts))]
    image, *_ = _render(text, font, style, photographs=photographs, rng=rng)
    quality = 95 - int((95 - style.quality) * min(rng.random(), rng.random()))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _render_chunk(chunk, *, fonts, options):
    start, texts = chunk
    return [render_jpeg(text, fonts, index=start + i, **options) for i, text in enumerate(texts)]


@check_arguments(processes=COUNT, chunk_size=COUNT, **_RULES)
def render_many(
    texts: Sequence[str],
    fonts: Sequence[str],
    style: Style = _DEFAULT,
    *,
    seed: int = 0,
    processes: int = 1,
    chunk_size: int = 250,
    photographs: Sequence[str] = (),
) -> Iterator[bytes]:
    """Renders many texts, optionally in several processes.

    Image `i` is `render_jpeg(texts[i], fonts, style, seed=seed, index=i, ...)`, whatever the number
    of processes.

    Args:
        texts: List of strings.
        fonts: Paths of fonts that have the characters.
        style: A `Style`. Defaults to `Style()`.
        seed: Integer from 0. Defaults to `0`.
        processes: Number of processes. Defaults to `1`: this one.
        chunk_size: Images that a process renders at a time. Only a few chunks a process are in
            memory. Defaults to `250`.
        photographs: Paths of images for the background. Defaults to none.

    Yields:
        Bytes of a jpeg for each text, in order.

    Raises:
        ValueError: As `render_word`.
    """
    options = {"style": style, "seed": seed, "photographs": photographs}
    render_chunk = functools.partial(_render_chunk, fonts=fonts, options=options)
    starts = range(0, len(texts), chunk_size)
    chunks = ((start, texts[start : start + chunk_size]) for start in starts)
    # A process takes a second or two to start.
    processes = min(processes, len(texts) // 1000)
    for images in parallel_map(render_chunk, chunks, processes=processes):
        yield from images
