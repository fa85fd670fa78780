"""Draws text as letters: glyphs side by side, bolder or thinner, with outline, shadow or sides.

A text that needs shaping is one glyph of its own.
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from crnn_keras.synth.fonts import FontError, is_han, load_font
from crnn_keras.synth.shaping import is_shaped, split_clusters, split_units
from crnn_keras.synth.style import Style

# Margin around the ink for outlines and shadows, as a fraction of the font's size.
_MARGIN = 0.2
# Margin that shows parts of other words.
_NEIGHBOURS_MARGIN = 0.6


class Glyph(NamedTuple):
    """The ink of what is drawn at once, and its place.

    Args:
        unit: The character, or a text that is shaped as a whole.
        ink: uint8 array `(height, width)`, the coverage.
        x: Column of the ink's left edge.
        y: Row of the ink's top edge.
    """

    unit: str
    ink: np.ndarray
    x: int
    y: int


@dataclass(frozen=True)
class Letters:
    """Holds the drawn letters of a text before they are warped.

    Args:
        layers: float32 array `(layers, height, width)` of 0 to 255. One layer is the coverage by
            ink. Two layers are the gray of ink, outline and shadow times their coverage, and the
            coverage.
        box: Tuple of left, top, width and height of the text's own ink in pixels.
        glyphs: Tuple of the `Glyph`s with any ink, from left to right, placed in the layers.
    """

    layers: np.ndarray
    box: tuple[int, int, int, int]
    glyphs: tuple[Glyph, ...]

    def glyph_layers(self) -> np.ndarray:
        """Returns each glyph alone: float32 array `(glyphs, height, width)` of 0 to 255."""
        alone = np.zeros((len(self.glyphs), *self.layers.shape[1:]), np.uint8)
        for layer, glyph in zip(alone, self.glyphs, strict=True):
            _paste(layer, [glyph], (0, 0))
        return alone.astype(np.float32)


# A few hundred megabytes a process at most, with Chinese fonts or two thousand others.
@functools.lru_cache(maxsize=2**18)
def _glyph(font, size, character):
    """Returns a character's ink, its left and top relative to the pen, and the pen's advance."""
    opened = load_font(font, size)
    try:
        # Drawn on too large an image and cropped: asking for the size first takes twice the time.
        image = Image.new("L", (4 * size, 4 * size))
        ImageDraw.Draw(image).text((size, 2 * size), character, 255, opened, anchor="ls")
        box = image.getbbox() or (0, 0, 0, 0)
        advance = opened.getlength(character)
        return np.asarray(image.crop(box)), box[0] - size, box[1] - 2 * size, advance
    except OSError as error:
        raise FontError(f"{font} cannot draw {character!r}: {error}.") from None


def _shape(font, size, text):
    """Returns the ink of a text that is drawn as a whole, and as `_glyph` its place and advance."""
    opened = load_font(font, size, shapes=True)
    try:
        # In no language: the one of the machine's settings would change letters.
        options = {"anchor": "ls", "language": "und"}
        left, top, right, bottom = opened.getbbox(text, **options)
        # The box ends at the pen; letters may reach farther.
        image = Image.new("L", (right - left + 4 * size, bottom - top + 4 * size))
        pen = (2 * size - left, 2 * size - top)
        ImageDraw.Draw(image).text(pen, text, 255, opened, **options)
        box = image.getbbox() or (0, 0, 0, 0)
        advance = opened.getlength(text, language="und")
        return np.asarray(image.crop(box)), box[0] - pen[0], box[1] - pen[1], advance
    except (OSError, ValueError) as error:
        raise FontError(f"{font} cannot draw {text!r}: {error}.") from None


def _lay_out(text, font, *, sizes, spacing):
    """Places glyphs along a baseline.

    Args:
        text: What to write, in the order of reading.
        font: Path of the font.
        sizes: Tuple of the size of the first character and of the others, in pixels.
        spacing: Extra space between letters in pixels.

    Returns:
        Tuple of a list of `Glyph`s, and the box `(left, top, right, bottom)` of all ink.
    """
    placed, pen = [], 0.0
    units = split_units(text)
    for i, unit in enumerate(units):
        draw = _glyph if len(unit) == 1 and not is_shaped(unit) else _shape
        ink, left, top, advance = draw(font, sizes[i > 0], unit)
        if ink.size:
            placed.append(Glyph(unit, ink, int(pen + 0.5) + left, top))
        # Even tightly set letters advance.
        pen += max(advance + spacing, 0.4 * advance)
    if not placed:
        raise FontError(f"{font} draws nothing for {text!r}. Take only fonts of `fonts_with`.")
    left, top = min(glyph.x for glyph in placed), min(glyph.y for glyph in placed)
    right = max(glyph.x + glyph.ink.shape[1] for glyph in placed)
    bottom = max(glyph.y + glyph.ink.shape[0] for glyph in placed)
    return placed, (left, top, right, bottom)


def _paste(canvas, placed, offset):
    """Draws glyphs, moved by an offset, on a uint8 array; what lies outside is cut off."""
    height, width = canvas.shape
    for _, ink, x, y in placed:
        x, y = x + offset[0], y + offset[1]
        tall, wide = ink.shape
        if x >= 0 and y >= 0 and x + wide <= width and y + tall <= height:
            area = canvas[y : y + tall, x : x + wide]
            np.maximum(area, ink, out=area)
            continue
        left, top = max(-x, 0), max(-y, 0)
        right, bottom = min(wide, width - x), min(tall, height - y)
        if left < right and top < bottom:
            area = canvas[y + top : y + bottom, x + left : x + right]
            np.maximum(area, ink[top:bottom, left:right], out=area)


def _dilate(ink, pixels, extreme=np.maximum):
    """Dilates ink by a cross and a square in turns; erodes it with `np.minimum`."""
    for step in range(pixels):
        result = ink.copy()
        extreme(result[1:], ink[:-1], out=result[1:])
        extreme(result[:-1], ink[1:], out=result[:-1])
        source = result.copy() if step % 2 else ink
        extreme(result[:, 1:], source[:, :-1], out=result[:, 1:])
        extreme(result[:, :-1], source[:, 1:], out=result[:, :-1])
        ink = result
    return ink


def _shift(ink, dx, dy):
    """Moves ink by whole pixels."""
    moved = np.zeros_like(ink)
    height, width = ink.shape
    target = moved[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)]
    target[:] = ink[max(-dy, 0) : height - max(dy, 0), max(-dx, 0) : width - max(dx, 0)]
    return moved


def _change_weight(ink, rng):
    """Makes strokes bolder by up to three pixels or thinner by up to one."""
    strength = np.float32(0.3 + 0.7 * rng.random())
    is_bolder = rng.random() < 0.7
    pixels = 1 + int(3 * min(rng.random(), rng.random()))
    other = _dilate(ink, pixels) if is_bolder else _dilate(ink, 1, np.minimum)
    # Hairlines would vanish.
    if not is_bolder and 2 * int(other.sum(dtype=np.int64)) < int(ink.sum(dtype=np.int64)):
        return ink
    return (ink + (other.astype(np.float32) - ink) * strength).astype(np.uint8)


def _add_neighbours(canvas, text, font, *, size, origin, box, rng):
    """Draws parts of other words near the text: a line above or below, or letters at a side."""
    left, top, right, bottom = box
    clusters = split_clusters(text)
    other = "".join(clusters[i] for i in rng.permutation(len(clusters)))
    placed, other_box = _lay_out(other, font, sizes=(size, size), spacing=0)
    other_left, other_top, other_right, other_bottom = other_box
    gap = int((0.12 + 0.25 * rng.random()) * size)
    side = rng.random()
    if side < 0.35:
        dx, dy = left - other_left, top - gap - other_bottom
    elif side < 0.7:
        dx, dy = left - other_left, bottom + gap - other_top
    else:
        gap += int(0.15 * size)
        dy = 0
        dx = right + gap - other_left if side < 0.85 else left - gap - other_right
    if side < 0.7:
        dx += int((rng.random() - 0.5) * size)
    _paste(canvas, placed, (dx + origin[0], dy + origin[1]))


def _add_rules(canvas, box, rng):
    """Draws a line of ink under the text, over it, or both."""
    left, top, width, height = box
    thickness = 1 + int(0.1 * rng.random() * height)
    gap = 1 + int(0.15 * rng.random() * height)
    kind = rng.random()
    rows = [top + height + gap] if kind < 0.8 else []
    rows += [top - gap - thickness] if kind > 0.6 else []
    for row in rows:
        canvas[max(row, 0) : max(row + thickness, 0), left : left + width] = 255


def draw_letters(
    text: str,
    font: str,
    size: int,
    *,
    style: Style,
    colors: tuple[float, float],
    rng: np.random.Generator,
) -> Letters:
    """Draws a text with its outline and shadow.

    Args:
        text: What to write.
        font: Path of a font that has its characters.
        size: Size of the font in pixels.
        style: A `Style`.
        colors: Tuple of the grays of ink and background, 0 to 255.
        rng: NumPy random generator.

    Returns:
        `Letters`.

    Raises:
        FontError: The font cannot be read, or draws nothing for the text.
        ValueError: The text needs shaping, and this Pillow cannot.
    """
    spacing = 0.0
    if rng.random() < style.spacing:
        wider = 1.2 * min(rng.random(), rng.random(), rng.random())
        spacing = (wider if rng.random() < 0.7 else -0.07 * rng.random()) * size
    neighbours = rng.random() < style.neighbours
    border, shadow = rng.random() < style.border, rng.random() < style.shadow
    block, relief = rng.random() < style.block, rng.random() < style.relief
    rules = rng.random() < style.rules
    sizes = (size, size)
    if rng.random() < style.initial and text.isupper():
        # The other letters shrink, so that the initial fits the margin.
        sizes = (size, int((0.6 + 0.25 * rng.random()) * size))
    margin = 3
    if neighbours or border or shadow or block or relief or rules:
        margin += int((_NEIGHBOURS_MARGIN if neighbours else _MARGIN) * size)
    placed, box = _lay_out(text, font, sizes=sizes, spacing=spacing)
    left, top, right, bottom = box
    origin = (margin - left, margin - top)
    own_box = (margin, margin, right - left, bottom - top)
    ink = np.zeros((bottom - top + 2 * margin, right - left + 2 * margin), np.uint8)
    _paste(ink, placed, origin)
    if neighbours:
        _add_neighbours(ink, text, font, size=size, origin=origin, box=box, rng=rng)
    if rng.random() < style.weight:
        ink = _change_weight(ink, rng)
    if rules:
        _add_rules(ink, own_box, rng)
    # Wide outlines would fill dense characters.
    widest = 1 if any(map(is_han, text)) else max(size // 14, 1)
    if relief:
        layers = _emboss(ink, widest, colors=colors, rng=rng)
    else:
        effects = {"border": border, "shadow": shadow, "block": block}
        layers = _color(ink, widest, contrast=style.contrast, colors=colors, rng=rng, **effects)
    moved = (glyph._replace(x=glyph.x + origin[0], y=glyph.y + origin[1]) for glyph in placed)
    return Letters(layers, own_box, tuple(moved))


def _color(ink, widest, *, border, shadow, block, contrast, colors, rng):
    """Stacks shadow, sides, outline and ink; plain ink stays a single layer."""
    color, background = colors
    stack = [(ink, color)]
    if border:
        is_hollow = rng.random() < 0.25
        outline = _dilate(ink, 1 + (is_hollow and widest > 1) + int(rng.random() * widest))
        if is_hollow:
            stack = [(outline - ink, color)]
        else:
            # The outline has the ink's contrast to the background; the ink takes another gray.
            inner = background if rng.random() < 0.5 else rng.random() * 255
            is_far = abs(inner - color) >= max(contrast, 40)
            inner = inner if is_far else 255.0 if color < 128 else 0.0
            stack = [(outline, color), (ink, inner)]
    if block:
        stack.insert(0, _make_sides(stack[0][0], widest, colors=colors, rng=rng))
    if shadow:
        stack.insert(0, _make_shadow(stack[0][0], widest, colors=colors, rng=rng))
    if len(stack) == 1:
        return stack[0][0].astype(np.float32)[None]
    return _flatten(stack)


def _emboss(ink, widest, *, colors, rng):
    """Draws letters in the gray of the background with a lit and a shaded edge."""
    color, background = colors
    steps = 1 + int(rng.random() * widest)
    opposite = min(max(background - 0.7 * (color - background), 0.0), 255.0)
    edges = [(_shift(ink, steps, steps), color), (_shift(ink, -steps, -steps), opposite)]
    return _flatten([*edges, (ink, background)])


def _flatten(stack):
    """Merges pairs of coverage and gray, the lowest first, to premultiplied gray and coverage."""
    gray, covered = np.float32(0), np.float32(0)
    for coverage, value in stack:
        alpha = coverage.astype(np.float32) * np.float32(1 / 255)
        gray = gray + (np.float32(value) - gray) * alpha
        covered = covered + (np.float32(255) - covered) * alpha
    return np.stack([gray, covered])


def _make_sides(ink, widest, *, colors, rng):
    """Returns coverage and gray of the sides of thick letters, seen from an angle."""
    color, background = colors
    steps = 2 + int(rng.random() * 2 * widest)
    dx, dy = ((1, 1), (-1, 1), (0, 1), (1, 0), (-1, 0), (1, -1), (-1, -1))[int(rng.random() * 7)]
    sides = _shift(ink, dx, dy)
    for step in range(2, steps + 1):
        np.maximum(sides, _shift(ink, dx * step, dy * step), out=sides)
    # Shaded sides are darker than the front; other sides are closer to the background.
    weight = 0.3 + 0.4 * rng.random()
    is_shaded = rng.random() < 0.5
    return sides, color * weight if is_shaded else color + (background - color) * weight


def _make_shadow(ink, widest, *, colors, rng):
    """Returns coverage and gray of a shadow: soft, or hard like the shadow of cut-out letters."""
    color, background = colors
    steps = 1 + int(rng.random() * (widest + 1))
    dx, dy = ((1, 1), (-1, 1), (1, 0), (0, 1), (1, -1), (-1, -1))[
        int(min(rng.random(), rng.random()) * 6)
    ]
    shadow = _shift(ink, dx * steps, dy * steps)
    if rng.random() < 0.5:
        for step in range(1, steps):
            np.maximum(shadow, _shift(ink, dx * step, dy * step), out=shadow)
    else:
        # A mean of neighbours, twice, in integers.
        soft = shadow.astype(np.uint16)
        for _ in range(2):
            soft[1:-1] = (soft[:-2] + 2 * soft[1:-1] + soft[2:]) >> 2
            soft[:, 1:-1] = (soft[:, :-2] + 2 * soft[:, 1:-1] + soft[:, 2:]) >> 2
        shadow = soft.astype(np.uint8)
    # Closer to the background than the ink is, or, lit from the other side, beyond it.
    weight = 0.2 + 0.4 * rng.random()
    if rng.random() < 0.3:
        weight = -weight
    return shadow, min(max(background + (color - background) * weight, 0.0), 255.0)
