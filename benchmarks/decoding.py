"""Times decoding on one core: best path, language model, pattern, alternatives, boxes.

    python benchmarks/decoding.py
    python benchmarks/decoding.py --labels svt_test/labels.tsv

Without labels, rendered words are read. The network runs once. What is timed is `decode` of its
logits, 256 images at a time as `read` does, the least of several rounds. "Unsure" are the images
that the language model is asked for; their time is what it adds, divided by their number.
"""

from __future__ import annotations

import argparse
import statistics
import time

from crnn_keras import OnnxRecognizer, Pattern, read_samples, synth
from crnn_keras.inference import load_images
from crnn_keras.model.decoding import Constraint

_SEED, _TOGETHER = 23, 256


def render(count):
    """Renders words of the project's list in the style of signs."""
    draw = synth.WordTexts(synth.read_words(), seed=_SEED, upper=0.5, capital=0.25)
    texts = [draw.text(index) for index in range(count)]
    return list(synth.render_many(texts, synth.bundled_fonts(), synth.Style.signs(), seed=_SEED))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", help="label source of images to read (words are rendered)")
    parser.add_argument("--model", default="words", help="shipped reader or .onnx file (words)")
    parser.add_argument("--images", type=int, default=1024, help="words to render (1024)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each kind (5)")
    options = parser.parse_args()
    reader = OnnxRecognizer.load(options.model, cores=1)
    images = read_samples(options.labels).samples if options.labels else render(options.images)
    window = load_images(images, reader.canvas)
    batches = [canvases for _, canvases in window.batches(_TOGETHER)]
    began = time.perf_counter()
    logits = [reader.predict_logits(canvases) for canvases in batches]
    network = time.perf_counter() - began
    count = sum(map(len, logits))
    anything = Constraint(pattern=Pattern(r"[a-z0-9]{2,12}", reader.char_dict))
    kinds = {
        "best path": {"language_model": None},
        "language model": {},
        "pattern [a-z0-9]{2,12}": {"language_model": None, "pattern": anything},
        "both": {"pattern": anything},
        "language model, 5 alternatives": {"alternatives": 5},
    }
    seconds = {kind: [] for kind in kinds}
    for _ in range(options.rounds):
        # Side by side, so that what else the machine does meets all of them.
        for kind, arguments in kinds.items():
            own = dict(arguments)
            pattern = own.pop("pattern", None)
            began = time.perf_counter()
            for rows in logits:
                constraints = pattern and [pattern] * len(rows)
                reader.decode(rows, constraints=constraints, **own)
            seconds[kind].append(time.perf_counter() - began)
    sure = sum(_count_sure(reader, rows) for rows in logits)
    plain = min(seconds["best path"])
    print(f"{count:,} images, the network {1000 * network / count:.2f} ms an image on one core\n")
    print("| decoded with | ms an image, least (median) | of the network's time |\n|---|---|---|")
    for kind, found in seconds.items():
        least, middle = 1000 * min(found) / count, 1000 * statistics.median(found) / count
        print(f"| {kind} | {least:.3f} ({middle:.3f}) | {min(found) / network:.0%} |")
    unsure = count - sure
    added = 1000 * (min(seconds["language model"]) - plain)
    print(
        f"\nunsure: {unsure:,} of {count:,} ({unsure / count:.0%}); the language model adds "
        f"{added / max(unsure, 1):.2f} ms to each, {added / count:.3f} ms on average"
    )


def _count_sure(reader, logits):
    threshold = reader.language_model.settings.threshold
    found = reader.decode(logits, language_model=None)
    return sum(prediction.raw_confidence >= threshold for prediction in found)


if __name__ == "__main__":
    main()
