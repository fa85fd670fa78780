"""Rendered words of the old task: some are replayed in the training, others measure forgetting."""

from __future__ import annotations

import logging
import os
import pathlib
import string
from typing import TYPE_CHECKING

from crnn_keras.char_dict import CharDict
from crnn_keras.data.build import prepare_rendered
from crnn_keras.synth import (
    SIGN_TEXTS,
    FontError,
    Recipe,
    Style,
    bundled_chinese_fonts,
    bundled_fonts,
    fonts_with,
)
from crnn_keras.utils.checks import COUNT, SEED, check_arguments
from crnn_keras.utils.math import ceil_div

if TYPE_CHECKING:
    from crnn_keras.images import Canvas

REPLAY, REFERENCE = "replay", "reference"
_MOST_REFERENCE = 1000
_LONGEST_LINE = 8
_logger = logging.getLogger(__name__)


@check_arguments(images=COUNT, seed=SEED)
def render_replay(
    char_dict: CharDict,
    canvas: Canvas,
    *,
    folder: str | os.PathLike,
    images: int = 12_000,
    seed: int = 0,
) -> dict[str, pathlib.Path]:
    """Renders images as a reader was trained on, in two sets without a common text.

    A reader of Latin letters gets English words with numbers and codes, as on photographs. A reader
    of other characters gets lines of them at random. The bundled fonts are used, so that every
    machine draws the same images. Run again, it verifies what is there.

    Args:
        char_dict: The `CharDict` of the reader.
        canvas: The `Canvas` of the reader.
        folder: Folder to write to.
        images: Number of images to replay. A quarter as many more measure, at most 1,000. Defaults
            to `12000`.
        seed: Seed of the images. Defaults to `0`.

    Returns:
        Dict of the folders of records, `"replay"` and `"reference"`. It is empty if no bundled font
        has the reader's characters, which a warning says.
    """
    texts, fonts, written = _find_task(char_dict)
    if not fonts:
        _logger.warning(
            "No bundled font has the characters of the reader, so its old task cannot be rendered: "
            "nothing is replayed, unless `replay` names records of it, and what the reader forgets "
            "is measured on `references` only."
        )
        return {}
    sizes = {REPLAY: images, REFERENCE: min(ceil_div(images, 4), _MOST_REFERENCE)}
    rows = sum(sizes.values())
    fractions = {name: size / rows for name, size in sizes.items()}
    recipe = Recipe(texts, fonts, style=Style.signs(), seed=seed, fractions=fractions)
    prepared = prepare_rendered(recipe, written, canvas, folder=folder, rows=rows)
    return {name: pathlib.Path(folder) / "records" / name for name in prepared}


def _find_task(char_dict):
    """Returns the texts and the fonts of a recipe, and a char dict of all that it writes."""
    if set(string.ascii_lowercase) <= set(char_dict.characters.lower()):
        # All that an image shows is written: `Batches` drops what the reader does not know.
        written = CharDict.from_preset("ascii")
        return {"kind": "words", **SIGN_TEXTS}, bundled_fonts(), written
    characters = "".join(c for c in char_dict.characters if not c.isspace())
    texts = {"kind": "chinese", "characters": characters, "longest": _LONGEST_LINE}
    try:
        fonts, _ = fonts_with(characters, [*bundled_fonts(), *bundled_chinese_fonts()])
    except (FontError, ValueError):
        fonts = []
    return texts, fonts, char_dict
