"""Rounds of labelling and fine-tuning: what is not labelled yet, and what each round brought."""

from __future__ import annotations

import hashlib
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from crnn_keras.data.labels.file_name import check_is_file, walk
from crnn_keras.images import SUFFIXES
from crnn_keras.labelling.table import Table
from crnn_keras.utils import files
from crnn_keras.utils.checks import FRACTION, NATURAL, TEXT, Of, check_value

if TYPE_CHECKING:
    from crnn_keras.data.labels import Sample
    from crnn_keras.training.fine_tuning import FineTuning

# The first line of what `LabelStore` writes.
_MARKS = "image\tstatus"
_FILE, _SERIES = "rounds.json", "your reader"
_RULES = {
    "series": TEXT,
    "seed": NATURAL,
    "images": NATURAL,
    "correct": NATURAL,
    "tested": NATURAL,
    "before": FRACTION,
}


def find_unlabelled(labels: str | os.PathLike, samples: Iterable[Sample]) -> list[str]:
    """Lists the images that lie beside labelled ones and have no label.

    What `crnn-keras label` has marked as skipped or unreadable is left out.

    Args:
        labels: The label source that was read.
        samples: Its `Sample`s. Those of an LMDB or another file of many images have nothing beside
            them.

    Returns:
        List of paths, sorted by folder and name.
    """
    labelled = {
        os.path.abspath(sample.image) for sample in samples if not (sample.key or sample.box)
    }
    table = pathlib.Path(f"{os.path.splitext(labels)[0]}.status.tsv")
    if os.path.isdir(labels):
        table = pathlib.Path(labels) / "labels.status.tsv"
    marked = {os.path.abspath(table.parent / name) for name in Table(table, _MARKS).rows}
    found = []
    for folder in sorted({os.path.dirname(path) for path in labelled}):
        _, entries = next(iter(walk(folder)))
        found += [
            entry.path
            for entry in entries
            if entry.name.lower().endswith(SUFFIXES) and not check_is_file(entry, folder)
        ]
    return [path for path in found if path not in labelled | marked]


def round_folder(folder: str | os.PathLike, splits: Mapping[str, Sequence[Sample]]) -> pathlib.Path:
    """Names the folder of a round by its labels, so that other labels train in another one.

    Args:
        folder: Folder of all rounds.
        splits: Dict of the `Sample`s of each split.

    Returns:
        Path, such as `data/mine/taught/64_1f00c2a9`: the number of images that are not tested, and
        a hash.
    """
    digest = hashlib.blake2b(digest_size=4)
    for name, samples in splits.items():
        for sample in samples:
            row = f"{name}\n{sample.identity}\n{sample.text}\n"
            digest.update(row.encode("utf-8", "surrogateescape"))
    learned = sum(len(samples) for name, samples in splits.items() if name != "test")
    return pathlib.Path(folder) / f"{learned}_{digest.hexdigest()}"


def keep_round(folder: str | os.PathLike, result: FineTuning) -> list[dict[str, Any]]:
    """Notes what a round brought, and makes its reader the one to use: `train/model.keras`.

    Args:
        folder: Folder of all rounds.
        result: What `fine_tune` returned, with a folder from `round_folder`.

    Returns:
        List of a row for each round, those with fewer images first, for `plots.learning_curves`:
        `series`, `images`, `seed`, `correct`, `tested`, and `before`: the accuracy without it.

    Raises:
        ValueError: `rounds.json` is damaged.
    """
    folder = pathlib.Path(folder)
    files.write_atomic(folder / "train" / "model.keras", result.model_path.read_bytes())
    path, own = folder / _FILE, result.comparisons[0]
    rounds = files.read_json(path) if path.exists() else {}
    with files.prefix_errors(path):
        check_value("the rounds", rounds, Of(dict))
        for row in rounds.values():
            check_value("a round", row, Of(dict))
            for name, rule in _RULES.items():
                check_value(name, row.get(name), rule)
    tested = len(own.after.cases)
    learned = sum(result.sizes.values())
    # In a cross-validation each reader learns from the images of the other folds.
    learned -= learned // result.folds if result.folds else result.sizes["test"]
    rounds[result.model_path.parents[1].name] = {
        "series": _SERIES,
        "images": learned,
        "seed": 0,
        "correct": sum(not case.distance for case in own.after.cases),
        "tested": tested,
        "before": own.before.word_accuracy,
    }
    files.write_json(path, rounds)
    return sorted(rounds.values(), key=lambda row: row["images"])
