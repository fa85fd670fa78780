"""Lists of samples on disk, one JSON object a line: the rows of a preparation or a manifest."""

from __future__ import annotations

import hashlib
import json
import pathlib
from collections.abc import Iterable

from crnn_keras.data.labels import Sample
from crnn_keras.utils import files


def sample_line(sample: Sample) -> bytes:
    """Returns a sample as one line of a list, which ends in a line break."""
    row = {"image": sample.image, "text": sample.text, "where": sample.where}
    row |= {"key": sample.key} if sample.key else {}
    row |= {"box": sample.box} if sample.box else {}
    # Half a character, from a folder whose name is not UTF-8, becomes JSON's escape for it.
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def write_sample_list(path: pathlib.Path, samples: Iterable[Sample]) -> dict:
    """Writes a list, completely or not at all.

    Args:
        path: file to write.
        samples: iterable of `Sample`s.

    Returns:
        Dict of `file` (its name), `rows` and `sha256`.
    """
    digest, rows = hashlib.sha256(), 0
    with files.atomic(path) as file:
        for sample in samples:
            line = sample_line(sample)
            file.write(line)
            digest.update(line)
            rows += 1
    return {"file": path.name, "rows": rows, "sha256": digest.hexdigest()}


def read_sample_list(path: pathlib.Path, listed: dict) -> list[Sample]:
    """Reads a list.

    Args:
        path: the file.
        listed: what `write_sample_list` returned for it.

    Returns:
        List of `Sample`s.

    Raises:
        ValueError: the file is missing or was changed.
    """
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != listed["sha256"]:
        raise ValueError(
            f"{path} is missing or was changed after it was written. Prepare again (notebook 02)."
        )
    rows = map(json.loads, content.splitlines())
    return [Sample(**row | {"box": tuple(row.get("box", ()))}) for row in rows]
