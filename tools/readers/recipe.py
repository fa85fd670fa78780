"""The training images of the shipped readers: words by frequency, lines, in fonts of packages."""

import csv
import os
import pathlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from crnn_keras import synth
from crnn_keras.char_dict import CharDict
from crnn_keras.synth.fonts import missing_characters
from crnn_keras.utils import files

FONTS = pathlib.Path(__file__).parent / "fonts.tsv"
# Hex digits of a font's sha256 in `fonts.tsv`.
_HASH_DIGITS = 16
_WORD = re.compile("[a-z]+")
# Few fonts have Latin Extended-A: the others show lines without it.
_LATIN_EXTENDED_A = range(0x100, 0x180)
# Lines are level: a steep or arched one would be small on its canvas.
LINE_STYLES = {
    "print": synth.Style(
        contrast=50,
        clean=0.4,
        tilt=0.04,
        slope=0.015,
        slant=0.1,
        curve=0,
        squeeze=0.2,
        border=0,
        shadow=0,
        block=0,
        initial=0,
        relief=0,
        shading=0.02,
        background=0.25,
        panel=0.05,
        neighbours=0.2,
        blur=1.2,
        noise=10,
    ),
    "sign": replace(synth.Style.signs(), tilt=0.07, slope=0.04, curve=0.04, initial=0.03),
}


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
    folders: Iterable[str | os.PathLike] = (), *, of_words: bool = True
) -> tuple[list[str], dict[str, list[str]]]:
    """Finds the fonts of the shipped readers on this machine, by their content.

    Args:
        folders: Folders to search besides those of the machine. One that does not exist is passed
            over: its fonts are missing. Defaults to none.
        of_words: Whether to take the fonts that `fonts.tsv` marks with `words` too: they draw small
            letters as capitals, or letters that only a whole word explains, so a reader of case
            learns nothing true from them. Defaults to `True`.

    Returns:
        Tuple of the list of paths in the order of `fonts.tsv`, and a dict of `package: list of
        names` of the missing fonts.
    """
    folders = [folder for folder in folders if pathlib.Path(folder).is_dir()]
    installed = {synth.file_hash(path)[:_HASH_DIGITS]: path for path in synth.find_fonts(folders)}
    found, missing = [], {}
    with FONTS.open(encoding="utf-8", newline="") as file:
        for digest, name, package, *note in csv.reader(file, delimiter="\t"):
            if note and not of_words:
                continue
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


def line_alphabets(fonts: Sequence[str]) -> dict[str, tuple[str, list[str]]]:
    """Groups fonts by the lines that they can draw.

    Args:
        fonts: List of paths.

    Returns:
        Dict of `name: (characters, list of paths)`: `"latin"` are the fonts that have all
        characters of the preset `latin`; `"western"` those that lack some of Latin Extended-A only;
        `"ascii"` those that lack others. Fonts without ASCII are in none.
    """
    latin = CharDict.from_preset("latin").characters
    alphabets = {
        "latin": latin,
        "western": "".join(c for c in latin if ord(c) not in _LATIN_EXTENDED_A),
        "ascii": CharDict.from_preset("ascii").characters,
    }
    groups = {}
    for font in fonts:
        missing = set(missing_characters(font, frozenset(latin)))
        widest = next(
            (name for name, characters in alphabets.items() if missing.isdisjoint(characters)), None
        )
        if widest:
            groups.setdefault(widest, (alphabets[widest], []))[1].append(font)
    return {name: groups[name] for name in alphabets if name in groups}


def make_line_recipe(
    fonts: Sequence[str], lines: str | os.PathLike, *, style: str, seed: int
) -> synth.Recipe:
    """Makes the recipe of images of lines.

    Args:
        fonts: List of paths.
        lines: Path of the file that `lines.write_lines` wrote.
        style: Name in `LINE_STYLES`.
        seed: Integer; each training has its own seed, and therefore its own images.

    Returns:
        `synth.Recipe`.
    """
    texts = {"kind": "lines", "file": str(lines)}
    return synth.Recipe(texts, fonts, style=LINE_STYLES[style], seed=seed)
