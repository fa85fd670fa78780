"""What the shipped reader cannot read, in images: `python -m tools.readers limits`."""

import argparse
import pathlib

from PIL import Image, ImageDraw

from crnn_keras import synth
from crnn_keras.evaluation import plots
from crnn_keras.synth.fonts import load_font

IMAGE = pathlib.Path(__file__).parent / "limits.png"
_SIZE = 40


def _drawn(text, font, size=_SIZE):
    """Dark text on light paper; a line break starts a new line."""
    opened = load_font(font, size)
    measure = ImageDraw.Draw(Image.new("L", (1, 1)))
    left, top, right, bottom = measure.multiline_textbbox((0, 0), text, opened, align="center")
    image = Image.new("L", (int(right - left) + 12, int(bottom - top) + 12), 235)
    place = (6 - left, 6 - top)
    ImageDraw.Draw(image).multiline_text(place, text, 20, opened, align="center")
    return image


def hard_images():
    """Images of each sort that a reader of single, level, Latin words was not made for.

    Returns:
        List of tuples `(what is hard, the text, gray Pillow image)`.
    """
    sans = next(path for path in synth.bundled_fonts() if path.endswith("DejaVuSans.ttf"))
    chinese = synth.bundled_chinese_fonts()[0]
    long = "electroencephalographically"
    return [
        ("letters stacked", "EXIT", _drawn("E\nX\nI\nT", sans)),
        ("turned", "hotel", _drawn("hotel", sans).rotate(90, expand=True)),
        ("upside down", "market", _drawn("market", sans).rotate(180)),
        ("27 letters", long, _drawn(long, sans)),
        ("two words", "no entry", _drawn("no entry", sans)),
        ("two lines", "grand hotel", _drawn("grand\nhotel", sans)),
        ("other script", "出口", _drawn("出口", chinese)),
        ("other script", "выход", _drawn("выход", sans)),
        ("accents", "crème", _drawn("crème", sans)),
        ("look-alikes", "O0l1I", _drawn("O0l1I", sans)),
        ("8 pixels high", "hotel", _drawn("hotel", sans, 8)),
    ]


def main(arguments=None):
    """Reads the hard images, prints what was read and draws them."""
    from crnn_keras.inference.recognizer import Recognizer

    parser = argparse.ArgumentParser(prog="python -m tools.readers limits")
    parser.add_argument("--reader", default="words", help="name or file (words)")
    parser.add_argument("--out", type=pathlib.Path, default=IMAGE, help="image to write")
    given = parser.parse_args(arguments)
    sorts, texts, images = zip(*hard_images(), strict=True)
    readings = Recognizer.load(given.reader).read(list(images))
    titles = []
    for sort, text, reading in zip(sorts, texts, readings, strict=True):
        print(f"{sort}: {text!r} read as {reading.text!r}, {reading.confidence:.0%} sure")
        titles.append(f"{sort}: {reading.text or 'nothing'}")
    figure = plots.image_grid(images, titles, columns=4)
    figure.savefig(given.out, dpi=80)
