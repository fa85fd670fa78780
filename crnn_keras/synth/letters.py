"""Letters on a sheet: glyphs laid side by side, bolder or thinner, outlined, with a shadow."""

import functools
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from crnn_keras.synth.fonts import FontError, is_han, load_font

# Room around the ink for outlines and shadows, in fractions of the font's size.
_ROOM = 0.2
# Room where parts of other words may stand.
_NEIGHBOURS_ROOM = 0.6


@dataclass(frozen=True)
class Sheet:
    """Letters before they are bent.

    Args:
        layers: float32 array `(layers, height, width)` of 0 to 255: of one layer, the coverage by
            ink; of two, the grey of ink, outline and shadow times their coverage, and the coverage.
        box: left, top, width and height in pixels of the text's own ink.
    """

    layers: np.ndarray
    box: tuple


# Some hundred megabytes a process at most, as Chinese fonts or two thousand others fill it.
@functools.lru_cache(maxsize=2**18)
def _glyph(font, size, character):
    """Ink of a character, its left and top seen from the pen, and how far the pen moves."""
    opened = load_font(font, size)
    try:
        # Drawn on too large a canvas and cropped: to ask for its size first takes as long again.
        image = Image.new("L", (4 * size, 4 * size))
        ImageDraw.Draw(image).text((size, 2 * size), character, 255, opened, anchor="ls")
        box = image.getbbox() or (0, 0, 0, 0)
        advance = opened.getlength(character)
        return np.asarray(image.crop(box)), box[0] - size, box[1] - 2 * size, advance
    except OSError as error:
        raise FontError(f"{font} cannot draw {character!r}: {error}.") from None


def _lay_out(text, font, sizes, spacing):
    """Places glyphs along a baseline; gives them and the box of their ink.

    Args:
        sizes: size in pixels of the first character, and of the others.
    """
    placed, x = [], 0.0
    for number, character in enumerate(text):
        ink, left, top, advance = _glyph(font, sizes[number > 0], character)
        if ink.size:
            placed.append((ink, int(x + 0.5) + left, top))
        # However tight letters are set, each moves on.
        x += max(advance + spacing, 0.4 * advance)
    if not placed:
        raise FontError(f"{font} draws nothing for {text!r}. `fonts_with` refuses such fonts.")
    left, top = min(x for _, x, _ in placed), min(y for _, _, y in placed)
    right = max(x + ink.shape[1] for ink, x, _ in placed)
    bottom = max(y + ink.shape[0] for ink, _, y in placed)
    return placed, (left, top, right, bottom)


def _stamp(sheet, placed, across, down):
    """Draws glyphs on the sheet, moved by so many pixels; what lies outside is cut off."""
    height, width = sheet.shape
    for ink, x, y in placed:
        x, y = x + across, y + down
        tall, wide = ink.shape
        if x >= 0 and y >= 0 and x + wide <= width and y + tall <= height:
            area = sheet[y : y + tall, x : x + wide]
            np.maximum(area, ink, out=area)
            continue
        left, top = max(-x, 0), max(-y, 0)
        right, bottom = min(wide, width - x), min(tall, height - y)
        if left < right and top < bottom:
            area = sheet[y + top : y + bottom, x + left : x + right]
            np.maximum(area, ink[top:bottom, left:right], out=area)


def _grow(ink, pixels, better=np.maximum):
    """Ink dilated by so many pixels, in turns by a cross and a square; eroded by `np.minimum`."""
    for turn in range(pixels):
        grown = ink.copy()
        better(grown[1:], ink[:-1], out=grown[1:])
        better(grown[:-1], ink[1:], out=grown[:-1])
        across = grown.copy() if turn % 2 else ink
        better(grown[:, 1:], across[:, :-1], out=grown[:, 1:])
        better(grown[:, :-1], across[:, 1:], out=grown[:, :-1])
        ink = grown
    return ink


def _shift(ink, across, down):
    moved = np.zeros_like(ink)
    height, width = ink.shape
    target = moved[max(down, 0) : height + min(down, 0), max(across, 0) : width + min(across, 0)]
    target[:] = ink[max(-down, 0) : height - max(down, 0), max(-across, 0) : width - max(across, 0)]
    return moved


def _weigh(ink, rng):
    """Makes strokes bolder by up to three pixels or thinner by up to one."""
    amount = np.float32(0.3 + 0.7 * rng.random())
    bolder = rng.random() < 0.7
    pixels = 1 + int(3 * min(rng.random(), rng.random()))
    other = _grow(ink, pixels) if bolder else _grow(ink, 1, np.minimum)
    # Hairlines would vanish.
    if not bolder and 2 * int(other.sum(dtype=np.int64)) < int(ink.sum(dtype=np.int64)):
        return ink
    return (ink + (other.astype(np.float32) - ink) * amount).astype(np.uint8)


def _add_neighbours(sheet, text, font, size, origin, box, rng):
    """Parts of other words near the text: a line above or below, or a letter at a side."""
    left, top, right, bottom = box
    other = "".join(text[i] for i in rng.permutation(len(text)))
    placed, (o_left, o_top, o_right, o_bottom) = _lay_out(other, font, (size, size), 0)
    gap = int((0.12 + 0.25 * rng.random()) * size)
    side = rng.random()
    if side < 0.35:
        across, down = left - o_left, top - gap - o_bottom
    elif side < 0.7:
        across, down = left - o_left, bottom + gap - o_top
    else:
        gap += int(0.15 * size)
        down = 0
        across = right + gap - o_left if side < 0.85 else left - gap - o_right
    if side < 0.7:
        across += int((rng.random() - 0.5) * size)
    _stamp(sheet, placed, across + origin[0], down + origin[1])


def _add_rules(sheet, box, rng):
    """A line under the text, over it, or both, of the ink."""
    left, top, width, height = box
    thickness = 1 + int(0.1 * rng.random() * height)
    gap = 1 + int(0.15 * rng.random() * height)
    kind = rng.random()
    rows = [top + height + gap] if kind < 0.8 else []
    rows += [top - gap - thickness] if kind > 0.6 else []
    for row in rows:
        sheet[max(row, 0) : max(row + thickness, 0), left : left + width] = 255


def draw_letters(text, font, size, style, colors, rng):
    """Writes a text with its outline and shadow.

    Args:
        text: what to write.
        font: path of a font that has its characters.
        size: size of the font in pixels.
        style: a `Style`.
        colors: tuple of the ink's and the paper's grey, 0 to 255.
        rng: numpy's Generator.

    Returns:
        `Sheet`.

    Raises:
        FontError: the font cannot be read, or draws nothing for the text.
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
        # The sheet has room for letters of the usual size.
        sizes = (size, int((0.6 + 0.25 * rng.random()) * size))
    room = 3
    if neighbours or border or shadow or block or relief or rules:
        room += int((_NEIGHBOURS_ROOM if neighbours else _ROOM) * size)
    placed, box = _lay_out(text, font, sizes, spacing)
    left, top, right, bottom = box
    origin = (room - left, room - top)
    sheet = np.zeros((bottom - top + 2 * room, right - left + 2 * room), np.uint8)
    _stamp(sheet, placed, *origin)
    if neighbours:
        _add_neighbours(sheet, text, font, size, origin, box, rng)
    if rng.random() < style.weight:
        sheet = _weigh(sheet, rng)
    if rules:
        _add_rules(sheet, (room, room, right - left, bottom - top), rng)
    # Wide outlines fill dense characters.
    widest = 1 if any(map(is_han, text)) else max(size // 14, 1)
    if relief:
        layers = _emboss(sheet, widest, colors, rng)
    else:
        layers = _color(sheet, widest, border, shadow, block, style, colors, rng)
    return Sheet(layers, (room, room, right - left, bottom - top))


def _color(ink, widest, border, shadow, block, style, colors, rng):
    """Lays shadow, sides, outline and ink over each other; plain ink stays a single layer."""
    color, paper = colors
    stack = [(ink, color)]
    if border:
        hollow = rng.random() < 0.25
        grown = _grow(ink, 1 + (hollow and widest > 1) + int(rng.random() * widest))
        if hollow:
            stack = [(grown - ink, color)]
        else:
            # The outline has the ink's contrast to the paper; the ink takes another grey.
            inner = paper if rng.random() < 0.5 else rng.random() * 255
            far = abs(inner - color) >= max(style.contrast, 40)
            stack = [(grown, color), (ink, inner if far else 255.0 if color < 128 else 0.0)]
    if block:
        stack.insert(0, _sides(stack[0][0], widest, color, paper, rng))
    if shadow:
        stack.insert(0, _shadow(stack[0][0], widest, color, paper, rng))
    if len(stack) == 1:
        return stack[0][0].astype(np.float32)[None]
    return _flatten(stack)


def _emboss(ink, widest, colors, rng):
    """Letters of the paper's grey: seen are the edges that face the light, and those opposite."""
    color, paper = colors
    steps = 1 + int(rng.random() * widest)
    opposite = min(max(paper - 0.7 * (color - paper), 0.0), 255.0)
    edges = [(_shift(ink, steps, steps), color), (_shift(ink, -steps, -steps), opposite)]
    return _flatten([*edges, (ink, paper)])


def _flatten(stack):
    """Two layers of coverages and their greys, the lowest first."""
    grey, covered = np.float32(0), np.float32(0)
    for coverage, value in stack:
        share = coverage.astype(np.float32) * np.float32(1 / 255)
        grey = grey + (np.float32(value) - grey) * share
        covered = covered + (np.float32(255) - covered) * share
    return np.stack([grey, covered])


def _sides(ink, widest, color, paper, rng):
    """Coverage and grey of the sides of thick letters, seen from beside, below or above."""
    steps = 2 + int(rng.random() * 2 * widest)
    across, down = ((1, 1), (-1, 1), (0, 1), (1, 0), (-1, 0), (1, -1), (-1, -1))[
        int(rng.random() * 7)
    ]
    sides = _shift(ink, across, down)
    for step in range(2, steps + 1):
        np.maximum(sides, _shift(ink, across * step, down * step), out=sides)
    # In their own shade they are darker than the front, whatever the paper is, or nearer to it.
    part = 0.3 + 0.4 * rng.random()
    return sides, color * part if rng.random() < 0.5 else color + (paper - color) * part


def _shadow(ink, widest, color, paper, rng):
    """Coverage and grey of a shadow: soft, or hard as letters cut out of a board throw it."""
    steps = 1 + int(rng.random() * (widest + 1))
    across, down = ((1, 1), (-1, 1), (1, 0), (0, 1), (1, -1), (-1, -1))[
        int(min(rng.random(), rng.random()) * 6)
    ]
    shadow = _shift(ink, across * steps, down * steps)
    if rng.random() < 0.5:
        for step in range(1, steps):
            np.maximum(shadow, _shift(ink, across * step, down * step), out=shadow)
    else:
        # A mean of neighbours, twice, in whole numbers.
        soft = shadow.astype(np.uint16)
        for _ in range(2):
            soft[1:-1] = (soft[:-2] + 2 * soft[1:-1] + soft[2:]) >> 2
            soft[:, 1:-1] = (soft[:, :-2] + 2 * soft[:, 1:-1] + soft[:, 2:]) >> 2
        shadow = soft.astype(np.uint8)
    # Nearer to the paper than the ink is, or beyond the paper: lit from the other side.
    part = 0.2 + 0.4 * rng.random()
    if rng.random() < 0.3:
        part = -part
    return shadow, min(max(paper + (color - paper) * part, 0.0), 255.0)
