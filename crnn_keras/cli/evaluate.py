"""`crnn-keras evaluate`: how well a model reads a labelled set."""

from __future__ import annotations

import argparse
import json

from crnn_keras.cli.common import (
    DONE,
    SOME_UNUSABLE,
    add_command,
    load_recognizer,
    print_error,
    print_to_stderr,
)
from crnn_keras.cli.options import (
    add_label_options,
    add_protocol_option,
    add_run_option,
    source_options,
)
from crnn_keras.inference.shipped import LISTED


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "evaluate",
        help="measure how well a model reads a labelled set",
        description="Reads labelled images and compares: word accuracy with its interval, "
        "character error rate, normalized edit distance. Without labels it reads the test records "
        "of a run, with the model of that run, and `crnn-keras runs` lists what it measured.",
        example="crnn-keras evaluate --run mine\n"
        "crnn-keras evaluate mine/test.tsv --model words --protocol alphanumeric --json",
    )
    parser.add_argument(
        "labels", nargs="?", help="a label file, a folder or an LMDB (the run's test records)"
    )
    add_run_option(parser)
    parser.add_argument(
        "--model",
        help=f"{LISTED}, a .keras or .onnx file (data/<run>/train/model.keras)",
    )
    add_protocol_option(parser)
    parser.add_argument("--tta-views", type=int, choices=(1, 3, 5), default=1, help="(%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of sentences")
    add_label_options(parser)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    from crnn_keras.data.open import open_test_set
    from crnn_keras.notebook import NotebookRun

    this_run = NotebookRun("evaluate", options.run)
    with print_to_stderr():
        model = options.model or str(this_run.data / "train" / "model.keras")
        recognizer = load_recognizer(model)
        images, targets, issues = open_test_set(
            options.labels or this_run.data / "records" / "test", **source_options(options)
        )
        predictions = recognizer.read(images, tta_views=options.tta_views)

    from crnn_keras.evaluation.metrics import evaluate

    targets = [recognizer.char_dict.normalize(text) for text in targets]
    report = evaluate(
        targets,
        [prediction.text for prediction in predictions],
        [prediction.confidence for prediction in predictions],
        protocol=options.protocol,
    )
    print(json.dumps(report.summary()) if options.json else report)
    if not (options.labels or options.model):
        # For `crnn-keras runs`.
        this_run.keep(**report.summary(), model=model)
    failed = [prediction for prediction in predictions if prediction.error]
    for prediction in failed:
        print_error(prediction)
    return SOME_UNUSABLE if failed or issues else DONE
