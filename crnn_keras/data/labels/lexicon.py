"""Lexicons that belong to single images, such as SVT's 50 words an image."""

from __future__ import annotations

import os
import pathlib

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.source import check_row
from crnn_keras.utils import files
from crnn_keras.utils.encodings import AUTO, find_encoding


def read_lexicon(
    path: str | os.PathLike,
    images_folder: str | os.PathLike | None = None,
    *,
    encoding: str = AUTO,
) -> dict[str, tuple[str, ...]]:
    """Reads a lexicon file: `images/0000.jpg<tab>DOOR,WILD,GINGER` a line.

    Args:
        path: the file.
        images_folder: folder that the paths in it start from. Defaults to `None`: the file's
            own folder.
        encoding: string, encoding of the file. Defaults to `"auto"`, see `read_samples`.

    Returns:
        Dict of `Sample.image: tuple of words`.

    Raises:
        ValueError: there is no such file, a row lacks its path or words, or an image comes twice.
    """
    path = pathlib.Path(path)
    if not os.path.isfile(path):
        raise ValueError(f"{path} does not exist. Expected a lexicon file.")
    lexicon = {}
    for number, line in files.read_lines(path, find_encoding(path, encoding)):
        if not line or line.isspace():
            continue
        where = f"{path}, line {number}"
        name, _, rest = line.partition("\t")
        words = tuple(filter(None, map(str.strip, rest.split(","))))
        folder = images_folder or path.parent
        found = check_row(name.strip(), " ".join(words), where, folder=folder)
        if isinstance(found, Issue):
            raise ValueError(f"{where}: {found.reason} Expected path<tab>word,word,word.")
        if found.image in lexicon:
            raise ValueError(f"{where}: {name!r} comes more than once. Keep one row.")
        lexicon[found.image] = words
    return lexicon
