"""Draws lines to measure the reader `lines` on: other texts than those it learned from."""

import argparse
import itertools
import pathlib
from collections.abc import Sequence

from crnn_keras.utils import files
from tools.readers.lines import write_lines
from tools.readers.recipe import LINE_STYLES, find_fonts, line_alphabets, make_line_recipe

# No training has these seeds.
SEED = 2_000_000


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes images and a `labels.tsv`: as many of each alphabet and style.

    Args:
        arguments: List of strings. Defaults to None: those of the command line.

    Raises:
        ValueError: None of the fonts of the readers is installed.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tools.readers draw-lines",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("folder", type=pathlib.Path, help="folder to write")
    parser.add_argument("--count", type=int, default=2000, help="number of images")
    parser.add_argument("--seed", type=int, default=SEED, help="seed of texts and images")
    parser.add_argument(
        "--font-folders", nargs="*", default=["data/fonts"], help="more folders of fonts"
    )
    options = parser.parse_args(arguments)
    fonts, missing = find_fonts(options.font_folders, of_words=False)
    if not fonts:
        raise ValueError(
            "No font of tools/readers/fonts.tsv is installed. docs/training_log.md says how to "
            "install them."
        )
    groups = line_alphabets(fonts)
    options.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    parts = len(groups) * len(LINE_STYLES)
    for part, (name, style) in enumerate(itertools.product(groups, LINE_STYLES)):
        characters, able = groups[name]
        texts = options.folder / f"{name}.txt"
        if not part % len(LINE_STYLES):
            write_lines(texts, options.count, seed=options.seed, characters=characters)
        recipe = make_line_recipe(able, texts, style=style, seed=options.seed + part)
        renderer = recipe.open()
        # As many of each as can be, and no image fewer than asked for.
        for index in range((options.count + part) // parts):
            jpeg, text = renderer.sample(index)
            image = f"{name}-{style}-{index:04}.jpg"
            files.write_atomic(options.folder / image, jpeg)
            rows.append(f"{image}\t{text}\n")
    files.write_atomic(options.folder / "labels.tsv", "".join(rows).encode())
    count = sum(map(len, missing.values()))
    print(f"{len(rows)} lines of {len(fonts)} fonts in {options.folder}; {count} fonts are missing")
