"""Parquet files of Hugging Face: a column of images and one of texts, in one file or in shards.

Reference:
    https://huggingface.co/docs/hub/datasets-image
"""

from __future__ import annotations

from collections.abc import Iterator

from crnn_keras.data import parquet_file
from crnn_keras.data.issues import Issue
from crnn_keras.data.labels import shards
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import (
    IMAGE_COLUMNS,
    TEXT_COLUMNS,
    Source,
    check_row,
    check_text,
)

SUFFIXES = (".parquet",)


def rows(source: Source) -> Iterator[Sample | Issue]:
    """Reads a parquet file; or, of a folder, all of it and of the folders below it.

    An image is a struct of `bytes` and `path`, or bytes, or the path of a file that starts from the
    folder of the parquet file. Its name is its row, counted from 0 over the whole file.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Issue`s.

    Raises:
        ModuleNotFoundError: pyarrow is not installed.
        ValueError: there is no parquet file, or a folder holds those of several splits; the only
            file is damaged; or the columns are not found.
    """
    yield from shards.rows(source, SUFFIXES, _rows)


def _rows(source, path):
    contents = parquet_file.inspect_file(path)
    image, text = _find_columns(source, path, contents)
    note = f"the image in column {image!r}, the text in column {text!r}"
    if note not in source.notes:
        source.notes.append(note)
    is_path = contents.kinds[image] == "text"
    paths = [(image,)] if is_path else [(image, "path")] if image in contents.with_path else []
    states = contents.images.get(image)
    folder = source.images_folder or path.parent
    for row, (label, *found) in enumerate(parquet_file.iter_rows(path, (text,), *paths)):
        where = f"{path}, row {row}"
        name = found[0] if found else None
        if is_path or states[row] == parquet_file.NO_BYTES:
            yield _from_file(name, label, where, folder=folder)
        else:
            key = parquet_file.image_key(image, row)
            issue = _check_label(key, label, where)
            if not issue and states[row] == parquet_file.TOO_LARGE:
                reason = f"{key!r} is too large. Crop it to one word or line first."
                issue = Issue("unreadable image", where, reason)
            yield issue or Sample(str(path), label.strip(), where, key=key)


def _from_file(name, label, where, *, folder):
    if isinstance(name, bytes):
        return Issue("not UTF-8", where, f"the path {name[:40]!r} is not UTF-8. Write it again.")
    name = name.strip() if name else None
    # `or`: a row without a path is named by that, whatever its label is.
    issue = name and _check_label(name, label, where)
    return issue or check_row(name, (label or "").strip(), where, folder=folder)


def _check_label(name, label, where):
    if isinstance(label, bytes):
        reason = f"{name!r} has a label that is not UTF-8: {label[:40]!r}. Write it again."
        return Issue("not UTF-8", where, reason)
    return check_text(name, (label or "").strip(), where)


def _find_columns(source, path, contents):
    kinds = contents.kinds
    asked = source.columns or (None, None)
    found = [
        _find(path, list(kinds), column, known=known)
        for column, known in zip(asked, (IMAGE_COLUMNS, TEXT_COLUMNS), strict=True)
    ]
    image, text = found
    if kinds[image] not in ("struct", "bytes", "text"):
        raise ValueError(
            f"{path}: column {image!r} holds {kinds[image]}. Expected images: a struct of bytes "
            "and path, bytes, or paths. Name another one: image_column."
        )
    if kinds[text] != "text":
        raise ValueError(
            f"{path}: column {text!r} holds {kinds[text]}, not text. Write the labels as strings, "
            "or name another column: text_column."
        )
    return image, text


def _find(path, names, column, *, known):
    wanted = known if column is None else (str(column).strip().lower(),)
    matches = [name for name in names if name.strip().lower() in wanted]
    if not matches:
        shown = ", ".join(wanted) if column is None else repr(column)
        raise ValueError(
            f"{path}: the columns {names[:20]} have none of {shown}. Name them: "
            'image_column="crop", text_column="word".'
        )
    return matches[0]
