"""Accuracy for the same minutes: networks of several shapes, on the same rendered words.

    make walkthrough PARAMS="--only 02"      # words to train and to test on
    KERAS_BACKEND=torch python benchmarks/shapes.py data/walkthrough/records --minutes 3

First all shapes take training steps in turn, on an otherwise idle machine, so that a busy moment
slows all of them; then each trains for as many steps as fit into its minutes by that measure,
however long they take. All are tested on the same words. Printed are the arithmetic of an image,
the weights, the words seen, and the word accuracy with its 95 % interval.
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
SHAPES = {
    "narrow": "two thirds of the channels",
    "patches": "patches of 4 x 4 pixels first: nothing at full or half resolution",
    "low": "down to four rows at once",
    "memory": "fewer convolutions, twice the LSTM",
    "twice": "two LSTM layers, as the paper has",
    "wider": "a third more channels and LSTM units",
    "small": "the architecture",
}


def add_shapes():
    """Adds the shapes to the architectures that `build_crnn` knows."""
    from crnn_keras.model.architectures import ARCHITECTURES

    small = ARCHITECTURES["small"]
    filters, units = small["filters"], small["lstm_units"]
    ARCHITECTURES["narrow"] = {**small, "filters": [16, 32, 48, 64, 64, 96]}
    ARCHITECTURES["wider"] = {
        **small,
        "filters": [4 * n // 3 for n in filters],
        "lstm_units": [128],
    }
    ARCHITECTURES["twice"] = {**small, "lstm_units": 2 * units}
    ARCHITECTURES["patches"] = _strided(
        [64, 64, 96, 96, 128], [[4, 4], [1, 1], [2, 1], [1, 1], [2, 1]], units
    )
    ARCHITECTURES["low"] = _strided(
        [24, 48, 96, 96, 128], [[2, 2], [4, 2], [1, 1], [1, 1], [2, 1]], units
    )
    ARCHITECTURES["memory"] = _strided([16, 32, 64, 96], [[2, 2], [2, 2], [2, 1], [2, 1]], [192])


def _strided(filters, strides, lstm_units):
    """Returns `small` with other convolutions, the first of 5 x 5 and all others of 3 x 3."""
    from crnn_keras.model.architectures import ARCHITECTURES

    count = len(filters)
    return {
        **ARCHITECTURES["small"],
        "filters": filters,
        "kernel_sizes": [5, *[3] * (count - 1)],
        "strides": strides,
        "pool_sizes": [[1, 1]] * count,
        "residuals": [0] * count,
        "batch_norm": [True] * count,
        "lstm_units": lstm_units,
    }


class Words:
    """The words of a folder of records, to train and to test on."""

    def __init__(self, folder, seed):
        from crnn_keras.char_dict import CharDict
        from crnn_keras.data.batches import Batches
        from crnn_keras.data.records import open_records
        from crnn_keras.images import Canvas

        train_records, test_records = (open_records(f"{folder}/{s}") for s in ("train", "test"))
        self.char_dict = CharDict.from_config(train_records.info["char_dict"])
        self.canvas = Canvas(**train_records.info["canvas"])
        self.seed = seed
        common = {"batch_size": BATCH, "seed": seed}
        order = {"shuffle": True, "augment": 1.0}
        self.train = Batches(train_records, self.char_dict, self.canvas, **common, **order)
        self.test = Batches(test_records, self.char_dict, self.canvas, **common)
        for _ in self.train.iter_once():  # decoded before any clock runs, and kept
            pass

    def build(self, shape):
        """Builds a model with fresh weights."""
        from crnn_keras.model.crnn import build_crnn

        return build_crnn(self.char_dict, self.canvas, shape, seed=self.seed)


def measure_seconds(names, words):
    """Returns the median time of a training step by shape, input included."""
    from crnn_keras.model.ctc import CTCLoss
    from crnn_keras.training import make_optimizer

    steps = {}
    for name in names:
        model = words.build(name)
        model.compile(make_optimizer("adamw", 2e-3), CTCLoss())
        batches = iter(words.train.train_dataset())
        steps[name] = lambda model=model, batches=batches: model.train_on_batch(*next(batches))
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


def train_shape(name, words, steps):
    """Trains one shape and prints its line."""
    from crnn_keras import training

    model = words.build(name)
    with tempfile.TemporaryDirectory() as folder:
        options = {"epochs": 1, "steps_per_epoch": steps}
        training.train(model, words.train, words.test, folder=folder, **options)
    _, report = training.validate(model, words.test)
    low, high = report.interval
    print(
        f"| {name}: {SHAPES[name]} | {count_flops(model) / 1e6:.0f} | {model.count_params():,} | "
        f"{steps * BATCH:,} | {report.word_accuracy:.1%} ({low:.1%} to {high:.1%}) |",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="folder of the sets `train` and `test`")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    options = parser.parse_args()
    tune_malloc()
    add_shapes()
    print(f"{os.cpu_count()} cores, {options.minutes:g} minutes each, seed {options.seed}")
    print("| shape | MFLOP an image | weights | words seen | word accuracy |")
    print("|---|---|---|---|---|", flush=True)
    words = Words(options.data, options.seed)
    for name, seconds in measure_seconds(options.shapes, words).items():
        train_shape(name, words, int(60 * options.minutes / seconds))


if __name__ == "__main__":
    main()
