"""SVT (Street View Text): XML with words as boxes in larger images, and lexicons of 50 words.

Reference:
    http://vision.ucsd.edu/~kai/svt/
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.parsers import expat

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import Source, check_row
from crnn_keras.utils import files
from crnn_keras.utils.encodings import AUTO, check_encoding

_SIDES = ("x", "y", "width", "height")
_LINE = ":line"
# The first bytes of a file, which may state its encoding.
_DECLARATION = 200
_DECLARED = re.compile(rb"""\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")


def rows(source: Source) -> Iterator[Sample | Issue]:
    """Reads an XML file of this layout, and fills the lexicon `"50"`.

    A word is a box in a larger image; `Sample.read` crops it.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Issue`s.

    Raises:
        ValueError: the file is not XML, has a DOCTYPE, or holds no tagset.
    """
    root = _parse(source)
    if root.tag != "tagset":
        raise ValueError(f"{source.path} holds a <{root.tag}>. Expected the <tagset> of SVT.")
    for image in root.iter("image"):
        name = (image.findtext("imageName") or "").strip()
        lexicon = tuple(filter(None, map(str.strip, (image.findtext("lex") or "").split(","))))
        for rectangle in image.iter("taggedRectangle"):
            where = source.where(rectangle.get(_LINE))
            text = (rectangle.findtext("tag") or "").strip()
            found = check_row(name, text, where, folder=source.folder)
            box = _read_box(rectangle)
            if isinstance(found, Issue):
                yield found
            elif box is None:
                sides = {side: rectangle.get(side) for side in _SIDES}
                reason = (
                    f"{name!r} has a word in the box {sides}. Expected four numbers of pixels, "
                    "width and height above 0."
                )
                yield Issue("invalid box", where, reason)
            else:
                if lexicon:
                    source.lexicons.setdefault("50", {})[found.image] = lexicon
                yield Sample(found.image, text, where, box=box)


def _read_box(rectangle):
    try:
        sides = [float(rectangle.get(side, "")) for side in _SIDES]
    except ValueError:
        return None
    if not all(math.isfinite(side) and abs(side) < 1e6 for side in sides):
        return None
    left, top, width, height = (round(side) for side in sides)
    return (left, top, width, height) if width > 0 and height > 0 else None


def _parse(source):
    """Parses a file; every element gets the line that it starts in as an attribute."""
    builder, parser = ElementTree.TreeBuilder(), expat.ParserCreate()

    def start(name, attributes):
        builder.start(name, {**attributes, _LINE: str(parser.CurrentLineNumber)})

    def reject_doctype(*declared):
        # A few nested entities can fill the memory, and no label file needs any.
        raise ValueError(
            f"{source.where(parser.CurrentLineNumber)}: a DOCTYPE, which could declare entities, "
            "is not read. Remove it."
        )

    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = reject_doctype
    text, source.encoding = files.read_text(source.path, _find_encoding(source))
    try:
        parser.Parse(text, True)
        return builder.close()
    except (expat.ExpatError, LookupError) as error:
        raise ValueError(f"{source.path} is not XML: {error}.") from None


def _find_encoding(source):
    """Returns the encoding that was asked for, or else the one that the file itself states."""
    if source.asked_encoding == AUTO:
        with open(source.path, "rb") as file:
            declared = _DECLARED.match(file.read(_DECLARATION))
        if declared:
            with files.prefix_errors(source.path):
                source.asked_encoding = check_encoding(declared[1].decode())
    return source.asked_encoding
