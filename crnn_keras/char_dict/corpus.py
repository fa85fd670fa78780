"""The characters of a corpus, by how often they are used.

A file goes through the memory in pieces, so a corpus may be larger than the memory.
"""

import collections
import pathlib
import unicodedata

from crnn_keras.char_dict.normalization import check_normalization, normalize_text
from crnn_keras.utils import files

# Characters that are looked at together, and of the line they end in.
_PIECE = 1 << 20
# Unseen, but they decide how the letters of Persian and Indian scripts join.
_JOINERS = "\u200c\u200d"


def corpus_counts(paths, normalization="nfc", fold_case=False):
    """Counts every character of text files, line breaks left out.

    Args:
        paths: a text file, a folder of text files, or a list of these; encodings as in
            `files.read_text`.
        normalization: form in which the text is counted, see `CharDict`.
        fold_case: count in lower case.

    Returns:
        `collections.Counter` of characters. It holds white space and control characters too, which
        `CharDict.from_corpus` leaves out.

    Raises:
        ValueError: no file, or one that is not text.
    """
    check_normalization(normalization)
    counts = collections.Counter()
    for path in _text_files(paths):
        counts.update(_count_file(path, normalization, fold_case))
    counts.pop("\n", None)
    return counts


def most_frequent(counts, size=None, smallest_count=1):
    """The characters of a corpus that a dictionary should have.

    Args:
        counts: `collections.Counter` of characters.
        size: how many at most; None: all.
        smallest_count: how often one must be used at least.

    Returns:
        String of characters by falling count, equal counts by code point. White space but the plain
        space, and characters that no image shows, are left out.
    """
    chosen = [c for c, count in counts.items() if count >= smallest_count and is_visible(c)]
    return "".join(sorted(chosen, key=lambda c: (-counts[c], c))[:size])


def is_visible(character):
    """Whether an image may show the character, the plain space included.

    Args:
        character: string of length 1.

    Returns:
        False for white space but the plain space, for control and format characters (but the two
        joiners U+200C and U+200D), for code points without a character, and for U+FFFD, which
        stands for damage.
    """
    if character == " " or character in _JOINERS:
        return True
    unseen = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Cn")
    return not (unseen or character.isspace() or character == "\ufffd")


def coverage(counts, characters):
    """Share of a corpus that a set of characters can write.

    Args:
        counts: `collections.Counter` of characters.
        characters: set or string.

    Returns:
        From 0 to 1, of the characters that `is_visible`.

    Raises:
        ValueError: the corpus has none.
    """
    visible = {c: count for c, count in counts.items() if is_visible(c)}
    if not visible:
        raise ValueError("The counts hold no visible character, so there is nothing to cover.")
    known = sum(count for c, count in visible.items() if c in characters)
    return known / sum(visible.values())


def _text_files(paths):
    paths = [paths] if isinstance(paths, str | pathlib.Path) else paths
    found = []
    for path in map(pathlib.Path, paths):
        if not path.exists():
            raise ValueError(f"{path} does not exist. Expected a text file or a folder of them.")
        found += _files_inside(path) if path.is_dir() else [path]
    if not found:
        raise ValueError("There is no text file. Expected a file, a folder of files, or a list.")
    return found


def _files_inside(folder):
    """The files of a folder and its folders, but hidden ones, by name."""
    found = (p for p in folder.rglob("*") if p.is_file())
    return sorted(
        p for p in found if not any(part[0] == "." for part in p.relative_to(folder).parts)
    )


def _count_file(path, normalization, fold_case):
    counts = collections.Counter()
    with files.open_text(path) as file:
        # To the end of a line, so that an accent is not cut off its letter.
        while piece := file.read(_PIECE) + file.readline(_PIECE):
            counts.update(normalize_text(piece, normalization, fold_case))
    return counts
