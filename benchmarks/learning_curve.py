"""Measures how many labelled images give which word accuracy, and draws the curve.

    python benchmarks/learning_curve.py
    python benchmarks/learning_curve.py --images 16 64 --seeds 1 --table /tmp/curve.csv
    python benchmarks/learning_curve.py --labels captchas/labels.tsv --table captchas.csv

Without labels, 2,000 displays are drawn to choose from and 500 to measure on, as in notebook 08,
whose csv is the default table. With labels, up to `--most` of them are measured on, and the others
chosen from. Each training adds a row to the table, so a stopped benchmark continues.
"""

from __future__ import annotations

import argparse
import pathlib
import random

from crnn_keras import read_samples
from crnn_keras.evaluation import plots
from crnn_keras.notebook.displays import draw_displays
from crnn_keras.training.fine_tuning.curve import SIZES, measure_learning_curve

ROOT = pathlib.Path(__file__).parents[1]
TABLE = ROOT / "notebooks" / "08_learning_curve.csv"
FOLDER = ROOT / "data" / "learning_curve"
# Other seeds than those of the notebook, whose crops would otherwise be in the pool.
_POOL, _TEST = (2000, 100), (500, 101)


def find_samples(options):
    """Returns the samples to choose from and those to measure on."""
    if not options.labels:
        drawn = {"pool": _POOL, "test": _TEST}
        paths = (
            draw_displays(options.folder / "displays" / name, count, seed)
            for name, (count, seed) in drawn.items()
        )
        return [read_samples(path).samples for path in paths]
    samples = read_samples(options.labels).samples
    random.Random(0).shuffle(samples)
    return samples[options.most :], samples[: options.most]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", help="label file (displays are drawn)")
    parser.add_argument("--images", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--start", default="words", help="reader to begin with (words)")
    parser.add_argument("--fresh-steps", type=int, default=1000, help="0: no fresh weights (1000)")
    parser.add_argument("--most", type=int, default=500, help="labels to measure on (500)")
    parser.add_argument("--folder", type=pathlib.Path, default=FOLDER, help="of the trainings")
    parser.add_argument(
        "--table", type=pathlib.Path, default=TABLE, help="csv to write or continue"
    )
    options = parser.parse_args()
    pool, test = find_samples(options)
    rows = measure_learning_curve(
        pool,
        test,
        folder=options.folder,
        table=options.table,
        sizes=options.images,
        seeds=options.seeds,
        start=options.start,
        fresh_steps=options.fresh_steps,
    )
    plots.learning_curves(rows).savefig(options.folder / "curve.png")
    print(f"{options.table}, {options.folder / 'curve.png'}")


if __name__ == "__main__":
    main()
