"""Counts the language models of the shipped readers: of English words, and of lines."""

import argparse
import collections
import itertools
import os
import pathlib
import re
from collections.abc import Sequence

from tools.readers.lines import LineWriter

_SOURCE = (
    "English words by frequency, of wordfreq 3.1.1 by Robyn Speer (zenodo 7199437), CC BY-SA 4.0: "
    "this model is shared under the same licence"
)
_LINES_SOURCE = (
    "Lines composed of words of sixteen languages, by frequency, of wordfreq 3.1.1 by Robyn Speer "
    "(zenodo 7199437), CC BY-SA 4.0: this model is shared under the same licence"
)
_SCOWL_POWER = 1.0
# Other lines than those that a reader is trained on, and those that it is measured on.
_LINES_SEED = 4_000_000


def count_english(list_name: str = "best") -> dict[str, float]:
    """Returns the English words of the package wordfreq, with their frequencies.

    Args:
        list_name: Name of one of its lists. Defaults to `"best"`: 289,023 words of letters, and
            5,881 with digits, which stand as `0` there.

    Returns:
        Dict of `word: frequency`.

    Reference:
        Speer, 2022, rspeer/wordfreq v3.0, zenodo 7199437.
    """
    from wordfreq import get_frequency_dict

    words = get_frequency_dict("en", list_name)
    return {word: count for word, count in words.items() if word.isascii() and word.isalnum()}


def count_scowl(folder: str | os.PathLike) -> dict[str, float]:
    """Returns the words of SCOWL, to compare: their sizes rank words as frequencies do.

    Args:
        folder: Folder of its lists, such as that of Debian's package `scowl`.

    Returns:
        Dict of `word: frequency`: one divided by the mean rank of the words of its size.
    """
    sizes = {}
    for path in sorted(pathlib.Path(folder).glob("*-*.[0-9]*")):
        size = int(path.suffix[1:])
        for line in path.read_text(encoding="latin-1").split():
            word = line.lower().replace("'", "")
            if re.fullmatch("[a-z]+", word):
                sizes[word] = min(sizes.get(word, size), size)
    counts, ranks, total = collections.Counter(sizes.values()), {}, 0
    for size in sorted(counts):
        ranks[size] = total + counts[size] / 2
        total += counts[size]
    return {word: 1 / ranks[size] for word, size in sizes.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the language model of a shipped reader, for `ship`.

    Args:
        arguments: List of strings. Defaults to None: those of the command line.
    """
    from crnn_keras import CharDict, train_language_model

    parser = argparse.ArgumentParser(
        prog="python -m tools.readers language-model",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("output", help=".npz file to write")
    parser.add_argument(
        "--scowl", metavar="FOLDER", help="count the words of SCOWL, to the power of 1"
    )
    add = parser.add_argument
    add("--lines", type=int, default=0, help="compose and count so many lines instead, for `lines`")
    add("--order", type=int, default=6, help="length of the longest n-grams; 8 for words-large")
    add("--max-ngrams", type=int, default=200_000, help="n-grams to keep; 500,000 for words-large")
    add("--power", type=float, default=0.6, help="of the frequencies; 0.5 for words-large")
    options = parser.parse_args(arguments)
    sizes = {"order": options.order, "max_ngrams": options.max_ngrams}
    char_dict = CharDict.from_preset("latin" if options.lines else "alphanumeric36")
    if options.lines:
        # They hold numbers and codes, and words are as frequent in them as they should be.
        composed = itertools.islice(LineWriter(_LINES_SEED), options.lines)
        settings = {"power": 1.0, "codes": 0.0, "source": _LINES_SOURCE}
        model = train_language_model(composed, char_dict, **settings, **sizes)
    elif options.scowl:
        # What their sizes say of frequencies is coarse; the power makes up for it.
        model = train_language_model(
            count_scowl(options.scowl), char_dict, power=_SCOWL_POWER, source="SCOWL", **sizes
        )
    else:
        model = train_language_model(
            count_english(), char_dict, power=options.power, source=_SOURCE, **sizes
        )
    model.save(options.output)
    print(f"{options.output}: {model}")
