"""IIIT5K: `traindata.mat`, `testdata.mat`, with a lexicon of 50 and one of 1,000 words an image.

Reference:
    https://cvit.iiit.ac.in/research/projects/cvit-projects/the-iiit-5k-word-dataset
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crnn_keras.data.issues import Issue
from crnn_keras.data.labels.sample import Sample
from crnn_keras.data.labels.source import Source, check_row

_LEXICONS = {"50": "smallLexi", "1k": "mediumLexi"}


def rows(source: Source) -> Iterator[Sample | Issue]:
    """Reads a .mat file of this layout, and fills the lexicons `"50"` and `"1k"`.

    Args:
        source: a `Source`.

    Yields:
        `Sample`s and `Issue`s.

    Raises:
        ValueError: the file is damaged, or is not one of IIIT5K.
    """
    for index, entry in enumerate(_entries(source.path), start=1):
        name, text = entry.get("ImgName"), entry.get("GroundTruth")
        found = check_row(
            name.strip() if isinstance(name, str) else None,
            text.strip() if isinstance(text, str) else "",
            f"{source.path}, entry {index}",
            folder=source.folder,
        )
        if isinstance(found, Sample):
            for lexicon, key in _LEXICONS.items():
                words = [word.strip() for word in np.ravel(entry.get(key, [])).tolist()]
                if words:
                    source.lexicons.setdefault(lexicon, {})[found.image] = tuple(words)
        yield found


def _entries(path):
    from scipy.io import loadmat

    try:
        content = loadmat(path, simplify_cells=True)
    except Exception as error:  # scipy raises nearly anything at a damaged file.
        raise ValueError(
            f"{path} cannot be read as a .mat file: {error}. Extract it again from the archive of "
            "IIIT5K."
        ) from None
    for value in content.values():
        entries = np.ravel(value).tolist() if isinstance(value, dict | list | np.ndarray) else []
        if entries and all(isinstance(entry, dict) and "ImgName" in entry for entry in entries):
            return entries
    names = [name for name in content if not name.startswith("__")]
    raise ValueError(
        f"{path} holds {names}, and none of them is a list with ImgName and GroundTruth. Expected "
        "traindata.mat or testdata.mat of IIIT5K."
    )
