"""Lexicons that belong to single images, such as SVT's 50 words an image."""

from __future__ import annotations

import os
import pathlib

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.source import check_row
from crnn_keras.utils import files


def read_lexicon(
    path: str | os.PathLike, images_folder: str | os.PathLike | None = None
) -> dict[str, tuple[str, ...]]:
    """Reads a lexicon file: `images/0000.jpg<tab>DOOR,WILD,GINGER` a line.

    Args:
        path: the file.
        images_folder: folder that the paths in it start from. Defaults to `None`: the file's
            own folder.

    Returns:
        Dict of `Sample.image: tuple of words`.

    Raises:
        ValueError: there is no such file, a row lacks its path or words, or an image comes twice.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(f"{path} does not exist. Expected a lexicon file.")
    lexicon = {}
    with files.open_text(path) as file:
        for line_number, line in enumerate(file, start=1):
            if line.isspace():
                continue
            where = f"{path}, line {line_number}"
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
