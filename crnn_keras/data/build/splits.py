"""The records of all splits of a run, from labelled images or from a recipe."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from crnn_keras.data.build.lists import ListedSource, list_splits
from crnn_keras.data.build.local import prepare
from crnn_keras.data.build.rendered import RenderedSource
from crnn_keras.data.build.specification import Specification
from crnn_keras.data.records.manifest import write_manifest

if TYPE_CHECKING:
    from crnn_keras.char_dict import CharDict
    from crnn_keras.data.labels import Sample
    from crnn_keras.images import Canvas
    from crnn_keras.synth import Recipe


def prepare_samples(
    splits: Mapping[str, Sequence[Sample]],
    char_dict: CharDict,
    canvas: Canvas,
    *,
    folder: str | os.PathLike,
    in_place: bool = False,
) -> dict[str, dict]:
    """Writes the records of labelled images, one set for each split.

    Run again, it continues where it was stopped, and repairs damaged shards.

    Args:
        splits: Dict of `split name: list of Samples`. Splits without samples get no set.
        char_dict: The `CharDict` to check the labels against. It is saved in the folder.
        canvas: The `Canvas` to check the labels against.
        folder: The run's folder. The sets are in `records/<split name>`.
        in_place: Whether the images stay where they are, as in an LMDB, and the records only list
            them. Defaults to `False`.

    Returns:
        Dict of `split name: content of the sidecar`, see `prepare`.

    Raises:
        ValueError: No row of a split is usable, or a folder holds something else than a set.
        OSError: The disk is full, and the like.
    """
    folder = pathlib.Path(folder)
    if not in_place:
        sources = list_splits(folder / "lists", splits)
        return _prepare(sources, char_dict, canvas, folder=folder)
    settings = {"char_dict": char_dict, "canvas": canvas}
    written = {
        name: write_manifest(folder / "records" / name, list(samples), **settings)
        for name, samples in splits.items()
        if samples
    }
    char_dict.save(folder / "char_dict.json")
    return written


def prepare_rendered(
    recipe: Recipe,
    char_dict: CharDict,
    canvas: Canvas,
    *,
    folder: str | os.PathLike,
    rows: int,
) -> dict[str, dict]:
    """Writes the records of rendered texts, one set for each split of the recipe.

    Run again, it continues where it was stopped, and repairs damaged shards.

    Args:
        recipe: A `Recipe` with `fractions`. A text is in one split only.
        char_dict: The `CharDict` to check the labels against. It is saved in the folder.
        canvas: The `Canvas` to check the labels against.
        folder: The run's folder. The sets are in `records/<split name>`.
        rows: How many texts are rendered, in all splits together.

    Returns:
        Dict of `split name: content of the sidecar`, see `prepare`.

    Raises:
        ValueError: A split has no row, or a folder holds something else than a set.
        OSError: The disk is full, and the like.
    """
    sources = {
        name: RenderedSource(dataclasses.replace(recipe, split=name), round(rows * fraction))
        for name, fraction in recipe.fractions.items()
    }
    return _prepare(sources, char_dict, canvas, folder=pathlib.Path(folder))


def _prepare(
    sources: Mapping[str, ListedSource | RenderedSource],
    char_dict: CharDict,
    canvas: Canvas,
    *,
    folder: pathlib.Path,
) -> dict[str, dict]:
    """Writes each source as a set of records, and the char dict beside them."""
    written = {
        name: prepare(Specification(source, char_dict, canvas), folder / "records" / name)
        for name, source in sources.items()
    }
    char_dict.save(folder / "char_dict.json")
    return written
