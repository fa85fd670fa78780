"""SVT (Street View Text): xml with words as boxes in larger images, and lexicons of 50 words.

Reference:
    http://vision.ucsd.edu/~kai/svt/
"""

import math
from xml.etree import ElementTree
from xml.parsers import expat

from crnn_keras.data.labels.sample import Problem, Sample
from crnn_keras.data.labels.source import row

_SIDES = ("x", "y", "width", "height")
_LINE = ":line"


def rows(source):
    """Reads an xml file of this layout, and fills the lexicon `"50"`.

    A word is a box in a larger image; `Sample.read` cuts it out.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Problem`s.

    Raises:
        ValueError: the file is no xml, declares entities, or holds no tagset.
    """
    root = _parse(source.path)
    if root.tag != "tagset":
        raise ValueError(f"{source.path} holds a <{root.tag}>. Expected the <tagset> of SVT.")
    for image in root.iter("image"):
        name = (image.findtext("imageName") or "").strip()
        lexicon = tuple(filter(None, map(str.strip, (image.findtext("lex") or "").split(","))))
        for rectangle in image.iter("taggedRectangle"):
            where = source.where(rectangle.get(_LINE))
            text = (rectangle.findtext("tag") or "").strip()
            found = row(where, source.folder, name, text)
            box = _box(rectangle)
            if isinstance(found, Problem):
                yield found
            elif box is None:
                given = {side: rectangle.get(side) for side in _SIDES}
                reason = f"{name!r} has a word in the box {given}. Expected four numbers of pixels,"
                yield Problem("box not clear", where, f"{reason} width and height above 0.")
            else:
                if lexicon:
                    source.lexicons.setdefault("50", {})[found.image] = lexicon
                yield Sample(found.image, text, where, box=box)


def _box(rectangle):
    try:
        sides = [float(rectangle.get(side, "")) for side in _SIDES]
    except ValueError:
        return None
    if not all(math.isfinite(side) and abs(side) < 1e6 for side in sides):
        return None
    left, top, width, height = (round(side) for side in sides)
    return (left, top, width, height) if width > 0 and height > 0 else None


def _parse(path):
    builder, parser = ElementTree.TreeBuilder(), expat.ParserCreate()

    def start(name, attributes):
        builder.start(name, {**attributes, _LINE: str(parser.CurrentLineNumber)})

    def refuse(*declared):
        # A few nested entities are enough to fill the memory; no label file needs any.
        raise ValueError(
            f"{path}, line {parser.CurrentLineNumber}: a DOCTYPE, which could declare entities, is "
            "not read. Remove it."
        )

    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        with open(path, "rb") as file:
            parser.ParseFile(file)
        return builder.close()
    except (expat.ExpatError, LookupError) as error:
        raise ValueError(f"{path} is no xml: {error}.") from None
