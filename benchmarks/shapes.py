"""Accuracy for the same minutes: networks of several shapes, on the same rendered words.

    make walkthrough PARAMS="--only 02"      # words to learn and words to read
    KERAS_BACKEND=torch python benchmarks/shapes.py data/walkthrough/records --minutes 4

The shapes learn one after the other on an otherwise idle machine, each for the same time: the first
steps are timed, and the learning rate's cosine is laid out for as many as the time has room for.
All read the same held-out words. Printed are the arithmetic of an image, the weights, the words
seen, and the word accuracy with its 95 % interval.
"""

import argparse
import os
import statistics
import tempfile
import time

from training import count_flops

from crnn_keras.memory import keep_freed_memory

BATCH, WARM_UP, TIMED = 64, 5, 30
WAYS = {
    "narrow": "two thirds of the channels",
    "patches": "patches of 4 x 4 pixels first: nothing at full or half resolution",
    "low": "down to four rows at once",
    "memory": "fewer convolutions, twice the LSTM",
    "small": "the preset",
}


def shapes():
    """Makes the shapes known to `build_crnn`."""
    from crnn_keras.model import SHAPES, Shape, strided_features

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
    }
    units = {"memory": 192}
    for name, convolutions in others.items():
        SHAPES[name] = Shape(strided_features(*convolutions), (units.get(name, 96),), 0.2)


def seconds_a_step(model, batches):
    """Median time of a training step, input included, after some that are not counted."""
    from crnn_keras import train

    whole = train.training_model(model, batches.labels.shape[1])
    train.compile_for_training(whole, train.make_optimizer("adamw", 2e-3))
    times = []
    for inputs, zeros in batches.training().take(WARM_UP + TIMED):
        started = time.perf_counter()
        whole.train_on_batch(inputs, zeros)
        times.append(time.perf_counter() - started)
    return statistics.median(times[WARM_UP:])


def learn(name, data, minutes, seed):
    """Trains one shape for some minutes and prints its line."""
    from crnn_keras import train
    from crnn_keras.dataset import Batches
    from crnn_keras.model import build_crnn
    from crnn_keras.records import open_records

    sets = {part: open_records(f"{data}/{part}") for part in ("train", "test")}
    char_dict, canvas = sets["train"].char_dict, sets["train"].canvas

    def batches(part, **options):
        return Batches(sets[part], char_dict, canvas, BATCH, seed, **options)

    learnt, read = batches("train", shuffle=True, augment=True), batches("test")
    for _ in learnt.once():  # decoded once before the clock runs, and kept
        pass
    steps = int(60 * minutes / seconds_a_step(build_crnn(char_dict, canvas, name, seed), learnt))
    model = build_crnn(char_dict, canvas, name, seed)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        train.train(model, learnt, read, folder, epochs=1, steps_per_epoch=steps)
    took = time.perf_counter() - started
    _, report = train.validate(model, read)
    low, high = report.interval
    print(
        f"| {name}: {WAYS[name]} | {count_flops(model) / 1e6:.0f} | "
        f"{model.count_params():,} | {steps * BATCH:,} in {took:.0f} s | "
        f"{report.word_accuracy:.2%} ({low:.2%} to {high:.2%}) |",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="folder of the sets `train` and `test`")
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shapes", nargs="+", choices=WAYS, default=list(WAYS))
    options = parser.parse_args()
    keep_freed_memory()
    shapes()
    print(f"{os.cpu_count()} cores, {options.minutes:g} minutes each, seed {options.seed}")
    print("| shape | MFLOP an image | weights | words seen | word accuracy |")
    print("|---|---|---|---|---|", flush=True)
    for name in options.shapes:
        learn(name, options.data, options.minutes, options.seed)


if __name__ == "__main__":
    main()
