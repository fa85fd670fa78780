"""The images to label: those of a folder, or of a label file whose labels are checked."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable
from typing import NamedTuple

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels import LabelledSet
from crnn_keras.data.labels.file_name import check_is_file, walk
from crnn_keras.data.labels.write import check_name, relative_name
from crnn_keras.images import SUFFIXES


class Item(NamedTuple):
    """An image to label.

    Args:
        name: The image's path as the label file has it.
        image: Path of the image.
        given: Its label so far, to be checked. Defaults to `None`: it has none.
    """

    name: str
    image: str
    given: str | None = None


class Items(NamedTuple):
    """The images to label, and those that cannot be.

    Args:
        items: List of `Item`s.
        issues: List of an `Issue` for each image that was left out.
        base: Folder that the names start from.
    """

    items: list[Item]
    issues: list[Issue]
    base: pathlib.Path


def list_images(folder: str | os.PathLike, output: str | os.PathLike) -> Items:
    """Lists the images of a folder and of the folders below it, in the order of their names.

    Hidden files are ignored. The names start from the folder of `output` if the images lie in it,
    or else from `folder`.

    Args:
        folder: Folder of images.
        output: The label file that will name them.

    Returns:
        `Items`. Its issues name links that leave the folder, and names that no line can hold.

    Raises:
        ValueError: The folder cannot be read.
    """
    images, issues = [], []
    for _, entries in walk(folder):
        for entry in entries:
            if entry.name.lower().endswith(SUFFIXES):
                issue = check_is_file(entry, folder)
                (issues if issue else images).append(issue or (entry.path, None))
    return _name(images, issues, [pathlib.Path(output).parent, pathlib.Path(folder)])


def list_labels(
    found: LabelledSet, output: str | os.PathLike, folders: Iterable[str | os.PathLike]
) -> Items:
    """Lists the images of labels that are to be checked.

    Args:
        found: What `read_samples` returned.
        output: The label file that will name them.
        folders: Where the names may start from if not from the folder of `output`.

    Returns:
        `Items`. Its issues are those of the set, and the images that come twice.

    Raises:
        ValueError: An image is part of another file: of an LMDB, a tar, a larger image.
    """
    images, issues, seen = [], list(found.issues), {}
    for sample in found.samples:
        if sample.key or sample.span or sample.box:
            raise ValueError(
                f"{sample.where}: the images of layout {found.layout} are parts of other files. "
                "Labels can be checked where each image is a file of its own."
            )
        if sample.image in seen:
            reason = f"{sample.image!r} has a label in {seen[sample.image]} already, which is kept."
            issues.append(Issue("image named twice", sample.where, reason))
            continue
        seen[sample.image] = sample.where
        images.append((sample.image, sample.text))
    return _name(images, issues, [pathlib.Path(output).parent, *map(pathlib.Path, folders)])


def _name(images, issues, bases):
    """Names images from the first folder that all of them lie in."""
    paths = [os.path.abspath(path) for path, _ in images]
    for base in bases:
        names = [relative_name(path, os.path.abspath(base)) for path in paths]
        if not any(name.startswith("../") for name in names):
            break
    items = []
    for name, path, (_, given) in zip(names, paths, images, strict=True):
        if reason := check_name(name):
            issues.append(Issue("unusable name", path, reason))
        else:
            items.append(Item(name, path, given))
    return Items(items, issues, base)
