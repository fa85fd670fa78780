"""The splits of a run: train, validation and test."""

from __future__ import annotations

import os
from collections.abc import Iterable

from crnn_keras.data.labels.read import read_samples
from crnn_keras.data.labels.sample import LabelledSet, Sample
from crnn_keras.utils.checks import FLAG, SEED, check_arguments
from crnn_keras.utils.encodings import AUTO
from crnn_keras.utils.hashing import assign_split, check_fractions


@check_arguments(seed=SEED, allow_empty=FLAG)
def split_samples(
    samples: Iterable[Sample],
    fractions: dict[str, float],
    seed: int,
    *,
    allow_empty: bool = False,
) -> dict[str, list[Sample]]:
    """Splits samples, each by a hash of its own name.

    So the splits have their fractions on average, not to the last sample; a sample keeps its
    split when others join or leave; and samples of one image stay together.

    Args:
        samples: iterable of `Sample`s.
        fractions: dict of `split: fraction`, for example `{"train": 0.8, "test": 0.2}`.
        seed: int; the same seed gives the same splits.
        allow_empty: bool, whether a split with a fraction above 0 may be empty. Defaults to
            `False`.

    Returns:
        Dict of `split: list of Samples`, each in the order of `samples`.

    Raises:
        ValueError: a split with a fraction above 0 would be empty, and `allow_empty` is False.

    Example:

    >>> samples = [Sample(f"images/{i}.png", "a", f"line {i}") for i in range(100)]
    >>> splits = split_samples(samples, {"train": 0.8, "test": 0.2}, seed=0)
    >>> sum(map(len, splits.values()))
    100
    """
    check_fractions(fractions)
    splits = {name: [] for name in fractions}
    for sample in samples:
        splits[assign_split(sample.identity, fractions, seed)].append(sample)
    for name, fraction in fractions.items():
        if fraction > 0 and not splits[name] and not allow_empty:
            count = sum(map(len, splits.values()))
            raise ValueError(
                f"{count} samples are too few: the split {name!r} with a fraction of {fraction} "
                "would be empty. Take more samples, a larger fraction or another seed."
            )
    return splits


@check_arguments(seed=SEED, allow_empty=FLAG)
def read_splits(
    labels: str | os.PathLike,
    fractions: dict[str, float],
    seed: int,
    *,
    validation_labels: str | os.PathLike | None = None,
    test_labels: str | os.PathLike | None = None,
    layout: str = "auto",
    images_folder: str | os.PathLike | None = None,
    image_column: str | int | None = None,
    text_column: str | int | None = None,
    encoding: str = AUTO,
    allow_empty: bool = False,
) -> tuple[LabelledSet, dict[str, list[Sample]]]:
    """Reads the label sources of a run and assigns their images to splits.

    A split with labels of its own is read from them. The others are taken from `labels`, by their
    fractions of each other.

    Args:
        labels: label source, see `read_samples`.
        fractions: dict of `split: fraction` of `"train"`, `"validation"` and `"test"`.
        seed: int, of the split.
        validation_labels: label source of the validation split. Defaults to `None`.
        test_labels: label source of the test split. Defaults to `None`.
        layout: layout of every source, see `read_samples`. Defaults to `"auto"`.
        images_folder: folder that the paths of every source start from. Defaults to `None`: that
            of the label file.
        image_column: see `read_samples`; of every source. Defaults to `None`.
        text_column: see `read_samples`; of every source. Defaults to `None`.
        encoding: see `read_samples`; of every source. Defaults to `"auto"`.
        allow_empty: bool, see `split_samples`; `check_splits` names the splits that are empty.
            Defaults to `False`.

    Returns:
        Tuple of a `LabelledSet` of all sources, and a dict of `split: list of Samples`.

    Raises:
        ValueError: no row of `labels` can be used; see also `read_samples` and `split_samples`.

    Example:

    >>> fractions = {"train": 0.8, "validation": 0.1, "test": 0.1}
    >>> found, splits = read_splits("labels.tsv", fractions, seed=0)
    >>> {name: len(samples) for name, samples in splits.items()}
    {'train': 159, 'validation': 18, 'test': 23}
    """
    check_fractions(fractions)
    options = {
        "layout": layout,
        "images_folder": images_folder,
        "image_column": image_column,
        "text_column": text_column,
        "encoding": encoding,
    }
    first = read_samples(labels, **options)
    if not first.samples:
        _raise_nothing_usable(labels, first.issues)
    own = {
        split: read_samples(source, **options)
        for split, source in {"validation": validation_labels, "test": test_labels}.items()
        if source
    }
    rest = {split: fraction for split, fraction in fractions.items() if split not in own}
    splits = split_samples(first.samples, rest, seed, allow_empty=allow_empty)
    splits |= {split: found.samples for split, found in own.items()}
    order = dict.fromkeys([*fractions, *splits])
    return _join([first, *own.values()]), {split: splits[split] for split in order}


def _raise_nothing_usable(labels, issues):
    """Raises a ValueError that names the first of the issues for which every row was skipped."""
    found = "It is empty."
    if issues:
        found = f"{len(issues):,} were skipped, the first: {issues[0].where}: {issues[0].reason}"
    raise ValueError(f"{labels} has no row that can be used. {found}")


def _join(found):
    """Returns one `LabelledSet` of several."""
    layouts = {one.layout for one in found}
    joined = LabelledSet(
        description="\n".join(one.description for one in found),
        layout=layouts.pop() if len(layouts) == 1 else "several",
    )
    for one in found:
        joined.samples += one.samples
        joined.issues += one.issues
        for name, lists in one.lexicons.items():
            joined.lexicons.setdefault(name, {}).update(lists)
    return joined
