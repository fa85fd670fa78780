"""What must not change between the parts of a run."""

import hashlib
import importlib
import json
import math

import keras


def data_settings(batches, validation):
    """What the data of a run say of themselves.

    Args:
        batches: the `dataset.Batches` to train on.
        validation: the `dataset.Batches` to measure on.

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


def model_settings(model, whole):
    """What the model of a run and the programs say of themselves.

    Args:
        model: a `CRNN`.
        whole: its training model.

    Returns:
        Plain dict.
    """
    config = json.dumps(model.char_dict.get_config(), sort_keys=True)
    char_dict_hash = hashlib.sha256(config.encode()).hexdigest()[:16]
    sizes = [math.prod(variable.shape) for variable in whole.variables]
    backend = keras.backend.backend()
    # TensorFlow augments the images on every backend.
    programs = dict.fromkeys(["crnn_keras", "keras", "tensorflow", backend])
    versions = {name: importlib.import_module(name).__version__ for name in programs}
    return {
        "char_dict": f"{model.char_dict!r} {char_dict_hash}",
        "canvas": model.canvas.get_config(),
        "preset": model.preset,
        "model_seed": model.seed,
        "origin": model.origin,
        "precision": model.dtype_policy.name,
        "variables": f"{len(sizes)} of {sum(sizes):,} numbers in all",
        "backend": backend,
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }
