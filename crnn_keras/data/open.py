"""What a training and an evaluation open: batches of a run's records, and test sets."""

from __future__ import annotations

import logging
import os
import pathlib
from typing import TYPE_CHECKING

from crnn_keras.char_dict import CharDict
from crnn_keras.data.batches import Batches
from crnn_keras.data.labels import read_samples
from crnn_keras.data.records import SIDECAR, RecordError, open_records
from crnn_keras.data.records.splits import SPLITS
from crnn_keras.images import Canvas
from crnn_keras.images.augmentation import Augmentation
from crnn_keras.utils.checks import COUNT, FRACTION, SEED, Either, Of, check_arguments
from crnn_keras.utils.encodings import AUTO

if TYPE_CHECKING:
    from crnn_keras.data.issues import Issue
    from crnn_keras.data.labels import Sample

_logger = logging.getLogger(__name__)


@check_arguments(
    batch_size=COUNT,
    seed=SEED,
    augment=Either(FRACTION, Of(Augmentation)),
    random_erasing=FRACTION,
    replay_fraction=FRACTION,
)
def open_batches(
    folder: str | os.PathLike,
    *,
    batch_size: int = 64,
    seed: int = 0,
    augment: float | Augmentation = 0.0,
    random_erasing: float = 0.0,
    protocol: str = "exact",
    replay: str | os.PathLike | None = None,
    replay_fraction: float = 0.0,
) -> tuple[Batches, Batches]:
    """Opens the records of a run to train on and to validate on.

    The char dict and the canvas are those that the training records were checked against.

    Args:
        folder: Folder of the sets `train` and `validation`.
        batch_size: Images in a batch. Defaults to `64`.
        seed: Of the order and the augmentation. Defaults to `0`.
        augment: Strength from 0 to 1 of the augmentation, or an `Augmentation`, see `Batches`.
            Defaults to `0.0`.
        random_erasing: Fraction of images that lose a strip, see `Batches`. Defaults to `0.0`.
        protocol: The rule by which labels are compared, see `Batches`. Defaults to `"exact"`.
        replay: Folder of a set that comes again while this one is learned, see `Batches`. Defaults
            to `None`.
        replay_fraction: Its fraction of each training batch. Defaults to `0.0`.

    Returns:
        The `Batches` to train on, shuffled and augmented, and those to validate on.

    Raises:
        RecordError: A set is missing or damaged, or was not prepared together with the other.
        ValueError: A set has no usable record, or a number is not allowed.

    Example:

        >>> from crnn_keras import open_batches
        >>> training, validation = open_batches("data/walkthrough/records", batch_size=16)
        >>> training.canvas
        Canvas(mode='stretch', height=32, widths=(100,))
    """
    folder = pathlib.Path(folder)
    train, validation = (open_records(folder / name) for name in ("train", "validation"))
    char_dict, canvas = _checked_against(train)
    settings = {"batch_size": batch_size, "seed": seed, "protocol": protocol}
    changes = {"shuffle": True, "augment": augment, "random_erasing": random_erasing}
    if replay:
        changes |= {"replay": open_records(replay), "replay_fraction": replay_fraction}
    return (
        Batches(train, char_dict, canvas, **settings, **changes),
        Batches(validation, char_dict, canvas, **settings),
    )


def _checked_against(records):
    """Returns the char dict and the canvas that the labels of a set were checked against."""
    try:
        return CharDict.from_config(records.info["char_dict"]), Canvas(**records.info["canvas"])
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise RecordError(
            f"{records.folder / SIDECAR}: the char dict or the canvas was changed: {error} Prepare "
            "the records again (notebook 02)."
        ) from None


def open_test_set(
    path: str | os.PathLike,
    *,
    layout: str = "auto",
    images_folder: str | os.PathLike | None = None,
    image_column: str | int | None = None,
    text_column: str | int | None = None,
    encoding: str = AUTO,
) -> tuple[list[Sample | bytes], list[str], list[Issue]]:
    """Opens labelled images to measure a model on.

    Args:
        path: Folder of a set of records, or a label source as `read_samples` takes it.
        layout: Of a label source, see `read_samples`. Defaults to `"auto"`.
        images_folder: Of a label source, see `read_samples`.
        image_column: Of a label source, see `read_samples`.
        text_column: Of a label source, see `read_samples`.
        encoding: Of a label source, see `read_samples`. Defaults to `"auto"`.

    Returns:
        The images, as `Recognizer.read` takes them, their texts, and the issues for which rows of
        a label source were skipped. These are logged as a warning too, by kind.

    Raises:
        ValueError: The set is missing or damaged, or was not prepared together with those beside
            it.
    """
    path = pathlib.Path(path)
    is_missing_split = not path.exists() and (path.parent / SPLITS).is_file()
    if (path / SIDECAR).exists() or is_missing_split:
        records = list(open_records(path))
        return [record.encoded for record in records], [record.text for record in records], []
    found = read_samples(
        path,
        layout=layout,
        images_folder=images_folder,
        image_column=image_column,
        text_column=text_column,
        encoding=encoding,
    )
    if found.issues:
        _logger.warning("%s", found.summary())
    return list(found.samples), [sample.text for sample in found.samples], found.issues
