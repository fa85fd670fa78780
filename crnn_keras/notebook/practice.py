"""A small labelled set with planted faults, to learn on what the data check finds."""

import io
import pathlib

from PIL import Image, ImageEnhance

from crnn_keras import synth
from crnn_keras.utils import files

_SIZES = {"train": 80, "validation": 10, "test": 20}


def write_set(folder, seed=0):
    """Draws 110 words in three parts and plants one fault of each sort.

    Args:
        folder: folder to make; a practice set that stands there is replaced, when the new one is
            whole.
        seed: integer; the same gives the same set.

    Returns:
        The label sources as `samples.read_splits` takes them: `"train=..., ..."`.

    Raises:
        ValueError: the folder holds something else.
    """
    folder = pathlib.Path(folder)
    known = {"images", *(f"{part}.tsv" for part in _SIZES)}
    # Hidden ones are an operating system's or Jupyter's.
    found = {path.name for path in folder.glob("*") if not path.name.startswith(".")}
    if folder.is_file() or not found <= known:
        raise ValueError(f"{folder} is no practice set. Give a new folder or remove this one.")
    recipe = synth.Recipe(fonts=tuple(synth.bundled_fonts()), seed=seed).open()
    rows, count = {part: [] for part in _SIZES}, 0
    for part, size in _SIZES.items():
        for number in range(size):
            image, text = recipe.sample(count)
            rows[part].append((f"images/{part}_{number:03d}.jpg", text, image))
            count += 1
    train, test = rows["train"], rows["test"]
    _plant(train, test)
    with files.new_folder(folder) as new:
        for part, listed in rows.items():
            for name, _, image in listed:
                if image:
                    files.write_atomic(new / name, image)
            lines = "".join(f"{name}\t{text}\n" for name, text, _ in listed)
            files.write_atomic(new / f"{part}.tsv", lines.encode())
    return ", ".join(f"{part}={folder / part}.tsv" for part in rows)


def _plant(train, test):
    """Puts faults into the rows, each into a row of its own."""
    train[3] = (train[3][0], "", train[3][2])
    train[5] = (train[5][0], train[5][1], None)
    train[8] = (train[8][0], train[8][1], train[8][2][:300])
    train[12] = ("../elsewhere.jpg", "outside", None)
    train[20] = (train[20][0], "café", train[20][2])
    train[21] = (train[21][0], "pneumonoultramicroscopicsilico", train[21][2])
    train[30] = (train[30][0], train[31][1], train[31][2])
    train[33] = (train[33][0], train[34][1], _changed(train[34][2]))
    train[40] = (train[40][0], test[4][1], test[4][2])
    train[45] = (train[45][0], "other", train[46][2])
    full_width = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
    train[50] = (train[50][0], train[50][1].translate(full_width), train[50][2])


def _changed(image):
    """The image brightened and encoded again: its bytes differ, its look hardly does."""
    buffer = io.BytesIO()
    image = Image.open(io.BytesIO(image))
    ImageEnhance.Brightness(image).enhance(1.08).save(buffer, "JPEG", quality=60)
    return buffer.getvalue()
