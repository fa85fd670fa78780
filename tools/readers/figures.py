"""Measures readers on real images and prints their figures as Markdown.

The folder holds sets, each a folder with a `labels.tsv`: `iiit5k_test`, `svt_test` (with
`lex50.tsv`), `sroie_words`, `plates_cn` and `captcha_v2` for testing; `iiit5k_train` and
`svt_train`, by which readers are selected and calibrated; and the words of MJSynth in
`lexicons/mjsynth_90k.txt`. A set may hold IIIT5K's own `.mat` instead: its lexicons of 50 and 1,000
words are then used too. Sets that are missing are named and skipped.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from crnn_keras import synth
from crnn_keras.data.labels import read_lexicon, read_samples
from crnn_keras.evaluation import confidence
from crnn_keras.evaluation.metrics import evaluate
from crnn_keras.images.tta import TTA_COUNTS
from crnn_keras.inference import onnx_recognizer
from crnn_keras.model.decoding import LanguageModel, Lexicon
from tools.readers import language_model

if TYPE_CHECKING:
    from crnn_keras.data.labels import LabelledSet
    from crnn_keras.evaluation.metrics import Report
    from crnn_keras.inference.base import BaseRecognizer, Prediction

    # Name of the set, protocol, what was used besides the image, and the report; no report for a
    # set that is missing.
    Row = tuple[str, str, str, Report | None]

SELECTION_SETS = ("iiit5k_train", "svt_train")
TEST_SETS = ("iiit5k_test", "svt_test")
# Sets of other texts than words, which no reader is chosen by.
OTHER_SETS = ("sroie_words", "plates_cn", "captcha_v2")
# A letter and five letters or digits: Chinese plates behind the character of their province.
PATTERNS = {"plates_cn": "[a-z][a-z0-9]{5}"}
DELTAS = (1, 2, 3)
_CODES, _SEED = 1000, 17
_ACCURACIES = (0.9, 0.95, 0.99)


def read_set(folder: str | os.PathLike) -> LabelledSet | None:
    """Reads the labelled images of a folder.

    Args:
        folder: Path of a folder with a `labels.tsv` or a `.mat` of IIIT5K.

    Returns:
        `LabelledSet`; None if the folder has neither file.

    Raises:
        ValueError: A row cannot be used, although a figure counts every image.
    """
    folder = pathlib.Path(folder)
    mat = sorted(folder.glob("*data.mat"))
    labels = mat[0] if mat else folder / "labels.tsv"
    if not labels.is_file():
        return None
    labelled_set = read_samples(labels)
    skipped = [issue for issue in labelled_set.issues if issue.severity == "error"]
    if skipped:
        raise ValueError(
            f"{len(skipped)} rows of {labels} cannot be used; the first: {skipped[0]}."
        )
    lexicons = folder / "lex50.tsv"
    if lexicons.is_file():
        labelled_set.lexicons["50"] = read_lexicon(lexicons)
    return labelled_set


def measure(
    labelled_set: LabelledSet, predictions: Sequence[Prediction], protocol: str = "alphanumeric"
) -> Report:
    """Compares the predictions for a set with its labels.

    Args:
        labelled_set: A `LabelledSet`.
        predictions: List of its predictions, in order.
        protocol: See `evaluate`. Defaults to `"alphanumeric"`.

    Returns:
        `Report`.
    """
    targets = [sample.text for sample in labelled_set.samples]
    texts = [prediction.text for prediction in predictions]
    confidences = [prediction.confidence for prediction in predictions]
    return evaluate(targets, texts, confidences, protocol=protocol)


def plain_rows(
    recognizer: BaseRecognizer,
    data: pathlib.Path,
    *,
    is_selection: bool = False,
    tta_views: int = 1,
    label: str | None = None,
) -> Iterator[Row]:
    """Measures word accuracy without a lexicon, by the protocols that the char dict allows.

    Args:
        recognizer: A `BaseRecognizer`.
        data: Folder of the sets.
        is_selection: Whether to read the selection sets instead of the test sets. Defaults to
            `False`.
        tta_views: See `BaseRecognizer.read`. Defaults to `1`.
        label: What was used besides the image. Defaults to None: the number of views.

    Yields:
        A `Row` for each set and protocol.
    """
    protocols = {name: ["alphanumeric"] for name in (SELECTION_SETS if is_selection else TEST_SETS)}
    if not recognizer.char_dict.fold_case and not is_selection:
        protocols |= {"iiit5k_test": ["alphanumeric", "exact"], "sroie_words": ["exact"]}
    label = label or _default_label(recognizer, tta_views)
    for name, known in protocols.items():
        labelled_set = read_set(data / name)
        if labelled_set is None and tta_views > 1:  # The row of one view names it.
            continue
        predictions = []
        if labelled_set:
            predictions = recognizer.read(labelled_set.samples, tta_views=tta_views)
        for protocol in known:
            report = measure(labelled_set, predictions, protocol) if labelled_set else None
            yield name, protocol, label, report


def _default_label(recognizer, tta_views):
    used = ["language model"] if recognizer.language_model else []
    if tta_views > 1:
        used.append(f"{tta_views} views")
    return ", ".join(used) or "nothing"


def language_model_rows(recognizer: BaseRecognizer, data: pathlib.Path) -> Iterator[Row]:
    """Measures what the language model changes: on the test sets, on other texts, with patterns.

    Args:
        recognizer: A `BaseRecognizer` with a language model.
        data: Folder of the sets.

    Yields:
        A `Row` for each set, or kind of text, without and with it.
    """
    for name in (*TEST_SETS, *OTHER_SETS):
        labelled_set = read_set(data / name)
        if labelled_set is None:
            yield name, "alphanumeric", "", None
            continue
        pattern = PATTERNS.get(name)
        for use in ("", "pattern") if pattern else ("",):
            options = {"pattern": pattern} if use else {}
            plain = recognizer.read(labelled_set.samples, language_model=None, **options)
            began = time.perf_counter()
            helped = recognizer.read(labelled_set.samples, **options)
            milliseconds = 1000 * (time.perf_counter() - began) / len(helped)
            label = f"{pattern}, " if use else ""
            report = measure(labelled_set, plain)
            yield name, "alphanumeric", f"{label}no language model", report
            label += f"language model, {milliseconds:.1f} ms in all"
            yield name, "alphanumeric", label, measure(labelled_set, helped)


def kinds_rows(recognizer: BaseRecognizer, data: pathlib.Path) -> Iterator[Row]:
    """Measures kinds of texts without and with the language model: codes, rare words, numbers.

    Args:
        recognizer: A `BaseRecognizer` with a language model.
        data: Folder of the sets.

    Yields:
        A `Row` for each kind of text, over all test sets, and for codes that are rendered.
    """
    known = set(language_model.count_english())
    sets = [read_set(data / name) for name in (*TEST_SETS, "sroie_words")]
    samples = [sample for found in sets if found for sample in found.samples]
    kinds = {"texts with digits": [], "words of the list": [], "words of no list": []}
    for sample in samples:
        text = "".join(c for c in sample.text.lower() if c.isascii() and c.isalnum())
        is_word = "words of the list" if text in known else "words of no list"
        kinds["texts with digits" if any(map(str.isdigit, text)) else is_word].append(sample)
    kinds = {kind: (own, [sample.text for sample in own]) for kind, own in kinds.items() if own}
    codes = synth.WordTexts(synth.read_words(), seed=_SEED, numbers=0.0, codes=1.0)
    texts = [codes.text(index) for index in range(_CODES)]
    images = list(synth.render_many(texts, synth.bundled_fonts(), synth.Style.signs(), seed=_SEED))
    kinds["rendered codes"] = images, texts
    for kind, (own, targets) in kinds.items():
        for label, options in (
            ("no language model", {"language_model": None}),
            ("language model", {}),
        ):
            read = [prediction.text for prediction in recognizer.read(own, **options)]
            yield kind, "alphanumeric", label, evaluate(targets, read, protocol="alphanumeric")


def onnx_rows(name: str, data: pathlib.Path, *, is_selection: bool = False) -> Iterator[Row]:
    """Measures the shipped ONNX file of a reader; see `plain_rows`.

    Args:
        name: Name of a shipped reader.
        data: Folder of the sets.
        is_selection: See `plain_rows`. Defaults to `False`.

    Yields:
        A `Row` for each set and protocol.
    """
    exported = onnx_recognizer.OnnxRecognizer.load(name)
    size = onnx_recognizer.SHIPPED[name].stat().st_size / 1e6
    label = f"{_default_label(exported, 1)}, ONNX of {size:.1f} MB"
    yield from plain_rows(exported, data, is_selection=is_selection, label=label)


def lexicon_rows(recognizer: BaseRecognizer, data: pathlib.Path) -> Iterator[Row]:
    """Measures word accuracy with lexicons, and the time that the long one adds.

    Args:
        recognizer: A `BaseRecognizer`.
        data: Folder of the sets.

    Yields:
        A `Row` for each set and lexicon.
    """
    char_dict = recognizer.char_dict
    path = data / "lexicons" / "mjsynth_90k.txt"
    long_lexicon = Lexicon(path.read_text().split(), char_dict) if path.is_file() else None
    for name in TEST_SETS:
        labelled_set = read_set(data / name)
        if labelled_set is None:
            continue
        samples = labelled_set.samples
        began = time.perf_counter()
        recognizer.read(samples)
        seconds_without = time.perf_counter() - began
        for size, words in labelled_set.lexicons.items():
            lexicons = [Lexicon(words[sample.image], char_dict) for sample in samples]
            predictions = recognizer.read(samples, lexicon=lexicons)
            yield name, "alphanumeric", f"its {size} words", measure(labelled_set, predictions)
        for delta in DELTAS if long_lexicon else ():
            began = time.perf_counter()
            predictions = recognizer.read(samples, lexicon=long_lexicon, delta=delta)
            seconds = max(time.perf_counter() - began - seconds_without, 0)
            label = (
                f"{len(long_lexicon.words):,} words, delta {delta}, "
                f"{1000 * seconds / len(samples):.1f} ms"
            )
            yield name, "alphanumeric", label, measure(labelled_set, predictions)


def confidence_lines(recognizer: BaseRecognizer, data: pathlib.Path) -> Iterator[str]:
    """Measures the confidences on the test sets, with thresholds from the selection sets.

    Args:
        recognizer: A `BaseRecognizer`.
        data: Folder of the sets.

    Yields:
        Lines of Markdown; none if a set is missing.
    """
    sets = {name: read_set(data / name) for name in (*SELECTION_SETS, *TEST_SETS)}
    if None in sets.values():
        return
    samples = [sample for name in SELECTION_SETS for sample in sets[name].samples]
    predictions, targets = recognizer.read(samples), [sample.text for sample in samples]
    thresholds = {
        accuracy: confidence.threshold_for_predictions(
            predictions, targets, accuracy, protocol="alphanumeric"
        )
        for accuracy in _ACCURACIES
    }
    for name in TEST_SETS:
        cases = measure(sets[name], recognizer.read(sets[name].samples)).cases
        confidences = [case.confidence for case in cases]
        correct = [case.distance == 0 for case in cases]
        error = confidence.expected_calibration_error(confidences, correct)
        yield f"- {name}: expected calibration error {error:.1%}"
        for accuracy, chosen in thresholds.items():
            kept = confidence.select(confidences, correct, chosen.threshold)
            low, high = (f"{100 * bound:.1f}" for bound in kept.interval)
            yield (
                f"  - for {accuracy:.0%} correct, confidence from {chosen.threshold:.2f}: "
                f"{kept.coverage:.1%} of the images, {kept.accuracy:.1%} correct ({low} to {high})"
            )


def seconds_to_load(model: str) -> float:
    """Measures the time to load a model on TensorFlow, without the import of Keras.

    Args:
        model: Path of a `.keras` file or name of a shipped reader.

    Returns:
        Seconds.
    """
    code = (
        "import time; from crnn_keras.inference.recognizer import Recognizer; "
        f"began = time.perf_counter(); Recognizer.load({model!r}); "
        "print(time.perf_counter() - began)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


def _print_rows(rows, data):
    print("| set | protocol | read with | word accuracy | images |\n|---|---|---|---|---|")
    for name, protocol, label, report in rows:
        if report is None:
            print(f"| {name} | is not in {data} | | | |", flush=True)
            continue
        low, high = (f"{100 * bound:.1f}" for bound in report.interval)
        accuracy = f"{report.word_accuracy:.1%} ({low} to {high})"
        print(f"| {name} | {protocol} | {label} | {accuracy} | {len(report.cases):,} |", flush=True)


def _rows(recognizer, model, data, *, is_selection):
    if recognizer.language_model and not is_selection:
        yield from language_model_rows(recognizer, data)
        yield from kinds_rows(recognizer, data)
    for tta_views in TTA_COUNTS:
        yield from plain_rows(recognizer, data, is_selection=is_selection, tta_views=tta_views)
    # Lexicons and street view say nothing about case.
    if recognizer.char_dict.fold_case and not is_selection:
        yield from lexicon_rows(recognizer, data)
    if model in onnx_recognizer.SHIPPED:
        yield from onnx_rows(model, data, is_selection=is_selection)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the figures of readers.

    Args:
        arguments: List of strings. Defaults to None: those of the command line.
    """
    from crnn_keras.inference.recognizer import SHIPPED, Recognizer

    parser = argparse.ArgumentParser(
        prog="python -m tools.readers figures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=pathlib.Path, help="folder of the sets")
    parser.add_argument(
        "--models",
        nargs="+",
        default=list(SHIPPED),
        help="names of shipped readers, or files (default: all shipped readers)",
    )
    parser.add_argument("--language-model", metavar="NPZ", help="instead of the readers' own")
    parser.add_argument("--selection", action="store_true", help="read the selection sets only")
    options = parser.parse_args(arguments)
    for model in options.models:
        recognizer = Recognizer.load(model)
        if options.language_model:
            recognizer.language_model = LanguageModel.load(options.language_model)
        path = pathlib.Path(SHIPPED.get(model, model))
        print(
            f"\n`{model}`: {recognizer.model.count_params():,} weights, "
            f"{path.stat().st_size / 1e6:.1f} MB, {len(recognizer.char_dict)} characters, "
            f"loads in {seconds_to_load(model):.2f} s on TensorFlow\n"
        )
        _print_rows(
            _rows(recognizer, model, options.data, is_selection=options.selection), options.data
        )
        if recognizer.char_dict.fold_case and not options.selection:
            print("", *confidence_lines(recognizer, options.data), sep="\n")
