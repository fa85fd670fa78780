"""The splits of a run: train, validation and test; and the folds of a cross-validation."""

from __future__ import annotations

import collections
import heapq
import logging
import os
from collections.abc import Iterable, Mapping, Sequence

from crnn_keras.data.labels.read import read_samples
from crnn_keras.data.labels.sample import LabelledSet, Sample
from crnn_keras.utils.checks import FLAG, SEED, Number, check_arguments
from crnn_keras.utils.encodings import AUTO
from crnn_keras.utils.hashing import assign_split, check_fractions, draw

_logger = logging.getLogger(__name__)

# Images that a split has at least. In a set of fewer than 25 it is a fifth of them for three
# splits, so that most are left to train on.
_FEW = 5
_FOLD_FRACTIONS = {"train": 0.9, "validation": 0.1}


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

    Of few images, the hash may leave a split nearly empty. Therefore each split with a fraction
    above 0 has at least 5 images, or in a small set the number of images divided by the number of
    splits + 2 (a fifth of them for three splits), but at least one. What it lacks is moved from
    the split that can spare most, usually the training, in the order of another hash, and the log
    says how many. In such a small set the split with the largest fraction keeps most images.

    Args:
        samples: iterable of `Sample`s.
        fractions: dict of `split: fraction`, for example `{"train": 0.8, "test": 0.2}`.
        seed: int; the same seed gives the same splits.
        allow_empty: bool, whether splits may be empty if there are fewer images than splits.
            Defaults to `False`.

    Returns:
        Dict of `split: list of Samples`, each in the order of `samples`.

    Raises:
        ValueError: there are fewer images than splits with a fraction above 0, and `allow_empty`
            is False.

    Example:

    >>> samples = [Sample(f"images/{i}.png", "a", f"line {i}") for i in range(30)]
    >>> splits = split_samples(samples, {"train": 0.8, "validation": 0.1, "test": 0.1}, seed=0)
    >>> {name: len(split) for name, split in splits.items()}
    {'train': 20, 'validation': 5, 'test': 5}
    """
    check_fractions(fractions)
    samples = list(samples)
    splits, moved = _split(samples, fractions, seed, allow_empty=allow_empty)
    if moved:
        shown = ", ".join(
            f"{count} to {name} (now {len(splits[name])})" for name, count in moved.items()
        )
        _logger.info(f"{len(samples):,} images make small splits: moved by count {shown}.")
    return splits


@check_arguments(folds=Number(2, is_whole=True), seed=SEED)
def make_folds(samples: Iterable[Sample], folds: int, seed: int) -> list[dict[str, list[Sample]]]:
    """Divides samples into the folds of a cross-validation.

    Each sample is tested in exactly one fold; samples of one image stay together. The numbers of
    samples that two folds test differ at most by the samples of one image. The folds depend on
    the samples' names and the seed, not on their order; unlike splits, they change when samples
    join or leave.

    Args:
        samples: iterable of `Sample`s.
        folds: int of at least 2, number of folds.
        seed: int; the same seed gives the same folds.

    Returns:
        List with a dict of `"train"`, `"validation"` and `"test"`, each a list of `Sample`s in the
        order of `samples`, for each fold. A tenth of what is not tested validates, see
        `split_samples`.

    Raises:
        ValueError: there are too few images: a fold tests one and trains on two others, of which
            one validates.

    Example:

    >>> samples = [Sample(f"images/{i}.png", "a", f"line {i}") for i in range(60)]
    >>> folds = make_folds(samples, folds=5, seed=0)
    >>> {name: len(split) for name, split in folds[0].items()}
    {'train': 41, 'validation': 7, 'test': 12}
    """
    samples = list(samples)
    sizes = collections.Counter(sample.identity for sample in samples)
    queue, tested = [(0, fold) for fold in range(folds)], {}
    for identity in sorted(sizes, key=lambda own: (draw(f"fold\n{own}", seed), own)):
        size, tested[identity] = queue[0]
        heapq.heapreplace(queue, (size + sizes[identity], tested[identity]))
    images = collections.Counter(tested.values())
    if len(images) < folds or len(tested) - max(images.values()) < 2:
        raise ValueError(
            f"{len(tested)} images are too few for {folds} folds: each fold tests one image at "
            "least, and trains on one and validates on one of the others. Label more images, or "
            "ask for fewer folds."
        )
    found = []
    for fold in range(folds):
        rest = [sample for sample in samples if tested[sample.identity] != fold]
        splits, _ = _split(rest, _FOLD_FRACTIONS, seed)
        test = [sample for sample in samples if tested[sample.identity] == fold]
        found.append({**splits, "test": test})
    return found


def _split(
    samples: Sequence[Sample],
    fractions: Mapping[str, float],
    seed: int,
    *,
    allow_empty: bool = False,
) -> tuple[dict[str, list[Sample]], dict[str, int]]:
    """Returns the splits of samples, and a dict of `split: images that were moved to it`."""
    hashed = {
        identity: assign_split(identity, fractions, seed)
        for identity in dict.fromkeys(sample.identity for sample in samples)
    }
    names = [name for name, fraction in fractions.items() if fraction > 0]
    assigned = hashed
    if len(hashed) >= len(names):
        assigned = _fill(hashed, {name: fractions[name] for name in names}, seed)
    elif not allow_empty:
        raise ValueError(
            f"{len(hashed)} images are too few for the splits {', '.join(names)}: each needs one "
            f"at least. Label at least {len(names)} images, or set the fractions of splits to 0."
        )
    splits = {name: [] for name in fractions}
    for sample in samples:
        splits[assigned[sample.identity]].append(sample)
    moved = collections.Counter(
        split for identity, split in assigned.items() if split != hashed[identity]
    )
    return splits, {name: moved[name] for name in names if moved[name]}


def _fill(hashed: Mapping[str, str], fractions: Mapping[str, float], seed: int) -> dict[str, str]:
    """Returns a dict of `image: split` in which no split has too few, as `split_samples` says."""
    count, few = len(hashed), len(hashed) // (len(fractions) + 2)
    wanted = dict.fromkeys(fractions, max(1, min(few, _FEW)))
    if few < _FEW:
        largest = max(fractions, key=fractions.get)
        total = sum(fractions.values())
        others = [name for name in fractions if name != largest]
        shares = (max(wanted[n], round(count * fractions[n] / total)) for n in others)
        wanted[largest] = max(wanted[largest], count - sum(shares))
    assigned, sizes = dict(hashed), collections.Counter(hashed.values())
    for name in fractions:
        if sizes[name] >= wanted[name]:
            continue
        order = sorted(hashed, key=lambda own: (draw(f"{name}\n{own}", seed), own))
        while sizes[name] < wanted[name]:
            giver = max(fractions, key=lambda other: sizes[other] - wanted[other])
            identity = next(own for own in order if assigned[own] == giver)
            assigned[identity] = name
            sizes[giver] -= 1
            sizes[name] += 1
    return assigned


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
    fractions of each other, as `split_samples` does.

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
