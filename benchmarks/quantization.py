"""Networks that compute in int8 against float32: ONNX Runtime's and OpenVINO's quantization.

    pip install nncf sympy
    python benchmarks/quantization.py LABELS --images 1000

Activations are calibrated on rendered words. "Static" is ONNX Runtime's QDQ form with a scale for
each channel, "dynamic" finds the scales of the activations while it runs. Without NNCF, OpenVINO is
left out.

Each reads encoded images to their texts on one core, without the language model, in turns. Times
are processor time, which neighbours on the machine disturb less than the clock: median, smallest to
largest. Correct texts are those whose letters and digits are, with the 95 % interval (Wilson);
"same" is the fraction of the texts that float32 reads alike.
"""

from __future__ import annotations

import argparse
import importlib.util
import pathlib
import statistics
import tempfile
import time

import numpy as np
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from crnn_keras import OnnxRecognizer, evaluate, read_samples, synth
from crnn_keras.inference import load_images
from crnn_keras.inference.base import BaseRecognizer
from crnn_keras.inference.onnx_file import INPUT, METADATA, OUTPUT
from crnn_keras.inference.shipped import find_file, shipped_files

_SEED, _CALIBRATION_IMAGES, _CALIBRATION_BATCH = 23, 256, 16
_ALONE, _BATCH = 16, 64
_RECURRENT = ["LSTM", "MatMul"]


class SessionRecognizer(BaseRecognizer):
    """Reads with a network whose operators `OnnxRecognizer` does not take."""

    def __init__(self, path, parts):
        super().__init__(**parts, cores=1)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        providers = ["CPUExecutionProvider"]
        self._session = onnxruntime.InferenceSession(path, options, providers=providers)

    def predict_logits(self, canvases):
        return self._session.run([OUTPUT], {INPUT: canvases})[0]


class Canvases(CalibrationDataReader):
    """Gives batches of canvases to a calibration."""

    def __init__(self, batches):
        self._left = iter(batches)

    def get_next(self):
        canvases = next(self._left, None)
        return None if canvases is None else {INPUT: canvases}


def render_canvases(canvas):
    """Returns batches of canvases of rendered words, in the style of signs."""
    draw = synth.WordTexts(synth.read_words(), seed=_SEED, upper=0.5, capital=0.25)
    texts = [draw.text(index) for index in range(_CALIBRATION_IMAGES)]
    images = synth.render_many(texts, synth.bundled_fonts(), synth.Style.signs(), seed=_SEED)
    return [found for _, found in load_images(list(images), canvas).batches(_CALIBRATION_BATCH)]


def quantize_onnx(model_path, folder, batches):
    """Yields names and files of ONNX networks: float32, dynamic, static, and both."""
    plain = folder / "onnx float32.onnx"
    quant_pre_process(model_path, plain)
    yield plain
    dynamic = folder / "onnx dynamic LSTM.onnx"
    quantize_dynamic(plain, dynamic, op_types_to_quantize=_RECURRENT, per_channel=True)
    yield dynamic
    for method in (CalibrationMethod.MinMax, CalibrationMethod.Percentile):
        static = folder / f"onnx static convolutions, {method.name}.onnx"
        quantize_static(
            plain,
            static,
            Canvases(batches),
            op_types_to_quantize=["Conv"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=method,
        )
        yield static
        both = static.with_stem(f"{static.stem}, dynamic LSTM")
        quantize_dynamic(static, both, op_types_to_quantize=_RECURRENT, per_channel=True)
        yield both


def quantize_openvino(plain, folder, batches, metadata):
    """Yields files of OpenVINO networks: float32, int8 convolutions, and all that NNCF takes."""
    import nncf
    import openvino

    data = nncf.Dataset(batches)
    scopes = {
        "int8 convolutions": {"ignored_scope": nncf.IgnoredScope(types=["LSTMSequence", "MatMul"])},
        "int8": {},
    }
    model = openvino.Core().read_model(plain)
    made = {"float32": model} | {
        name: nncf.quantize(model, data, subset_size=len(batches), **options)
        for name, options in scopes.items()
    }
    for name, network in made.items():
        network.set_rt_info(metadata, METADATA)
        path = folder / f"openvino {name}.xml"
        openvino.save_model(network, path, compress_to_fp16=False)
        yield path


def open_all(model_path, folder):
    """Returns recognizers and the bytes of their files by name, `onnx float32` first."""
    from crnn_keras.inference.metadata import make_metadata

    loaded = OnnxRecognizer.load(model_path, cores=1)
    parts = {"char_dict": loaded.char_dict, "canvas": loaded.canvas}
    batches = render_canvases(loaded.canvas)
    source = find_file(model_path, shipped_files(".onnx"), advice="Expected an .onnx file.")
    paths = list(quantize_onnx(source, folder, batches))
    opened = {path.stem: SessionRecognizer(path, parts) for path in paths}
    if importlib.util.find_spec("nncf"):
        from crnn_keras.inference.openvino_recognizer import OpenVinoRecognizer

        found = quantize_openvino(paths[0], folder, batches, make_metadata(loaded))
        for path in found:
            opened[path.stem] = OpenVinoRecognizer(path, cores=1)
    sizes = {name: sum(path.stat().st_size for path in folder.glob(f"{name}.*")) for name in opened}
    return opened, sizes


def take_turns(recognizers, images, rounds):
    """Returns milliseconds for an image alone, and in batches, by name."""
    times = {name: ([], []) for name in recognizers}
    for number in range(rounds + 1):
        for name, recognizer in recognizers.items():
            for together, found in zip((1, _BATCH), times[name], strict=True):
                few = images[: _ALONE if together == 1 else _BATCH]
                began = time.process_time()
                for start in range(0, len(few), together):
                    chunk = few[start : start + together]
                    recognizer.read(chunk, batch_size=_BATCH, language_model=None)
                if number:  # the first round warms up
                    found.append(1000 * (time.process_time() - began) / len(few))
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", help="label source of images to read")
    parser.add_argument("--model", default="words", help="shipped model or .onnx file (words)")
    parser.add_argument("--images", type=int, default=1000, help="the first images (1000)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds of the timing (7)")
    options = parser.parse_args()
    samples = read_samples(options.labels).samples[: options.images]
    encoded = [pathlib.Path(sample.image).read_bytes() for sample in samples]
    with tempfile.TemporaryDirectory() as folder:
        recognizers, sizes = open_all(options.model, pathlib.Path(folder))
        times = take_turns(recognizers, encoded, options.rounds)
        canvas = recognizers["onnx float32"].canvas
        batches = [canvases for _, canvases in load_images(encoded, canvas).batches(_BATCH)]
        print(
            "| network | MB | ms alone | ms in batches of 64 | correct | same | logits differ by |"
        )
        print("|---|---|---|---|---|---|---|")
        expected = None
        for name, recognizer in recognizers.items():
            logits = np.concatenate([recognizer.predict_logits(own) for own in batches])
            texts = [p.text for p in recognizer.read(encoded, language_model=None)]
            expected = expected or (logits, texts)
            print(_make_row(name, sizes[name], times[name], texts, samples, logits, expected))


def _make_row(name, size, times, texts, samples, logits, expected):
    targets = [sample.text for sample in samples]
    report = evaluate(targets, texts, protocol="alphanumeric")
    low, high = report.interval
    same = np.mean([text == own for text, own in zip(texts, expected[1], strict=True)])
    spans = [
        f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})" for found in times
    ]
    apart = np.abs(logits - expected[0]).max()
    return (
        f"| {name} | {size / 1e6:.2f} | {' | '.join(spans)} | "
        f"{report.word_accuracy:.1%} ({low:.1%} to {high:.1%}) | {same:.1%} | {apart:.1f} |"
    )


if __name__ == "__main__":
    main()
