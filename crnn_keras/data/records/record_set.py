"""A set of records: a folder of shards with a sidecar, opened at any position."""

import hashlib
import itertools
import json
import pathlib
import re

import numpy as np

from crnn_keras.data.records.record import from_example
from crnn_keras.data.records.shard import (
    SIDECAR,
    RecordError,
    damage,
    index_shard,
    read_payload,
    shard_name,
    shard_problem,
    write_shard,
)
from crnn_keras.images import to_gray
from crnn_keras.utils import files

_FORMAT = "crnn_keras.data.records"
# Files of sets and views, and what a stopped preparation may leave among them.
_OF_A_SET = re.compile(
    r"([0-9]{5,}\.(tfrecord|json)|(set|specification)\.json|skipped\.tsv|samples\.jsonl)(\.part)?"
)
_KEYS = {"records", "char_dict", "canvas", "shards"}


def write_records(folder, records, char_dict, canvas, per_shard=8192):
    """Writes a set of records, whole or not at all.

    For much data see `prepare`, which works on all cores and continues where it was stopped.

    Args:
        folder: folder of the set. One that is there already is replaced when the new one is whole.
        records: iterable of `Record`s; held in memory one at a time.
        char_dict: the `CharDict` the labels were checked against.
        canvas: the `images.Canvas` the labels were checked against.
        per_shard: records in a shard.

    Returns:
        The sidecar's content, a dict.

    Raises:
        ValueError: there are no records, or `folder` holds something else than a set.
        OSError: the disk is full, and the like. What stood in `folder` before stands there still.
    """
    folder = pathlib.Path(folder)
    if per_shard < 1:
        raise ValueError(f"{per_shard} records in a shard: expected at least 1.")
    check_no_other_files(folder)
    with files.new_folder(folder) as part:
        shards, remaining = [], iter(records)
        while first := list(itertools.islice(remaining, 1)):
            chunk = itertools.chain(first, itertools.islice(remaining, per_shard - 1))
            name = shard_name(len(shards))
            with files.atomic(part / name) as file:
                shards.append(write_shard(file, name, chunk))
        if not shards:
            raise ValueError(f"There are no records to write to {folder}.")
        content = sidecar(shards, char_dict.get_config(), canvas.get_config())
        files.write_json(part / SIDECAR, content)
    return content


def check_no_other_files(folder):
    """Stops before a folder that holds something else than records is replaced by records.

    Args:
        folder: path.

    Raises:
        ValueError: it is a file, or holds files but no set, or more than a set.
    """
    folder = pathlib.Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file. Give a new folder for the records.")
    # What an operating system puts into folders, such as .DS_Store, is nobody's.
    names = [path.name for path in folder.glob("*") if not path.name.startswith(".")]
    others = sorted(name for name in names if not _OF_A_SET.fullmatch(name))
    if names and SIDECAR not in names:
        what = f"files but no {SIDECAR}"
    elif others:
        what = f"a set of records and {others[0]!r}, which is not of it"
    else:
        return
    raise ValueError(
        f"{folder} holds {what}: writing records there would delete them. "
        "Give a new folder or remove this one."
    )


def sidecar(shards, char_dict, canvas, **more):
    """The content of a set's `set.json`.

    Args:
        shards: list of what `write_shard` returned.
        char_dict: config of the `CharDict` the labels were checked against.
        canvas: config of the `images.Canvas` the labels were checked against.
        more: further entries, plain data.

    Returns:
        Dict.
    """
    return {
        "format": _FORMAT,
        "records": sum(shard["records"] for shard in shards),
        "char_dict": char_dict,
        "canvas": canvas,
        **more,
        "shards": shards,
    }


def read_sidecar(folder):
    """Reads a set's `set.json`.

    Args:
        folder: folder of the set.

    Returns:
        Dict, see `sidecar`.

    Raises:
        RecordError: there is none, it is damaged, or it belongs to another program.
    """
    path = folder / SIDECAR
    if not path.exists():
        earlier = files.replaced_folder(folder) if folder.name else folder
        hint = f" A run was stopped while it replaced them: rename {earlier} to {folder}, or"
        hint = f"{hint} prepare again." if (earlier / SIDECAR).exists() else ""
        raise RecordError(
            f"{folder} holds no records: {SIDECAR} is missing. Notebook 02 writes them.{hint}"
        )
    try:
        info = files.read_json(path)
    except ValueError as error:
        raise RecordError(f"{error}. Remove {folder} and prepare again (notebook 02).") from None
    if not isinstance(info, dict) or info.get("format") != _FORMAT or not info.keys() >= _KEYS:
        raise RecordError(f"{path} was not written by crnn_keras.")
    return info


def verify(folder):
    """Reads a whole set and checks it against its hashes. Missing shards do not stop it.

    Args:
        folder: folder of the set. Of a view its list is checked, not the images that it names.

    Returns:
        Dict of `shard number: sentence`, one for each bad shard; empty if all is well.

    Raises:
        RecordError: there is no set.
    """
    folder = pathlib.Path(folder)
    info = read_sidecar(folder)
    shards = enumerate([info["samples"]] if "samples" in info else info["shards"])
    problems = {number: shard_problem(folder / shard["file"], shard) for number, shard in shards}
    return {number: problem for number, problem in problems.items() if problem}


class Records:
    """A set of records opened for reading at any position.

    Args:
        folder: folder that `write_records` or `prepare` wrote.

    Raises:
        RecordError: no such set, a shard that is missing, cut short, or whose frames are damaged.
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.info = read_sidecar(self.folder)
        if not self.info["shards"]:
            raise RecordError(f"{self.folder} lists its images. records.open_records opens it.")
        self._paths = [self.folder / shard["file"] for shard in self.info["shards"]]
        indexes = map(index_shard, self._paths, self.info["shards"])
        # Shard number, offset and length of each payload.
        self._index = np.concatenate(
            [np.insert(index, 0, number, axis=1) for number, index in enumerate(indexes)]
        )

    @property
    def fingerprint(self):
        """Names the set by the hashes of its shards."""
        shards = json.dumps(self.info["shards"], sort_keys=True)
        return hashlib.sha256(shards.encode()).hexdigest()

    def __len__(self):
        return len(self._index)

    def payload(self, position):
        """The serialised `tf.train.Example` at a position, its checksum verified.

        Args:
            position: from 0 to `len(self) - 1`.

        Returns:
            Bytes.

        Raises:
            RecordError: the record is damaged.
        """
        with open(self._paths[self._index[position][0]], "rb") as file:
            return self._payload(file, position)

    def _payload(self, file, position):
        number, offset, length = (int(value) for value in self._index[position])
        payload = read_payload(file, offset, length)
        if payload is None:
            first = int(np.searchsorted(self._index[:, 0], number))
            raise damage(self._paths[number], position - first, offset)
        return payload

    def __getitem__(self, position):
        if not 0 <= position < len(self):
            raise IndexError(f"Record {position} of {len(self)}.")
        return from_example(self.payload(position))

    @property
    def folders(self):
        """List of the folders that the set is in: one."""
        return [self.folder]

    def place(self, position):
        """Names a record for messages, such as `"data/x/records/train, record 7"`."""
        return f"{self.folder}, record {position}"

    def __iter__(self):
        ends = np.searchsorted(self._index[:, 0], np.arange(len(self._paths)), side="right")
        start = 0
        for path, end in zip(self._paths, ends, strict=True):
            with open(path, "rb") as file:
                for position in range(start, end):
                    yield from_example(self._payload(file, position))
            start = end

    scan = __iter__

    def image(self, position):
        """The image at a position.

        Args:
            position: from 0 to `len(self) - 1`.

        Returns:
            Gray Pillow image.
        """
        return to_gray(self[position].encoded)
