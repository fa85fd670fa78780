"""Draws images that a reader cannot read, under what it reads in them."""

import argparse
import pathlib
from collections.abc import Sequence

from PIL import Image, ImageDraw

from crnn_keras import synth
from crnn_keras.evaluation import plots
from crnn_keras.synth.fonts import load_font

IMAGE = pathlib.Path(__file__).parents[2] / "docs" / "limits.png"
_SIZE = 40


def _draw(text, font, size=_SIZE):
    """Draws dark text on a light background; a line break starts a new line."""
    opened = load_font(font, size)
    measure = ImageDraw.Draw(Image.new("L", (1, 1)))
    left, top, right, bottom = measure.multiline_textbbox((0, 0), text, opened, align="center")
    image = Image.new("L", (int(right - left) + 12, int(bottom - top) + 12), 235)
    position = (6 - left, 6 - top)
    ImageDraw.Draw(image).multiline_text(position, text, 20, opened, align="center")
    return image


def hard_images() -> list[tuple[str, str, Image.Image]]:
    """Draws images of the kinds that a reader of single, level, Latin words was not made for.

    Returns:
        List of tuples `(difficulty, text, gray Pillow image)`.
    """
    sans = next(path for path in synth.bundled_fonts() if path.endswith("DejaVuSans.ttf"))
    chinese = synth.bundled_chinese_fonts()[0]
    long = "electroencephalographically"
    return [
        ("letters stacked", "EXIT", _draw("E\nX\nI\nT", sans)),
        ("turned", "hotel", _draw("hotel", sans).rotate(90, expand=True)),
        ("upside down", "market", _draw("market", sans).rotate(180)),
        ("27 letters", long, _draw(long, sans)),
        ("two words", "no entry", _draw("no entry", sans)),
        ("two lines", "grand hotel", _draw("grand\nhotel", sans)),
        ("other script", "出口", _draw("出口", chinese)),
        ("other script", "выход", _draw("выход", sans)),
        ("accents", "crème", _draw("crème", sans)),
        ("look-alikes", "O0l1I", _draw("O0l1I", sans)),
        ("8 pixels high", "hotel", _draw("hotel", sans, 8)),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the hard images, prints the predictions and draws them.

    Args:
        arguments: List of strings. Defaults to None: those of the command line.
    """
    from crnn_keras.inference.recognizer import Recognizer

    parser = argparse.ArgumentParser(
        prog="python -m tools.readers limits",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--model", default="words", help="name of a shipped reader, or a file")
    parser.add_argument("--output", type=pathlib.Path, default=IMAGE, help="image to write")
    options = parser.parse_args(arguments)
    difficulties, texts, images = zip(*hard_images(), strict=True)
    predictions = Recognizer.load(options.model).read(list(images))
    titles = []
    for difficulty, text, prediction in zip(difficulties, texts, predictions, strict=True):
        print(
            f"{difficulty}: {text!r} is read as {prediction.text!r}, "
            f"confidence {prediction.confidence:.0%}"
        )
        titles.append(f"{difficulty}: {prediction.text or 'nothing'}")
    figure = plots.image_grid(images, titles, columns=4)
    figure.savefig(options.output, dpi=80)
