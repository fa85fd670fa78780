"""`crnn-keras export`: a trained model for machines without Keras."""

from __future__ import annotations

import argparse
import tempfile

from crnn_keras.cli.common import (
    DONE,
    SOME_UNUSABLE,
    CommandError,
    add_command,
    format_table,
    number,
    print_to_stderr,
)
from crnn_keras.cli.options import add_label_options, add_protocol_option, source_options
from crnn_keras.inference.shipped import LISTED
from crnn_keras.utils.checks import COUNT

# Which types of weights the formats take.
_WEIGHTS = {
    "onnx": ("float32", "float16", "int8"),
    "openvino": ("float32", "float16"),
    "litert": ("float32", "float16", "int8"),
    "saved_model": ("float32",),
    "triton": ("float32",),
}


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "export",
        help="write a trained model for machines without Keras, or compare the formats",
        description="Writes a trained model for machines without Keras, and compares what it "
        "computes with what Keras computes. With --compare it writes all formats and prints how "
        "large, fast and accurate they are.",
        example="crnn-keras export data/mine/train/model.keras mine.onnx\n"
        "crnn-keras export data/mine/train/model.keras mine.tflite --format litert\n"
        "crnn-keras export data/mine/train/model.keras serving/mine --format saved_model\n"
        "crnn-keras export words repository/words --format triton\n"
        "crnn-keras export words --compare mine/test.tsv",
    )
    parser.add_argument("model", help=f"a .keras file, or a shipped model: {LISTED}")
    parser.add_argument(
        "path",
        nargs="?",
        help="file to write; with saved_model and triton the folder of its versions; with "
        "--compare a folder for all exports",
    )
    parser.add_argument("--format", choices=tuple(_WEIGHTS), default="onnx", help="(%(default)s)")
    parser.add_argument(
        "--weights",
        choices=_WEIGHTS["onnx"],
        default="float32",
        help="of an ONNX, OpenVINO or LiteRT file: float32, float16 (half the size), or int8 (a "
        "quarter; not OpenVINO) (%(default)s)",
    )
    parser.add_argument(
        "--version",
        type=number(COUNT),
        default=1,
        help="of a SavedModel or for Triton: the server loads the highest (%(default)s)",
    )
    parser.add_argument(
        "--compare",
        metavar="LABELS",
        help="write all formats, and measure them on this label file, folder or LMDB",
    )
    add_protocol_option(parser, of="of --compare; ")
    parser.add_argument(
        "--rounds", type=number(COUNT), default=5, help="of --compare's timing (%(default)s)"
    )
    add_label_options(parser)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    if options.compare:
        return _compare(options)
    if not options.path:
        raise CommandError("A path to write is missing. Name it, or ask for --compare LABELS.")
    if options.weights not in _WEIGHTS[options.format]:
        raise CommandError(
            f"{options.format} takes no {options.weights} weights. Expected one of: "
            f"{', '.join(_WEIGHTS[options.format])}."
        )
    from crnn_keras.inference import export

    write = getattr(export, f"export_{options.format}")
    if options.format in ("saved_model", "triton"):
        print(write(options.model, options.path, version=options.version))
    else:
        difference = write(options.model, options.path, weights=options.weights)
        print(f"{options.path}: logits differ by at most {difference:.1e}")
    return DONE


def _compare(options):
    from crnn_keras.data.open import open_test_set
    from crnn_keras.utils.quiet import import_keras_quietly

    import_keras_quietly()
    from crnn_keras.evaluation.exports import compare_exports

    with print_to_stderr(), tempfile.TemporaryDirectory() as folder:
        images, targets, issues = open_test_set(options.compare, **source_options(options))
        figures = compare_exports(
            options.model,
            list(zip(images, targets, strict=True)),
            folder=options.path or folder,
            protocol=options.protocol,
            rounds=options.rounds,
        )
    header = ("export", "MB", "ms an image", "images/s", "correct", "logits differ by")
    print(format_table([header, *map(_make_row, figures)]))
    return SOME_UNUSABLE if issues else DONE


def _make_row(own):
    if own.refusal:
        return (own.name, "-", "-", "-", "-", own.refusal)
    median, least, most = own.milliseconds
    speed, slowest, fastest = own.images_per_second
    return (
        own.name,
        f"{own.bytes / 1e6:.2f}",
        f"{median:.2f} ({least:.2f} to {most:.2f})",
        f"{speed:.0f} ({slowest:.0f} to {fastest:.0f})",
        f"{own.correct / own.images:.2%}",
        "-" if own.difference is None else f"{own.difference:.1e}",
    )
