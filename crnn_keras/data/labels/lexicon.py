"""Lexicons that belong to single images, as SVT's 50 words an image."""

import pathlib

from crnn_keras.data.labels.sample import Problem
from crnn_keras.data.labels.source import row
from crnn_keras.utils import files


def read_lexicon(path, images_folder=None):
    """Reads a lexicon file: `images/0000.jpg<tab>DOOR,WILD,GINGER` a line.

    Args:
        path: the file.
        images_folder: folder that the paths in it start from. Defaults to the file's own folder.

    Returns:
        Dict of `Sample.image: tuple of words`.

    Raises:
        ValueError: no such file, a row without a path or words, or an image named twice.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(f"{path} does not exist. Expected a lexicon file.")
    lexicon = {}
    with files.open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if line.isspace():
                continue
            where = f"{path}, line {number}"
            name, _, rest = line.partition("\t")
            words = tuple(filter(None, map(str.strip, rest.split(","))))
            found = row(where, images_folder or path.parent, name.strip(), " ".join(words))
            if isinstance(found, Problem):
                raise ValueError(f"{where}: {found.reason} Expected path<tab>word,word,word.")
            if found.image in lexicon:
                raise ValueError(f"{where}: {name!r} is there more than once. Keep one row.")
            lexicon[found.image] = words
    return lexicon
