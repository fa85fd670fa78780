"""The settings of a run: what must not change when it continues."""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras

from crnn_keras.data.drawn import SynthBatches
from crnn_keras.training.schedules import ENDLESS_SCHEDULES

if TYPE_CHECKING:
    from crnn_keras.data.batches import Batches
    from crnn_keras.model.crnn import CRNN

# Readers that a training writes, and what `origin` has before the name of one where a run began
# with that of its own folder.
OWN_MODELS = ("model.keras", "last.keras")
_OWN = ", the run's own "


def to_plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns settings as JSON gives them back: lists for tuples, plain numbers for NumPy's.

    Args:
        settings: Dict of plain data, and of NumPy's numbers.
    """
    return json.loads(json.dumps(settings, default=lambda number: number.item()))


def differing_settings(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Lists the settings that differ between a state and the training that is to continue it.

    A run that began with the `model.keras` or `last.keras` of its own folder has replaced that
    file after its first epoch. Its weights are in the state, so the file is not compared again. A
    run may get another number of epochs if its learning rates do not depend on it.

    Args:
        saved: Settings of the state, as JSON gives them back.
        now: Settings of the training, of the same form.

    Returns:
        Their names.
    """
    differ = [name for name in {**saved, **now} if saved.get(name) != now.get(name)]
    if "origin" in differ:
        origins = [str(settings.get("origin")).partition(_OWN) for settings in (saved, now)]
        (weights, _, file), (weights_now, _, file_now) = origins
        if weights == weights_now or file == file_now != "":
            differ.remove("origin")
    if {saved.get("schedule"), now.get("schedule")} in ({name} for name in ENDLESS_SCHEDULES):
        differ = [name for name in differ if name != "epochs"]
    return differ


def data_settings(batches: Batches, validation: Batches) -> dict[str, Any]:
    """Collects the settings of a run's data.

    Args:
        batches: The `Batches` or `SynthBatches` to train on.
        validation: The `Batches` to measure on.

    Returns:
        Plain dict.
    """
    return {
        "batch_size": batches.batch_size,
        "seed": batches.seed,
        "augment": batches.augmenter.augmentation.get_config(),
        "random_erasing": batches.augmenter.random_erasing,
        **(batches.settings if isinstance(batches, SynthBatches) else _record_settings(batches)),
        "validation": validation.records.fingerprint[:16],
    }


def _record_settings(batches):
    """Returns the settings of `Batches` that others do not have."""
    # Missing where they are off, so that a run continues from a state of before.
    options = {"drop_unknown": True} if batches.drop_unknown else {}
    if batches.replay is not None:
        options |= {
            "replay": batches.replay.records.fingerprint[:16],
            "replay_fraction": batches.replay_fraction,
        }
    return {
        "shuffle": batches.shuffle,
        "protocol": batches.protocol,
        "records": batches.records.fingerprint[:16],
        **options,
    }


def model_settings(model: CRNN, folder: str | os.PathLike) -> dict[str, Any]:
    """Collects the settings of a run's model and the versions of the programs.

    Args:
        model: A `CRNN`.
        folder: The run folder.

    Returns:
        Plain dict.
    """
    config = json.dumps(model.char_dict.get_config(), sort_keys=True)
    char_dict_hash = hashlib.sha256(config.encode()).hexdigest()[:16]
    name = model.architecture_name
    sizes = [math.prod(variable.shape) for variable in model.variables]
    backend = keras.backend.backend()
    origin = model.origin
    for own in OWN_MODELS if model.origin_path else ():
        if model.origin_path.resolve() == pathlib.Path(folder, own).resolve():
            origin += f"{_OWN}{own}"
    # OpenCV augments the images.
    programs = ["crnn_keras", "keras", "cv2", backend]
    versions = {name: importlib.import_module(name).__version__ for name in programs}
    frozen = [layer.name for layer in model.layers if not layer.trainable]
    return {
        "char_dict": f"{model.char_dict!r} {char_dict_hash}",
        "canvas": model.canvas.get_config(),
        "architecture": model.architecture if name == "custom" else name,
        "model_seed": model.seed,
        "origin": origin,
        "precision": model.dtype_policy.name,
        "variables": f"{len(sizes)} of {sum(sizes):,} numbers in all",
        "backend": backend,
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        # Missing where there are none, so that a run continues from a state of before.
        **({"frozen": frozen} if frozen else {}),
        **({"augmentation": model.augmentation.get_config()} if model.augmentation else {}),
    }
