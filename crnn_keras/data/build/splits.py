"""The records of all splits of a run, from labelled images or from a recipe."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from crnn_keras.data.build.lists import list_splits
from crnn_keras.data.build.local import make_set, prepare_together
from crnn_keras.data.build.rendered import RenderedSource
from crnn_keras.data.build.specification import Specification
from crnn_keras.data.records.manifest import fill_manifest
from crnn_keras.data.records.shard import explain_bad_shard
from crnn_keras.data.records.sidecar import check_no_other_files, read_sidecar
from crnn_keras.utils import files
from crnn_keras.utils.checks import COUNT, FLAG, check_arguments
from crnn_keras.utils.locks import lock

if TYPE_CHECKING:
    from crnn_keras.char_dict import CharDict
    from crnn_keras.data.labels import Sample
    from crnn_keras.images import Canvas
    from crnn_keras.synth import Recipe

RECORDS = "records"


@check_arguments(in_place=FLAG)
def prepare_samples(
    splits: Mapping[str, Sequence[Sample]],
    char_dict: CharDict,
    canvas: Canvas,
    *,
    folder: str | os.PathLike,
    in_place: bool = False,
) -> dict[str, dict]:
    """Writes the records of labelled images, one set for each split.

    Run again, it continues where it was stopped, and repairs damaged shards. The splits belong
    together: they take their names when all are made, sets of other splits are removed, and a set
    that is copied among them does not open. A line is printed for each set of before that goes.

    Args:
        splits: Dict of `split name: list of Samples`. Splits without samples get no set.
        char_dict: The `CharDict` to check the labels against. It is saved in the folder.
        canvas: The `Canvas` to check the labels against.
        folder: The run's folder. The sets are in `records/<split name>`.
        in_place: Whether the images stay where they are, as in an LMDB, and the records only list
            them. Defaults to `False`.

    Returns:
        Dict of `split name: content of the sidecar`, see `prepare`, and `replaced` in it: how many
        records of another set it replaced.

    Raises:
        ValueError: No row of a split is usable, or a folder holds something else than a set.
        LockedError: Another preparation of this run is at work.
        OSError: The disk is full, and the like.
    """
    folder = pathlib.Path(folder)
    settings = {"char_dict": char_dict, "canvas": canvas}
    with lock(folder / RECORDS, "the records"):
        if in_place:
            makers = {
                name: functools.partial(_make_manifest, samples=list(samples), **settings)
                for name, samples in splits.items()
                if samples
            }
            if not makers:
                raise ValueError(f"There are no samples to write to {folder}.")
        else:
            sources = list_splits(folder / "lists", splits)
            makers = _makers(sources, char_dict, canvas)
        return _prepare(makers, char_dict, folder=folder)


def _make_manifest(folder, *, samples, char_dict, canvas):
    """Makes a manifest beside its folder, unless the same is there."""
    check_no_other_files(folder)
    partial = folder.with_name(folder.name + ".part")
    files.remove(partial)
    partial.mkdir(parents=True)
    content = fill_manifest(partial, samples, char_dict=char_dict, canvas=canvas)
    with contextlib.suppress(ValueError, OSError):
        listed = content["samples"]
        is_same = read_sidecar(folder) == content
        if is_same and not explain_bad_shard(folder / listed["file"], listed):
            files.remove(partial)
            return content, folder
    return content, partial


@check_arguments(rows=COUNT)
def prepare_rendered(
    recipe: Recipe,
    char_dict: CharDict,
    canvas: Canvas,
    *,
    folder: str | os.PathLike,
    rows: int,
) -> dict[str, dict]:
    """Writes the records of rendered texts, one set for each split of the recipe.

    Run again, it continues where it was stopped, and repairs damaged shards. The splits belong
    together, see `prepare_samples`.

    Args:
        recipe: A `Recipe` with `fractions`. A text is in one split only; those of 0 get no set.
        char_dict: The `CharDict` to check the labels against. It is saved in the folder.
        canvas: The `Canvas` to check the labels against.
        folder: The run's folder. The sets are in `records/<split name>`.
        rows: How many texts are rendered, in all splits together.

    Returns:
        See `prepare_samples`.

    Raises:
        ValueError: A split has no row, or a folder holds something else than a set.
        LockedError: Another preparation of this run is at work.
        OSError: The disk is full, and the like.
    """
    folder = pathlib.Path(folder)
    sources = {
        name: RenderedSource(dataclasses.replace(recipe, split=name), round(rows * fraction))
        for name, fraction in recipe.fractions.items()
        if fraction
    }
    if not sources:
        raise ValueError("The recipe has no fractions. Give it those of the splits.")
    with lock(folder / RECORDS, "the records"):
        return _prepare(_makers(sources, char_dict, canvas), char_dict, folder=folder)


def _makers(sources, char_dict, canvas):
    """Returns a function for each split that makes the records of its source."""
    return {
        name: functools.partial(
            make_set, Specification(source, char_dict, canvas), are_listed_now=True
        )
        for name, source in sources.items()
    }


def _prepare(makers, char_dict, *, folder):
    """Writes the sets, and the char dict beside them."""
    written = prepare_together(folder / RECORDS, makers)
    char_dict.save(folder / "char_dict.json")
    return written
