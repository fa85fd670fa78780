"""Accuracy for the same minutes: networks of several shapes, on the same rendered words.

    make walkthrough PARAMS="--only 02"      # words to learn and words to read
    KERAS_BACKEND=torch python benchmarks/shapes.py data/walkthrough/records --minutes 3

First all shapes take training steps in turn, on an otherwise idle machine, so that a busy moment
slows all of them; then each learns for as many steps as its minutes hold by that measure, however
long they take. All read the same held-out words. Printed are the arithmetic of an image, the
weights, the words seen, and the word accuracy with its 95 % interval.
"""

import argparse
import os
import statistics
import tempfile
import time

from training import count_flops

from crnn_keras.utils.malloc import tune_malloc

BATCH = 64
# Steps of a shape: not counted, and of each of its turns.
WARM_UP, TURN, TURNS = 5, 5, 12
WAYS = {
    "narrow": "two thirds of the channels",
    "patches": "patches of 4 x 4 pixels first: nothing at full or half resolution",
    "low": "down to four rows at once",
    "memory": "fewer convolutions, twice the LSTM",
    "twice": "two LSTM layers, as the paper has",
    "wide": "a third more channels and LSTM units",
    "small": "the preset",
}


def shapes():
    """Makes the shapes known to `build_crnn`."""
    from crnn_keras.model.crnn import SHAPES, SMALL, Shape, strided_features

    others = {
        "narrow": (
            (16, 5, 2),
            (32, 3, 2),
            (48, 3, 1),
            (64, 3, (2, 1)),
            (64, 3, 1),
            (96, 3, (2, 1)),
        ),
        "patches": ((64, 5, 4), (64, 3, 1), (96, 3, (2, 1)), (96, 3, 1), (128, 3, (2, 1))),
        "low": ((24, 5, 2), (48, 3, (4, 2)), (96, 3, 1), (96, 3, 1), (128, 3, (2, 1))),
        "memory": ((16, 5, 2), (32, 3, 2), (64, 3, (2, 1)), (96, 3, (2, 1))),
        "twice": SMALL,
        "wide": tuple((filters * 4 // 3, *rest) for filters, *rest in SMALL),
    }
    units = {"memory": (192,), "twice": (96, 96), "wide": (128,)}
    for name, convolutions in others.items():
        SHAPES[name] = Shape(strided_features(*convolutions), units.get(name, (96,)), 0.2)


class Words:
    """The words of a folder of records, to learn and to read."""

    def __init__(self, folder, seed):
        from crnn_keras.char_dict import CharDict
        from crnn_keras.data.batches import Batches
        from crnn_keras.data.records import open_records
        from crnn_keras.images import Canvas

        parts = {part: open_records(f"{folder}/{part}") for part in ("train", "test")}
        self.char_dict = CharDict.from_config(parts["train"].info["char_dict"])
        self.canvas = Canvas(**parts["train"].info["canvas"])
        self.seed = seed
        common = {"batch_size": BATCH, "seed": seed}
        canvas = self.char_dict, self.canvas
        self.learnt = Batches(parts["train"], *canvas, **common, shuffle=True, augment=1.0)
        self.read = Batches(parts["test"], *canvas, **common)
        for _ in self.learnt.iter_once():  # decoded before any clock runs, and kept
            pass

    def reader(self, shape):
        """A reader with fresh weights."""
        from crnn_keras.model.crnn import build_crnn

        return build_crnn(self.char_dict, self.canvas, shape, self.seed)


def seconds_a_step(names, words):
    """Median time of a training step by shape, input included."""
    from crnn_keras import training

    steps = {}
    for name in names:
        whole = training.training_model(words.reader(name), words.learnt.labels.shape[1])
        training.compile_for_training(whole, training.make_optimizer("adamw", 2e-3))
        batches = iter(words.learnt.train_dataset())
        steps[name] = lambda whole=whole, batches=batches: whole.train_on_batch(*next(batches))
        for _ in range(WARM_UP):
            steps[name]()
    times = {name: [] for name in names}
    for _ in range(TURNS):
        for name, step in steps.items():
            for _ in range(TURN):
                started = time.perf_counter()
                step()
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(found) for name, found in times.items()}


def learn(name, words, steps):
    """Trains one shape and prints its line."""
    from crnn_keras import training

    model = words.reader(name)
    with tempfile.TemporaryDirectory() as folder:
        training.train(model, words.learnt, words.read, folder, epochs=1, steps_per_epoch=steps)
    _, report = training.validate(model, words.read)
    low, high = report.interval
    print(
        f"| {name}: {WAYS[name]} | {count_flops(model) / 1e6:.0f} | {model.count_params():,} | "
        f"{steps * BATCH:,} | {report.word_accuracy:.1%} ({low:.1%} to {high:.1%}) |",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="folder of the sets `train` and `test`")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shapes", nargs="+", choices=WAYS, default=list(WAYS))
    options = parser.parse_args()
    tune_malloc()
    shapes()
    print(f"{os.cpu_count()} cores, {options.minutes:g} minutes each, seed {options.seed}")
    print("| shape | MFLOP an image | weights | words seen | word accuracy |")
    print("|---|---|---|---|---|", flush=True)
    words = Words(options.data, options.seed)
    for name, seconds in seconds_a_step(options.shapes, words).items():
        learn(name, words, int(60 * options.minutes / seconds))


if __name__ == "__main__":
    main()
