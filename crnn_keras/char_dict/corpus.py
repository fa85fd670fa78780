"""Characters of a corpus, by how often they are used.

Files are read in chunks, so a corpus may be larger than the memory.
"""

from __future__ import annotations

import collections
import os
import pathlib
import unicodedata
from collections.abc import Container, Iterable, Mapping

from crnn_keras.char_dict.normalization import check_normalization, normalize_text
from crnn_keras.utils import files
from crnn_keras.utils.checks import FLAG, check_arguments
from crnn_keras.utils.encodings import AUTO

# Characters that are read at a time, and of the line they end in.
_CHUNK = 1 << 20
# Invisible, but they decide how the letters of Persian and Indian scripts join.
_JOINERS = "\u200c\u200d"


@check_arguments(fold_case=FLAG)
def corpus_counts(
    paths: str | os.PathLike | Iterable[str | os.PathLike],
    *,
    normalization: str = "nfc",
    fold_case: bool = False,
    encoding: str = AUTO,
) -> collections.Counter[str]:
    """Counts every character of text files but line breaks.

    Args:
        paths: A text file, a folder of text files, or a list of these.
        normalization: Normalization in which the text is counted, see `CharDict`. Defaults to
            `"nfc"`.
        fold_case: Whether to count in lower case. Defaults to `False`.
        encoding: Name of the files' encoding. Defaults to `"auto"`: each file's is found, see
            `read_samples`.

    Returns:
        Counter of characters. It holds white space and control characters too, which
        `CharDict.from_corpus` skips.

    Raises:
        ValueError: If there is no file, or one is not text.
    """
    check_normalization(normalization)
    counts = collections.Counter()
    for path in _list_files(paths):
        counts.update(_count_file(path, encoding, normalization=normalization, fold_case=fold_case))
    counts.pop("\n", None)
    return counts


def most_frequent(counts: Mapping[str, int], size: int | None = None, *, min_count: int = 1) -> str:
    """Returns the characters of a corpus that a dictionary should have.

    Args:
        counts: Counts of characters.
        size: Number of characters at most. Defaults to `None`: all.
        min_count: How often a character must occur at least. Defaults to `1`.

    Returns:
        Characters by falling count, equal counts by code point. White space but the plain space,
        and characters that no image shows, are skipped.
    """
    chosen = [c for c, count in counts.items() if count >= min_count and is_visible(c)]
    return "".join(sorted(chosen, key=lambda c: (-counts[c], c))[:size])


def is_visible(character: str) -> bool:
    """Returns whether an image may show a character, the plain space included.

    Args:
        character: String of length 1.

    Returns:
        `False` for white space but the plain space, for control and format characters (but the two
        joiners U+200C and U+200D), for code points without a character, and for U+FFFD, which
        replaces damaged text.
    """
    if character == " " or character in _JOINERS:
        return True
    invisible = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Cn")
    return not (invisible or character.isspace() or character == "\ufffd")


def coverage(counts: Mapping[str, int], characters: Container[str]) -> float:
    """Returns the fraction of a corpus that a set of characters can write.

    Args:
        counts: Counts of characters.
        characters: Characters.

    Returns:
        A fraction from 0 to 1, of the characters that `is_visible`.

    Raises:
        ValueError: If the corpus has no visible character.
    """
    visible = {c: count for c, count in counts.items() if is_visible(c)}
    if not visible:
        raise ValueError("The counts hold no visible character, so there is nothing to cover.")
    known = sum(count for c, count in visible.items() if c in characters)
    return known / sum(visible.values())


def _list_files(paths: str | os.PathLike | Iterable[str | os.PathLike]) -> list[pathlib.Path]:
    paths = [paths] if isinstance(paths, str | os.PathLike) else paths
    found = []
    for path in map(pathlib.Path, paths):
        if not path.exists():
            raise ValueError(f"{path} does not exist. Expected a text file or a folder of them.")
        found += _list_folder(path) if path.is_dir() else [path]
    if not found:
        raise ValueError("There is no text file. Expected a file, a folder of files, or a list.")
    return found


def _list_folder(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the files of a folder and its folders, without hidden ones, by name."""
    found = (p for p in folder.rglob("*") if p.is_file())
    return sorted(
        p for p in found if not any(part[0] == "." for part in p.relative_to(folder).parts)
    )


def _count_file(
    path: pathlib.Path, encoding: str, *, normalization: str, fold_case: bool
) -> collections.Counter[str]:
    counts = collections.Counter()
    with files.open_text(path, encoding) as file:
        # To the end of a line, so that an accent is not separated from its letter.
        while chunk := file.read(_CHUNK) + file.readline(_CHUNK):
            counts.update(normalize_text(chunk, normalization, fold_case))
    return counts
