"""The check of labelled images: opens every image once, and looks for what spoils a training."""

from __future__ import annotations

import collections
import functools
import itertools
from collections.abc import Iterable

import numpy as np
import pandas as pd

from crnn_keras.char_dict import CharDict
from crnn_keras.data.check import image_checks, label_checks, set_checks
from crnn_keras.data.check.facts import collect_facts
from crnn_keras.data.check.report import DataCheck
from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.sample import Sample
from crnn_keras.images import Canvas
from crnn_keras.utils.checks import COUNT, check_arguments
from crnn_keras.utils.cores import count_cores
from crnn_keras.utils.parallel import parallel_map
from crnn_keras.utils.progress import ProgressLine

# Fewer images are done before other processes have started.
_WORTH_PROCESSES = 2000
_CHUNK = 128
_NUMBERS = ("width", "height", "canvas_width", "inner_width", "frames", "frames_needed", "length")


@check_arguments(processes=COUNT.or_none())
def check_splits(
    splits: dict[str, list[Sample]],
    char_dict: CharDict,
    canvas: Canvas,
    *,
    issues: Iterable[Issue] = (),
    processes: int | None = None,
) -> DataCheck:
    """Opens every image, checks every label, and looks for what spoils a training.

    A row that cannot be used (missing and unreadable files, unknown characters, labels too long
    for their frames) is skipped and becomes an issue of severity `"error"`. A row that is usable
    but odd becomes a `"warning"`, and what is normal in many sets an `"info"`. Duplicates are
    searched by perceptual hash: see `hashes.perceptual_hash` for what it finds.

    No image is kept. At its peak the check needs 1.3 kB a row: 1.3 GB for a million rows, beside
    their samples. For a larger set use `prepare`, which checks every row shard by shard but
    searches no duplicates.

    Args:
        splits: dict of `split: list of Samples`, for example of `"train"`, `"validation"` and
            `"test"`. An image that comes in two of these stays in the one named last here.
            Characters are compared with those of `"train"`.
        char_dict: a `CharDict`.
        canvas: a `Canvas`.
        issues: iterable of the `Issue`s that came from reading the label files. Defaults to `()`.
        processes: int, number of processes that open images. Defaults to `None`: all cores, but
            only this process for fewer than 2,000 images.

    Returns:
        `DataCheck`. It is the same for any number of processes.

    Example:

    >>> from crnn_keras import Canvas, CharDict, read_splits
    >>> found, splits = read_splits("labels.tsv", {"train": 0.9, "test": 0.1}, seed=0)
    >>> char_dict = CharDict.from_preset("alphanumeric36")
    >>> check = check_splits(splits, char_dict, Canvas(), issues=found.issues)
    >>> check.table()["kind"].tolist()
    ['unknown character', 'few training images', 'few images to measure', 'rare characters']
    """
    samples = [(name, sample) for name, split in splits.items() for sample in split]
    issues, usable, facts = list(issues), [], []
    unknown = {name: collections.Counter() for name in splits}
    if processes is None:
        processes = count_cores() if len(samples) >= _WORTH_PROCESSES else 1
    collect = functools.partial(collect_facts, char_dict=char_dict, canvas=canvas)
    with ProgressLine(len(samples), "checking") as line:
        chunks = _chunks([sample for _, sample in samples])
        found = itertools.chain.from_iterable(parallel_map(collect, chunks, processes=processes))
        for done, ((name, sample), fact) in enumerate(zip(samples, found, strict=True), start=1):
            line.step(done)
            if isinstance(fact, Issue):
                issues.append(fact)
                text = char_dict.normalize(sample.text)
                unknown[name].update({c: text.count(c) for c in char_dict.unknown(text)})
            else:
                usable.append((name, sample))
                facts.append(fact)
    table = _table(usable, facts, list(splits))
    labels = [char_dict.normalize(sample.text) for _, sample in usable]
    issues += image_checks.find_duplicates(table, labels)
    issues += image_checks.find_empty_images(table, labels)
    issues += image_checks.find_odd_shapes(table)
    issues += label_checks.find_odd_labels(table, labels, char_dict)
    issues += set_checks.find_wrong_kinds_of_labels(table, labels)
    kept = {name: [] for name in splits}
    for name, sample in usable:
        kept[name].append(sample)
    issues += set_checks.find_small_splits({name: len(split) for name, split in kept.items()})
    num_samples = {name: len(split) for name, split in splits.items()}
    return DataCheck(
        kept, issues, table, char_dict=char_dict, num_samples=num_samples, unknown=unknown
    )


def _chunks(samples):
    """Yields a few samples at a time: the jobs of the processes."""
    for start in range(0, len(samples), _CHUNK):
        yield samples[start : start + _CHUNK]


def _table(usable, facts, splits):
    """Returns `DataCheck.facts`."""
    columns = {
        "split": pd.Categorical([name for name, _ in usable], categories=splits),
        "image": _texts(str(sample.image) for _, sample in usable),
        "text": _texts(sample.text for _, sample in usable),
        "where": _texts(sample.where for _, sample in usable),
    }
    columns |= {name: np.array([getattr(f, name) for f in facts], np.int32) for name in _NUMBERS}
    columns["contrast"] = np.array([fact.contrast for fact in facts], np.float32)
    columns["digest"] = np.array([fact.digest for fact in facts], np.uint64)
    columns["hash"] = pd.Series([fact.hash for fact in facts], dtype=object)
    return pd.DataFrame(columns)


def _texts(texts):
    """Returns a column of Python strings: pandas' own strings allow no half surrogates."""
    return pd.Series(list(texts), dtype=object)
