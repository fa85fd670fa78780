"""Renders the training images of a reader and starts its training processes.

A run that was stopped continues when the same command is given again.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import itertools
import os
import pathlib
from collections.abc import Sequence

from crnn_keras.char_dict import CharDict
from crnn_keras.data import build
from crnn_keras.images import make_canvas
from crnn_keras.utils.progress import HEADLESS
from tools.readers.lines import write_lines
from tools.readers.recipe import (
    LINE_STYLES,
    find_fonts,
    line_alphabets,
    make_line_recipe,
    make_recipe,
    write_words,
)

_VALIDATION_WORDS = 4000
# The seed of the validation images is this much larger, so that they show other words.
_VALIDATION_SEED = 1_000_000
# Styles show other lines too.
_STYLE_SEED = 10_000_000
# Fraction of the lines that show each alphabet.
_LINE_SHARES = {"latin": 0.6, "western": 0.25, "ascii": 0.15}


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the arguments of a training.

    Args:
        arguments: List of strings. Defaults to None: those of the command line.

    Returns:
        `argparse.Namespace`.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tools.readers train",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--run", default="reader", help="name of the run's folder in data/")
    add("--texts", choices=("words", "lines"), default="words", help="what the images show")
    add("--more-runs", nargs="*", default=[], help="runs whose images are trained on as well")
    add("--characters", default="alphanumeric36", help="char dict preset, for example ascii")
    add("--canvas-mode", default="stretch", help="mode of the canvas: stretch or keep")
    add("--canvas-width", type=int, default=128, help="width of the canvas in pixels")
    add("--architecture", default="deep", help="architecture of the network")
    add("--model-path", help="model to continue from, of this or of a shallower architecture")
    add("--precision", default="float32", help="precision of the training")
    add("--words", type=int, default=3_000_000, help="number of images to render")
    add("--epochs", type=int, default=4, help="number of epochs")
    add("--steps-per-epoch", type=int, default=0, help="steps in an epoch; 0: all images once")
    add("--batch-size", type=int, default=128, help="images in a step")
    add("--learning-rate", type=float, default=3e-3, help="largest learning rate")
    add("--augment", type=float, default=0.5, help="strength of the augmentation, 0 to 1")
    add("--random-erasing", type=float, default=0.0, help="fraction of images that lose a strip")
    add("--seed", type=int, default=1, help="seed of images, weights and order")
    add("--font-folders", nargs="*", default=["data/fonts"], help="more folders of fonts")
    add("--allow-missing-fonts", action="store_true", help="train without the missing fonts")
    add("--processes", type=int, default=1, help="number of training processes")
    return parser.parse_args(arguments)


def render_sets(options: argparse.Namespace, folder: pathlib.Path) -> None:
    """Renders the training images and 4,000 others for validation.

    Sets that are complete stay; a set that was interrupted is completed.

    Args:
        options: What `parse_arguments` returned.
        folder: Folder of the run.

    Raises:
        ValueError: Fonts of `fonts.tsv` are missing; the message names their packages.
    """
    fonts, missing = find_fonts(options.font_folders, of_words=options.texts == "words")
    if missing:
        count = sum(map(len, missing.values()))
        message = (
            f"{count} of {count + len(fonts)} fonts are missing, of: {' '.join(sorted(missing))}."
        )
        if not options.allow_missing_fonts:
            raise ValueError(
                f"{message} docs/training_log.md says how to install them; with "
                "--allow-missing-fonts another reader is trained, without them."
            )
        print(message)
    canvas = make_canvas(options.canvas_mode, options.canvas_width)
    plan = _plan_words if options.texts == "words" else _plan_lines
    # The images serve every reader: a char dict with fewer characters ignores the others.
    char_dict = CharDict.from_preset("ascii" if options.texts == "words" else "latin")
    for name, recipe, images in plan(options, fonts, folder):
        source = build.RenderedSource(recipe, images)
        specification = build.Specification(source, char_dict, canvas)
        build.prepare(specification, folder / "records" / name)


def _plan_words(options, fonts, folder):
    """Yields the names, recipes and sizes of the records of single words."""
    write_words(folder / "words.txt")
    recipe = make_recipe(fonts, folder / "words.txt", options.seed)
    yield "train", recipe, options.words
    seed = options.seed + _VALIDATION_SEED
    yield "validation", dataclasses.replace(recipe, seed=seed), _VALIDATION_WORDS


def _plan_lines(options, fonts, folder):
    """Yields the same for lines: records for each alphabet and each style."""
    groups = line_alphabets(fonts)
    shares = {name: _LINE_SHARES[name] for name in groups}
    seeds = {"train": options.seed, "validation": options.seed + _VALIDATION_SEED}
    sizes = {"train": options.words, "validation": _VALIDATION_WORDS}
    for split, (name, (characters, able)) in itertools.product(seeds, groups.items()):
        images = round(sizes[split] * shares[name] / sum(shares.values()) / len(LINE_STYLES))
        texts = folder / f"{split}-{name}.txt"
        write_lines(texts, images, seed=seeds[split], characters=characters)
        for number, style in enumerate(LINE_STYLES):
            seed = seeds[split] + number * _STYLE_SEED
            recipe = make_line_recipe(able, texts, style=style, seed=seed)
            yield f"{split}-{name}-{style}", recipe, images


def main(arguments: Sequence[str]) -> int:
    """Renders the images, then trains in one or several processes.

    Args:
        arguments: List of strings, see `parse_arguments`.

    Returns:
        0, or the exit status of the process that failed first.
    """
    options = parse_arguments(arguments)
    # Both can train in several processes; torch is the faster of them on CPUs.
    backend = "torch" if importlib.util.find_spec("torch") else "jax"
    os.environ.setdefault("KERAS_BACKEND", backend)
    # Imported here, since it imports Keras.
    from crnn_keras.training import distribute

    os.environ.setdefault(HEADLESS, "1")
    folder = pathlib.Path("data") / options.run
    folder.mkdir(parents=True, exist_ok=True)
    render_sets(options, folder)
    command = ["-m", "tools.readers.train_process", *arguments]
    return distribute.launch(command, local_processes=options.processes)
