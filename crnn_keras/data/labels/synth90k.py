"""Synth90k (MJSynth): `./2425/1/115_Lube_45484.jpg 45484` a line, and a lexicon of words.

Reference:
    https://www.robots.ox.ac.uk/~vgg/data/text/
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import Source, check_row, no_image
from crnn_keras.utils import files
from crnn_keras.utils.encodings import find_encoding

_ROW = re.compile(r"(?P<path>.*[0-9]+_(?P<text>[^_/\\]+)_[0-9]+\.\w+)\s+(?P<index>[0-9]{1,12})")


def rows(source: Source) -> Iterator[Sample | Issue]:
    """Reads an annotation file; or, of a folder, all `annotation_*.txt` one after the other.

    The label is the middle of the file's name, in its own case. It is compared, without regard to
    case, with the line of the lexicon that the row names (counted from 0).

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Issue`s.

    Raises:
        ValueError: the folder holds no annotation files.
    """
    for path in _find_annotations(source):
        encoding = find_encoding(path, source.asked_encoding, allow_damage=True)
        yield from _rows(dataclasses.replace(source, path=path, encoding=encoding))


def _find_annotations(source):
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
    lexicon = _read_lexicon(source)
    for where, line in source.lines():
        match = _ROW.fullmatch(line.strip())
        if not match and line.lstrip().startswith("#"):
            yield no_image(line, where)
            continue
        if not match:
            reason = (
                f"{line[:60]!r} is not like './2425/1/115_Lube_45484.jpg 45484'. Correct or "
                "remove the row."
            )
            yield Issue("no label in the name", where, reason)
            continue
        index, text = int(match["index"]), match["text"]
        if lexicon is not None and index >= len(lexicon):
            reason = (
                f"The row names word {index}, counted from 0, but lexicon.txt has {len(lexicon)}. "
                "Put the lexicon.txt of this annotation file beside it."
            )
            yield Issue("not in the lexicon", where, reason)
        elif lexicon is not None and lexicon[index].lower() != text.lower():
            reason = (
                f"The file's name has {text!r}, line {index + 1} of lexicon.txt has "
                f"{lexicon[index]!r}. Correct the row, or put its own lexicon.txt beside it."
            )
            yield Issue("label differs from the lexicon", where, reason)
        else:
            yield check_row(match["path"], text, where, folder=source.folder)


def _read_lexicon(source):
    path = source.path.parent / "lexicon.txt"
    if not path.is_file():
        source.notes.append("no lexicon.txt beside it to check the labels against")
        return None
    with files.open_text(path, source.asked_encoding) as file:
        return [line.strip() for line in file]
