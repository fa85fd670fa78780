"""Synth90k (MJSynth): `./2425/1/115_Lube_45484.jpg 45484` a line, and a lexicon of words.

Reference:
    https://www.robots.ox.ac.uk/~vgg/data/text/
"""

import dataclasses
import pathlib
import re

from crnn_keras.data.labels.sample import Problem
from crnn_keras.data.labels.source import row
from crnn_keras.utils import files

_ROW = re.compile(r"(?P<path>.*[0-9]+_(?P<text>[^_/\\]+)_[0-9]+\.\w+)\s+(?P<index>[0-9]{1,12})")


def rows(source):
    """Reads an annotation file; or, of a folder, all `annotation_*.txt` one after the other.

    The label stands in the middle of the file's name, in its true case. It is held against the
    lexicon's line that the row names, counted from 0; case does not matter there.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Problem`s.

    Raises:
        ValueError: a folder without annotation files.
    """
    for path in _annotations(source):
        encoding = source.encoding
        if path != source.path:
            with files.open_text(path) as file:
                encoding = file.encoding
        yield from _rows(dataclasses.replace(source, path=path, encoding=encoding))


def _annotations(source):
    if source.path.is_file():
        return [source.path]
    # annotation.txt is the union of the others.
    for pattern in ("annotation_*.txt", "annotation.txt"):
        paths = sorted(source.path.glob(pattern))
        if paths:
            source.notes.append(f"read: {', '.join(path.name for path in paths)}")
            return paths
    raise ValueError(f"{source.path} holds no annotation_*.txt. Expected the folder of Synth90k.")


def _rows(source):
    lexicon = _lexicon(source)
    for number, line in source.lines():
        where = source.where(number)
        match = _ROW.fullmatch(line.strip())
        if not match:
            reason = f"{line[:60]!r} is not like './2425/1/115_Lube_45484.jpg 45484'."
            yield Problem("label not clear", where, reason + " Correct or remove the row.")
            continue
        index, text = int(match["index"]), match["text"]
        if lexicon is not None and index >= len(lexicon):
            reason = (
                f"word {index} is asked for, counted from 0, but lexicon.txt has {len(lexicon)}. "
                "Put the lexicon.txt of this annotation file beside it."
            )
            yield Problem("not in the lexicon", where, reason)
        elif lexicon is not None and lexicon[index].lower() != text.lower():
            reason = (
                f"the file's name says {text!r}, line {index + 1} of lexicon.txt says "
                f"{lexicon[index]!r}. Correct the row, or put its own lexicon.txt beside it."
            )
            yield Problem("label differs from the lexicon", where, reason)
        else:
            yield row(where, source.folder, match["path"], text)


def _lexicon(source):
    path = pathlib.Path(source.path.parent, "lexicon.txt")
    if not path.is_file():
        source.notes.append("no lexicon.txt beside it to hold the labels against")
        return None
    with files.open_text(path) as file:
        return [line.strip() for line in file]
