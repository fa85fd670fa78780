"""`crnn-keras language-model`: texts -> a language model, alone or in a reader."""

from __future__ import annotations

import argparse
import collections
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from crnn_keras.cli.common import DONE, CommandError, add_command, load_recognizer, number
from crnn_keras.cli.options import add_encoding_option
from crnn_keras.inference.shipped import LISTED
from crnn_keras.utils.checks import FRACTION, NOT_NEGATIVE, Number
from crnn_keras.utils.limits import MAX_NGRAM_LENGTH, MAX_NGRAMS
from crnn_keras.utils.log import printable

if TYPE_CHECKING:
    from crnn_keras.char_dict import CharDict
    from crnn_keras.inference.base import BaseRecognizer

# Arguments of `train_language_model` and of `LanguageModelSettings`; one that is not passed has its
# default there.
_COUNTING = {
    "order": (Number(1, MAX_NGRAM_LENGTH, is_whole=True), "length of the longest n-grams (6)"),
    "max_ngrams": (Number(1, MAX_NGRAMS, is_whole=True), "n-grams to keep (200000)"),
    "codes": (Number(0, 0.9), "part of the counts that drawn numbers and codes have (0.1)"),
}
_SETTINGS = {
    "weight": (NOT_NEGATIVE, "factor of the log probabilities; 0: none (0.6)"),
    "length_bonus": (Number(), "added for each character (1.8)"),
    "threshold": (FRACTION, "it is asked where a text has a lower probability (0.98)"),
}
# So many texts that cannot be written are shown, and so many of their characters.
_SHOWN, _LONGEST_SHOWN = 5, 40


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "language-model",
        help="make a language model of texts for a reader",
        description="Counts n-grams of characters in texts, and writes the language model that a "
        "reader asks where it is unsure. A line is a text, or a text, a tab and its frequency. "
        "Where the reader has no space, each word of a line is a text.",
        example="crnn-keras language-model words.tsv --output names.npz\n"
        "crnn-keras language-model corpus.txt --model mine.keras --output mine_lm.keras\n"
        "crnn-keras read scans/ --language-model names.npz",
    )
    parser.add_argument("texts", nargs="+", metavar="TEXTS", help="text files, one text a line")
    reader = parser.add_mutually_exclusive_group()
    reader.add_argument(
        "--model",
        default="words",
        help=f"reader whose characters are counted: {LISTED}, or a .keras or "
        ".onnx file (%(default)s)",
    )
    reader.add_argument(
        "--characters", metavar="SOURCE", help="a preset or a file of characters, without a reader"
    )
    parser.add_argument(
        "--output",
        required=True,
        metavar="PATH",
        help="file to write: .npz, the language model alone; .keras, the reader with it",
    )
    parser.add_argument(
        "--source", metavar="TEXT", help="where the texts are from, and their licence; it is kept"
    )
    add_encoding_option(parser)
    for title, rules in (("counting", _COUNTING), ("reading", _SETTINGS)):
        group = parser.add_argument_group(title)
        for name, (rule, text) in rules.items():
            option = f"--{name.replace('_', '-')}"
            group.add_argument(option, type=number(rule), metavar="NUMBER", help=text)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    suffix = pathlib.Path(options.output).suffix
    if suffix not in (".npz", ".keras"):
        raise CommandError(f"--output is {options.output}. Expected a name in .npz or .keras")
    if suffix == ".keras" and options.characters is not None:
        raise CommandError("--output is a reader, and --characters is none: pass --model")
    from crnn_keras.char_dict import CharDict
    from crnn_keras.model.decoding import LanguageModelSettings, train_language_model

    settings = LanguageModelSettings(**_find_passed(options, _SETTINGS))
    recognizer = _load_recognizer(options, suffix)
    char_dict = recognizer.char_dict if recognizer else CharDict.from_source(options.characters)
    frequencies = _count_texts(options, char_dict)
    skipped = [text for text in frequencies if char_dict.unknown(text)]
    counting = _find_passed(options, (*_COUNTING, "source"))
    model = train_language_model(frequencies, char_dict, settings=settings, **counting)
    if suffix == ".keras":
        recognizer.language_model = model
        recognizer.save(options.output)
    else:
        model.save(options.output)
    print(f"texts: {len(frequencies) - len(skipped):,}")
    shown = ", ".join(printable(repr(text[:_LONGEST_SHOWN])) for text in skipped[:_SHOWN])
    print(f"left out: {len(skipped):,}{f', with other characters: {shown}' if skipped else ''}")
    print(f"n-grams: {len(model):,}")
    print(f"{printable(options.output)}: {os.path.getsize(options.output):,} bytes")
    return DONE


def _find_passed(options: argparse.Namespace, names: Iterable[str]) -> dict[str, object]:
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def _load_recognizer(options: argparse.Namespace, suffix: str) -> BaseRecognizer | None:
    """Loads the reader whose characters are counted; by Keras if it is saved."""
    if options.characters is not None:
        return None
    path = options.model
    if suffix == ".keras":
        from crnn_keras.inference.shipped import shipped_files

        path = str(shipped_files(suffix).get(path, path))
        if pathlib.Path(path).suffix != suffix:
            raise CommandError(
                f"--output is a .keras file, and --model is {path}. Pass the .keras file that it "
                "was exported from, and export the output"
            )
    return load_recognizer(path)


def _count_texts(options: argparse.Namespace, char_dict: CharDict) -> dict[str, float]:
    """Returns `text: frequency` of all files."""
    frequencies = collections.Counter()
    for path in options.texts:
        for text, frequency in _iter_texts(path, options.encoding, split=" " not in char_dict):
            frequencies[text] += frequency
    return frequencies


def _iter_texts(path: str, encoding: str, *, split: bool) -> Iterator[tuple[str, float]]:
    """Yields the texts of a file with their frequencies.

    The first line tells whether there are frequencies; a line that differs is named, since its
    number would be counted as a text.
    """
    from crnn_keras.utils import files

    has_frequencies = None
    with files.open_text(path, encoding) as file:
        for index, line in enumerate(file, 1):
            line = line.rstrip("\n")
            if not line.strip():
                continue
            text, _, last = line.rpartition("\t")
            frequency = _parse(last) if text else None
            if has_frequencies is None:
                has_frequencies = frequency is not None
            if has_frequencies and frequency is None:
                raise CommandError(
                    f"{path}, line {index} is {line[:_LONGEST_SHOWN]!r}. Expected a text, a tab "
                    "and a frequency, as in the first line"
                )
            text, frequency = (text, frequency) if has_frequencies else (line, 1.0)
            for part in text.split() if split else (text.strip(),):
                yield part, frequency


def _parse(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
