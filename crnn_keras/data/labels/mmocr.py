"""MMOCR's recognition lists: `{"metainfo": ..., "data_list": [{"img_path", "instances"}]}`.

Its older lists, an object with `filename` and `text` a line, are of the layout `jsonl`.

Reference:
    https://mmocr.readthedocs.io/en/dev-1.x/user_guides/dataset_prepare.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.jsonl import check_values
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import Source

# How a list begins.
START = re.compile(r'\s*\{\s*"(?:metainfo|data_list)"\s*:')


def rows(source: Source) -> Iterator[Sample | Issue]:
    """Reads a label file of this layout. The whole file is held in memory.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Issue`s.

    Raises:
        ValueError: the file is not JSON, or holds no `data_list`.
    """
    content = source.read_json()
    entries = content.get("data_list") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise ValueError(
            f'{source.path} holds no "data_list". Expected {{"metainfo": ..., "data_list": '
            '[{"img_path": "a.jpg", "instances": [{"text": "word"}]}]}.'
        )
    for index, entry in enumerate(entries):
        yield _read_entry(entry, f"{source.path}, data_list[{index}]", folder=source.folder)


def _read_entry(entry, where, *, folder):
    entry = entry if isinstance(entry, dict) else {}
    name, instances = entry.get("img_path"), entry.get("instances")
    instances = instances if isinstance(instances, list) else []
    if len(instances) > 1 or any(isinstance(one, dict) and _has_box(one) for one in instances):
        reason = (
            f"{name!r} has {len(instances)} instances with boxes: this is a list for text "
            "detection. Crop the words first."
        )
        return Issue("label is not text", where, reason)
    one = instances[0] if instances and isinstance(instances[0], dict) else {}
    return check_values(name, one.get("text", ""), where, folder=folder)


def _has_box(instance):
    return bool(instance.get("bbox") or instance.get("polygon"))
