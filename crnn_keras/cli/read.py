"""`crnn-keras read`: text in images, as a table, CSV or JSON lines."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import csv
import functools
import glob
import io
import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TextIO

from crnn_keras.cli.common import (
    DONE,
    SOME_UNUSABLE,
    CommandError,
    add_command,
    load_recognizer,
    number,
    print_error,
)
from crnn_keras.cli.options import add_encoding_option
from crnn_keras.utils.checks import COUNT, FRACTION, NATURAL
from crnn_keras.utils.log import printable

if TYPE_CHECKING:
    from crnn_keras.inference.base import BaseRecognizer, Prediction
    from crnn_keras.model.decoding.language_model import LanguageModel
    from crnn_keras.model.decoding.lexicon import Lexicon

_CSV_COLUMNS = ("file", "text", "confidence", "error")
_WIDEST_TEXT = 24
_STDIN = "-"


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "read",
        help="read text in images",
        description="Reads images that show one word or one line each, and prints a table: file, "
        "text, confidence. A shipped model and an .onnx file run on ONNX Runtime, without Keras.",
        example="crnn-keras read word.png\n"
        "crnn-keras read scans/ 'new/**/*.jpg' --model ascii --csv texts.csv --min-confidence 0.9\n"
        "find scans -name '*.png' -newer texts.csv | crnn-keras read - --jsonl -",
    )
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="image files, folders of images, or patterns such as 'scans/**/*.png'; -: a list of "
        "these on stdin, one a line",
    )
    parser.add_argument(
        "--model",
        default="words",
        help="words (letters and digits, in lower case), words-large (the same, with fewer errors, "
        "slower), ascii (capitals and punctuation too), lines (lines with spaces and accents), or "
        "a .keras or .onnx file (%(default)s)",
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--csv", metavar="PATH", help="write CSV instead of a table; -: to stdout")
    output.add_argument("--jsonl", metavar="PATH", help="write JSON lines; -: to stdout")
    parser.add_argument(
        "--min-confidence",
        type=number(FRACTION),
        default=0.0,
        metavar="CHANCE",
        help="list only what is correct with this chance, from 0 to 1 (%(default)s)",
    )
    parser.add_argument(
        "--tta-views",
        type=int,
        choices=(1, 3, 5),
        default=1,
        help="views of an image, turned and slanted, to read; the surest counts (%(default)s)",
    )
    parser.add_argument(
        "--lexicon", metavar="FILE", help="text file of the words that may occur, one a line"
    )
    add_encoding_option(parser)
    parser.add_argument(
        "--delta",
        type=number(NATURAL),
        metavar="EDITS",
        help="edits from the text read to a word (any)",
    )
    pattern = parser.add_mutually_exclusive_group()
    pattern.add_argument(
        "--allow", metavar="CHARACTERS", help="that a text may have, such as 0123456789"
    )
    pattern.add_argument(
        "--pattern",
        metavar="REGEX",
        help=r"regular expression that each whole text matches, such as '[A-Z]{2}-\d{4}'",
    )
    language_model = parser.add_mutually_exclusive_group()
    language_model.add_argument(
        "--language-model", metavar="FILE", help="an .npz file, instead of the model's own"
    )
    language_model.add_argument(
        "--no-language-model", action="store_true", help="read without the model's own"
    )
    parser.add_argument(
        "--alternatives",
        type=number(NATURAL),
        default=0,
        metavar="COUNT",
        help="likeliest texts to list with chances, as JSON in --csv or --jsonl (%(default)s)",
    )
    parser.add_argument(
        "--boxes",
        action="store_true",
        help="list the box of each character in pixels, as JSON in --csv or --jsonl",
    )
    parser.add_argument(
        "--batch-size", type=number(COUNT), default=64, help="images read at a time (%(default)s)"
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    if options.delta is not None and not options.lexicon:
        raise CommandError("--delta is a number of edits to a word of --lexicon: pass both")
    if (options.alternatives or options.boxes) and not (options.csv or options.jsonl):
        raise CommandError("--alternatives and --boxes are not in the table: pass --csv or --jsonl")
    paths = list(find_images(_with_stdin(options.images)))
    if not any(map(os.path.exists, paths)):
        reasons = "; ".join(map(_explain_missing, options.images))
        raise CommandError(
            f"there is no image: {reasons}. Expected image files, folders of them, or patterns"
        )
    recognizer = load_recognizer(options.model)
    predictions = recognizer.stream(
        iter(paths),
        batch_size=options.batch_size,
        lexicon=_read_lexicon(options.lexicon, options.encoding, recognizer),
        delta=options.delta,
        allow=options.allow,
        pattern=options.pattern,
        language_model=_find_language_model(options),
        alternatives=options.alternatives,
        tta_views=options.tta_views,
    )
    failed = unsure = 0
    with _open_writer(options, paths) as write:
        for prediction in predictions:
            if prediction.error:
                failed += 1
                print_error(prediction)
            elif prediction.confidence < options.min_confidence:
                unsure += 1
                continue
            write(prediction)
    if unsure:
        least = options.min_confidence
        print(f"{unsure} of {len(paths)} have a confidence below {least}", file=sys.stderr)
    if failed:
        print(f"{failed} of {len(paths)} cannot be read", file=sys.stderr)
    return SOME_UNUSABLE if failed else DONE


def _with_stdin(arguments: Iterable[str]) -> Iterator[str]:
    """Yields arguments, with the lines of stdin in the place of `-`."""
    for argument in arguments:
        if argument == _STDIN:
            # Bytes, since a name may be no text in the encoding of stdin.
            lines = (line.rstrip(b"\r\n") for line in sys.stdin.buffer) if sys.stdin else ()
            yield from (os.fsdecode(line) for line in lines if line)
        else:
            yield argument


def find_images(arguments: Iterable[str]) -> Iterator[str]:
    """Lists the images of files, folders and patterns.

    Args:
        arguments: Paths of files, of folders, and patterns as `glob` has them. Of a folder, the
            files with an image's suffix are listed, in the order of their names.

    Yields:
        Paths. A file is listed without looking at it.
    """
    from crnn_keras.images import SUFFIXES

    for argument in arguments:
        if os.path.isdir(argument):
            names = sorted(os.listdir(argument))
            paths = (os.path.join(argument, n) for n in names if n.lower().endswith(SUFFIXES))
            yield from filter(os.path.isfile, paths)
        elif glob.has_magic(argument) and not os.path.exists(argument):
            yield from filter(os.path.isfile, sorted(glob.glob(argument, recursive=True)))
        else:
            yield argument


def _explain_missing(argument: str) -> str:
    """Says why an argument names no image."""
    if argument == _STDIN:
        return "the list on stdin names none that exists"
    if os.path.isdir(argument):
        return f"the folder {argument} holds none, as suffixes tell"
    if glob.has_magic(argument):
        return f"no file is like {argument}"
    return f"{argument} does not exist"


def _read_lexicon(path: str | None, encoding: str, recognizer: BaseRecognizer) -> Lexicon | None:
    if path is None:
        return None
    from crnn_keras.model.decoding.lexicon import Lexicon
    from crnn_keras.utils import files

    with files.open_text(path, encoding) as file:
        words = [line.strip() for line in file if line.strip()]
    if not words:
        raise CommandError(f"{path} holds no words. Expected one a line")
    return Lexicon(words, recognizer.char_dict)


def _find_language_model(options: argparse.Namespace) -> LanguageModel | str | None:
    if options.no_language_model:
        return None
    from crnn_keras.inference.base import OWN
    from crnn_keras.model.decoding.language_model import LanguageModel

    return LanguageModel.load(options.language_model) if options.language_model else OWN


@contextlib.contextmanager
def _open_writer(
    options: argparse.Namespace, paths: list[str]
) -> Iterator[Callable[[Prediction], None]]:
    """Yields a function that writes one prediction in the form that the options ask for."""
    path = options.csv or options.jsonl
    if path in (None, "-"):
        yield _make_writer(options, sys.stdout, paths)
        return
    from crnn_keras.utils import files

    # Complete or not at all: an interrupted command leaves the file of before.
    with files.atomic(path) as binary:
        file = io.TextIOWrapper(binary, encoding="utf-8", errors="backslashreplace", newline="")
        yield _make_writer(options, file, paths)
        file.detach()


def _make_writer(
    options: argparse.Namespace, file: TextIO, paths: list[str]
) -> Callable[[Prediction], None]:
    # Where the stream lacks a character, the escapes of JSON are valid, others are not.
    encode = functools.partial(json.dumps, ensure_ascii=not _is_unicode(file))
    columns = _find_columns(options)
    if options.csv:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow((*_CSV_COLUMNS, *columns))

        def write_row(p: Prediction) -> None:
            asked = (encode(make(p)) for make in columns.values())
            rows.writerow((p.source, p.text, f"{p.confidence:.4f}", p.error, *asked))

        return write_row
    if options.jsonl:

        def write_line(p: Prediction) -> None:
            asked = {name: make(p) for name, make in columns.items()}
            print(encode(_as_dict(p) | asked), file=file)

        return write_line
    width = max(map(_width, (*map(printable, paths), "file")))
    print(_pad("file", width), _pad("text", _WIDEST_TEXT), "confidence", sep="  ", file=file)

    def write(prediction: Prediction) -> None:
        sure = "" if prediction.error else f"{prediction.confidence:10.1%}"
        text = _pad(printable(prediction.text or ""), _WIDEST_TEXT)
        source = _pad(printable(prediction.source), width)
        print(f"{source}  {text}  {sure}".rstrip(), file=file)

    return write


def _find_columns(options: argparse.Namespace) -> dict[str, Callable[[Prediction], list]]:
    """Returns what the options add to a row, each made of its prediction."""
    columns = {}
    if options.alternatives:
        columns["alternatives"] = lambda p: [(text, round(c, 6)) for text, c in p.alternatives]
    if options.boxes:
        columns["boxes"] = lambda p: [
            {name: round(v, 4) if isinstance(v, float) else v for name, v in box._asdict().items()}
            for box in p.boxes
        ]
    return columns


def _as_dict(prediction: Prediction) -> dict[str, object]:
    return {
        "file": prediction.source,
        "text": prediction.text,
        "confidence": round(prediction.confidence, 6),
        "raw_text": prediction.raw_text,
        "raw_confidence": round(prediction.raw_confidence, 6),
        "spans": prediction.spans,
        "error": prediction.error,
    }


def _is_unicode(file: TextIO) -> bool:
    return codecs.lookup(file.encoding or "ascii").name.startswith("utf-")


def _width(text: str) -> int:
    """Columns of a terminal that a text takes; Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))
