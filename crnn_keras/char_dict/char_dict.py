"""`CharDict`: text to ids, and ids to text.

Id 0 is the blank of CTC and the padding of labels, so the first character has id 1.
"""

from __future__ import annotations

import itertools
import json
import operator
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crnn_keras.char_dict import corpus, lists, old_dictionaries
from crnn_keras.char_dict.direction import (
    DIRECTIONS,
    choose_direction,
    has_right_to_left,
    is_reversible,
    to_logical,
    to_visual,
)
from crnn_keras.char_dict.index import build_index, join_characters
from crnn_keras.char_dict.normalization import (
    NORMALIZATIONS,
    check_normalization,
    find_lost_in_nfc,
    normalize_characters,
    normalize_text,
)
from crnn_keras.char_dict.presets import FOLD_CASE_PRESETS, PRESETS, preset_characters
from crnn_keras.utils import files
from crnn_keras.utils.checks import COUNT, FLAG, TEXT, Of, OneOf, check_arguments, check_value
from crnn_keras.utils.encodings import AUTO

BLANK = 0

_FORMAT = "crnn_keras.CharDict"
_KEYS = ("characters", "fold_case", "normalization", "direction")
_DIRECTION = OneOf(DIRECTIONS)
_DIRECTION_OR_NONE = OneOf((*DIRECTIONS, None))
_NORMALIZATION_OR_NONE = OneOf((*NORMALIZATIONS, None))
# Number of characters that a repr or a difference shows.
_SHOWN = 40


class CharDict:
    """Maps each character to an id, and back.

    The ids go from 1 to the number of characters; id 0 is the blank of CTC. `from_source` makes a
    dictionary from whatever a person names; `from_preset`, `from_labels`, `from_corpus`,
    `from_file` and `from_old_json` make one from a known kind of source.

    Args:
        characters: String (or list) of distinct characters in the order of their ids.
        normalization: How text is normalized before it becomes ids. `"none"`: not at all. `"nfc"`:
            Unicode's composed form, one code point for `é`. `"half_width"`: NFC, and the full-width
            forms of ASCII (`Ａ１！`, the ideographic space) as ASCII. None of them is NFKC, which
            would also change characters that look different: `²`, `㎏`, `①`. Defaults to `"nfc"`.
        fold_case: Whether to read and write lower case only, so that `encode("Ab")` equals
            `encode("ab")`. Each letter stays one: `İ` is written `i`, and `Σ` is written `σ` at the
            end of a word too. Defaults to `False`.
        direction: Order of the ids. CTC reads an image from left to right, while a label is stored
            in the order of reading. `"logical"`: as the label is stored; right for all scripts that
            are written from left to right, and for labels that are in the order of the image
            already. `"visual"`: as the image shows it from left to right, by Unicode's
            bidirectional algorithm, in which a text runs in the direction of its first letter;
            brackets are those of the image. Right for Arabic and Hebrew. `"visual_rtl"`: likewise,
            but every text that holds a right-to-left letter runs from right to left, also one that
            begins with a Latin letter. Texts are in the order of reading with each: `encode` takes
            them so, and `decode` returns them so. Defaults to `"logical"`.

    Attributes:
        characters: The argument.
        normalization: The argument.
        fold_case: The argument.
        direction: The argument.

    Raises:
        ValueError: If there is no character or over `limits.MAX_CHARACTERS`, one is no single code
            point, is repeated or is a line break, a letter is upper case although `fold_case` is
            set, the normalization changes a character, or another argument is not as above.

    Example:

    >>> char_dict = CharDict("abc")
    >>> char_dict.encode("cab")
    [3, 1, 2]
    >>> char_dict.decode([3, 1, 2])
    'cab'
    >>> char_dict.num_classes
    4
    >>> hebrew = CharDict("אב1", direction="visual")
    >>> hebrew.encode("אב11"), hebrew.decode([3, 3, 2, 1])
    ([3, 3, 2, 1], 'אב11')
    """

    characters: str
    normalization: str
    fold_case: bool
    direction: str

    @check_arguments(direction=_DIRECTION)
    def __init__(
        self,
        characters: str | Sequence[str],
        *,
        normalization: str = "nfc",
        fold_case: bool = False,
        direction: str = "logical",
    ) -> None:
        self.characters = join_characters(characters)
        self._ids = build_index(self.characters, normalization, fold_case)
        self.normalization = normalization
        self.fold_case = fold_case
        self.direction = direction

    @property
    def num_classes(self) -> int:
        """Returns the number of classes a model needs: the characters and the blank."""
        return len(self.characters) + 1

    def __len__(self) -> int:
        return len(self.characters)

    def __contains__(self, character: object) -> bool:
        return isinstance(character, str) and self.normalize(character) in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CharDict) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash((self.characters, self.fold_case, self.normalization, self.direction))

    def __repr__(self) -> str:
        direction = "" if self.direction == "logical" else f", direction={self.direction!r}"
        return (
            f"CharDict({len(self)} characters, {_shorten(self.characters)!r}, "
            f"fold_case={self.fold_case}, normalization={self.normalization!r}{direction})"
        )

    @classmethod
    @check_arguments(
        source=Of((str, os.PathLike)),
        extra_characters=TEXT,
        normalization=_NORMALIZATION_OR_NONE,
        fold_case=FLAG,
        direction=_DIRECTION_OR_NONE,
    )
    def from_source(
        cls,
        source: str | os.PathLike,
        *,
        texts: Iterable[str] = (),
        extra_characters: str = "",
        normalization: str | None = None,
        fold_case: bool = False,
        direction: str | None = None,
        encoding: str = AUTO,
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
            direction: See `CharDict`. Defaults to `None`: that of a saved dictionary, otherwise
                a visual one if there are right-to-left characters; a printed line says so.
            encoding: Encoding of a text file of characters. Defaults to `"auto"`, see
                `read_samples`.

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
        name, path = str(source), pathlib.Path(source)
        options = {"normalization": normalization, "direction": direction}
        if name == "labels":
            options["normalization"] = normalization or "nfc"
            found = cls.from_labels(texts, fold_case=fold_case, **options)
        elif name in PRESETS:
            found = cls.from_preset(name)
        elif path.is_file() and path.suffix != ".json":
            found = cls.from_file(path, encoding=encoding, **options)
        elif path.is_file() and _is_saved(path):
            found = cls.load(path)
        elif path.exists():
            found = cls.from_old_json(path, **options)
        else:
            raise ValueError(
                f"Cannot make a char dict from {name!r}: no such file or preset. Expected "
                "'labels', the path of a file or of a folder of old json files, or one of the "
                f"presets {', '.join(PRESETS)}. "
                "For the characters of a corpus use CharDict.from_corpus."
            )
        return found._adapt(
            extra_characters,
            normalization=normalization,
            fold_case=fold_case,
            direction=direction,
        )

    def _adapt(
        self,
        extra_characters: str,
        *,
        normalization: str | None,
        fold_case: bool,
        direction: str | None,
    ) -> CharDict:
        """Returns this dictionary with extra characters, and with what else is not None."""
        fold_case = self.fold_case or fold_case or extra_characters in FOLD_CASE_PRESETS
        normalization = normalization or self.normalization
        if extra_characters in PRESETS:
            extra_characters = preset_characters(extra_characters)
        # As one text: a letter and its accent make one character.
        extra_characters = normalize_text(extra_characters, normalization, fold_case)
        characters = normalize_characters(
            self.characters + extra_characters, normalization, fold_case
        )
        return type(self)(
            characters,
            normalization=normalization,
            fold_case=fold_case,
            direction=direction or self.direction,
        )

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
        characters = preset_characters(name)
        return cls(characters, fold_case=name in FOLD_CASE_PRESETS)

    @classmethod
    @check_arguments(fold_case=FLAG, direction=_DIRECTION_OR_NONE)
    def from_labels(
        cls,
        texts: Iterable[str],
        *,
        normalization: str = "nfc",
        fold_case: bool = False,
        direction: str | None = None,
    ) -> CharDict:
        """Makes a dictionary of every character of the labels, by code point.

        Args:
            texts: Labels.
            normalization: See `CharDict`. Defaults to `"nfc"`.
            fold_case: See `CharDict`. Defaults to `False`.
            direction: See `CharDict`. Defaults to `None`: `"visual"` if a label holds a
                right-to-left character, or `"visual_rtl"` if more labels come back with it; a
                printed line says so. Otherwise `"logical"`.

        Returns:
            A `CharDict`.

        Raises:
            ValueError: If the labels have no character, or one is not text.

        Example:

        >>> CharDict.from_labels(["cab", "b"]).characters
        'abc'
        """
        check_normalization(normalization)
        if isinstance(texts, str):
            raise ValueError(f"Expected a list of labels, got the one string {_shorten(texts)!r}.")
        # In the order of the labels: a set would have another in each process.
        normalized = {}
        for index, text in enumerate(texts):
            check_value(f"Label #{index}", text, TEXT)
            normalized[normalize_text(text, normalization, fold_case)] = None
        if direction is None:
            direction = choose_direction(normalized, "labels")
        found = set()
        for text in normalized:
            # With the brackets that the image shows.
            found.update(text, to_visual(text, direction))
        return cls(
            "".join(sorted(found)),
            normalization=normalization,
            fold_case=fold_case,
            direction=direction,
        )

    @classmethod
    @check_arguments(
        size=COUNT.or_none(),
        min_count=COUNT,
        extra_characters=TEXT,
        fold_case=FLAG,
        direction=_DIRECTION_OR_NONE,
    )
    def from_corpus(
        cls,
        paths: str | os.PathLike | Iterable[str | os.PathLike],
        size: int | None = None,
        *,
        min_count: int = 1,
        extra_characters: str = "",
        normalization: str = "nfc",
        fold_case: bool = False,
        direction: str | None = None,
        encoding: str = AUTO,
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
            direction: See `CharDict`. Defaults to `None`: `"visual"` if there are right-to-left
                characters, as a printed line says; otherwise `"logical"`.
            encoding: Of the files, see `corpus_counts`. Defaults to `"auto"`.

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
        options = {"normalization": normalization, "fold_case": fold_case}
        counts = corpus.corpus_counts(paths, encoding=encoding, **options)
        characters = corpus.most_frequent(counts, size, min_count=min_count)
        found = cls(characters, **options)
        direction = direction or choose_direction(characters, "the corpus")
        return found._adapt(
            extra_characters,
            normalization=normalization,
            fold_case=fold_case,
            direction=direction,
        )

    @classmethod
    @check_arguments(
        normalization=_NORMALIZATION_OR_NONE, fold_case=FLAG, direction=_DIRECTION_OR_NONE
    )
    def from_file(
        cls,
        path: str | os.PathLike,
        *,
        normalization: str | None = None,
        fold_case: bool = False,
        direction: str | None = None,
        encoding: str = AUTO,
    ) -> CharDict:
        """Makes a dictionary from a text file that holds one character a line, or all in one line.

        A line that is one space is the space character; an empty line is skipped. For the list of
        PP-OCR, with its ids: `from_source("ppocr_keys_v1.txt", extra_characters=" ")`.

        Args:
            path: Text file, such as `chinese_dict.txt` of CRNN_Tensorflow.
            normalization: See `CharDict`. Defaults to `None`: `"none"` for a list that NFC would
                change, otherwise `"nfc"`. If one is chosen, the list is normalized too. A printed
                line names the characters that this concerns.
            fold_case: See `CharDict`. Defaults to `False`.
            direction: As in `from_corpus`. Defaults to `None`.
            encoding: Name of the file's encoding. Defaults to `"auto"`, see `read_samples`.

        Returns:
            A `CharDict`.

        Raises:
            ValueError: If the file is empty or too large, or a character is repeated.
        """
        characters = lists.read_list(path, encoding)
        options = {"normalization": normalization, "direction": direction}
        return cls._from_list(characters, path, fold_case=fold_case, **options)

    @classmethod
    def _from_list(
        cls,
        characters: str,
        path: str | os.PathLike,
        *,
        normalization: str | None,
        direction: str | None,
        fold_case: bool = False,
    ) -> CharDict:
        """Makes a dictionary from a list of a file, and decides what was not chosen."""
        characters, normalization = lists.resolve_normalization(characters, normalization, path)
        with files.prefix_errors(path):
            return cls(
                characters,
                normalization=normalization,
                fold_case=fold_case,
                direction=direction or choose_direction(characters, path),
            )

    @classmethod
    @check_arguments(normalization=_NORMALIZATION_OR_NONE, direction=_DIRECTION_OR_NONE)
    def from_old_json(
        cls,
        path: str | os.PathLike,
        *,
        normalization: str | None = None,
        direction: str | None = None,
    ) -> CharDict:
        """Makes a dictionary from the json files of CRNN_Tensorflow or its Chinese branch.

        The characters keep their order. The old ids began at 0 and put the blank last: id `i` is
        now `i + 1`.

        Args:
            path: One of the files or their folder, see `old_dictionaries.read_characters`.
            normalization: As in `from_file`. Defaults to `None`.
            direction: As in `from_corpus`. Defaults to `None`.

        Returns:
            A `CharDict`.

        Raises:
            ValueError: If there is no such file, or its content is not what its name says.
        """
        path, characters = old_dictionaries.read_characters(path)
        return cls._from_list(characters, path, normalization=normalization, direction=direction)

    def normalize(self, text: str) -> str:
        """Returns a text in the normalization and the case of this dictionary.

        Args:
            text: Text.

        Returns:
            The normalized text, in the order of reading.

        Raises:
            ValueError: If it is not text.

        Example:

        >>> CharDict("ab", fold_case=True).normalize("Ab")
        'ab'
        """
        check_value("text", text, TEXT)
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
            The distinct unknown characters, in the order in which they appear. With a visual
            direction a bracket is the one that the image shows.

        Example:

        >>> CharDict("ai").unknown("taxi")
        'tx'
        """
        text = self.normalize(text)
        shown = to_visual(text, self.direction)
        unknown = {c for c in shown if c not in self._ids}
        return "".join(c for c in dict.fromkeys(text + shown) if c in unknown)

    def without_unknown(self, text: str) -> str:
        """Returns a text without the characters that have no id.

        Args:
            text: Text.

        Returns:
            The normalized text of the other characters.

        Example:

        >>> CharDict.from_preset("alphanumeric36").without_unknown("Total: $7.10")
        'total710'
        """
        unknown = self.unknown(text)
        return "".join(character for character in self.normalize(text) if character not in unknown)

    def extend(self, texts: Iterable[str]) -> CharDict:
        """Makes a dictionary that knows every character of some labels too.

        Args:
            texts: Labels.

        Returns:
            A `CharDict` with the same characters, ids and rules, and with new characters behind
            them, by code point. A logical direction becomes visual if labels have right-to-left
            characters and this dictionary has none; a printed line says so.

        Example:

        >>> CharDict.from_preset("digits").extend(["7.10", "$3"]).characters
        '0123456789$.'
        """
        texts = list(texts)
        direction = self.direction
        if direction == "logical" and not has_right_to_left(self.characters):
            direction = choose_direction(map(self.normalize, texts), "labels")
        turned = self._adapt("", normalization=None, fold_case=False, direction=direction)
        new = {character for text in texts for character in turned.unknown(text)}
        return turned._adapt(
            "".join(sorted(new)), normalization=None, fold_case=False, direction=None
        )

    def comes_back(self, text: str) -> bool:
        """Tells whether `decode` makes the same text of the ids of a text.

        Args:
            text: Text.

        Returns:
            `False` with a visual direction if another text would look alike and be read instead,
            such as `"abc שלום 12"`, which looks like `"abc 12 שלום"`; or if the text holds an
            invisible character that changes the order of others. Otherwise `True`.
        """
        return is_reversible(self.normalize(text), self.direction)

    def encode(self, text: str) -> list[int]:
        """Converts text to ids.

        Args:
            text: Text.

        Returns:
            List of ids from 1 to `len(self)`, one for each character of the normalized text; in the
            order of reading, or of the image, see `direction`.

        Raises:
            ValueError: If a character is not in the dictionary.
        """
        try:
            shown = to_visual(self.normalize(text), self.direction)
            return [self._ids[character] for character in shown]
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
            The text, in the order of reading.

        Raises:
            ValueError: If an id is no whole number, negative or larger than `len(self)`.
        """
        return self.decode_with_order(ids)[0]

    def decode_with_order(self, ids: Iterable[int]) -> tuple[str, list[int]]:
        """Converts ids to text, and tells which id made each character.

        Args:
            ids: See `decode`.

        Returns:
            Tuple of the text, and for each of its characters the index of its id among those that
            are no blanks.

        Raises:
            ValueError: See `decode`.

        Example:

        >>> CharDict("אב1", direction="visual").decode_with_order([0, 3, 2, 1])
        ('אב1', [2, 1, 0])
        """
        try:
            ids = list(map(operator.index, ids))
        except TypeError:
            raise ValueError(
                f"Ids are whole numbers from 0 to {len(self)}, got {_shorten(repr(ids))}."
            ) from None
        outside = [i for i in ids if not 0 <= i <= len(self)]
        if outside:
            raise ValueError(
                f"Id {outside[0]} is not in this char dict. Expected ids from 1 to {len(self)}; "
                "it belongs to another dictionary."
            )
        shown = "".join(self.characters[i - 1] for i in ids if i != BLANK)
        return to_logical(shown, self.direction)

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
        for name in ("fold_case", "normalization", "direction"):
            mine, theirs = getattr(self, name), getattr(other, name)
            differences += [f"{name} {mine} here, {theirs} there"] if mine != theirs else []
        return "; ".join(differences)

    def get_config(self) -> dict[str, Any]:
        """Returns a plain dict from which `CharDict.from_config` makes this dictionary again."""
        config = {
            "characters": self.characters,
            "fold_case": self.fold_case,
            "normalization": self.normalization,
        }
        # Dictionaries had no direction at first, and those files are to stay the same.
        return config if self.direction == "logical" else {**config, "direction": self.direction}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> CharDict:
        """Makes a dictionary from its config, as it is in a saved model or beside records.

        Configs of early versions have no normalization; their text became ids as it was. Such a
        config gets `"nfc"`, unless NFC would lose a text that the dictionary could write (it has
        `e` and an accent, but no `é`; or one of CJK's duplicates): then `"none"`. A config without
        a direction is `"logical"`.

        Args:
            config: What `get_config` returned.

        Returns:
            A `CharDict`.

        Raises:
            ValueError: If a key is missing or unknown, or a value is not allowed.
        """
        if not isinstance(config, Mapping) or "characters" not in config:
            raise ValueError("This is no config of a char dict. Expected what get_config returns.")
        unknown = sorted(map(str, set(config) - set(_KEYS)))
        if unknown:
            raise ValueError(
                f"A char dict has no {', '.join(unknown)}. Expected {', '.join(_KEYS)}."
            )
        if "normalization" not in config:
            lost = find_lost_in_nfc(join_characters(config["characters"]))
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
        content = lists.read_json(path)
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
            return cls.from_config({key: content[key] for key in _KEYS if key in content})


def _is_saved(path: pathlib.Path) -> bool:
    """Returns whether a JSON file is one of ours, and no old one."""
    content = lists.read_json(path)
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
