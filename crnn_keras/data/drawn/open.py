"""`draw_batches`: drawn words to train on, and rendered records to validate on."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import TYPE_CHECKING, Any

from crnn_keras.data import build
from crnn_keras.data.batches import Batches
from crnn_keras.data.drawn.synth_batches import SynthBatches
from crnn_keras.data.records import open_records
from crnn_keras.utils.checks import COUNT, check_arguments

if TYPE_CHECKING:
    from crnn_keras.char_dict import CharDict
    from crnn_keras.images import Canvas
    from crnn_keras.synth import Recipe

TRAIN, VALIDATION = "train", "validation"
_FRACTIONS = {TRAIN: 0.9, VALIDATION: 0.1}


@check_arguments(validation_words=COUNT, batch_size=COUNT)
def draw_batches(
    recipe: Recipe,
    char_dict: CharDict,
    canvas: Canvas,
    *,
    folder: str | os.PathLike,
    validation_words: int = 2000,
    validation: str | os.PathLike | None = None,
    batch_size: int = 64,
    protocol: str = "exact",
    drop_unknown: bool = False,
    **drawing: Any,
) -> tuple[SynthBatches, Batches]:
    """Opens words that are drawn while a model trains on them, and records to validate on.

    No text to validate on is trained on: a tenth of them is kept back, unless the recipe has
    `fractions` of `train` and `validation`.

    Args:
        recipe: A `Recipe`. Its fonts and photographs are checked.
        char_dict: A `CharDict`.
        canvas: A `Canvas`.
        folder: Where the records to validate on are written: `<folder>/validation`. Written before,
            they are verified.
        validation_words: How many words are rendered to validate on. Defaults to `2000`.
        validation: Folder of a set of records to validate on instead. Defaults to `None`.
        batch_size: Images in a batch. Defaults to `64`.
        protocol: The rule by which labels are compared, see `Batches`. Defaults to `"exact"`.
        drop_unknown: Whether characters without an id are dropped from labels. Otherwise a text
            that has one is replaced by another to train on, and left out to validate on. Defaults
            to `False`.
        **drawing: Further arguments of `SynthBatches`: `seed`, `augment`, `repeats`, ...

    Returns:
        The `SynthBatches` to train on, which `close` ends, and the `Batches` to validate on.

    Raises:
        ValueError: A font lacks a character, none of the words to validate on is usable, or an
            argument is not allowed.
        LockedError: Another process writes to the folder.
        OSError: The disk is full, and the like.
    """
    recipe.check()
    if not {TRAIN, VALIDATION} <= recipe.fractions.keys():
        recipe = dataclasses.replace(recipe, fractions=_FRACTIONS)
    common = {"batch_size": batch_size, "protocol": protocol, "drop_unknown": drop_unknown}
    if validation is None:
        validation = pathlib.Path(folder) / VALIDATION
        other = dataclasses.replace(recipe, split=VALIDATION)
        source = build.RenderedSource(other, validation_words)
        build.prepare(build.Specification(source, char_dict, canvas), validation)
    # First, so that an error leaves no process behind.
    records = Batches(open_records(validation), char_dict, canvas, **common)
    own = dataclasses.replace(recipe, split=TRAIN)
    return SynthBatches(own, char_dict, canvas, **common, **drawing), records
