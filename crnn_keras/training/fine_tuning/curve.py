"""The curve from labelled images to word accuracy, measured training by training into a csv."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import hashlib
import io
import logging
import os
import pathlib
import random
import shutil
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from crnn_keras.data.batches import Batches
from crnn_keras.data.build import prepare_samples
from crnn_keras.data.labels import split_samples
from crnn_keras.data.records import open_records
from crnn_keras.evaluation.metrics import evaluate
from crnn_keras.inference.recognizer import Recognizer
from crnn_keras.training.fine_tuning.replay import REPLAY, render_replay
from crnn_keras.training.fine_tuning.settings import FineTuningSettings
from crnn_keras.training.fine_tuning.tune import RENDERED, fine_tune
from crnn_keras.training.loop import train
from crnn_keras.training.start import make_model
from crnn_keras.utils import files
from crnn_keras.utils.checks import COUNT, NATURAL, Either, Of, OneOf, check_arguments, check_value
from crnn_keras.utils.math import ceil_div

if TYPE_CHECKING:
    from crnn_keras.char_dict import CharDict
    from crnn_keras.data.labels import Sample
    from crnn_keras.images import Canvas
    from crnn_keras.inference.base import BaseRecognizer

SHIPPED, RANDOM = "not fine-tuned", "random images"
DOUBTFUL, FRESH = "most doubtful first", "fresh weights"
COLUMNS = ("series", "images", "seed", "correct", "tested", "steps", "seconds", "data")
SIZES = (16, 64, 256, 1000)
_FRACTIONS = {"train": 0.9, "validation": 0.1}
# Of the fresh weights: as in notebook 04.
_ARCHITECTURE, _LEARNING_RATE, _STEPS_PER_EPOCH = "small", 3e-3, 100


@dataclasses.dataclass(frozen=True)
class _Curve:
    """What all trainings of a curve share."""

    pool: Sequence[Sample]
    test: Sequence[Sample]
    folder: pathlib.Path
    start: str
    char_dict: CharDict
    canvas: Canvas
    replay: str | os.PathLike
    settings: FineTuningSettings
    fresh_steps: int


@check_arguments(
    seeds=COUNT,
    fresh_steps=NATURAL,
    settings=Either(Of(FineTuningSettings), OneOf((None,))),
)
def measure_learning_curve(
    pool: Sequence[Sample],
    test: Sequence[Sample],
    *,
    folder: str | os.PathLike,
    table: str | os.PathLike = "",
    sizes: Sequence[int] = SIZES,
    seeds: int = 3,
    start: str | os.PathLike = "words",
    replay: str | os.PathLike = RENDERED,
    fresh_steps: int = 1000,
    settings: FineTuningSettings | None = None,
) -> list[dict[str, Any]]:
    """Measures how many images a reader reads after it has learned from how many labelled ones.

    Three series are measured: images at random; the most doubtful first, where the reader of each
    size chooses the images that are added for the next one, and the training begins anew from the
    shipped reader; and images at random from fresh weights. A tenth of the labelled images
    validates. Each training adds a row to the csv; one whose row is there is not repeated, so the
    same call continues where it was stopped.

    Args:
        pool: Labelled `Sample`s to choose from.
        test: Labelled `Sample`s to measure on, none of which is in the pool.
        folder: Folder for the trainings. What the next one does not need is removed from it.
        table: The csv, with the columns of `COLUMNS`. Defaults to `""`: `curve.csv` in a folder
            that is named by a hash of images and settings.
        sizes: Numbers of labelled images, rising. Sizes above that of the pool are left out.
            Defaults to `(16, 64, 256, 1000)`.
        seeds: Number of seeds, which choose the images at random and order the training. Defaults
            to `3`.
        start: A `.keras` file or the name of a shipped reader. Defaults to `"words"`.
        replay: What is replayed of the old task, see `fine_tune`. Defaults to `"rendered"`.
        fresh_steps: Steps of a training from fresh weights. Defaults to `1000`; with `0` they are
            not trained.
        settings: `FineTuningSettings`; its `seed` and `finish` are not used, since the seeds are
            those of the curve and no reader learns the images it is measured on. Defaults to
            `None`: its defaults.

    Returns:
        List of the rows, each a dict with the keys of `COLUMNS`: the series, the number of labelled
        images, the seed, the test images that are read correctly and all of them, steps, seconds,
        and a hash of images and settings.

    Raises:
        ValueError: The sizes do not rise, none is left, or the csv was measured on other images or
            with other settings.
    """
    for size in sizes:
        check_value("sizes", size, COUNT)
    if list(sizes) != sorted(set(sizes)):
        raise ValueError(f"The sizes {list(sizes)} do not rise. Expected such as {list(SIZES)}.")
    usable = [size for size in sizes if size <= len(pool)]
    if not usable or not test:
        raise ValueError(
            f"There are {len(pool):,} images to learn from and {len(test):,} to measure on. "
            f"Expected at least {min(sizes, default=1)} and 1."
        )
    settings = settings or FineTuningSettings()
    data = _fingerprint(pool, test, str(start), fresh_steps, settings)
    folder = pathlib.Path(folder) / data
    rows = _Rows(table or folder / "curve.csv", data)
    reader = Recognizer.load(start)
    char_dict = reader.char_dict.extend([sample.text for sample in (*pool, *test)])
    if str(replay) == RENDERED:
        largest = settings.complete(
            images=usable[-1],
            known=len(reader.char_dict),
            new=len(char_dict) - len(reader.char_dict),
        )
        folders = render_replay(
            reader.char_dict,
            reader.canvas,
            folder=folder / "replay",
            images=largest.replay_images,
        )
        replay = folders.get(REPLAY, "")
    curve = _Curve(
        pool, test, folder, str(start), char_dict, reader.canvas, replay, settings, fresh_steps
    )
    if (SHIPPED, 0, 0) not in rows:
        begun = time.monotonic()
        rows.add((SHIPPED, 0, 0), _measure(curve, reader), steps=0, begun=begun)
    for seed in range(seeds):
        _measure_seed(curve, rows, usable, seed=seed)
    return rows.rows


def rank_by_doubt(recognizer: BaseRecognizer, samples: Sequence[Sample]) -> list[Sample]:
    """Sorts images by how sure a reader is of them, the least certain first.

    Args:
        recognizer: The reader.
        samples: `Sample`s, or other images that it reads.

    Returns:
        List of the samples.
    """
    predictions = recognizer.read(samples)
    order = sorted(range(len(samples)), key=lambda index: predictions[index].confidence)
    return [samples[index] for index in order]


def _measure_seed(curve, rows, sizes, *, seed):
    shuffled = list(curve.pool)
    random.Random(seed).shuffle(shuffled)
    for index, size in enumerate(sizes):
        if (RANDOM, size, seed) not in rows:
            _fine_tune(curve, rows, shuffled[:size], key=(RANDOM, size, seed))
        if (DOUBTFUL, size, seed) not in rows:
            if index:
                labelled = _choose_doubtful(
                    curve, rows, shuffled, sizes=sizes[: index + 1], seed=seed
                )
                _fine_tune(curve, rows, labelled, key=(DOUBTFUL, size, seed))
            else:
                rows.copy((RANDOM, size, seed), DOUBTFUL)
        if curve.fresh_steps and (FRESH, size, seed) not in rows:
            _train_fresh(curve, rows, shuffled[:size], key=(FRESH, size, seed))
    for series in (RANDOM, DOUBTFUL):
        for size in sizes:
            _path(curve, (series, size, seed)).unlink(missing_ok=True)


def _choose_doubtful(curve, rows, shuffled, *, sizes, seed):
    """Returns the images of the last size: those of the one before, and what its reader doubts."""
    *before, size = sizes
    if not before:
        # The first images are random in both series.
        return shuffled[:size]
    path = curve.folder / f"doubtful_{size}_{seed}.json"
    if not path.exists():
        labelled = _choose_doubtful(curve, rows, shuffled, sizes=before, seed=seed)
        key = (DOUBTFUL if before[1:] else RANDOM, before[-1], seed)
        if not _path(curve, key).exists():
            _fine_tune(curve, rows, labelled, key=key)
        known = set(labelled)
        rest = [sample for sample in shuffled if sample not in known]
        ranked = rank_by_doubt(Recognizer.load(_path(curve, key)), rest)
        positions = {sample: position for position, sample in enumerate(shuffled)}
        chosen = [*labelled, *ranked[: size - len(labelled)]]
        files.write_json(path, [positions[sample] for sample in chosen])
    return [shuffled[position] for position in files.read_json(path)]


def _path(curve, key):
    """Path of the reader of a training."""
    series, images, seed = key
    return curve.folder / f"{series.replace(' ', '_')}_{images}_{seed}.keras"


@contextlib.contextmanager
def _quietly():
    """Keeps the lines of one training off the output: there are dozens of trainings."""
    logger = logging.getLogger("crnn_keras")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


def _fine_tune(curve, rows, samples, *, key):
    """Fine-tunes once, adds the row, and keeps the reader alone."""
    begun, path = time.monotonic(), _path(curve, key)
    with _quietly():
        result = fine_tune(
            {**split_samples(samples, _FRACTIONS, key[2]), "test": list(curve.test)},
            folder=path.with_suffix(""),
            start=curve.start,
            replay=curve.replay,
            settings=dataclasses.replace(curve.settings, seed=key[2], finish=False),
        )
    result.model_path.replace(path)
    shutil.rmtree(path.with_suffix(""))
    report, steps = result.comparisons[0].after, result.history[-1]["steps"]
    rows.add(key, report, steps=steps, begun=begun)


def _train_fresh(curve, rows, samples, *, key):
    """Trains fresh weights once and adds the row."""
    begun, folder, seed = time.monotonic(), _path(curve, key).with_suffix(""), key[2]
    model = make_model(_ARCHITECTURE, curve.char_dict, curve.canvas, seed=seed)
    with _quietly():
        splits = split_samples(samples, _FRACTIONS, seed)
        prepare_samples(splits, curve.char_dict, curve.canvas, folder=folder)
        batches, validation = (
            Batches(
                open_records(folder / "records" / name),
                curve.char_dict,
                curve.canvas,
                batch_size=curve.settings.batch_size,
                seed=seed,
                **options,
            )
            for name, options in (("train", {"shuffle": True, "augment": 1.0}), ("validation", {}))
        )
        train(
            model,
            batches,
            validation,
            folder=folder / "train",
            epochs=ceil_div(curve.fresh_steps, _STEPS_PER_EPOCH),
            steps_per_epoch=min(curve.fresh_steps, _STEPS_PER_EPOCH),
            learning_rate=_LEARNING_RATE,
        )
    report = _measure(curve, Recognizer(model))
    shutil.rmtree(folder)
    rows.add(key, report, steps=curve.fresh_steps, begun=begun)


def _measure(curve, reader):
    targets = [curve.char_dict.normalize(sample.text) for sample in curve.test]
    texts = [curve.char_dict.normalize(row.text or "") for row in reader.read(curve.test)]
    return evaluate(targets, texts)


def _fingerprint(pool, test, *settings):
    digest = hashlib.blake2b(digest_size=4)
    for sample in (*pool, *test):
        digest.update(f"{sample.identity}\n{sample.text}\n".encode("utf-8", "surrogateescape"))
    digest.update(f"{len(pool)} {settings}".encode())
    return digest.hexdigest()


class _Rows:
    """The rows of the csv, which is complete at any moment.

    Args:
        path: The csv; it need not exist.
        data: What its rows must have been measured on.

    Raises:
        ValueError: It has other columns, or rows of something else.
    """

    def __init__(self, path, data):
        self.path, self.data, self.rows = pathlib.Path(path), data, read_learning_curve(path)
        for number, row in enumerate(self.rows, start=2):
            if row["data"] != data:
                raise ValueError(
                    f"{path}, line {number}: measured on other images or with other settings "
                    f"({row['data']}, here {data}). Give another csv, or remove this one."
                )

    def __contains__(self, key):
        return any((row["series"], row["images"], row["seed"]) == key for row in self.rows)

    def add(self, key, report, *, steps, begun):
        if key in self:
            return
        series, images, seed = key
        correct, tested = sum(not case.distance for case in report.cases), len(report.cases)
        seconds = round(time.monotonic() - begun)
        self._append(series, images, seed, correct, tested, steps, seconds, self.data)
        print(
            f"{series}, {images:,} images, seed {seed}: {correct / tested:.1%} of {tested:,} in "
            f"{seconds:,} s",
            flush=True,
        )

    def copy(self, key, series):
        """Adds the row of a training to another series that begins with it."""
        found = next(r for r in self.rows if (r["series"], r["images"], r["seed"]) == key)
        self._append(series, *list(found.values())[1:])

    def _append(self, *values):
        self.rows.append(dict(zip(COLUMNS, values, strict=True)))
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        files.write_atomic(self.path, buffer.getvalue().encode())


def read_learning_curve(path: str | os.PathLike) -> list[dict[str, Any]]:
    """Reads the csv of `measure_learning_curve`.

    Args:
        path: The csv.

    Returns:
        List of its rows as dicts; empty if there is no such file.

    Raises:
        ValueError: It is no such csv.
    """
    if not os.path.exists(path):
        return []
    reader = csv.DictReader(io.StringIO(files.read_text(path)[0]))
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ValueError(
            f"{path} has the columns {reader.fieldnames}. Expected {', '.join(COLUMNS)}."
        )
    texts = ("series", "data")
    rows = []
    for row in reader:
        try:
            rows.append({name: row[name] if name in texts else int(row[name]) for name in COLUMNS})
        except (TypeError, ValueError):
            raise ValueError(
                f"{path}, line {reader.line_num}: not a row of a learning curve. Expected whole "
                "numbers of images, seed, correct, tested, steps and seconds."
            ) from None
    return rows
