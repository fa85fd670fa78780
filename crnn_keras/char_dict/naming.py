"""The one string by which a notebook names a dictionary, taken apart.

    labels                            every character of the labels
    gb2312                            a preset
    data/characters.txt               a list, a saved dictionary, or the old project's json files
    corpus:data/news.txt:5000         the 5,000 most frequent characters of a text file or folder

Each may be followed by choices, such as `labels+half_width` or `gb2312+ascii+nfc`.
"""

import pathlib
from dataclasses import dataclass

from crnn_keras.char_dict.normalization import NORMALIZATIONS
from crnn_keras.char_dict.presets import FOLDED, PRESETS, preset_characters

CHOICES = (*NORMALIZATIONS, "fold_case", "space")
_CORPUS = "corpus:"


@dataclass(frozen=True)
class Source:
    """A source taken apart.

    Args:
        name: what stands before the choices.
        normalization: one of `NORMALIZATIONS`; None: not chosen.
        fold_case: whether `+fold_case`, or a preset of lower case, was chosen.
        extra: characters to add if they are absent: of `+space` and of the presets.
    """

    name: str
    normalization: str | None = None
    fold_case: bool = False
    extra: str = ""

    @property
    def has_choices(self):
        """Whether anything was chosen."""
        return self != Source(self.name)


def parse(source):
    """Takes a source apart. What exists under its whole name is a file, whatever its pluses.

    Args:
        source: string or path.

    Returns:
        `Source`.

    Raises:
        ValueError: what follows a known source is no choice, or two normalizations are chosen.
    """
    name, chosen = str(source), []
    while "+" in name and not _exists(name):
        head, last = name.rsplit("+", 1)
        if last not in (*CHOICES, *PRESETS):
            if _is_known(head):
                raise ValueError(
                    f"{str(source)!r}: {last!r} is no choice. Expected one of {', '.join(CHOICES)} "
                    f"or a preset whose characters are added: {', '.join(PRESETS)}."
                )
            break
        name, chosen = head, [last, *chosen]
    written = [choice for choice in chosen if choice in NORMALIZATIONS]
    if len(written) > 1:
        raise ValueError(f"{str(source)!r} chooses {' and '.join(written)}. Choose one of them.")
    folded = any(choice == "fold_case" or choice in FOLDED for choice in chosen)
    added = (preset_characters(choice) for choice in chosen if choice in PRESETS)
    extra = "".join(added) + (" " if "space" in chosen else "")
    return Source(name, written[0] if written else None, folded, extra)


def _exists(name):
    path = name
    if name.startswith(_CORPUS):
        path, _ = corpus_parts(name)
    return pathlib.Path(path).exists()


def _is_known(name):
    head = name.split("+")[0]
    return head == "labels" or head in PRESETS or _exists(name)


def is_corpus(name):
    """Whether a source's name is of the form `corpus:path` or `corpus:path:number`."""
    return name.startswith(_CORPUS)


def corpus_parts(name):
    """The path and the size of `corpus:path` or `corpus:path:5000`.

    Args:
        name: a source's name.

    Returns:
        Tuple of the path and the number of characters; None: all.

    Raises:
        ValueError: there is no path, or the number is 0.
    """
    path = name.removeprefix(_CORPUS)
    head, colon, size = path.rpartition(":")
    if colon and size.isdecimal() and not pathlib.Path(path).exists():
        path, size = head, int(size)
    else:
        size = None
    if not path or size == 0:
        raise ValueError(f"{name!r} is no corpus. Expected {_CORPUS}FILE or {_CORPUS}FILE:5000.")
    return path, size
