"""Measures the loss of several seeds by step: the bands behind the learner's curve in notebook 04.

    python benchmarks/loss_bands.py data/lesson/records
    python benchmarks/loss_bands.py data/lesson/records --seeds 6 7 --table /tmp/bands.csv

The records are those of notebook 02 with its default parameters, the settings are those of notebook
04.
Each training adds its rows to the table, one for 20 steps, so a stopped benchmark continues: a
seed whose rows are there is not trained again, and one that was stopped within its training goes on
from its last state. Printed are the accuracy of each seed, and the steps from which and to which it
predicts almost only blanks.
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import pathlib

from crnn_keras import open_batches, train
from crnn_keras.notebook.walkthrough import list_notebooks, read_parameters
from crnn_keras.notebook.watched import WatchedTraining
from crnn_keras.training.start import default_learning_rate, make_model
from crnn_keras.utils import files

ROOT = pathlib.Path(__file__).parents[1]
TABLE = ROOT / "notebooks" / "04_loss_bands.csv"
FOLDER = ROOT / "data" / "loss_bands"
COLUMNS = ("seed", "step", "loss")
# Seeds of weights, order and augmentation. The notebook's own is 0.
SEEDS = (1, 2, 3, 4, 5)


def measure(records, folder, seed, settings):
    """Trains with a seed; returns its rows."""
    order = {"batch_size": settings["batch_size"], "augment": settings["augment"]}
    training, validation = open_batches(records, seed=seed, **order)
    canvases, _, positions = next(validation.iter_once())
    labels = [validation.texts[position] for position in positions[:8]]
    start = settings["start"]
    watched = WatchedTraining(canvases[: len(labels)], labels, folder / "watched.json")
    history = train(
        make_model(start, training.char_dict, training.canvas, seed=seed),
        training,
        validation,
        folder=folder,
        **{name: settings[name] for name in ("epochs", "steps_per_epoch", "optimizer", "schedule")},
        learning_rate=settings["learning_rate"] or default_learning_rate(start),
        save_minutes=1,
        callbacks=[watched],
    )
    last, seconds = history[-1], sum(row["seconds"] for row in history)
    print(f"seed {seed}: word accuracy {last['word_accuracy']:.2%}, {seconds:.0f} s", flush=True)
    print(f"seed {seed}: almost only blanks at steps {watched.plateau}", flush=True)
    return [{"seed": seed, "step": step, "loss": round(loss, 3)} for step, loss in watched.losses]


def write_rows(table, rows):
    """Writes the table, completely or not at all."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write_atomic(table, buffer.getvalue().encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", type=pathlib.Path, help="folder of notebook 02's records")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--folder", type=pathlib.Path, default=FOLDER, help="of the trainings")
    parser.add_argument(
        "--table", type=pathlib.Path, default=TABLE, help="csv to write or continue"
    )
    options = parser.parse_args()
    (notebook,) = list_notebooks(["04"])
    settings = read_parameters(notebook)
    rows = []
    if options.table.exists():
        with options.table.open(newline="") as file:
            rows = list(csv.DictReader(file))
    for seed in options.seeds:
        if str(seed) in {str(row["seed"]) for row in rows}:
            continue
        rows += measure(options.records, options.folder / f"seed_{seed}", seed, settings)
        write_rows(options.table, rows)
    seeds = [key for key, _ in itertools.groupby(str(row["seed"]) for row in rows)]
    print(f"{options.table}: seeds {', '.join(seeds)}")


if __name__ == "__main__":
    main()
