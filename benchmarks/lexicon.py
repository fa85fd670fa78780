"""Reading real words with a list of words: accuracy and time against the edit distance.

    python benchmarks/lexicon.py DATA [--model words] [--beam-width 10]

DATA holds `svt_test` and `iiit5k_test`, each with a `labels.tsv` of path, tab, text; SVT's 50 words
for each image in `svt_test/lex50.tsv`; and the 88,172 words of MJSynth in
`lexicons/mjsynth_90k.txt`, one in a line. A word is correct if its letters and digits are, in any
case. Every image counts; one that cannot be read is wrong. Intervals are 95 % (Wilson).

The columns: fraction of the labels that are in the list; word accuracy; fraction of the images
without a candidate, which keep the text of the best path; candidates (median); milliseconds of
`read_with_lexicon` for one image alone, without the network: median, smallest to largest, mean.
They do not include the time that a `Lexicon` of the list takes; for the long list it is printed.

Beam search is Keras' own, in batches, beside best path. It is counted which text of the two CTC
finds likelier, to see that the search works.
"""

import argparse
import os
import pathlib
import statistics
import time

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

BATCH = 64
DELTAS = (1, 2, 3)


class RealSet:
    """The images of a set, their labels and their logits."""

    def __init__(self, folder, recognizer):
        from crnn_keras.inference.loading import load_images

        self.folder, self.name, self.char_dict = folder, folder.name, recognizer.char_dict
        rows = (folder / "labels.tsv").read_text(encoding="utf-8").splitlines()
        self.paths, self.targets = zip(*(row.split("\t", 1) for row in rows), strict=True)
        window = load_images([folder / path for path in self.paths], recognizer.canvas)
        self.logits = [None] * len(rows)  # None stays where an image cannot be read
        for positions, canvases in window.batches(BATCH):
            for position, row in zip(positions, recognizer.predict_logits(canvases), strict=True):
                self.logits[position] = row

    def readable(self):
        """Returns pairs of position and logits."""
        return [(i, logits) for i, logits in enumerate(self.logits) if logits is not None]


def batches(pairs):
    """Yields positions and stacked arrays, from pairs of a position and an array of one shape."""
    import numpy as np

    for start in range(0, len(pairs), BATCH):
        positions, arrays = zip(*pairs[start : start + BATCH], strict=True)
        yield positions, np.stack(arrays)


def accuracy(targets, texts):
    """Returns word accuracy with its interval, as a column."""
    from crnn_keras.evaluation.metrics import evaluate

    report = evaluate(targets, texts, protocol="alphanumeric")
    low, high = (100 * bound for bound in report.interval)
    return f"{report.word_accuracy:6.2%} ({low:.1f} to {high:.1f})"


def without_list(real):
    """Prints the line of best path decoding."""
    from crnn_keras.model.decoding.best_path import best_path

    texts = [None] * len(real.targets)
    for position, logits in real.readable():
        (decoded,) = best_path(logits[None], real.char_dict)
        texts[position] = decoded.text
    print(line(real.name, "none", accuracy=accuracy(real.targets, texts), n=len(texts)), flush=True)


def with_list(real, list_name, find_lexicon, *, delta):
    """Prints the line of one list at one edit distance. `find_lexicon` returns an image's list."""
    from crnn_keras.char_dict import alphanumeric
    from crnn_keras.model.decoding import read_with_lexicon

    lexicons = [find_lexicon(path) for path in real.paths]
    distinct = {id(lexicon): lexicon for lexicon in lexicons}
    words = {key: set(lexicon.words) for key, lexicon in distinct.items()}
    pairs = zip(real.targets, lexicons, strict=True)
    inside = sum(alphanumeric(target) in words[id(lexicon)] for target, lexicon in pairs)
    texts, milliseconds, candidates = [None] * len(lexicons), [], []
    for position, logits in real.readable():
        began = time.perf_counter()
        (choice,) = read_with_lexicon(logits[None], lexicons[position], delta=delta)
        milliseconds.append(1000 * (time.perf_counter() - began))
        texts[position] = choice.text
        candidates.append(choice.candidates)
    spread = (
        f"{statistics.median(milliseconds):.2f} "
        f"({min(milliseconds):.2f} to {max(milliseconds):.2f}), "
        f"mean {statistics.mean(milliseconds):.2f}"
    )
    columns = {
        "delta": "all" if delta is None else delta,
        "inside": f"{inside / len(lexicons):.1%}",
        "accuracy": accuracy(real.targets, texts),
        "none": f"{candidates.count(0) / len(candidates):.2%}",
        "candidates": f"{statistics.median(candidates):.0f}",
        "spread": spread,
    }
    print(line(real.name, list_name, **columns, n=len(texts)), flush=True)


def line(name, words, *, accuracy, delta="", inside="", none="", candidates="", spread="", n="n"):
    """Returns a line of the table."""
    return (
        f"{name:12} {words:6} {delta!s:5} {inside:>7} {accuracy:22} {none:>7} {candidates:>10}  "
        f"{spread:36} {n:>5}"
    )


def beam_search(real, width):
    """Prints Keras' beam search beside best path."""
    import numpy as np
    from keras import ops

    from crnn_keras.char_dict import BLANK
    from crnn_keras.model.decoding import log_likelihoods
    from crnn_keras.model.decoding.best_path import best_path

    texts = {"best path": [None] * len(real.targets), "beam search": [None] * len(real.targets)}
    milliseconds = {name: [] for name in texts}
    likelier = {name: 0 for name in texts}
    by_frames = {}
    for position, logits in real.readable():
        by_frames.setdefault(len(logits), []).append((position, logits))
    for positions, logits in (b for pairs in by_frames.values() for b in batches(pairs)):
        lengths = np.full(len(logits), logits.shape[1], "int32")
        began = time.perf_counter()
        best = [decoded.text for decoded in best_path(logits, real.char_dict)]
        between = time.perf_counter()
        found, _ = ops.ctc_decode(
            logits, lengths, strategy="beam_search", beam_width=width, mask_index=BLANK
        )
        rows = ops.convert_to_numpy(found[0]).tolist()
        beam = [real.char_dict.decode(i for i in row if i > BLANK) for row in rows]
        ended = time.perf_counter()
        milliseconds["best path"].append(1000 * (between - began) / len(logits))
        milliseconds["beam search"].append(1000 * (ended - between) / len(logits))
        for position, row, *both in zip(positions, logits, best, beam, strict=True):
            for name, text in zip(texts, both, strict=True):
                texts[name][position] = text
            first, second = log_likelihoods(row, [real.char_dict.encode(text) for text in both])
            likelier["best path"] += first > second
            likelier["beam search"] += second > first
    for name in texts:
        times = milliseconds[name]
        print(
            f"{real.name:12} {name:12} {accuracy(real.targets, texts[name]):22} "
            f"{statistics.median(times):.3f} ({min(times):.3f} to {max(times):.3f}) ms an image in "
            f"{len(times)} batches; likelier than the other's text {likelier[name]:4} times, "
            f"n = {len(texts[name])}",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=pathlib.Path, help="folder of the sets and lists")
    parser.add_argument("--model", default="words", help=".keras file or shipped name")
    parser.add_argument("--beam-width", type=int, default=10)
    options = parser.parse_args()
    from crnn_keras.data.labels import read_lexicon
    from crnn_keras.inference.recognizer import Recognizer
    from crnn_keras.model.decoding import Lexicon

    recognizer = Recognizer.load(options.model)
    svt, iiit5k = (RealSet(options.data / f"{s}_test", recognizer) for s in ("svt", "iiit5k"))
    own = read_lexicon(svt.folder / "lex50.tsv")
    fifty = {image: Lexicon(words, recognizer.char_dict) for image, words in own.items()}
    long_list = (options.data / "lexicons/mjsynth_90k.txt").read_text(encoding="utf-8").split()
    began = time.perf_counter()
    long_lexicon = Lexicon(long_list, recognizer.char_dict)
    seconds = time.perf_counter() - began
    print(f"{os.cpu_count()} cores; model {options.model}; 90k: {long_lexicon} in {seconds:.2f} s")
    titles = {"delta": "delta", "inside": "in list", "accuracy": "word accuracy"}
    titles |= {"none": "no cand.", "candidates": "candidates", "spread": "ms"}
    print(line("set", "list", **titles))
    without_list(svt)
    with_list(svt, "50", lambda path: fifty[os.path.normpath(svt.folder / path)], delta=None)
    for delta in DELTAS:
        with_list(svt, "90k", lambda path: long_lexicon, delta=delta)
    without_list(iiit5k)
    for delta in DELTAS:
        with_list(iiit5k, "90k", lambda path: long_lexicon, delta=delta)
    for real in (svt, iiit5k):
        beam_search(real, options.beam_width)


if __name__ == "__main__":
    main()
