"""`fine_tune`: labelled images in; a reader that was measured out."""

from __future__ import annotations

import collections
import dataclasses
import logging
import os
import pathlib
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from crnn_keras.char_dict import CharDict, alphanumeric
from crnn_keras.data.batches import Batches
from crnn_keras.data.build import prepare_samples
from crnn_keras.data.check import check_splits
from crnn_keras.data.labels import make_folds, read_splits
from crnn_keras.data.open import open_test_set
from crnn_keras.data.records import BaseRecords, ConcatRecords, open_records
from crnn_keras.evaluation.confidence import calibrate
from crnn_keras.evaluation.metrics import evaluate
from crnn_keras.inference.recognizer import Recognizer
from crnn_keras.model.saving import save_model
from crnn_keras.training.fine_tuning.interpolate import interpolate_weights
from crnn_keras.training.fine_tuning.load import (
    describe_char_dict_change,
    freeze_lstm,
    load_for_fine_tuning,
)
from crnn_keras.training.fine_tuning.new_characters import learn_new_characters
from crnn_keras.training.fine_tuning.readers import score_readers
from crnn_keras.training.fine_tuning.replay import REFERENCE, REPLAY, render_replay
from crnn_keras.training.fine_tuning.result import Comparison, FineTuning, Reading
from crnn_keras.training.fine_tuning.settings import (
    FEW_IMAGES,
    FineTuningSettings,
)
from crnn_keras.training.history import best_epoch
from crnn_keras.training.loop import train
from crnn_keras.utils.checks import FLAG, Either, Number, Of, OneOf, check_arguments
from crnn_keras.utils.math import ceil_div

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crnn_keras.data.issues import Issue
    from crnn_keras.data.labels import Sample
    from crnn_keras.inference.base import Prediction
    from crnn_keras.model.crnn import CRNN

Splits = Mapping[str, "Sequence[Sample]"]

AUTO, EXTEND, READER, RENDERED = "auto", "extend", "reader", "rendered"
FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}
# A calibration by fewer images is chance.
_FEWEST_TO_CALIBRATE = 100
# The finish adds some images to what is known: it is shorter, and at a lower rate.
_FINISH_STEPS, _FINISH_RATE = 0.4, 0.5
# New characters are learned in fewer steps than from the default of `load_for_fine_tuning`.
_NEW_PROBABILITY = 0.1
# Rendered images beside those that measure, where none is replayed.
_ONLY_MEASURED = 4000
_FOLDS = Number(0, 100, is_whole=True)
_logger = logging.getLogger(__name__)


class _Task(NamedTuple):
    """What all trainings of a fine-tuning share."""

    start: str
    old: CRNN
    char_dict: CharDict
    settings: FineTuningSettings
    replay: BaseRecords | None


@check_arguments(folds=_FOLDS, clean=FLAG, settings=Either(Of(FineTuningSettings), OneOf((None,))))
def fine_tune(
    labels: str | os.PathLike | Splits,
    *,
    folder: str | os.PathLike,
    start: str | os.PathLike = AUTO,
    characters: str = EXTEND,
    replay: str | os.PathLike = RENDERED,
    references: Mapping[str, str | os.PathLike] | None = None,
    folds: int = 0,
    clean: bool = False,
    issues: Iterable[Issue] = (),
    settings: FineTuningSettings | None = None,
) -> FineTuning:
    """Teaches a trained reader the images of a user, and measures what it learned and forgot.

    The images are checked and divided into train, validation and test. The training begins with the
    reader that reads them best, keeps its canvas and its characters, mixes in images of its old
    task, and ends when the validation no longer improves. The best weights are kept and moved a
    little towards those of the start. What is written is in the folder: the reader in
    `train/model.keras`, the records, and the state, from which a call with the same arguments
    continues.

    Args:
        labels: A label source, see `read_samples`; or a dict of the `Sample`s of `"train"`,
            `"validation"` and `"test"`, as `read_splits` returns it.
        folder: Folder to write to, such as `"data/mine"`.
        start: A `.keras` file or the name of a shipped reader. Defaults to `"auto"`: `"words"`,
            `"ascii"` or `"lines"`, whichever reads the most of the images, see `score_readers`.
        characters: The characters of the new reader. Defaults to `"extend"`: those of the start,
            and those of the labels that it lacks. `"reader"`: those of the start alone; others are
            dropped from the labels. Anything else as in `CharDict.from_source`, such as `"labels"`;
            characters of the start that are not in it are forgotten, which a warning says.
        replay: What is replayed of the old task. Defaults to `"rendered"`, see `render_replay`; or
            a folder of records; or `""`: nothing.
        references: Dict of `name: label source or folder of records`, sets of the old task to
            measure before and after, beside the rendered one. Defaults to `None`.
        folds: Number of folds of a cross-validation: each image is tested once, by a reader that
            has not learned from it, and the reader to keep learns from all. It takes as many
            trainings more. Defaults to `0`: one test split.
        clean: Whether to drop the images that the check advises to drop. Defaults to `False`.
        issues: `Issue`s of reading the labels, for the check; where `labels` is a source, they are
            known. Defaults to `()`.
        settings: `FineTuningSettings`. Defaults to `None`: its defaults.

    Returns:
        `FineTuning`.

    Raises:
        ValueError: The labels are too few, no image can be used, the start is no reader, or a
            setting is out of range.
        LockedError: Another process works in the folder.
        TrainingStopped: Ctrl-C or SIGTERM came. The same call continues.

    Example:

        >>> from crnn_keras import fine_tune
        >>> result = fine_tune("labels.tsv", folder="data/mine")  # doctest: +SKIP
        >>> print(result.comparisons[0])  # doctest: +SKIP
        test, 25 images: 24.00% -> 96.00% (80.46% to 99.29%), 18 repaired, 0 broken

    Reference:
        Wortsman et al., 2022, Robust fine-tuning of zero-shot models, arXiv 2109.01903; Rolnick et
        al., 2019, Experience replay for continual learning, arXiv 1811.11682.
    """
    began = time.monotonic()
    folder, settings = pathlib.Path(folder), settings or FineTuningSettings()
    if isinstance(labels, Mapping):
        splits = {name: list(labels.get(name, ())) for name in FRACTIONS}
    else:
        found, splits = read_splits(labels, FRACTIONS, settings.seed)
        issues = found.issues
        print(found.summary(), flush=True)
    scores = []
    if str(start) == AUTO:
        scores = score_readers(splits["train"])
        start = scores[0].name
        _print_scores(scores)
    reader = Recognizer.load(start)
    char_dict, splits = _choose_characters(characters, reader.char_dict, splits)
    check = check_splits(splits, char_dict, reader.canvas, issues=issues)
    splits = check.cleaned() if clean else check.splits
    print(f"{_count(splits)}\n{_count_issues(check)}", flush=True)
    settings = settings.complete(
        images=len(splits["train"]),
        known=len(reader.char_dict),
        new=len(set(char_dict.characters) - set(reader.char_dict.characters)),
    )
    sets = _open_old_task(replay, reader, folder=folder / "replay", settings=settings)
    changes = _describe_changes(reader.char_dict, char_dict, sets.get(REFERENCE))
    task = _Task(str(start), reader.model, char_dict, settings, sets.get(REPLAY))
    outcome = (
        _cross_validate(task, splits, folds=folds, folder=folder)
        if folds
        else _split_once(task, splits, folder=folder)
    )
    readings = _read_all(task, splits, outcome, before=reader, folds=folds)
    old_task = {"old task, rendered words": sets[REFERENCE]} if REFERENCE in sets else {}
    comparisons = [
        *_compare_tested(readings, char_dict),
        *_compare_references(
            {**old_task, **(references or {})}, before=reader, after=Recognizer(outcome.model)
        ),
    ]
    is_calibrated = len(outcome.held_out) >= _FEWEST_TO_CALIBRATE
    if is_calibrated:
        targets = [char_dict.normalize(sample.text) for sample in outcome.held_out]
        outcome.model.calibration = calibrate(list(outcome.held_out.values()), targets)
    model_path = folder / "train" / "model.keras"
    save_model(outcome.model, model_path)
    return FineTuning(
        model_path=model_path,
        start=str(start),
        scores=scores,
        settings=settings,
        sizes={name: len(samples) for name, samples in splits.items()},
        folds=folds,
        is_finished=outcome.is_finished,
        check=check,
        history=outcome.history,
        comparisons=comparisons,
        readings=readings,
        changes=changes,
        is_calibrated=is_calibrated,
        seconds=time.monotonic() - began,
    )


def _print_scores(scores):
    read = ", ".join(f"{score.name} {score.word_accuracy:.1%}" for score in scores)
    print(
        f"Shipped readers on {scores[0].images:,} of the images, letters and digits: {read}. The "
        f"training begins with {scores[0].name}.",
        flush=True,
    )


def _choose_characters(characters, old, splits):
    """Returns the char dict of the new reader, and the splits with labels that it can write."""
    texts = [sample.text for samples in splits.values() for sample in samples]
    if characters == EXTEND:
        return old.extend(texts), splits
    if characters != READER:
        return CharDict.from_source(characters, texts=texts), splits
    dropped = collections.Counter(c for text in texts for c in old.unknown(text))
    if dropped:
        shown = "".join(character for character, _ in dropped.most_common())
        labels = sum(bool(old.unknown(text)) for text in texts)
        _logger.warning(
            "%d characters that the reader does not know are dropped from %d labels: %r. With "
            "characters=%r it learns them.",
            len(dropped),
            labels,
            shown,
            EXTEND,
        )
    return old, {
        name: [dataclasses.replace(s, text=old.without_unknown(s.text)) for s in samples]
        for name, samples in splits.items()
    }


def _count(splits):
    if empty := [name for name, samples in splits.items() if not samples]:
        raise ValueError(
            f"No image is left for {' and '.join(empty)}. Expected images to train on, to validate "
            "on and to test on: label some more, or look at the check's page for what was skipped."
        )
    return ", ".join(f"{name}: {len(samples):,} images" for name, samples in splits.items())


def _count_issues(check):
    counts = [f"{row.kind}: {row.count:,}" for row in check.table().itertuples()]
    return f"check: {', '.join(counts) or 'nothing found'}"


def _open_old_task(replay, reader, *, folder, settings):
    """Returns the records to replay and those to measure forgetting, as far as there are any."""
    own = None if str(replay) in ("", RENDERED) else open_records(replay)
    is_rendered = str(replay) == RENDERED and settings.replay_fraction > 0
    found = render_replay(
        reader.char_dict,
        reader.canvas,
        folder=folder,
        images=settings.replay_images if is_rendered else _ONLY_MEASURED,
        seed=settings.seed,
    )
    sets = {name: open_records(path) for name, path in found.items()}
    if own is not None and settings.replay_fraction:
        return {**sets, REPLAY: own}
    return sets if is_rendered else {n: records for n, records in sets.items() if n != REPLAY}


def _describe_changes(old, new, reference):
    """Returns what becomes of the characters; warns of those that are lost and what that costs."""
    if old == new:
        return ""
    change = describe_char_dict_change(old, new)
    lost = set(old.characters) - set(new.characters)
    if not lost:
        return change
    cost = "It forgets every text that holds one of them."
    if reference is not None:
        texts = [old.normalize(record.text) for record in reference]
        hit = sum(not lost.isdisjoint(text) for text in texts) / len(texts)
        cost = f"It can no longer read {hit:.0%} of the words of its old task."
    change = f"{change} {cost}"
    _logger.warning("%s To keep them: characters=%r.", change, EXTEND)
    return change


class _Outcome(NamedTuple):
    """A fine-tuned model, and what readers that had not seen the images read in them."""

    model: CRNN
    history: list
    held_out: dict[Sample, Prediction]
    is_finished: bool


def _split_once(task, splits, *, folder):
    """Trains on one split, measures on the others, and lets the reader learn these at the end."""
    settings = task.settings
    is_finished = settings.finish
    if is_finished is None:
        is_finished = sum(map(len, splits.values())) < FEW_IMAGES
    sets = _write_records(task, splits, folder=folder)
    run_folder = folder / ("measured" if is_finished else "train")
    model, history = _train_until_best(task, sets, folder=run_folder)
    held_out = _predict(model, [*splits["test"], *splits["validation"]])
    if is_finished:
        steps = _FINISH_STEPS * history[-1]["steps"]
        model = _train_on_all(
            task,
            sets,
            start=run_folder / "model.keras",
            folder=folder / "train",
            steps=max(round(steps), 1),
            rate=_FINISH_RATE * settings.learning_rate,
        )
    return _Outcome(model, history, held_out, is_finished)


def _cross_validate(task, splits, *, folds, folder):
    """Trains once for each fold, and once on all images for as many steps as served the folds."""
    samples = [sample for split in splits.values() for sample in split]
    held_out, histories = {}, []
    for index, fold in enumerate(make_folds(samples, folds, task.settings.seed), start=1):
        print(f"fold {index} of {folds}: {_count(fold)}", flush=True)
        own = folder / "folds" / str(index)
        model, history = _train_until_best(
            task, _write_records(task, fold, folder=own), folder=own / "train"
        )
        held_out |= _predict(model, fold["test"])
        histories.append(history)
    steps = statistics.median(h[best_epoch(h) - 1]["steps"] for h in histories)
    print(f"all images, {steps:,.0f} steps", flush=True)
    model = _train_on_all(
        task,
        _write_records(task, splits, folder=folder),
        start=task.start,
        folder=folder / "train",
        steps=round(steps),
        rate=task.settings.learning_rate,
    )
    return _Outcome(model, histories[0], held_out, is_finished=True)


def _write_records(task, splits, *, folder):
    prepare_samples(splits, task.char_dict, task.old.canvas, folder=folder)
    return {name: open_records(folder / "records" / name) for name in splits}


def _batches(task, records, **options):
    settings = task.settings
    return Batches(
        records,
        task.char_dict,
        task.old.canvas,
        batch_size=settings.batch_size,
        seed=settings.seed,
        **options,
    )


def _train_until_best(task, sets, *, folder):
    """Trains on the train set; returns the history and the interpolated model of the best epoch."""
    settings = task.settings
    model, history = _train(
        task,
        task.start,
        sets,
        names=["train"],
        folder=folder,
        steps=settings.steps,
        rate=settings.learning_rate,
        patience=settings.patience,
    )
    interpolate_weights(task.old, model, fraction=settings.interpolation)
    return model, history


def _train_on_all(task, sets, *, start, folder, steps, rate):
    """Trains on all images; returns the interpolated model of the last epoch."""
    # No epoch is better for the images that are left out: there are none.
    _train(task, start, sets, names=list(FRACTIONS), folder=folder, steps=steps, rate=rate)
    model = Recognizer.load(folder / "last.keras").model
    interpolate_weights(task.old, model, fraction=task.settings.interpolation)
    return model


def _train(task, start, sets, *, names, folder, steps, rate, patience=0):
    settings = task.settings
    model = load_for_fine_tuning(
        start,
        task.char_dict,
        task.old.canvas,
        seed=settings.seed,
        new_probability=_NEW_PROBABILITY,
    )
    records = ConcatRecords([sets[name] for name in names])
    replay = {}
    if task.replay is not None:
        replay = {"replay": task.replay, "replay_fraction": settings.replay_fraction}
    batches = _batches(task, records, shuffle=True, augment=settings.augment, **replay)
    if not settings.train_lstm:
        freeze_lstm(model)
    known = task.old.char_dict.characters if start == task.start else task.char_dict.characters
    if new := "".join(c for c in task.char_dict.characters if c not in known):
        learn_new_characters(model, batches, new)
    history = train(
        model,
        batches,
        _batches(task, sets["validation"]),
        folder=folder,
        epochs=ceil_div(steps, settings.steps_per_epoch),
        steps_per_epoch=min(steps, settings.steps_per_epoch),
        learning_rate=rate,
        patience=patience,
    )
    return model, history


def _predict(model, samples):
    """Returns the prediction of each sample."""
    return dict(zip(samples, Recognizer(model).read(samples), strict=True))


def _read_all(task, splits, outcome, *, before, folds):
    """Returns a `Reading` for each image, by a reader that has not seen it where possible."""
    samples = [sample for split in splits.values() for sample in split]
    rest = [sample for sample in samples if sample not in outcome.held_out]
    after = outcome.held_out | (_predict(outcome.model, rest) if rest else {})
    old = dict(zip(samples, before.read(samples), strict=True))
    return [
        Reading(
            sample=sample,
            split="test" if folds else name,
            label=task.char_dict.normalize(sample.text),
            before=old[sample].text,
            after=after[sample].text,
            confidence=after[sample].confidence,
        )
        for name, split in splits.items()
        for sample in split
    ]


def _compare_tested(readings, char_dict):
    """Compares the texts of the test images, and their letters and digits if they have more."""
    tested = [reading for reading in readings if reading.split == "test"]
    labels = [reading.label for reading in tested]
    # A text of before is compared as the new reader would write it.
    before = [char_dict.normalize(reading.before or "") for reading in tested]
    texts = before, [reading.after for reading in tested]
    comparisons = [_compare("test", labels, texts)]
    if any(label != alphanumeric(label) for label in labels):
        name, protocol = "test, letters and digits only", "alphanumeric"
        comparisons.append(_compare(name, labels, texts, protocol=protocol))
    return comparisons


def _compare_references(references, *, before, after):
    """Compares texts of the old task, as far as the reader of before could write them."""
    comparisons = []
    for name, source in references.items():
        if isinstance(source, BaseRecords):
            images = [record.encoded for record in source]
            labels = [record.text for record in source]
        else:
            images, labels, _ = open_test_set(source)
        old, new = ([row.text or "" for row in one.read(images)] for one in (before, after))
        write = before.char_dict.without_unknown
        labels, *texts = ([write(text) for text in row] for row in (labels, old, new))
        comparisons.append(_compare(name, labels, texts))
    return comparisons


def _compare(name, labels, texts, *, protocol="exact"):
    """Compares the texts of before and after with the labels."""
    old, new = (evaluate(labels, own, protocol=protocol) for own in texts)
    return Comparison(name=name, before=old, after=new)
