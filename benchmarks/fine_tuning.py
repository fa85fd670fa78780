"""Fine-tunes a shipped reader on real sets, and measures what it learns and what it forgets.

    python benchmarks/fine_tuning.py DATA
    python benchmarks/fine_tuning.py DATA --images 64 --variants trained-lstm no-replay
    python benchmarks/fine_tuning.py --draw

DATA holds the folders `captcha_v2`, `plates_cn`, `sroie_words` and `iiit5k_test`, each with a
`labels.tsv`. A seed draws the images to learn from, and seeds the training; up to `--most` others
of the set are read, and as many of IIIT5K's test, which is the old task. Each training adds rows to
`docs/fine_tuning.csv`, one for each interpolation (a variant has the default one), with and without
the language model, and is not repeated if they are there: a benchmark that was stopped continues.
Letters and digits are compared, and the exact text.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import csv
import itertools
import os
import pathlib
import random
import statistics
import tempfile

from crnn_keras import (
    FineTuningSettings,
    Recognizer,
    evaluate,
    fine_tune,
    load_for_fine_tuning,
    read_samples,
    with_char_dict,
)
from crnn_keras.data.labels import split_samples
from crnn_keras.evaluation import plots
from crnn_keras.training.fine_tuning import interpolate_weights, tune
from crnn_keras.training.fine_tuning.settings import default_steps

SETS = {"captchas": "captcha_v2", "plates": "plates_cn", "receipts": "sroie_words"}
OLD_TASK = "iiit5k_test"
START = "words"
FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}
INTERPOLATIONS = (1.0, 0.95, 0.9, 0.8)
REPLAYED = 12_000
# What is changed of the defaults, one thing at a time.
VARIANTS = {
    "default": {},
    "rate-0.001": {"learning_rate": 1e-3},
    "rate-0.004": {"learning_rate": 4e-3},
    "no-replay": {"replay_fraction": 0.0},
    "replay-0.6": {"replay_fraction": 0.6},
    "augment-0.5": {"augment": 0.5},
    "half-the-steps": {"steps": 0.5},
    "half-more-steps": {"steps": 1.5},
    "twice-the-steps": {"steps": 2.0},
    "trained-lstm": {"train_lstm": True, "learning_rate": 1e-3},
    "frozen-lstm": {"train_lstm": False, "learning_rate": 2e-3},
    "frozen-convolutions": {"train_lstm": True, "frozen": "conv"},
}
KEY = ("set", "images", "seed", "variant")
COUNTS = ("own_correct", "own_exact", "own_tested", "old_correct", "old_tested")
COLUMNS = (*KEY, "interpolation", "default", "language_model", *COUNTS, "seconds")
# `read` takes the reader's own language model, or none.
LANGUAGE_MODELS = {"yes": "own", "no": None}
REPLAY = pathlib.Path(tempfile.gettempdir()) / "crnn_keras_replay"
OUTPUT = pathlib.Path(__file__).parents[1] / "docs" / "fine_tuning.csv"


def draw_images(samples, count, seed):
    """Returns the images to learn from, and the others."""
    order = list(range(len(samples)))
    random.Random(seed).shuffle(order)
    return [samples[i] for i in order[:count]], [samples[i] for i in order[count:]]


@contextlib.contextmanager
def frozen(prefix):
    """Lets layers whose names begin so learn nothing, in what `fine_tune` loads."""

    def load_frozen(*args, **kwargs):
        model = load_for_fine_tuning(*args, **kwargs)
        for layer in model.layers:
            layer.trainable = not (prefix and layer.name.startswith(prefix))
        return model

    tune.load_for_fine_tuning = load_frozen
    try:
        yield
    finally:
        tune.load_for_fine_tuning = load_for_fine_tuning


def train(samples, *, variant, seed, replay):
    """Returns the model that fine-tuning gives, not interpolated, and its seconds.

    `replay` is the folder of the rendered words of a seed, which its trainings share.
    """
    changes = dict(VARIANTS[variant])
    prefix = changes.pop("frozen", "")
    splits = split_samples(samples, FRACTIONS, seed)
    if "steps" in changes:
        changes["steps"] = round(changes["steps"] * default_steps(len(splits["train"])))
    settings = FineTuningSettings(seed=seed, interpolation=1.0, replay_images=REPLAYED, **changes)
    with tempfile.TemporaryDirectory() as folder, frozen(prefix):
        replay.mkdir(parents=True, exist_ok=True)
        os.symlink(replay, f"{folder}/replay")
        result = fine_tune(splits, folder=folder, start=START, settings=settings)
        return Recognizer.load(result.model_path).model, round(result.seconds)


def count_correct(model, samples, language_model):
    """Returns how many images are correct, by letters and digits and by the whole text."""
    reader = Recognizer(model)
    predictions = reader.read(samples, language_model=LANGUAGE_MODELS[language_model])
    texts = [prediction.text for prediction in predictions]
    targets = [reader.char_dict.normalize(sample.text) for sample in samples]
    reports = [evaluate(targets, texts, protocol=name) for name in ("alphanumeric", "exact")]
    return [sum(not case.distance for case in report.cases) for report in reports]


def measure(key, sources, most):
    """Yields the rows of one training; of no images, those of the start."""
    name, images, seed, variant = key
    learned, others = draw_images(sources[name], images, seed)
    others, old_task = others[:most], draw_images(sources[OLD_TASK], most, 0)[0]
    start, seconds = Recognizer.load(START).model, 0
    trained = start
    if images:
        replay = REPLAY / str(seed)
        trained, seconds = train(learned, variant=variant, seed=seed, replay=replay)
    settings = FineTuningSettings().complete(
        images=max(images, 1),
        known=len(start.char_dict),
        new=len(set(trained.char_dict.characters) - set(start.char_dict.characters)),
    )
    default = settings.interpolation
    tried = INTERPOLATIONS if variant == "default" else (default,)
    for interpolation in tried if images else (1.0,):
        model = with_char_dict(trained, trained.char_dict)
        interpolate_weights(start, model, fraction=interpolation)
        for name in LANGUAGE_MODELS:
            own, old = (count_correct(model, images, name) for images in (others, old_task))
            counts = (*own, len(others), old[0], len(old_task))
            yield (*key, interpolation, default, name, *counts, seconds)


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
    asked = itertools.product(options.seeds, options.images, options.sets, options.variants)
    for seed, images, name, variant in asked:
        key = (name, images, seed, variant)
        done = {tuple(row[column] for column in KEY) for row in read_rows(options.output)}
        if tuple(map(str, key)) in done or (not images and (seed or variant != "default")):
            continue
        rows = list(measure(key, sources, options.most))
        is_new = not options.output.exists()
        with options.output.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS] * is_new + rows)


def print_table(rows):
    """Prints means over the seeds, with the smallest and the largest."""
    groups = collections.defaultdict(list)
    for row in rows:
        names = ("variant", "interpolation", "language_model")
        groups[row["set"], int(row["images"]), *(row[name] for name in names)].append(row)
    print("| set | images | variant | interpolation | language model | seeds ", end="")
    print("| own, % | exact, % | IIIT5K, % | s |")
    print("|---" * 10, "|", sep="")
    for key, group in sorted(groups.items()):
        own, exact, old = (
            describe([100 * int(row[hits]) / int(row[tested]) for row in group])
            for hits, tested in (
                ("own_correct", "own_tested"),
                ("own_exact", "own_tested"),
                ("old_correct", "old_tested"),
            )
        )
        seconds = f"{statistics.mean(float(row['seconds']) for row in group):.0f}"
        cells = [*map(str, key), str(len(group)), own, exact, old, seconds]
        print("|", " | ".join(cells), "|")


def describe(values):
    """Returns a mean with its range."""
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{statistics.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def draw(rows, path):
    """Draws the accuracy of each set against the images it was learned from."""
    series = [
        {
            "series": row["set"],
            "images": int(row["images"]),
            "seed": int(row["seed"]),
            "correct": int(row["own_correct"]),
            "tested": int(row["own_tested"]),
        }
        for row in rows
        if int(row["images"])
        and row["variant"] == "default"
        and row["interpolation"] == row["default"]
        and row["language_model"] == "yes"
    ]
    plots.learning_curves(series).savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", help="folder of the real sets; none: what was measured")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--images", nargs="+", type=int, default=[0, 16, 64, 250, 700])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=["default"])
    parser.add_argument("--most", type=int, default=1000, help="images read of each set")
    parser.add_argument("--output", type=pathlib.Path, default=OUTPUT)
    parser.add_argument("--draw", action="store_true", help="draw the curve beside the csv")
    options = parser.parse_args()
    if options.data:
        run(options)
    rows = read_rows(options.output)
    print_table(rows)
    if options.draw:
        draw(rows, options.output.with_suffix(".png"))


if __name__ == "__main__":
    main()
