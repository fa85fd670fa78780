"""The settings of a run: what must not change when it continues."""

from __future__ import annotations

import hashlib
import importlib
import json
import math
from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    from crnn_keras.data.batches import Batches
    from crnn_keras.model.crnn import CRNN


def data_settings(batches: Batches, validation: Batches) -> dict[str, Any]:
    """Collects the settings of a run's data.

    Args:
        batches: The `Batches` to train on.
        validation: The `Batches` to measure on.

    Returns:
        Plain dict.
    """
    return {
        "batch_size": batches.batch_size,
        "seed": batches.seed,
        "shuffle": batches.shuffle,
        "augment": batches.augment,
        "random_erasing": batches.random_erasing,
        "protocol": batches.protocol,
        "records": batches.records.fingerprint[:16],
        "validation": validation.records.fingerprint[:16],
    }


def model_settings(model: CRNN) -> dict[str, Any]:
    """Collects the settings of a run's model and the versions of the programs.

    Args:
        model: A `CRNN`.

    Returns:
        Plain dict.
    """
    config = json.dumps(model.char_dict.get_config(), sort_keys=True)
    char_dict_hash = hashlib.sha256(config.encode()).hexdigest()[:16]
    name = model.architecture_name
    sizes = [math.prod(variable.shape) for variable in model.variables]
    backend = keras.backend.backend()
    # TensorFlow augments the images on every backend.
    programs = dict.fromkeys(["crnn_keras", "keras", "tensorflow", backend])
    versions = {name: importlib.import_module(name).__version__ for name in programs}
    return {
        "char_dict": f"{model.char_dict!r} {char_dict_hash}",
        "canvas": model.canvas.get_config(),
        "architecture": model.architecture if name == "custom" else name,
        "model_seed": model.seed,
        "origin": model.origin,
        "precision": model.dtype_policy.name,
        "variables": f"{len(sizes)} of {sum(sizes):,} numbers in all",
        "backend": backend,
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }
