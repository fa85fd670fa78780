"""What a shipped reader learns from: words by frequency, in fonts that packages bring."""

import csv
import pathlib
import re

from crnn_keras import synth
from crnn_keras.utils import files

FONTS = pathlib.Path(__file__).parent / "fonts.tsv"
# Some photographs are as sharp as a screen, some blurred; few are noisy. The fractions were chosen so
# that blur, contrast, ink, short words and what touches the rim come about as often as in the
# images of `iiit5k_train` and `svt_train`, measured with `error_kinds`.
STYLE = synth.Style(
    contrast=18,
    clean=0.25,
    spacing=0.35,
    worn=0.08,
    neighbours=0.3,
    panel=0.15,
    bar=0.08,
    block=0.1,
    initial=0.2,
    light=0.3,
    sharp=0.3,
    blur=1.8,
    noise=11.0,
    salt=0.015,
)
# Marks stand beside words in photographs, also where a reader of letters and digits passes them by.
# The cases, numbers and codes come as often as in the labels of `iiit5k_train`.
TEXTS = {
    "numbers": 0.1,
    "codes": 0.02,
    "max_length": 18,
    "common": 60,
    "marks": 0.16,
    "upper": 0.5,
    "capital": 0.25,
}
# Hex digits of a font's sha256 in `fonts.tsv`.
_HASH = 16
_WORD = re.compile("[a-z]+")


def write_words(path):
    """Writes the English words of the package wordfreq, the most frequent first.

    Args:
        path: file to write, one word a line: 289,023 words of the letters a to z.

    Reference:
        Speer, 2022, rspeer/wordfreq v3.0, zenodo 7199437.
    """
    from wordfreq import top_n_list

    words = [word for word in top_n_list("en", 10**6) if _WORD.fullmatch(word)]
    files.write_atomic(path, "".join(f"{word}\n" for word in words).encode())


def find_fonts(folders=()):
    """The fonts of the shipped readers that this machine has.

    Args:
        folders: folders to search beside those of the machine.

    Returns:
        Tuple of the paths in the order of `fonts.tsv`, and a dict of `package: names` of those
        that are missing. A font is known by its content.
    """
    there = {synth.file_hash(path)[:_HASH]: path for path in synth.find_fonts(folders)}
    found, missing = [], {}
    with FONTS.open(encoding="utf-8", newline="") as file:
        for digest, name, package in csv.reader(file, delimiter="\t"):
            if digest in there:
                found.append(there[digest])
            else:
                missing.setdefault(package, []).append(name)
    return found, missing


def make_recipe(fonts, words, seed):
    """The recipe of the shipped readers' images, each labelled with all that it shows.

    Args:
        fonts: list of paths.
        words: path of the word list that `write_words` wrote.
        seed: integer; each sitting of a training has its own, and so its own images.

    Returns:
        `synth.Recipe`.
    """
    texts = {"kind": "words", "file": str(words), **TEXTS}
    return synth.Recipe(texts, fonts=tuple(fonts), style=STYLE, seed=seed)
