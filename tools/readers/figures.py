"""The figures told of a shipped reader: `python -m tools.readers figures DATA`.

DATA holds folders with a `labels.tsv` each: `iiit5k_test`, `svt_test` (with `lex50.tsv`),
`sroie_words`; `iiit5k_train` and `svt_train`, by which readers are chosen; and the words of MJSynth
in `lexicons/mjsynth_90k.txt`. A folder may hold IIIT5K's own `.mat` instead: its lists of 50 and
1,000 words are then read with too. What is missing is named and left out.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time

from crnn_keras.evaluation import confidence
from crnn_keras.evaluation.metrics import evaluate
from crnn_keras.images.tta import TTA_COUNTS
from crnn_keras.inference import onnx_recognizer
from crnn_keras.model.decoding import Lexicon

CHOSEN_BY = ("iiit5k_train", "svt_train")
TESTED_ON = ("iiit5k_test", "svt_test")
DELTAS = (1, 2, 3)
_LOADING = "from crnn_keras.inference.recognizer import Recognizer; Recognizer.load({!r})"


def read_set(folder):
    """The labelled images of a folder.

    Args:
        folder: path with a `labels.tsv`, or a `.mat` of IIIT5K.

    Returns:
        `LabelledSet`; None if there is neither.

    Raises:
        ValueError: a row cannot be used: every image counts.
    """
    folder = pathlib.Path(folder)
    mat = sorted(folder.glob("*data.mat"))
    labels = mat[0] if mat else folder / "labels.tsv"
    if not labels.is_file():
        return None
    found = read_samples(labels)
    if found.problems:
        raise ValueError(f"{len(found.problems)} rows cannot be used: {found.problems[0]}.")
    lists = folder / "lex50.tsv"
    if lists.is_file():
        found.lexicons["50"] = read_lexicon(lists)
    return found


def measured(found, readings, protocol="alphanumeric"):
    """How well a set was read.

    Args:
        found: the `LabelledSet`.
        readings: list of its `Prediction`s.
        protocol: see `evaluate`.

    Returns:
        `evaluate.Report`.
    """
    targets = [sample.text for sample in found.samples]
    texts = [reading.text for reading in readings]
    return evaluate(targets, texts, [reading.confidence for reading in readings], protocol)


def plain_rows(recognizer, data, choosing=False, tta_views=1):
    """Word accuracy without a list, by the rules that the reader's dictionary allows.

    Args:
        recognizer: a `reading.BaseRecognizer`.
        data: folder of the sets.
        choosing: read the sets that readers are chosen by, instead of those they are tested on.
        tta_views: see `reading.BaseRecognizer.read`.

    Yields:
        Tuple of the set's name, the rule, what was used besides the image, and an
        `evaluate.Report`; None for a set that is not there.
    """
    whole = not recognizer.char_dict.fold_case
    rules = {name: ["alphanumeric"] for name in (CHOSEN_BY if choosing else TESTED_ON)}
    if whole and not choosing:
        rules |= {"iiit5k_test": ["alphanumeric", "exact"], "sroie_words": ["exact"]}
    for name, protocols in rules.items():
        found = read_set(data / name)
        if found is None and tta_views > 1:  # said already
            continue
        readings = recognizer.read(found.samples, tta_views=tta_views) if found else []
        for protocol in protocols:
            report = measured(found, readings, protocol) if found else None
            yield name, protocol, "nothing" if tta_views == 1 else f"{tta_views} tta_views", report


def onnx_rows(reader, data, choosing=False):
    """Word accuracy of the shipped ONNX file, whose weights have fewer digits; see `plain_rows`."""
    exported = onnx_recognizer.OnnxRecognizer.load(reader)
    size = onnx_recognizer.SHIPPED[reader].stat().st_size / 1e6
    for name, rule, _, report in plain_rows(exported, data, choosing):
        yield name, rule, f"nothing, ONNX of {size:.1f} MB", report


def lexicon_rows(recognizer, data):
    """Word accuracy with lists of words; see `plain_rows`. The list tells its own time."""
    char_dict = recognizer.char_dict
    long_list = data / "lexicons/mjsynth_90k.txt"
    long_list = Lexicon(long_list.read_text().split(), char_dict) if long_list.is_file() else None
    for name in TESTED_ON:
        found = read_set(data / name)
        if found is None:
            continue
        began = time.perf_counter()
        recognizer.read(found.samples)
        alone = time.perf_counter() - began
        for size, words_of in found.lexicons.items():
            lists = [Lexicon(words_of[sample.image], char_dict) for sample in found.samples]
            readings = recognizer.read(found.samples, lexicon=lists)
            yield name, "alphanumeric", f"its {size} words", measured(found, readings)
        for delta in DELTAS if long_list else ():
            began = time.perf_counter()
            readings = recognizer.read(found.samples, lexicon=long_list, delta=delta)
            spent = 1000 * (time.perf_counter() - began - alone) / len(readings)
            with_what = f"{len(long_list.words):,} words, delta {delta}, {max(spent, 0):.1f} ms"
            yield name, "alphanumeric", with_what, measured(found, readings)


def confidence_lines(recognizer, data):
    """What the confidence of the reader is worth on the sets that it is tested on.

    Thresholds are taken from the sets that readers are chosen by and calibrated with.

    Args:
        recognizer: a `Recognizer`.
        data: folder of the sets.

    Yields:
        Lines of Markdown; none if a set is missing.
    """
    sets = [read_set(data / name) for name in (*CHOSEN_BY, *TESTED_ON)]
    if None in sets:
        return
    known = [sample for found in sets[: len(CHOSEN_BY)] for sample in found.samples]
    readings, targets = recognizer.read(known), [sample.text for sample in known]
    thresholds = {
        wanted: confidence.threshold_for_readings(readings, targets, wanted, "alphanumeric")
        for wanted in (0.9, 0.95, 0.99)
    }
    for name, found in zip(TESTED_ON, sets[len(CHOSEN_BY) :], strict=True):
        cases = measured(found, recognizer.read(found.samples)).cases
        confidences = [case.confidence for case in cases]
        right = [case.distance == 0 for case in cases]
        error = confidence.expected_calibration_error(confidences, right)
        yield f"- {name}: expected calibration error {error:.1%}"
        for wanted, chosen in thresholds.items():
            kept = confidence.select(confidences, right, chosen.threshold)
            low, high = (f"{100 * share:.1f}" for share in kept.interval)
            yield (
                f"  - asked for {wanted:.0%} right (confidence from {chosen.threshold:.2f}): "
                f"{kept.coverage:.1%} of the images, {kept.accuracy:.1%} right ({low} to {high})"
            )


def seconds_to_load(reader):
    """Seconds to load a reader on TensorFlow, in a process in which Keras is imported already.

    Args:
        reader: path of a `.keras` file or name of a shipped reader.

    Returns:
        Float.
    """
    code = f"import time, crnn_keras.inference.recognizer; b = time.perf_counter(); {_LOADING.format(reader)}"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print(time.perf_counter() - b)"],
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


def main(arguments=None):
    """Prints the table of a reader as Markdown."""
    from crnn_keras.inference.recognizer import SHIPPED, Recognizer

    parser = argparse.ArgumentParser(prog="python -m tools.readers figures")
    parser.add_argument("data", type=pathlib.Path, help="folder of the sets")
    parser.add_argument("--readers", nargs="+", default=list(SHIPPED), help="names or files")
    parser.add_argument("--choose", action="store_true", help="read the sets to choose by only")
    given = parser.parse_args(arguments)
    for reader in given.readers:
        recognizer = Recognizer.load(reader)
        path = pathlib.Path(SHIPPED.get(reader, reader))
        print(
            f"\n`{reader}`: {recognizer.model.count_params():,} weights, "
            f"{path.stat().st_size / 1e6:.1f} MB, {len(recognizer.char_dict)} characters, "
            f"loads in {seconds_to_load(reader):.2f} s on TensorFlow\n"
        )
        print("| set | rule | read with | word accuracy | images |\n|---|---|---|---|---|")
        rows = [
            plain_rows(recognizer, given.data, given.choose, tta_views) for tta_views in TTA_COUNTS
        ]
        # Lists of words and street view say nothing of case: they are for readers that fold it.
        more = not given.choose and recognizer.char_dict.fold_case
        if more:
            rows.append(lexicon_rows(recognizer, given.data))
        if reader in onnx_recognizer.SHIPPED:
            rows.append(onnx_rows(reader, given.data, given.choose))
        for name, rule, with_what, report in (row for part in rows for row in part):
            if report is None:
                print(f"| {name} | is not in {given.data} | | | |", flush=True)
                continue
            low, high = (f"{100 * share:.1f}" for share in report.interval)
            accuracy = f"{report.word_accuracy:.1%} ({low} to {high})"
            print(
                f"| {name} | {rule} | {with_what} | {accuracy} | {len(report.cases):,} |",
                flush=True,
            )
        if more:
            print("", *confidence_lines(recognizer, given.data), sep="\n")
