"""Writes what the card of each shipped reader says of its files and figures.

A card is `crnn_keras/readers/NAME.md`, in the form of Hugging Face. A person writes its text. This
program writes the `model-index` of its front matter, from the rows of `docs/readers_accuracy.csv`
and `docs/lines.csv`, and its table of files with sizes and hashes, from the files.
`benchmarks/readers.py` and `benchmarks/lines.py` measure the rows. A card names no figure of other
weights: rows of an earlier file are refused.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from crnn_keras.evaluation.metrics import wilson_interval
from crnn_keras.inference import onnx_recognizer, recognizer

ROOT = pathlib.Path(__file__).parents[2]
FIGURES = ROOT / "docs" / "readers_accuracy.csv"
LINE_FIGURES = ROOT / "docs" / "lines.csv"
_BENCHMARKS = {FIGURES.name: "readers.py DATA", LINE_FIGURES.name: "lines.py FOLDER ..."}
# Sets as Hugging Face names them, by the name of their folder.
DATASETS = {
    "iiit5k_test": {"type": "iiit5k", "name": "IIIT5K-Words", "split": "test"},
    "svt_test": {"type": "svt", "name": "Street View Text", "split": "test"},
    "sroie_words": {"type": "sroie", "name": "SROIE 2019, 3,000 words of receipts"},
    "lines": {"type": "rendered-lines", "name": "Lines of `python -m tools.readers draw-lines`"},
}
_CARD = re.compile(r"---\n(?P<front>.*?)^---\n(?P<text>.*)", re.M | re.S)
_FILES = re.compile(r"^\| file \| bytes \| SHA-256 \|\n(?:\|.*\n)+", re.M)


def card_path(name: str) -> pathlib.Path:
    """Returns the path of the card of a shipped reader.

    Args:
        name: Name of the reader.

    Returns:
        Path of a Markdown file beside the reader's files.
    """
    return pathlib.Path(recognizer.SHIPPED[name]).with_suffix(".md")


def split_card(content: str) -> tuple[dict[str, Any], str]:
    """Splits a card into its front matter and its text.

    Args:
        content: The card.

    Returns:
        Tuple `(front matter as a dict, text)`.

    Raises:
        ValueError: The card does not begin with front matter between two lines of `---`.
    """
    found = _CARD.fullmatch(content)
    if not found:
        raise ValueError(
            "The card has no front matter. Expected YAML between two lines of `---` at its start."
        )
    return yaml.safe_load(found["front"]), found["text"]


def read_figures(name: str, path: pathlib.Path = FIGURES) -> list[dict[str, str]]:
    """Reads the rows of a reader's ONNX file, with the language model that it has.

    Args:
        name: Name of the reader.
        path: The csv of `benchmarks/readers.py` or `benchmarks/lines.py`. Defaults to the former
            in `docs/`.

    Returns:
        List of dicts, one for each set of `DATASETS`; empty if there is no such row.

    Raises:
        ValueError: A row was measured with other weights than those of the shipped file.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["reader"] == f"`{name}.onnx`"]
    weights = _hash(onnx_recognizer.SHIPPED[name])[:12]
    for row in rows:
        if row["weights"] != weights:
            raise ValueError(
                f"{path} has figures of {name}.onnx for the file {row['weights']}, but {weights} "
                f"is shipped. Measure it again: python benchmarks/{_BENCHMARKS[path.name]}."
            )
    names = list(DATASETS)
    known = [row for row in rows if row["set"] in names]
    return sorted(known, key=lambda row: names.index(row["set"]))


def _hash(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def model_index(
    name: str,
    rows: Sequence[Mapping[str, str]],
    line_rows: Sequence[Mapping[str, str]] = (),
    *,
    folds_case: bool = True,
) -> list[dict[str, Any]]:
    """Makes the `model-index` of a card.

    Args:
        name: Name of the reader.
        rows: Rows of `read_figures`.
        line_rows: The same of `benchmarks/lines.py`. Defaults to none.
        folds_case: Whether its confidence is the chance of the letters and digits that the rows
            compare. A reader of case is calibrated for the exact text, and gets no calibration
            error. Defaults to `True`.

    Returns:
        List of one dict, as Hugging Face defines it. Accuracies are in percent.
    """
    results = [*_results(rows, folds_case), *_line_results(line_rows)]
    return [{"name": name, "results": results}]


def _results(rows: Sequence[Mapping[str, str]], folds_case: bool) -> Iterator[dict[str, Any]]:
    for row in rows:
        correct, images = int(row["correct"]), int(row["images"])
        interval = [round(100 * bound, 1) for bound in wilson_interval(correct, images)]
        accuracy = {
            "type": "word_accuracy",
            "name": "Word accuracy, letters and digits, %",
            "value": round(100 * correct / images, 1),
            "args": {"images": images, "correct": correct, "interval_95": interval},
        }
        error = {
            "type": "expected_calibration_error",
            "name": "Calibration error of the confidence (ECE), %",
            "value": round(100 * float(row["ece"]), 1),
        }
        yield {
            "task": {"type": "image-to-text", "name": "Reading of cropped words"},
            "dataset": dict(DATASETS[row["set"]]),
            "metrics": [accuracy, error] if folds_case else [accuracy],
        }


def _line_results(rows: Sequence[Mapping[str, str]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        images = int(row["images"])
        correct, spaces = int(row["correct"]), int(row["spaces"])
        interval = [round(100 * bound, 1) for bound in wilson_interval(correct, images)]
        yield {
            "task": {"type": "image-to-text", "name": "Reading of lines"},
            "dataset": dict(DATASETS[row["set"]]),
            "metrics": [
                {
                    "type": "exact_match",
                    "name": "Exact texts, spaces included, %",
                    "value": round(100 * correct / images, 1),
                    "args": {"images": images, "correct": correct, "interval_95": interval},
                },
                {
                    "type": "cer",
                    "name": "Character error rate, %",
                    "value": round(100 * float(row["cer"]), 2),
                },
                {
                    "type": "space_accuracy",
                    "name": "Texts with all spaces right, %",
                    "value": round(100 * spaces / images, 1),
                },
            ],
        }


def files_table(name: str) -> str:
    """Makes the table of a reader's files.

    Args:
        name: Name of the reader.

    Returns:
        Markdown, with sizes in bytes and SHA-256 in full.
    """
    lines = ["| file | bytes | SHA-256 |", "|---|---|---|"]
    for path in (recognizer.SHIPPED[name], onnx_recognizer.SHIPPED[name]):
        path = pathlib.Path(path)
        lines.append(f"| `{path.name}` | {path.stat().st_size:,} | `{_hash(path)}` |")
    return "\n".join(lines) + "\n"


def make_card(name: str, content: str, figures: pathlib.Path = FIGURES) -> str:
    """Writes figures and files into a card.

    Args:
        name: Name of the reader.
        content: The card as it is.
        figures: See `read_figures`. Defaults to the csv in `docs/`.

    Returns:
        The card as it must be.

    Raises:
        ValueError: The card has no front matter or no table of files, or the figures are of another
            file.
    """
    front, text = split_card(content)
    if not _FILES.search(text):
        raise ValueError(
            f"The card of {name} has no table of files. Expected one that begins with "
            "`| file | bytes | SHA-256 |`."
        )
    rows = read_figures(name, figures)
    char_dict = onnx_recognizer.OnnxRecognizer.load(name).char_dict
    line_rows = read_figures(name, LINE_FIGURES)
    front["model-index"] = model_index(name, rows, line_rows, folds_case=char_dict.fold_case)
    written = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=100)
    return f"---\n{written}---\n{_FILES.sub(files_table(name), text)}"


def main(arguments: Sequence[str] | None = None) -> str | None:
    """Writes the cards of all shipped readers, or compares them.

    Args:
        arguments: List of strings. Defaults to None: those of the command line.

    Returns:
        With `--check`, a message that names the cards that are not of today; otherwise None.

    Raises:
        ValueError: A reader has no card, or one that cannot be written; see `make_card`.
    """
    parser = argparse.ArgumentParser(
        prog="python -m tools.readers cards",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="write nothing, name what differs")
    options = parser.parse_args(arguments)
    old = []
    for name in recognizer.SHIPPED:
        path = card_path(name)
        if not path.is_file():
            raise ValueError(
                f"{name} is shipped without a card: {path} does not exist. Copy the card of "
                "another reader, change its text, and run this command again."
            )
        content = path.read_text(encoding="utf-8")
        made = make_card(name, content)
        if made != content:
            old.append(path.name)
            if not options.check:
                path.write_text(made, encoding="utf-8")
    if options.check and old:
        return f"{', '.join(old)} differ from the files. Run: python -m tools.readers cards"
    return None
