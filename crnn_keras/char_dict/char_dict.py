"""`CharDict`: text to ids, and ids to text.

Id 0 is the blank of CTC and the padding of labels, so the first character has id 1.
"""

from __future__ import annotations

import itertools
import json
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crnn_keras.char_dict import corpus, lists, old_dictionaries
from crnn_keras.char_dict.index import build_index
from crnn_keras.char_dict.normalization import (
    check_normalization,
    find_lost_in_nfc,
    normalize_characters,
    normalize_text,
)
from crnn_keras.char_dict.presets import FOLD_CASE_PRESETS, PRESETS, preset_characters
from crnn_keras.utils import files

BLANK = 0

_FORMAT = "crnn_keras.CharDict"
# Number of characters that a repr or a difference shows.
_SHOWN = 40


class CharDict:
    """Maps each character to an id, and back.

    The ids go from 1 to the number of characters; id 0 is the blank of CTC. `from_source` makes a
    dictionary from whatever a person names; `from_preset`, `from_labels`, `from_corpus`,
    `from_file` and `from_old_json` make one from a known kind of source.

    Args:
        characters: String of distinct characters in the order of their ids.
        normalization: How text is normalized before it becomes ids. `"none"`: not at all. `"nfc"`:
            Unicode's composed form, one code point for `é`. `"half_width"`: NFC, and the full-width
            forms of ASCII (`Ａ１！`, the ideographic space) as ASCII. None of them is NFKC, which
            would also change characters that look different: `²`, `㎏`, `①`. Defaults to `"nfc"`.
        fold_case: Whether to read and write lower case only, so that `encode("Ab")` equals
            `encode("ab")`. Defaults to `False`.

    Attributes:
        characters: The argument.
        normalization: The argument.
        fold_case: The argument.

    Raises:
        ValueError: If there is no character, a character is repeated or is a line break, a letter
            is upper case although `fold_case` is set, or the normalization changes a character.

    Example:

    >>> char_dict = CharDict("abc")
    >>> char_dict.encode("cab")
    [3, 1, 2]
    >>> char_dict.decode([3, 1, 2])
    'cab'
    >>> char_dict.num_classes
    4
    """

    characters: str
    normalization: str
    fold_case: bool

    def __init__(
        self, characters: str, *, normalization: str = "nfc", fold_case: bool = False
    ) -> None:
        self._ids = build_index(characters, normalization, fold_case)
        self.characters = "".join(characters)
        self.normalization = normalization
        self.fold_case = fold_case

    @property
    def num_classes(self) -> int:
        """Returns the number of classes a model needs: the characters and the blank."""
        return len(self.characters) + 1

    def __len__(self) -> int:
        return len(self.characters)

    def __contains__(self, character: str) -> bool:
        return self.normalize(character) in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CharDict) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash((self.characters, self.fold_case, self.normalization))

    def __repr__(self) -> str:
        return (
            f"CharDict({len(self)} characters, {_shorten(self.characters)!r}, "
            f"fold_case={self.fold_case}, normalization={self.normalization!r})"
        )

    @classmethod
    def from_source(
        cls,
        source: str | os.PathLike,
        *,
        texts: Iterable[str] = (),
        extra_characters: str = "",
        normalization: str | None = None,
        fold_case: bool = False,
    ) -> CharDict:
        """Makes a dictionary from a preset, from labels or from a file.

        The other parameters apply on top of the source, a saved dictionary too: its characters are
        normalized, each is kept once, and the extra ones follow.

        Args:
            source: One of these, in this order:

                - `"labels"`: every character of `texts`, see `from_labels`;
                - the name of a preset, such as `"gb2312"`, see `from_preset`;
                - the path of a text file of characters, see `from_file`;
                - the path of a dictionary that `save` wrote;
                - the path of a json file of CRNN_Tensorflow, or of a folder that holds one, see
                  `from_old_json`.

                For the characters of a corpus use `from_corpus`.
            texts: Labels, which only `"labels"` reads. Defaults to `()`.
            extra_characters: Characters to add at the end, or the name of a preset whose characters
                to add; those that the dictionary already has are skipped. PP-OCR's
                `use_space_char` is `extra_characters=" "`. A preset that folds case makes the
                dictionary fold it. Defaults to `""`.
            normalization: See `CharDict`. Defaults to `None`: that of a saved dictionary, `"none"`
                for a list that NFC would change, otherwise `"nfc"`.
            fold_case: See `CharDict`. A source that folds case always does. Defaults to `False`.

        Returns:
            A `CharDict`.

        Raises:
            ValueError: If the source is none of these, or makes no dictionary.

        Example:

        >>> CharDict.from_source("labels", texts=["cab", "b"]).characters
        'abc'
        >>> CharDict.from_source("digits", extra_characters="-").characters
        '0123456789-'
        """
        if normalization is not None:
            check_normalization(normalization)
        name, path = str(source), pathlib.Path(source)
        if name == "labels":
            found = cls.from_labels(
                texts, normalization=normalization or "nfc", fold_case=fold_case
            )
        elif name in PRESETS:
            found = cls.from_preset(name)
        elif path.is_file() and path.suffix != ".json":
            found = cls.from_file(path, normalization=normalization)
        elif path.is_file() and _is_saved(path):
            found = cls.load(path)
        elif path.exists():
            found = cls.from_old_json(path, normalization=normalization)
        else:
            raise ValueError(
                f"Cannot make a char dict from {name!r}: no such file or preset. Expected "
                "'labels', the path of a file or of a folder of old json files, or one of the "
                f"presets {', '.join(PRESETS)}. "
                "For the characters of a corpus use CharDict.from_corpus."
            )
        return found._adapt(extra_characters, normalization, fold_case)

    def _adapt(self, extra_characters: str, normalization: str | None, fold_case: bool) -> CharDict:
        """Returns this dictionary in another normalization or case, with extra characters."""
        fold_case = self.fold_case or fold_case or extra_characters in FOLD_CASE_PRESETS
        normalization = normalization or self.normalization
        if extra_characters in PRESETS:
            extra_characters = preset_characters(extra_characters)
        # As one text: a letter and its accent make one character.
        extra_characters = normalize_text(extra_characters, normalization, fold_case)
        characters = normalize_characters(
            self.characters + extra_characters, normalization, fold_case
        )
        return type(self)(characters, normalization=normalization, fold_case=fold_case)

    @classmethod
    def from_preset(cls, name: str) -> CharDict:
        """Makes one of the ready dictionaries.

        Args:
            name: Name of a preset, see `preset_characters`. `"alphanumeric36"` folds case.

        Returns:
            A `CharDict`.

        Raises:
            ValueError: If there is no such preset.

        Example:

        >>> len(CharDict.from_preset("alphanumeric36"))
        36
        """
        return cls(preset_characters(name), fold_case=name in FOLD_CASE_PRESETS)

    @classmethod
    def from_labels(
        cls, texts: Iterable[str], *, normalization: str = "nfc", fold_case: bool = False
    ) -> CharDict:
        """Makes a dictionary of every character of the labels, by code point.

        Args:
            texts: Labels.
            normalization: See `CharDict`. Defaults to `"nfc"`.
            fold_case: See `CharDict`. Defaults to `False`.

        Returns:
            A `CharDict`.

        Raises:
            ValueError: If the labels have no character.

        Example:

        >>> CharDict.from_labels(["cab", "b"]).characters
        'abc'
        """
        found = set()
        for text in texts:
            found.update(normalize_text(text, normalization, fold_case))
        return cls("".join(sorted(found)), normalization=normalization, fold_case=fold_case)

    @classmethod
    def from_corpus(
        cls,
        paths: str | os.PathLike | Iterable[str | os.PathLike],
        size: int | None = None,
        *,
        min_count: int = 1,
        extra_characters: str = "",
        normalization: str = "nfc",
        fold_case: bool = False,
    ) -> CharDict:
        """Makes a dictionary of the most frequent characters of text files, by falling frequency.

        White space but the plain space, and control characters, are skipped; `corpus_counts` counts
        them.

        Args:
            paths: A text file, a folder of them, or a list of files and folders; they may be larger
                than the memory.
            size: Number of characters at most, without extra ones. Defaults to `None`: all.
            min_count: How often a character must occur at least. Defaults to `1`.
            extra_characters: See `from_source`. Defaults to `""`.
            normalization: See `CharDict`. Defaults to `"nfc"`.
            fold_case: See `CharDict`. Defaults to `False`.

        Returns:
            A `CharDict`.

        Raises:
            ValueError: If there is no file, one is not text, or no character is left.

        Example:

        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "news.txt"
        >>> path.write_text("banana")
        6
        >>> CharDict.from_corpus(path, 2).characters
        'an'
        """
        counts = corpus.corpus_counts(paths, normalization=normalization, fold_case=fold_case)
        characters = corpus.most_frequent(counts, size, min_count=min_count)
        found = cls(characters, normalization=normalization, fold_case=fold_case)
        return found._adapt(extra_characters, normalization, fold_case)

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike,
        *,
        normalization: str | None = None,
        fold_case: bool = False,
    ) -> CharDict:
        """Makes a dictionary from a text file that holds one character a line, or all in one line.

        A line that is one space is the space character; an empty line is skipped. For the list of
        PP-OCR, with its ids: `from_source("ppocr_keys_v1.txt", extra_characters=" ")`.

        Args:
            path: Text file in an encoding of `files.read_text`, such as `chinese_dict.txt` of
                CRNN_Tensorflow.
            normalization: See `CharDict`. Defaults to `None`: `"none"` for a list that NFC would
                change, otherwise `"nfc"`. If one is chosen, the list is normalized too. A printed
                line names the characters that this concerns.
            fold_case: See `CharDict`. Defaults to `False`.

        Returns:
            A `CharDict`.

        Raises:
            ValueError: If the file is empty, or a character is repeated.
        """
        characters = lists.read_list(path)
        characters, normalization = lists.resolve_normalization(characters, normalization, path)
        with files.prefix_errors(path):
            return cls(characters, normalization=normalization, fold_case=fold_case)

    @classmethod
    def from_old_json(
        cls, path: str | os.PathLike, *, normalization: str | None = None
    ) -> CharDict:
        """Makes a dictionary from the json files of CRNN_Tensorflow or its Chinese branch.

        The characters keep their order. The old ids began at 0 and put the blank last: id `i` is
        now `i + 1`.

        Args:
            path: One of the files or their folder, see `old_dictionaries.read_characters`.
            normalization: As in `from_file`. Defaults to `None`.

        Returns:
            A `CharDict`.

        Raises:
            ValueError: If there is no such file, or its content is not what its name says.
        """
        path, characters = old_dictionaries.read_characters(path)
        characters, normalization = lists.resolve_normalization(characters, normalization, path)
        with files.prefix_errors(path):
            return cls(characters, normalization=normalization)

    def normalize(self, text: str) -> str:
        """Returns a text in the normalization and the case of this dictionary.

        Args:
            text: Text.

        Returns:
            The normalized text.

        Example:

        >>> CharDict("ab", fold_case=True).normalize("Ab")
        'ab'
        """
        return normalize_text(text, self.normalization, self.fold_case)

    def coverage(self, counts: Mapping[str, int]) -> float:
        """Returns the fraction of a corpus that this dictionary can write.

        Args:
            counts: Counts of characters, as `corpus_counts` returns them. Count with this
                dictionary's normalization and case.

        Returns:
            A fraction from 0 to 1. White space but the plain space, and control characters, do not
            count.

        Raises:
            ValueError: If the counts hold nothing else.

        Example:

        >>> CharDict("a").coverage({"a": 3, "b": 1})
        0.75
        """
        return corpus.coverage(counts, self._ids)

    def unknown(self, text: str) -> str:
        """Returns the characters of a text that have no id.

        Args:
            text: Text.

        Returns:
            The distinct unknown characters, in the order in which they appear.

        Example:

        >>> CharDict("ai").unknown("taxi")
        'tx'
        """
        return "".join(c for c in dict.fromkeys(self.normalize(text)) if c not in self._ids)

    def encode(self, text: str) -> list[int]:
        """Converts text to ids.

        Args:
            text: Text.

        Returns:
            List of ids from 1 to `len(self)`, one for each character of the normalized text.

        Raises:
            ValueError: If a character is not in the dictionary.
        """
        try:
            return [self._ids[character] for character in self.normalize(text)]
        except KeyError:
            raise ValueError(
                f"{text!r} has characters that are not in the char dict of {len(self)}: "
                f"{self.unknown(text)!r}. Skip the label or add them to the dictionary."
            ) from None

    def decode(self, ids: Iterable[int]) -> str:
        """Converts ids to text.

        Args:
            ids: Ids. Blanks (0) are skipped; repeated ids are not merged.

        Returns:
            The text.

        Raises:
            ValueError: If an id is negative or larger than `len(self)`.
        """
        ids = list(ids)
        outside = [i for i in ids if not 0 <= i <= len(self)]
        if outside:
            raise ValueError(
                f"Id {outside[0]} is not in this char dict. Expected ids from 1 to {len(self)}; "
                "it belongs to another dictionary."
            )
        return "".join(self.characters[i - 1] for i in ids if i != BLANK)

    def difference(self, other: CharDict) -> str:
        """Describes how two dictionaries differ.

        Args:
            other: Another dictionary.

        Returns:
            A string such as `"only here: 'xy'; only there: '省'"`, empty if they are equal. Of more
            than 40 characters it shows the first ones and their number.

        Example:

        >>> CharDict("ab").difference(CharDict("bc"))
        "only here: 'a'; only there: 'c'"
        """
        here, there = set(self.characters), set(other.characters)
        differences = []
        for place, characters, elsewhere in (
            ("here", self.characters, there),
            ("there", other.characters, here),
        ):
            only = "".join(c for c in characters if c not in elsewhere)
            count = f" ({len(only):,})" if len(only) > _SHOWN else ""
            differences += [f"only {place}: {_shorten(only)!r}{count}"] if only else []
        if not differences and self.characters != other.characters:
            differences.append("the same characters in another order")
        for name in ("fold_case", "normalization"):
            mine, theirs = getattr(self, name), getattr(other, name)
            differences += [f"{name} {mine} here, {theirs} there"] if mine != theirs else []
        return "; ".join(differences)

    def get_config(self) -> dict[str, Any]:
        """Returns a plain dict from which `CharDict.from_config` makes this dictionary again."""
        return {
            "characters": self.characters,
            "fold_case": self.fold_case,
            "normalization": self.normalization,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> CharDict:
        """Makes a dictionary from its config, as it is in a saved model or beside records.

        Configs of early versions have no normalization; their text became ids as it was. Such a
        config gets `"nfc"`, unless NFC would lose a text that the dictionary could write (it has
        `e` and an accent, but no `é`; or one of CJK's duplicates): then `"none"`.

        Args:
            config: What `get_config` returned.

        Returns:
            A `CharDict`.
        """
        if "normalization" not in config:
            lost = find_lost_in_nfc(config["characters"])
            config = {**config, "normalization": "none" if lost else "nfc"}
        return cls(**config)

    def save(self, path: str | os.PathLike) -> None:
        """Writes the dictionary to one readable JSON file, atomically.

        Args:
            path: File to write; its folder is made.
        """
        content = {"format": _FORMAT, **self.get_config()}
        files.write_atomic(path, json.dumps(content, ensure_ascii=False, indent=1).encode())

    @classmethod
    def load(cls, path: str | os.PathLike) -> CharDict:
        """Reads a dictionary that `save` wrote.

        Args:
            path: JSON file.

        Returns:
            A `CharDict`.

        Raises:
            ValueError: If the file is not a saved dictionary.
        """
        content = files.read_json(path)
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise ValueError(
                f"{path} is not a char dict saved by crnn_keras. For a list of characters use "
                "CharDict.from_file, for the json files of CRNN_Tensorflow CharDict.from_old_json."
            )
        with files.prefix_errors(path):
            if not {"characters", "fold_case"} <= content.keys():
                raise ValueError(
                    "'characters' or 'fold_case' is missing. Save the dictionary again."
                )
            known = ("characters", "fold_case", "normalization")
            return cls.from_config({key: content[key] for key in known if key in content})


def _is_saved(path: pathlib.Path) -> bool:
    """Returns whether a JSON file is one of ours, and no old one."""
    content = files.read_json(path)
    return isinstance(content, dict) and "format" in content


def _shorten(characters: str) -> str:
    return characters if len(characters) <= _SHOWN else f"{characters[: _SHOWN - 3]}..."


def frames_needed(ids: Sequence[int]) -> int:
    """Returns the number of frames that CTC needs for a label.

    Each character needs a frame, and a blank must separate two equal neighbors.

    Args:
        ids: Ids of the label, without padding.

    Returns:
        Number of frames.

    Example:

    >>> frames_needed([1, 1, 2])
    4

    Reference:
        Graves et al., 2006, Connectionist Temporal Classification, section 3.
    """
    return len(ids) + sum(a == b for a, b in itertools.pairwise(ids))
