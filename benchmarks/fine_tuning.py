"""Fine-tunes shipped readers on real sets, and measures what they learn and what they forget.

    python benchmarks/fine_tuning.py DATA --images 16 64 250 700 --seeds 3
    python benchmarks/fine_tuning.py DATA --images 60 250 --variants default rate-0.0005 no-replay
    python benchmarks/fine_tuning.py DATA --draw

DATA holds the folders `captcha_v2`, `plates_cn`, `sroie_words` and `iiit5k_test`, each with a
`labels.tsv`. A seed draws the images to learn from; up to `--most` others of the set are read,
and as many of IIIT5K's test. Each training adds rows to the csv of `--output`, one for each interpolation, and is
not repeated if they are there, so a stopped benchmark continues.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import csv
import itertools
import pathlib
import random
import statistics
import tempfile
import time

from crnn_keras.utils.quiet import import_keras_quietly

import_keras_quietly()

from crnn_keras import (
    FineTuningSettings,
    Recognizer,
    evaluate,
    fine_tune,
    read_samples,
    with_char_dict,
)
from crnn_keras.data.labels import split_samples
from crnn_keras.evaluation import plots
from crnn_keras.training.fine_tuning import fine_tune as module
from crnn_keras.training.fine_tuning import interpolate_weights
from crnn_keras.training.fine_tuning.settings import default_steps

FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}
_FROZEN = 5
SETS = {"captchas": "captcha_v2", "plates": "plates_cn", "receipts": "sroie_words"}
OLD_TASK = "iiit5k_test"
INTERPOLATIONS = (1.0, 0.85, 0.7)
# What is changed of the defaults, one thing at a time.
VARIANTS = {
    "default": {},
    "rate-0.0005": {"learning_rate": 5e-4},
    "rate-0.002": {"learning_rate": 2e-3},
    "no-replay": {"replay_fraction": 0.0},
    "replay-0.2": {"replay_fraction": 0.2},
    "replay-0.6": {"replay_fraction": 0.6},
    "augment-0.5": {"augment": 0.5},
    "half-the-steps": {"steps": 0.5},
    "twice-the-steps": {"steps": 2.0},
    "frozen-body": {"frozen": True},
}
COLUMNS = (
    "set",
    "images",
    "seed",
    "variant",
    "interpolation",
    "own",
    "own_exact",
    "old",
    "seconds",
)
OUTPUT = pathlib.Path(__file__).parents[1] / "docs" / "fine_tuning.csv"


def draw(samples, images, seed):
    """Returns the images to learn from, and the others."""
    order = list(range(len(samples)))
    random.Random(seed).shuffle(order)
    return [samples[i] for i in order[:images]], [samples[i] for i in order[images:]]


def spread(samples, most):
    """Returns at most so many samples, evenly spread."""
    return samples[:: max(len(samples) // most, 1)][:most]


def freeze_body(load):
    """Returns a function that loads a model whose first layers with weights do not learn."""

    def load_frozen(*args, **kwargs):
        model = load(*args, **kwargs)
        for layer in [layer for layer in model.layers if layer.weights][:_FROZEN]:
            layer.trainable = False
        return model

    return load_frozen


def settings_of(variant, *, images, seed):
    """Returns the `FineTuningSettings` of a variant. The interpolation is done afterwards."""
    changes = {name: value for name, value in VARIANTS[variant].items() if name != "frozen"}
    if "steps" in changes:
        changes["steps"] = round(changes["steps"] * default_steps(images))
    return FineTuningSettings(seed=seed, interpolation=1.0, **changes)


def accuracies(model, samples):
    """Returns the word accuracy by letters and digits, and by the whole text, in %."""
    reader = Recognizer(model)
    texts = [prediction.text for prediction in reader.read(samples)]
    targets = [reader.char_dict.normalize(sample.text) for sample in samples]
    reports = [evaluate(targets, texts, protocol=name) for name in ("alphanumeric", "exact")]
    return [round(100 * report.word_accuracy, 2) for report in reports]


def measure(name, sources, *, images, seed, variant, most):
    """Fine-tunes once; yields a row for each interpolation."""
    learned, others = draw(sources[name], images, seed)
    others, old_task = spread(others, most), spread(sources[OLD_TASK], most)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, frozen_if(VARIANTS[variant].get("frozen")):
        result = fine_tune(
            split_samples(learned, FRACTIONS, seed),
            folder=folder,
            settings=settings_of(variant, images=images, seed=seed),
        )
        trained = Recognizer.load(result.model_path).model
    seconds = round(time.monotonic() - begun)
    start = Recognizer.load(result.start).model
    for interpolation in INTERPOLATIONS:
        model = with_char_dict(trained, trained.char_dict)
        interpolate_weights(start, model, fraction=interpolation)
        own, own_exact = accuracies(model, others)
        old, _ = accuracies(model, old_task)
        yield (name, images, seed, variant, interpolation, own, own_exact, old, seconds)


@contextlib.contextmanager
def frozen_if(is_frozen):
    """Freezes the body of what `fine_tune` loads."""
    load = module.load_for_fine_tuning
    module.load_for_fine_tuning = freeze_body(load) if is_frozen else load
    try:
        yield
    finally:
        module.load_for_fine_tuning = load


def read_rows(path):
    """Returns the rows that were measured before, as dicts."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run(options):
    """Measures what the csv lacks."""
    folders = {**{name: SETS[name] for name in options.sets}, OLD_TASK: OLD_TASK}
    sources = {
        name: read_samples(pathlib.Path(options.data) / folder / "labels.tsv").samples
        for name, folder in folders.items()
    }
    for seed, images, name, variant in itertools.product(
        range(options.seeds), options.images, options.sets, options.variants
    ):
        key = (name, str(images), str(seed), variant)
        rows = read_rows(options.output)
        if any(tuple(row[column] for column in COLUMNS[:4]) == key for row in rows):
            continue
        new = measure(name, sources, images=images, seed=seed, variant=variant, most=options.most)
        rows = list(new)
        is_new = not options.output.exists()
        with options.output.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            if is_new:
                writer.writerow(COLUMNS)
            writer.writerows(rows)


def print_table(rows):
    """Prints means over the seeds, with the smallest and the largest."""
    groups = collections.defaultdict(list)
    for row in rows:
        groups[row["set"], int(row["images"]), row["variant"], row["interpolation"]].append(row)
    print("| set | images | variant | kept | seeds | own | exact | IIIT5K | seconds |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (name, images, variant, interpolation), group in sorted(groups.items()):
        cells = [describe([float(row[c]) for row in group]) for c in COLUMNS[5:8]]
        seconds = f"{statistics.mean(float(row['seconds']) for row in group):.0f}"
        print(
            "|",
            " | ".join(
                [name, str(images), variant, interpolation, str(len(group)), *cells, seconds]
            ),
            "|",
        )


def describe(values):
    """Returns a mean with its range."""
    return f"{statistics.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", help="folder of the real sets")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--images", nargs="+", type=int, default=[16, 64, 250, 700])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=["default"])
    parser.add_argument("--most", type=int, default=1000, help="images read of each set")
    parser.add_argument("--output", type=pathlib.Path, default=OUTPUT)
    parser.add_argument("--draw", action="store_true", help="draw docs/fine_tuning.png")
    options = parser.parse_args()
    if options.data:
        run(options)
    rows = read_rows(options.output)
    print_table(rows)
    if options.draw:
        draw_curves(rows).savefig(options.output.with_suffix(".png"))


if __name__ == "__main__":
    main()
