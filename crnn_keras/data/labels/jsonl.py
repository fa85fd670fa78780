"""One JSON object a line: `{"file_name": "a.png", "text": "word"}`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import IMAGE_COLUMNS, TEXT_COLUMNS, Source, check_row

_EXAMPLE = '{"image": "a.png", "text": "word"}'


def rows(source: Source) -> Iterator[Sample | Issue]:
    """Reads a label file of this layout.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Issue`s.

    Raises:
        ValueError: the first object has neither the known keys nor those that the user named.
    """
    keys = None
    for where, line in source.lines():
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = f"{line[:40]!r} is not JSON ({error}). Write one object a line: {_EXAMPLE}."
            yield Issue("not JSON", where, reason)
            continue
        if not isinstance(content, dict):
            reason = f"{line[:40]!r} is not an object. Write one object a line: {_EXAMPLE}."
            yield Issue("not JSON", where, reason)
            continue
        keys = keys or _find_keys(source, where, content)
        name, label = content.get(keys[0]), content.get(keys[1], "")
        yield check_values(name, label, where, folder=source.folder)


def check_values(
    name: object, label: object, where: str, *, folder: str | os.PathLike
) -> Sample | Issue:
    """Turns two values of JSON into a sample if they are texts that can be used.

    Args:
        name: the image's path, if it is a string.
        label: the text, if it is a string.
        where: string, file and line of the row.
        folder: folder that the path starts from.

    Returns:
        A `Sample`, or the `Issue` that keeps the row from being used.
    """
    if not isinstance(name, str):
        return check_row(None, "", where, folder=folder)
    if isinstance(label, str):
        return check_row(name.strip(), label.strip(), where, folder=folder)
    found = json.dumps(label, ensure_ascii=False)[:40]
    advice = "Write one text an image"
    if isinstance(label, int | float) and not isinstance(label, bool):
        advice = f'Put it into quotation marks: "{found}"'
    return Issue("label is not text", where, f"{name!r} has the label {found}. {advice}.")


def _find_keys(source, where, content):
    """Returns the keys of the image and the text."""
    if source.columns:
        for key in source.columns:
            if key not in content:
                raise ValueError(
                    f"{where}: there is no key {key!r}, only {list(content)}. Expected the keys "
                    "of the image and of the text as image_column and text_column."
                )
        return source.columns
    keys = []
    for known in (IMAGE_COLUMNS, TEXT_COLUMNS):
        matches = [key for key in content if key.strip().lower() in known]
        if not matches:
            raise ValueError(
                f"{where}: the keys {list(content)} have none of {', '.join(known)}. Rename them, "
                'or name them: image_column="crop", text_column="word".'
            )
        keys.append(matches[0])
    source.notes.append(f"the path under {keys[0]!r}, the text under {keys[1]!r}")
    return keys
