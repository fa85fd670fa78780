"""Labelled images of dot-matrix displays, which no shipped reader has learned from."""

from __future__ import annotations

import io
import os
import pathlib

import numpy as np
from PIL import Image, ImageFilter

from crnn_keras.utils import files
from crnn_keras.utils.checks import COUNT, NATURAL, SEED, check_arguments

LABELS = "labels.tsv"
# Rows of five dots from top to bottom, two hexadecimal digits each.
_GLYPHS = {
    "0": "0e11131519110e",
    "1": "040c040404040e",
    "2": "0e11010204081f",
    "3": "1f02040201110e",
    "4": "02060a121f0202",
    "5": "1f101e0101110e",
    "6": "0608101e11110e",
    "7": "1f010204080808",
    "8": "0e11110e11110e",
    "9": "0e11110f01020c",
    "A": "0e11111f111111",
    "B": "1e11111e11111e",
    "C": "0e11101010110e",
    "D": "1e11111111111e",
    "E": "1f10101e10101f",
    "F": "1f10101e101010",
    "G": "0e11101711110f",
    "H": "1111111f111111",
    "I": "0e04040404040e",
    "J": "0702020202120c",
    "K": "11121418141211",
    "L": "1010101010101f",
    "M": "111b1515111111",
    "N": "11111915131111",
    "O": "0e11111111110e",
    "P": "1e11111e101010",
    "Q": "0e11111115120d",
    "R": "1e11111e141211",
    "S": "0f10100e01011e",
    "T": "1f040404040404",
    "U": "1111111111110e",
    "V": "11111111110a04",
    "W": "1111111515150a",
    "X": "11110a040a1111",
    "Y": "1111110a040404",
    "Z": "1f01020408101f",
    "-": "0000001f000000",
    ".": "00000000000c0c",
    ":": "000c0c000c0c00",
    "/": "00010204081000",
}
_ROWS, _COLUMNS = 7, 5
_WORDS = (
    "ALARM AUTO BATT CLEAN CLOSED COOL DOOR DRAIN EMPTY ERROR FAN FILL FLOW FULL HEAT HIGH HOLD "
    "LEVEL LOAD LOCK LOW MOTOR OFF OIL OPEN PAUSE PUMP READY RINSE SPEED START STOP TANK TEMP TEST "
    "VALVE WAIT WASH ZONE"
)
# What a text is made of: W a word, L a letter, 9 a digit; anything else is itself.
_PATTERNS = ("W", "W9", "W99", "L-999", "L99", "LL99", "99.9L", "99:99", "-99.9", "L9/9", "W-9")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Pixels of a dot's cell before the image is scaled to its size.
_CELL = 10


@check_arguments(count=COUNT, seed=SEED)
def draw_displays(folder: str | os.PathLike, count: int, seed: int = 0) -> pathlib.Path:
    """Draws displays of machines as a camera sees them, and writes their labels.

    Args:
        folder: Folder to write. Earlier displays are replaced once the new ones are complete.
        count: Number of images.
        seed: Seed; image `i` is a pure function of the seed and `i`. Defaults to `0`.

    Returns:
        Path of `labels.tsv`, a line of name, tab and text for each image.

    Raises:
        ValueError: The folder holds something else.

    Example:

        >>> import tempfile
        >>> draw_displays(tempfile.mkdtemp(), 2).read_text().split()
        ['00000.png', 'Q5/2', '00001.png', 'XZ53']
    """
    folder = pathlib.Path(folder)
    # Hidden files belong to the operating system or Jupyter.
    found = [path for path in folder.glob("*") if not path.name.startswith(".")]
    if folder.is_file() or not all(p.suffix == ".png" or p.name == LABELS for p in found):
        raise ValueError(
            f"{folder} holds something other than displays. Give a new folder or remove it."
        )
    with files.new_folder(folder) as new:
        lines = []
        for index in range(count):
            image, text = draw_display(seed, index)
            name, buffer = f"{index:05d}.png", io.BytesIO()
            image.save(buffer, "PNG")
            (new / name).write_bytes(buffer.getvalue())
            lines.append(f"{name}\t{text}\n")
        files.write_atomic(new / LABELS, "".join(lines).encode())
    return folder / LABELS


@check_arguments(seed=SEED, index=NATURAL)
def draw_display(seed: int, index: int) -> tuple[Image.Image, str]:
    """Draws one display.

    Args:
        seed: Seed of the set.
        index: Index of the image in it.

    Returns:
        Gray image, and its text: capitals, digits and `- . : /`, 2 to 8 characters.
    """
    rng = np.random.default_rng([seed, index])
    text = _draw_text(rng)
    light = _draw_light(text, rng)
    height = int(rng.integers(28, 56))
    width = round(light.width * height / light.height)
    pixels = np.asarray(light.resize((width, height), Image.Resampling.BOX), np.float32) / 255
    dark, bright = rng.uniform(10, 70), rng.uniform(130, 250)
    if rng.random() < 0.3:
        dark, bright = bright, dark
    slope = np.linspace(-1, 1, width) * rng.uniform(-25, 25)
    noise = rng.normal(0, rng.uniform(2, 14), pixels.shape)
    gray = dark + (bright - dark) * pixels + slope + noise
    return Image.fromarray(gray.clip(0, 255).astype(np.uint8)), text


def _draw_text(rng):
    parts = {"W": _WORDS.split(), "L": _LETTERS, "9": "0123456789"}
    pattern = _PATTERNS[rng.integers(len(_PATTERNS))]
    return "".join(
        parts[sign][rng.integers(len(parts[sign]))] if sign in parts else sign for sign in pattern
    )


def _draw_light(text, rng):
    """Draws how much light each point gives: dots that are lit, dots that are not, and glow."""
    left, right, top, bottom = rng.integers(1, 3, 4)
    shape = top + _ROWS + bottom, left + (_COLUMNS + 1) * len(text) - 1 + right
    lit = np.zeros(shape, np.float32)
    for position, character in enumerate(text):
        rows = bytes.fromhex(_GLYPHS[character])
        column = left + position * (_COLUMNS + 1)
        lit[top : top + _ROWS, column : column + _COLUMNS] = [
            [row >> bit & 1 for bit in range(_COLUMNS - 1, -1, -1)] for row in rows
        ]
    # Dots differ, as diodes do, and some displays show those that are off.
    lit *= rng.uniform(1 - rng.uniform(0, 0.5), 1, shape)
    lit = np.maximum(lit, rng.uniform(0, 0.25))
    pixels = np.kron(lit, _draw_dot(rng))
    image = Image.fromarray((255 * pixels).astype(np.uint8))
    tilt, lean = rng.uniform(-0.06, 0.06), rng.uniform(-0.15, 0.3)
    middle_x, middle_y = image.width / 2, image.height / 2
    turn = (1, lean, -lean * middle_y, tilt, 1, -tilt * middle_x)
    floor = int(255 * lit.min() * 0.7)
    image = image.transform(
        image.size, Image.Transform.AFFINE, turn, Image.Resampling.BILINEAR, fillcolor=floor
    )
    glow = image.filter(ImageFilter.GaussianBlur(_CELL * rng.uniform(0.5, 1.2)))
    return Image.blend(image, glow, rng.uniform(0, 0.5))


def _draw_dot(rng):
    """Draws one dot in its cell, from a disc to a square, with a dark gap around it."""
    radius, power = rng.uniform(0.27, 0.46), rng.choice([2, 2, 8])
    across = (np.arange(_CELL) + 0.5) / _CELL - 0.5
    distance = (np.abs(across[:, None]) ** power + np.abs(across) ** power) ** (1 / power)
    return np.clip((radius - distance) * _CELL + 0.5, 0, 1)
