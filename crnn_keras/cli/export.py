"""`crnn-keras export`: a trained model for machines without Keras."""

from __future__ import annotations

import argparse

from crnn_keras.cli.common import DONE, add_command, number
from crnn_keras.utils.checks import COUNT


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Adds the command to the parser."""
    parser = add_command(
        commands,
        "export",
        help="write a trained model as ONNX, SavedModel or for Triton",
        description="Writes a trained model for machines without Keras, and compares what it "
        "computes with what Keras computes.",
        example="crnn-keras export data/mine/train/model.keras mine.onnx\n"
        "crnn-keras export data/mine/train/model.keras serving/mine --format saved_model\n"
        "crnn-keras export words repository/words --format triton",
    )
    parser.add_argument("model", help="a .keras file, or a shipped model: words, ascii")
    parser.add_argument(
        "path", help="file to write; with saved_model and triton the folder of its versions"
    )
    parser.add_argument(
        "--format", choices=("onnx", "saved_model", "triton"), default="onnx", help="(%(default)s)"
    )
    parser.add_argument(
        "--weights",
        default="float32",
        help="of the ONNX file: float32, float16 (half the size), int8 (a quarter) (%(default)s)",
    )
    parser.add_argument(
        "--version",
        type=number(COUNT),
        default=1,
        help="of a SavedModel or for Triton: the server loads the highest (%(default)s)",
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Runs the command and returns its exit code."""
    from crnn_keras.inference.export import export_onnx, export_saved_model, export_triton

    if options.format == "onnx":
        difference = export_onnx(options.model, options.path, weights=options.weights)
        print(f"{options.path}: logits differ by at most {difference:.1e}")
    elif options.format == "triton":
        print(export_triton(options.model, options.path, version=options.version))
    else:
        print(export_saved_model(options.model, options.path, version=options.version))
    return DONE
