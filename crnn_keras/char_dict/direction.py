"""The direction of writing: from the order of reading to the order in the image, and back.

CTC reads the frames of an image from left to right, while Arabic and Hebrew are read from right to
left and stored in the order of reading (Unicode calls it logical). A dictionary with a visual
direction turns a label into the order of its image by Unicode's bidirectional algorithm, and a
prediction back.

python-bidi resolves directions and levels. Added here are the pairs of brackets, which it does not
know (rule N0), marks that stay behind their letter (rule L3), and the way back.
"""

from __future__ import annotations

import collections
import itertools
import os
import unicodedata
from collections.abc import Iterable, Iterator

# "logical": ids follow the text as it is stored. "visual": from left to right in the image; a text
# runs in the direction of its first letter. "visual_rtl": likewise, but every text that holds a
# right-to-left letter runs from right to left.
DIRECTIONS = ("logical", "visual", "visual_rtl")

_RIGHT_TO_LEFT = ("R", "AL", "AN")
# They change the order of other characters, and no image shows them.
_EMBEDDINGS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
# They stay behind the character before them.
_ATTACHED = ("NSM", "BN", *_EMBEDDINGS)
# What the library does not know: characters that Unicode has not assigned, and ends of paragraphs.
_KINDS = {"": "L", "B": "WS", **dict.fromkeys(("BN", *_EMBEDDINGS), "ON")}
# Directions that decide those of brackets: numbers count as right to left.
_STRONG = {"L": "L", "R": "R", "EN": "R", "AN": "R"}
# Depth of brackets that the algorithm looks at (BD16).
_MAX_BRACKETS = 63
# Rounds of the way back. Of all texts of six characters, none needs more than three.
_ROUNDS = 4


def has_right_to_left(text: str) -> bool:
    """Tells whether a text holds a character of a script that is written from right to left.

    Args:
        text: Text.

    Returns:
        `True` for Arabic, Hebrew, Syriac, Thaana, N'Ko and their like, and for Arabic-Indic digits.

    Example:

    >>> has_right_to_left("abc שלום"), has_right_to_left("abc 123")
    (True, False)
    """
    return not text.isascii() and any(
        unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in text
    )


def to_visual(text: str, direction: str) -> str:
    """Returns a text in the order of the ids of a dictionary.

    Args:
        text: Text in the order of reading.
        direction: One of `DIRECTIONS`.

    Returns:
        The text as its image shows it from left to right. A bracket is the one that the image
        shows. A text without a right-to-left character stays as it is.

    Example:

    >>> to_visual("(אב) 12", "visual")
    '12 (בא)'
    """
    if direction == "logical" or not has_right_to_left(text):
        return text
    return _to_visual(text, direction)


def to_logical(text: str, direction: str) -> tuple[str, list[int]]:
    """Returns a text in the order of reading.

    Args:
        text: Text in the order of the ids of a dictionary.
        direction: One of `DIRECTIONS`.

    Returns:
        Tuple of the text, and for each of its characters the index that it had. If several texts
        look alike, it is one of them; if none looks so, one that nearly does.

    Example:

    >>> to_logical("12 (בא)", "visual")
    ('(אב) 12', [6, 5, 4, 3, 2, 0, 1])
    """
    if direction == "logical" or not has_right_to_left(text):
        return text, list(range(len(text)))
    logical, order = _to_logical(text, direction)
    return logical, list(order)


def choose_direction(texts: Iterable[str], source: str | os.PathLike) -> str:
    """Chooses the direction of a dictionary, and prints a line if it is a visual one.

    Args:
        texts: Labels, or characters.
        source: Where they are from, for the printed line.

    Returns:
        `"logical"` if no text holds a right-to-left character. Otherwise `"visual"`, unless more
        texts come back with `"visual_rtl"`: texts that begin with either script and look alike
        cannot both be right.
    """
    affected = [text for text in texts if has_right_to_left(text)]
    if not affected:
        return "logical"
    direction = max(DIRECTIONS[1:], key=lambda name: sum(is_reversible(t, name) for t in affected))
    print(
        f"{source}: there are right-to-left characters, such as {affected[0][:20]!r}, so the "
        f"dictionary gets direction={direction!r}: a label's ids follow its image from left to "
        "right. If the labels are in that order already, choose direction='logical'.",
        flush=True,
    )
    return direction


def is_reversible(text: str, direction: str) -> bool:
    """Tells whether a text comes back from the order of its ids.

    Args:
        text: Text in the order of reading.
        direction: One of `DIRECTIONS`.

    Returns:
        `False` if another text would look alike and be read instead, or if the text holds a
        character that changes the order of others (U+202A to U+202E, U+2066 to U+2069).
    """
    if direction == "logical" or not has_right_to_left(text):
        return True
    if any(unicodedata.bidirectional(character) in _EMBEDDINGS for character in text):
        return False
    return to_logical(to_visual(text, direction), direction)[0] == text


def _to_visual(text: str, direction: str) -> str:
    clusters = _split(text)
    moved = _reorder(clusters, _base_level(clusters, direction))
    return "".join(_mirror(clusters[i]) if is_mirrored else clusters[i] for i, is_mirrored in moved)


def _to_logical(text: str, direction: str) -> tuple[str, tuple[int, ...]]:
    shown = _split(text)
    ends = list(itertools.accumulate(map(len, shown)))
    nearest = None
    for order, logical in _guess(shown, direction):
        nearest = nearest or (order, logical)
        if _to_visual("".join(logical), direction) == text:
            break
    else:
        order, logical = nearest
    indices = (range(ends[i] - len(shown[i]), ends[i]) for i in order)
    return "".join(logical), tuple(itertools.chain.from_iterable(indices))


def _guess(shown: list[str], direction: str) -> Iterator[tuple[list[int], list[str]]]:
    """Yields orders of `shown`, and the texts in these orders, one of which may look like it.

    Where a character belongs depends on the levels, and these on the order of reading. So the image
    is reordered as if it were a text, which is nearly right; then each guess gives the levels of
    the next.
    """
    first = _base_level(shown, direction)
    # Behind an Arabic letter digits count as Arabic ones.
    for level, has_arabic_digits in itertools.product((first, 1 - first), (False, True)):
        # For each character of the text its place in the image, and whether it is mirrored.
        places = _reorder(shown, level, has_arabic_digits=has_arabic_digits)
        for _ in range(_ROUNDS):
            logical = [_mirror(shown[i]) if mirrored else shown[i] for i, mirrored in places]
            yield [place for place, _ in places], logical
            moved = _reorder(logical, level)
            places = [(0, False)] * len(shown)
            for place, (index, mirrored) in enumerate(moved):
                places[index] = place, mirrored


def _split(text: str) -> list[str]:
    """Splits a text into characters with the marks and joiners that follow them."""
    clusters = []
    for character in text:
        if clusters and unicodedata.bidirectional(character) in _ATTACHED:
            clusters[-1] += character
        else:
            clusters.append(character)
    return clusters


def _mirror(cluster: str) -> str:
    from bidi.mirror import MIRRORED

    return MIRRORED.get(cluster[0], cluster[0]) + cluster[1:]


def _base_level(clusters: list[str], direction: str) -> int:
    """Returns the level of a text with right-to-left characters (rules P2 and P3)."""
    if direction == "visual_rtl":
        return 1
    kinds = (unicodedata.bidirectional(cluster[0]) for cluster in clusters)
    return int(next((kind for kind in kinds if kind in ("L", "R", "AL")), "L") != "L")


def _reorder(
    clusters: list[str], level: int, *, has_arabic_digits: bool = False
) -> list[tuple[int, bool]]:
    """Runs the bidirectional algorithm.

    Args:
        clusters: Characters, each with its marks, in the order of reading.
        level: 0 for a text that runs from left to right, 1 for one from right to left.
        has_arabic_digits: Whether all digits behave as Arabic-Indic ones. Defaults to `False`.

    Returns:
        For each place of the image, from left to right, the index of the cluster that it shows and
        whether it is mirrored.
    """
    # Imported here: reading Latin and Chinese does not need it.
    from bidi import algorithm

    resolved = []
    for index, cluster in enumerate(clusters):
        kind = _KINDS.get(own := unicodedata.bidirectional(cluster[0]), own)
        kind = "AN" if kind == "EN" and has_arabic_digits else kind
        resolved.append(
            {"ch": cluster[0], "level": level, "type": kind, "orig": kind, "index": index}
        )
    storage = {"base_level": level, "chars": resolved, "runs": collections.deque()}
    algorithm.calc_level_runs(storage)
    algorithm.resolve_weak_types(storage)
    _resolve_brackets(resolved, level)
    algorithm.resolve_neutral_types(storage, False)
    algorithm.resolve_implicit_levels(storage, False)
    algorithm.reorder_resolved_levels(storage, False)
    return [
        (entry["index"], entry["level"] % 2 == 1 and bool(unicodedata.mirrored(entry["ch"])))
        for entry in storage["chars"]
    ]


def _resolve_brackets(resolved: list[dict], level: int) -> None:
    """Gives both brackets of a pair one direction, that of what they enclose (rule N0)."""
    own, other = ("R", "L") if level else ("L", "R")
    kinds = [_STRONG.get(entry["type"]) for entry in resolved]
    # How many characters of a direction come before each place.
    before = {
        kind: [0, *itertools.accumulate(each == kind for each in kinds)] for kind in (own, other)
    }
    closings, context = _pair_brackets(resolved), own
    for opening, kind in enumerate(kinds):
        if opening in closings:
            closing = closings[opening]
            enclosed = [k for k in (own, other) if before[k][opening] < before[k][closing]]
            if enclosed:
                kind = own if own in enclosed or context == own else other
                resolved[opening]["type"] = resolved[closing]["type"] = kind
                kinds[closing] = kind
        context = kind or context


def _pair_brackets(resolved: list[dict]) -> dict[int, int]:
    """Returns the place of the closing bracket for each opening one that has one (BD16)."""
    from bidi.mirror import MIRRORED

    pairs, opened = {}, []
    for place, entry in enumerate(resolved):
        character = entry["ch"]
        category = unicodedata.category(character) if character in MIRRORED else ""
        if category == "Ps":
            if len(opened) == _MAX_BRACKETS:
                return {}
            opened.append((MIRRORED[character], place))
        elif category == "Pe":
            for depth in range(len(opened) - 1, -1, -1):
                if opened[depth][0] == character:
                    pairs[opened[depth][1]] = place
                    del opened[depth:]
                    break
    return pairs
