"""One JSON object a line: `{"file_name": "a.png", "text": "word"}`."""

import json

from crnn_keras.data.labels.sample import Problem
from crnn_keras.data.labels.source import IMAGE_COLUMNS, TEXT_COLUMNS, row

_EXAMPLE = '{"image": "a.png", "text": "word"}'


def rows(source):
    """Reads a label file of this layout.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Problem`s.

    Raises:
        ValueError: the first object has neither known nor the given keys.
    """
    keys = None
    for number, line in source.lines():
        where = source.where(number)
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = f"{line[:40]!r} is not JSON ({error}). Write one object a line: {_EXAMPLE}."
            yield Problem("no json", where, reason)
            continue
        if not isinstance(content, dict):
            reason = f"{line[:40]!r} is no object. Write one object a line: {_EXAMPLE}."
            yield Problem("no json", where, reason)
            continue
        keys = keys or _keys(source, where, content)
        yield text_row(where, source.folder, content.get(keys[0]), content.get(keys[1], ""))


def text_row(where, folder, name, label):
    """A sample from two values of JSON, or what is wrong with them.

    Args:
        where: file and line of the row.
        folder: folder that the path starts from.
        name: the image's path, if it is one.
        label: the text, if it is one.

    Returns:
        `Sample` or `Problem`.
    """
    if not isinstance(name, str):
        return row(where, folder, None, "")
    if isinstance(label, str):
        return row(where, folder, name.strip(), label.strip())
    found = json.dumps(label, ensure_ascii=False)[:40]
    mend = "Write one text an image"
    if isinstance(label, int | float) and not isinstance(label, bool):
        mend = f'Put it into quotation marks: "{found}"'
    return Problem("label is no text", where, f"{name!r} has the label {found}. {mend}.")


def _keys(source, where, content):
    if source.columns:
        for key in source.columns:
            if key not in content:
                raise ValueError(
                    f"{where}: there is no key {key!r}, only {list(content)}. Give the names of "
                    "the image's and the text's key."
                )
        return source.columns
    keys = []
    for known in (IMAGE_COLUMNS, TEXT_COLUMNS):
        matches = [key for key in content if key.strip().lower() in known]
        if not matches:
            raise ValueError(
                f"{where}: the keys {list(content)} have none of {', '.join(known)}. Name them so, "
                'or say which they are: columns=("crop", "word").'
            )
        keys.append(matches[0])
    source.notes.append(f"the path under {keys[0]!r}, the text under {keys[1]!r}")
    return keys
