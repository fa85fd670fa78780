"""`check_splits` opens every image once, and looks for what spoils a training."""

import collections
import functools
import os

import numpy as np
import pandas as pd

from crnn_keras.data.check import image_checks
from crnn_keras.data.check import label_checks as label_checks
from crnn_keras.data.check.facts import facts_of
from crnn_keras.data.check.report import DataCheck
from crnn_keras.data.labels import Problem
from crnn_keras.utils.parallel import parallel_map
from crnn_keras.utils.progress import ProgressLine

# Fewer images are done before other processes have started.
_WORTH_PROCESSES = 2000
_CHUNK = 128
_NUMBERS = ("width", "height", "canvas_width", "inner_width", "frames", "frames_needed", "length")
_COLUMNS = ("part", "image", "text", "where", *_NUMBERS, "digest", "hash")


def check_splits(parts, char_dict, canvas, problems=(), processes=None):
    """Opens every image, checks every label, and looks for what spoils a training.

    Rows that cannot be used (missing and unreadable files, unknown characters, labels too long
    for their frames) become problems; what is usable but odd becomes a finding. Duplicates are
    searched by perceptual hash: see `hashes.perceptual_hash` for what it finds. No image is
    kept: at its peak the check needs 1.3 kB a row, so a million rows need 1.3 GB beside their
    samples. A larger set goes through `prepare`, which checks every row shard by shard but
    searches no duplicates.

    Args:
        parts: dict of `part name: list of Samples`, for example of `"train"`, `"validation"` and
            `"test"`. An image found in two of these stays in the one named last here; characters
            are held against those of `"train"`.
        char_dict: a `CharDict`.
        canvas: an `images.Canvas`.
        problems: `Problem`s that reading the label files gave already.
        processes: number of processes that open images. All cores if None, but none beside
            this process for fewer than 2,000 images.

    Returns:
        `DataCheck`. It is the same for any number of processes.
    """
    samples = [sample for part in parts.values() for sample in part]
    names = [name for name, part in parts.items() for _ in part]
    problems, usable, facts, usable_names = list(problems), [], [], []
    unknown = {name: collections.Counter() for name in parts}
    found = _open_all(samples, char_dict, canvas, processes)
    for sample, name, fact in zip(samples, names, found, strict=True):
        if isinstance(fact, Problem):
            problems.append(fact)
            text = char_dict.normalize(sample.text)
            unknown[name].update({c: text.count(c) for c in char_dict.unknown(text)})
        else:
            usable.append(sample)
            usable_names.append(name)
            facts.append(fact)
    table = _table(usable, usable_names, facts, list(parts))
    texts = [char_dict.normalize(sample.text) for sample in usable]
    findings = [
        *image_checks.image_findings(table, texts),
        *image_checks.shape_findings(table),
        *label_checks.label_findings(table, texts, char_dict),
    ]
    kept = {name: [] for name in parts}
    for sample, name in zip(usable, usable_names, strict=True):
        kept[name].append(sample)
    given = {name: len(part) for name, part in parts.items()}
    return DataCheck(kept, problems, findings, table, char_dict, given, unknown)


def _table(samples, names, facts, parts):
    columns = {
        "part": pd.Categorical(names, categories=parts),
        "image": _texts(str(sample.image) for sample in samples),
        "text": _texts(sample.text for sample in samples),
        "where": _texts(sample.where for sample in samples),
    }
    columns |= {name: np.array([getattr(f, name) for f in facts], np.int32) for name in _NUMBERS}
    columns["digest"] = np.array([fact.digest for fact in facts], np.uint64)
    columns["hash"] = pd.Series([fact.hash for fact in facts], dtype=object)
    return pd.DataFrame(columns, columns=list(_COLUMNS))


def _texts(texts):
    """A column of the texts themselves: pandas' own strings refuse half characters."""
    return pd.Series(list(texts), dtype=object)


def _open_all(samples, char_dict, canvas, processes):
    """The facts of all samples, in order, a few chunks at a time in other processes."""
    if processes is None:
        enough = len(samples) >= _WORTH_PROCESSES
        processes = os.cpu_count() if enough else 1
    starts = range(0, len(samples), _CHUNK)
    chunks = (samples[start : start + _CHUNK] for start in starts)
    open_chunk = functools.partial(facts_of, char_dict=char_dict, canvas=canvas)
    with ProgressLine(len(samples), "checking") as line:
        done = 0
        for facts in parallel_map(open_chunk, chunks, processes=processes):
            yield from facts
            done += len(facts)
            line.step(done)
