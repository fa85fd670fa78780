"""Label Studio's exports: JSON with annotations, and JSON-MIN, one task an image.

Reference:
    https://labelstud.io/guide/export
"""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Iterator
from typing import Any

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.jsonl import check_values
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import IMAGE_COLUMNS, TEXT_COLUMNS, Source
from crnn_keras.images import SUFFIXES

# How an export begins.
START = re.compile(r"\s*\[\s*\{")
# What Label Studio calls an image that lies on the disk of its server.
LOCAL = "/data/local-files/?d="
_UPLOAD = "/data/upload/"
# What it puts before the name of an image that was sent to it.
_PREFIX = re.compile(r"[0-9a-f]{8}-(?=.)")
_IMAGE_KEYS = ("ocr", *IMAGE_COLUMNS)
_TEXT_KEYS = ("transcription", "caption", *TEXT_COLUMNS)
# What JSON-MIN has beside the data and the annotation.
_OTHER_KEYS = {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"}


def rows(source: Source) -> Iterator[Sample | Issue]:
    """Reads an export. The whole file is held in memory.

    An image may be a path; one of Label Studio's local files, whose path starts from the export's
    folder or from above it (the first task's image decides); or one that was uploaded or has an
    address: then a file of its name is looked for in the folder, without the eight digits that
    Label Studio puts before it. A skipped annotation does not count; of several, those that are
    marked as ground truth do.

    Args:
        source: a `Source`.

    Yields:
        A `Sample` or an `Issue` for each task.

    Raises:
        ValueError: the file is not a JSON list of tasks.
    """
    tasks = source.read_json()
    if not isinstance(tasks, list) or not any(isinstance(task, dict) for task in tasks):
        raise ValueError(
            f"{source.path} is no list of tasks. Expected Label Studio's export as JSON or "
            "JSON-MIN."
        )
    find, seen = _Finder(source.folder), set()
    for number, task in enumerate(tasks, 1):
        row = _read_task(task, find, f"{source.path}, task {number}")
        if isinstance(row, Sample) and row.image in seen:
            reason = f"{row.image!r} comes more than once. Keep the task with the correct label."
            row = Issue("image named twice", row.where, reason)
        elif isinstance(row, Sample):
            seen.add(row.image)
        yield row


def _read_task(task, find, where):
    if not isinstance(task, dict):
        return Issue("damaged row", where, f"{str(task)[:40]!r} is no task. Export again.")
    is_full = isinstance(task.get("data"), dict)
    values = task["data"] if is_full else task
    key = _image_key(values)
    name = values.get(key)
    if name is not None and (found := find(name)) is None:
        reason = (
            f"{name[:200]!r} is an address, and {find.folder} holds no file of that name. Download "
            "the image into it, or name its folder as images_folder."
        )
        return Issue("no image", where, reason)
    name = name and found
    label = _annotated(task, name, where) if is_full else _minimal(task, key)
    if isinstance(label, Issue):
        return label
    if isinstance(label, list) and all(isinstance(text, str) for text in label):
        if len(label) > 1:
            reason = f"{name!r} has {len(label)} texts. A sample is one line of text."
            return Issue("line break in label", where, reason)
        label = "".join(label)
    if isinstance(label, list):
        return _boxes(name, where)
    return check_values(name, label, where, folder=find.folder)


def _image_key(values: dict[str, Any]) -> str | None:
    """Returns the key of a task's image: one of a known name, or one that names an image."""
    texts = {key: value for key, value in values.items() if isinstance(value, str)}
    known = (key for key in _IMAGE_KEYS if key in texts)
    named = (key for key, value in texts.items() if value.lower().endswith(SUFFIXES))
    return next(known, None) or next(named, None)


def _annotated(task, name, where):
    """Returns what the annotations of a task say: its texts, or an `Issue`."""
    annotations = [a for a in _dicts(task.get("annotations")) if not a.get("was_cancelled")]
    annotations = [a for a in annotations if a.get("ground_truth") is True] or annotations
    found = []
    for annotation in annotations:
        results = _dicts(annotation.get("result"))
        values = _dicts([r.get("value") for r in results if r.get("type") == "textarea"])
        if len(values) > 1 or any(map(_is_box, values)):
            return _boxes(name, where)
        found += [value.get("text", "") for value in values]
    if not found:
        reason = f"{name!r} has no annotation with a text. Label it, or leave it out of the export."
        return Issue("no annotation", where, reason)
    if any(text != found[0] for text in found):
        reason = f"{name!r} has annotations that differ: {found!r:.200}. Keep the correct one."
        return Issue("conflicting labels", where, reason)
    return found[0]


def _dicts(value):
    """Returns the objects of a list of JSON; none if it is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _is_box(value):
    """Tells whether a text belongs to a box that is not the whole image, in percent."""
    box = tuple(value.get(side) for side in ("x", "y", "width", "height"))
    return any(side is not None for side in box) and box != (0, 0, 100, 100)


def _boxes(name, where):
    reason = (
        f"{name!r} has texts of boxes: this is a task for text detection. Crop the words first."
    )
    return Issue("label is not text", where, reason)


def _minimal(task, image_key):
    """Returns the text of a task in JSON-MIN: that of a known key, or of the only other one."""
    others = [key for key in task if key != image_key and key not in _OTHER_KEYS]
    known = [key for key in _TEXT_KEYS if key in others]
    keys = known or (others if len(others) == 1 else [])
    return task[keys[0]] if keys else ""


class _Finder:
    """Finds the path of a task's image in a folder.

    Args:
        folder: string, folder that paths start from.
    """

    def __init__(self, folder):
        self.folder = folder
        # Leading parts that local files have and the folder is at; the first of them decides.
        self._above = None

    def __call__(self, value):
        """Returns a path to check; None for an address of which the folder has no file."""
        if value.startswith(LOCAL):
            return self._local(urllib.parse.unquote(value.removeprefix(LOCAL)).lstrip("/"))
        is_address = re.match(r"[a-z][a-z0-9+.-]+://", value)
        if not is_address and not value.startswith(_UPLOAD):
            return value
        name = urllib.parse.unquote(urllib.parse.urlsplit(value).path).rpartition("/")[2]
        plain = _PREFIX.sub("", name, count=1)
        for own in (name, plain):
            if own and self._is_file(own):
                return own
        return None if is_address else plain

    def _local(self, path):
        parts = path.split("/")
        if self._above is None:
            fitting = (n for n in range(len(parts)) if self._is_file("/".join(parts[n:])))
            self._above = next(fitting, 0)
        return "/".join(parts[self._above :]) or path

    def _is_file(self, name):
        return os.path.isfile(os.path.join(self.folder, name))
