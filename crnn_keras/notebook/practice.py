"""A small labelled set with planted faults, for learning what the data check finds."""

import io
import os
import pathlib
from typing import NamedTuple

from PIL import Image, ImageEnhance

from crnn_keras import synth
from crnn_keras.utils import files

_SIZES = {"train": 80, "validation": 10, "test": 20}


class _Row(NamedTuple):
    path: str
    text: str
    image: bytes | None


def write_practice_set(folder: str | os.PathLike, seed: int = 0) -> dict[str, str]:
    """Renders 110 words in three splits and plants one fault of each kind.

    Args:
        folder: Folder to write. An earlier practice set is replaced once the new one is complete.
        seed: Integer; the same seed gives the same set. Defaults to `0`.

    Returns:
        Dict of the label files as arguments of `read_splits`: `labels`, `validation_labels` and
        `test_labels`.

    Raises:
        ValueError: The folder holds something else.

    Example:

        >>> import tempfile
        >>> from crnn_keras.data.labels import read_splits
        >>> sources = write_practice_set(tempfile.mkdtemp())
        >>> found, splits = read_splits(**sources, fractions={"train": 1}, seed=0)
        >>> {name: len(samples) for name, samples in splits.items()}
        {'train': 78, 'validation': 10, 'test': 20}
    """
    folder = pathlib.Path(folder)
    known = {"images", *(f"{split}.tsv" for split in _SIZES)}
    # Hidden files belong to the operating system or Jupyter.
    found = {path.name for path in folder.glob("*") if not path.name.startswith(".")}
    if folder.is_file() or not found <= known:
        raise ValueError(
            f"{folder} holds something other than a practice set. Give a new folder or remove it."
        )
    renderer = synth.Recipe(fonts=synth.bundled_fonts(), seed=seed).open()
    rows, count = {split: [] for split in _SIZES}, 0
    for split, size in _SIZES.items():
        for index in range(size):
            image, text = renderer.sample(count)
            rows[split].append(_Row(f"images/{split}_{index:03d}.jpg", text, image))
            count += 1
    _plant_faults(rows["train"], rows["test"])
    with files.new_folder(folder) as new:
        for split, listed in rows.items():
            for row in listed:
                if row.image:
                    files.write_atomic(new / row.path, row.image)
            lines = "".join(f"{row.path}\t{row.text}\n" for row in listed)
            files.write_atomic(new / f"{split}.tsv", lines.encode())
    paths = {split: str(folder / f"{split}.tsv") for split in _SIZES}
    return {
        "labels": paths["train"],
        "validation_labels": paths["validation"],
        "test_labels": paths["test"],
    }


def _plant_faults(train, test):
    """Replaces rows by faulty ones, one fault a row."""
    # No label, no image, a damaged image, a path outside the folder.
    train[3] = train[3]._replace(text="")
    train[5] = train[5]._replace(image=None)
    train[8] = train[8]._replace(image=train[8].image[:300])
    train[12] = _Row("../elsewhere.jpg", "outside", None)
    # An unknown character, a label that is too long.
    train[20] = train[20]._replace(text="café")
    train[21] = train[21]._replace(text="pneumonoultramicroscopicsilico")
    # The same image twice, once more in other bytes, and in another split.
    train[30] = train[31]._replace(path=train[30].path)
    train[33] = train[34]._replace(path=train[33].path, image=_brighten(train[34].image))
    train[40] = test[4]._replace(path=train[40].path)
    # The same image with another label.
    train[45] = _Row(train[45].path, "other", train[46].image)
    # Full-width characters.
    full_width = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
    train[50] = train[50]._replace(text=train[50].text.translate(full_width))


def _brighten(image):
    """Brightens and encodes an image again, so that it looks the same but has other bytes."""
    buffer = io.BytesIO()
    image = Image.open(io.BytesIO(image))
    ImageEnhance.Brightness(image).enhance(1.08).save(buffer, "JPEG", quality=60)
    return buffer.getvalue()
