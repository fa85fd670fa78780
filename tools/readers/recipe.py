"""The training images of the shipped readers: words by frequency, in fonts of packages."""

import csv
import os
import pathlib
import re
from collections.abc import Iterable, Sequence

from crnn_keras import synth
from crnn_keras.utils import files

FONTS = pathlib.Path(__file__).parent / "fonts.tsv"
# Hex digits of a font's sha256 in `fonts.tsv`.
_HASH_DIGITS = 16
_WORD = re.compile("[a-z]+")


def write_words(path: str | os.PathLike) -> None:
    """Writes the English words of the package wordfreq, the most frequent first.

    Args:
        path: File to write, one word a line: 289,023 words of the letters a to z.

    Reference:
        Speer, 2022, rspeer/wordfreq v3.0, zenodo 7199437.
    """
    from wordfreq import top_n_list

    words = [word for word in top_n_list("en", 10**6) if _WORD.fullmatch(word)]
    files.write_atomic(path, "".join(f"{word}\n" for word in words).encode())


def find_fonts(
    folders: Iterable[str | os.PathLike] = (),
) -> tuple[list[str], dict[str, list[str]]]:
    """Finds the fonts of the shipped readers on this machine, by their content.

    Args:
        folders: Folders to search besides those of the machine. Defaults to none.

    Returns:
        Tuple of the list of paths in the order of `fonts.tsv`, and a dict of `package: list of
        names` of the missing fonts.
    """
    installed = {synth.file_hash(path)[:_HASH_DIGITS]: path for path in synth.find_fonts(folders)}
    found, missing = [], {}
    with FONTS.open(encoding="utf-8", newline="") as file:
        for digest, name, package in csv.reader(file, delimiter="\t"):
            if digest in installed:
                found.append(installed[digest])
            else:
                missing.setdefault(package, []).append(name)
    return found, missing


def make_recipe(fonts: Sequence[str], words: str | os.PathLike, seed: int) -> synth.Recipe:
    """Makes the recipe of the training images; each is labelled with everything that it shows.

    Args:
        fonts: List of paths.
        words: Path of the word list that `write_words` wrote.
        seed: Integer; each training has its own seed, and therefore its own images.

    Returns:
        `synth.Recipe`.
    """
    texts = {"kind": "words", "file": str(words), **synth.SIGN_TEXTS}
    return synth.Recipe(texts, fonts, style=synth.Style.signs(), seed=seed)
