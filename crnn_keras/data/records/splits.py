"""Which sets belong together: `splits.json` in the folder of the sets.

A test set of an earlier preparation may hold images of today's training set: to measure on it would
be to measure on what was learned. So a set opens only beside those that it was prepared with. Sets
without such a file beside them were prepared one by one, and open one by one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
from collections.abc import Iterable, Mapping

from crnn_keras.data.records.sidecar import SIDECAR, RecordError, read_sidecar
from crnn_keras.utils import files

SPLITS = "splits.json"
_FORMAT, _VERSION = "crnn_keras.splits", 1
_AGAIN = "Prepare all splits again (notebook 02 or `crnn-keras prepare`)."


def write_splits(folder: pathlib.Path, sets: Mapping[str, pathlib.Path]) -> None:
    """Writes which sets belong together. From then on no other set of the folder opens.

    Args:
        folder: folder of the sets.
        sets: dict of `split name: folder of a complete set`, which may still wait for its name.
    """
    splits = {}
    for name, path in sets.items():
        info = read_sidecar(path)
        splits[name] = {"records": info["records"], "sha256": _hash(path)}
        if "specification" in info:
            splits[name]["specification"] = info["specification"]
    content = {"format": _FORMAT, "version": _VERSION, "splits": splits}
    earlier = None
    with contextlib.suppress(OSError, RecordError):
        earlier = _read(folder / SPLITS)
    if splits != earlier:
        files.write_json(folder / SPLITS, content)


def check_belongs(folder: str | os.PathLike) -> None:
    """Checks that a set was prepared together with those beside it.

    Args:
        folder: folder of the set.

    Raises:
        RecordError: it was not, or only some of the sets were replaced, or `splits.json` is
            damaged; or there is no such set, and none was prepared.
    """
    folder = pathlib.Path(folder)
    path = _path_for(folder)
    if not path.is_file():
        return
    splits, name = _read(path), _name(folder)
    if name not in splits and not folder.exists():
        raise RecordError(
            f"There is no {folder}: {path} names {_list(splits)} only. To prepare a set "
            f"{name!r} with them, give it a fraction of the images or images of its own."
        )
    if name not in splits:
        raise RecordError(
            f"{folder} does not belong to the sets beside it: {path} names {_list(splits)}, so it "
            f"was not prepared with them, and may share images with them. {_AGAIN}"
        )
    if (folder / SIDECAR).is_file() and splits[name]["sha256"] != _hash(folder):
        others = _list(split for split in splits if split != name) or "no other"
        raise RecordError(
            f"{folder} does not belong to the sets beside it ({others}): its {SIDECAR} is not the "
            f"one that {path} names. It was copied there or changed, or a preparation was stopped "
            f"while it replaced the sets. {_AGAIN}"
        )


def check_stands_alone(folder: str | os.PathLike) -> None:
    """Stops before one set of several that belong together is replaced.

    Args:
        folder: folder of a set that is about to be written.

    Raises:
        RecordError: there is a `splits.json` beside it.
    """
    path = _path_for(pathlib.Path(folder))
    if path.is_file():
        raise RecordError(
            f"{folder} lies among sets that were prepared together, see {path}: another set there "
            f"would not belong to them. {_AGAIN} Or give another folder; or remove {path}, and "
            "see to it yourself that the splits share no image."
        )


def _path_for(folder):
    return pathlib.Path(os.path.abspath(folder)).parent / SPLITS


def _name(folder):
    return pathlib.Path(os.path.abspath(folder)).name


def _hash(folder):
    return hashlib.sha256((folder / SIDECAR).read_bytes()).hexdigest()


def _list(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def _read(path):
    """Returns the splits that a file names; an error names the file."""
    try:
        content = files.read_json(path)
        is_ours = content["format"] == _FORMAT and content["version"] == _VERSION
        splits = {name: dict(split) for name, split in content["splits"].items()}
        complete = all(isinstance(split["sha256"], str) for split in splits.values())
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RecordError(f"{path} is damaged or of another program: {error!r}. {_AGAIN}") from None
    if not is_ours or not complete or not splits:
        raise RecordError(f"{path} is damaged or of another program. {_AGAIN}")
    return splits
