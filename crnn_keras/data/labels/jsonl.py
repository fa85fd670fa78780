"""One JSON object a line: `{"file_name": "a.png", "text": "word"}`."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import IMAGE_COLUMNS, TEXT_COLUMNS, Source, check_row

# Rows that are looked at before the first is yielded.
_LOOKED_AT = 100
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
    objects = (_parse(where, line) for where, line in source.lines())
    start = list(itertools.islice(objects, _LOOKED_AT))
    keys = _find_keys(source, [item for item in start if not isinstance(item, Issue)])
    for item in itertools.chain(start, objects):
        if isinstance(item, Issue):
            yield item
        else:
            where, content = item
            name, label = content.get(keys[0]), content.get(keys[1], "")
            yield check_values(name, label, where, folder=source.folder)


def _parse(where, line):
    """Returns a line's number and object, or the `Issue` of a line that is none."""
    try:
        content = json.loads(line, object_pairs_hook=_to_dict)
    except (ValueError, RecursionError) as error:
        reason = f"{line[:40]!r} is not JSON ({error}). Write one object a line: {_EXAMPLE}."
        return Issue("not JSON", where, reason)
    if not isinstance(content, dict):
        reason = f"{line[:40]!r} is not an object. Write one object a line: {_EXAMPLE}."
        return Issue("not JSON", where, reason)
    return where, content


def _to_dict(pairs):
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key comes twice")
    return found


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


def _find_keys(source, objects):
    """Returns the keys of the image and of the text: those of the first object that has both."""
    if not objects:
        return source.columns or (IMAGE_COLUMNS[0], TEXT_COLUMNS[0])
    for _, content in objects:
        keys = [_find_key(content, names) for names in _wanted(source)]
        if None not in keys:
            source.notes.append(f"the path under {keys[0]!r}, the text under {keys[1]!r}")
            return keys
    where, content = objects[0]
    if source.columns:
        missing = next(key for key in source.columns if _find_key(content, [key]) is None)
        raise ValueError(
            f"{where}: there is no key {missing!r}, only {list(content)}. Expected the keys of the "
            "image and of the text as image_column and text_column."
        )
    known = next(names for names in _wanted(source) if _find_key(content, names) is None)
    raise ValueError(
        f"{where}: the keys {list(content)} have none of {', '.join(known)}. Rename them, or name "
        'them: image_column="crop", text_column="word".'
    )


def _wanted(source):
    """Returns the names that the key of the image may have, and those of the text."""
    return [[name] for name in source.columns] if source.columns else [IMAGE_COLUMNS, TEXT_COLUMNS]


def _find_key(content, names):
    if len(names) == 1 and names[0] in content:
        return names[0]
    folded = {name.strip().casefold() for name in names}
    return next((key for key in content if key.strip().casefold() in folded), None)
