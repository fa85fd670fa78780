"""Characters and their numbers: `CharDict` turns text into ids and ids into text.

Id 0 is the blank of CTC and the padding of labels, so the first character has id 1.
"""

import collections
import itertools
import json
import pathlib
import string

from crnn_keras import files, old_dictionaries

BLANK = 0

_SAVED_AS = "crnn_keras.CharDict"


def _gb2312_level1():
    """The 3,755 most used Chinese characters: rows 16 to 55 of GB2312, ordered by pinyin."""
    cells = (bytes((row, cell)) for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF))
    return b"".join(cells).decode("gb2312", errors="ignore")


PRESETS = {
    "digits": lambda: string.digits,
    "alphanumeric36": lambda: string.digits + string.ascii_lowercase,
    "ascii": lambda: "".join(map(chr, range(0x20, 0x7F))),
    "gb2312_level1": _gb2312_level1,
}


class CharDict:
    """Maps each character to an id, 1 to `len(characters)`; id 0 is the blank.

    Args:
        characters: string of distinct characters in the order of their ids.
        fold_case: read and write lower case only: `encode("Ab")` equals `encode("ab")`.

    Raises:
        ValueError: no characters, a character twice, a line break, or an upper-case letter with
            `fold_case`.

    Example:

        >>> char_dict = CharDict("abc")
        >>> char_dict.encode("cab")
        [3, 1, 2]
        >>> char_dict.decode([3, 1, 2])
        'cab'
    """

    def __init__(self, characters, fold_case=False):
        if not characters:
            raise ValueError("A char dict needs at least one character, got none.")
        first = {}
        for position, character in enumerate(characters, start=1):
            if character in first:
                raise ValueError(
                    f"Character {character!r} (U+{ord(character):04X}) stands twice, at positions "
                    f"{first[character]} and {position}. Remove one of them."
                )
            if character in "\r\n":
                raise ValueError(
                    f"Character {position} is a line break. Labels are single lines: remove it."
                )
            if fold_case and character != character.lower():
                raise ValueError(
                    f"Character {character!r} at position {position} is upper case, which "
                    "fold_case=True never reads. Remove it or set fold_case=False."
                )
            first[character] = position
        self.characters = "".join(characters)
        self.fold_case = fold_case
        self._ids = first

    @property
    def classes(self):
        """Number of classes a model needs: the characters and the blank."""
        return len(self.characters) + 1

    def __len__(self):
        return len(self.characters)

    def __contains__(self, character):
        return self.normalize(character) in self._ids

    def __eq__(self, other):
        return isinstance(other, CharDict) and self.get_config() == other.get_config()

    def __hash__(self):
        return hash((self.characters, self.fold_case))

    def __repr__(self):
        shown = self.characters if len(self) <= 40 else f"{self.characters[:37]}..."
        return f"CharDict({len(self)} characters, {shown!r}, fold_case={self.fold_case})"

    def normalize(self, text):
        """The text as this dictionary writes it: in lower case if `fold_case`, else unchanged."""
        return text.lower() if self.fold_case else text

    def unknown(self, text):
        """Characters of the text that have no id.

        Args:
            text: string.

        Returns:
            String of the distinct unknown characters in the order they appear.
        """
        return "".join(c for c in dict.fromkeys(self.normalize(text)) if c not in self._ids)

    def encode(self, text):
        """Text to ids.

        Args:
            text: string.

        Returns:
            List of ids, one for each character, from 1 to `len(self)`.

        Raises:
            ValueError: a character is not in the dictionary.
        """
        try:
            return [self._ids[character] for character in self.normalize(text)]
        except KeyError:
            raise ValueError(
                f"{text!r} has characters outside the char dict of {len(self)}: "
                f"{self.unknown(text)!r}. Leave the label out or add them to the dictionary."
            ) from None

    def decode(self, ids):
        """Ids to text.

        Args:
            ids: sequence of ids. Blanks (0) are left out; nothing is merged.

        Returns:
            String.

        Raises:
            ValueError: an id is negative or larger than the dictionary.
        """
        ids = list(ids)
        outside = [i for i in ids if not 0 <= i <= len(self)]
        if outside:
            raise ValueError(
                f"Id {outside[0]} is outside this char dict, whose ids go from 1 to {len(self)}. "
                "It belongs to another dictionary."
            )
        return "".join(self.characters[i - 1] for i in ids if i != BLANK)

    def difference(self, other):
        """Says in words how two dictionaries differ; empty if they are equal.

        Args:
            other: a `CharDict`.

        Returns:
            String such as `"only here: 'xy'; only there: '省'"`.
        """
        here = [c for c in self.characters if c not in other.characters]
        there = [c for c in other.characters if c not in self.characters]
        parts = [f"only here: {''.join(here)!r}"] if here else []
        parts += [f"only there: {''.join(there)!r}"] if there else []
        if not parts and self.characters != other.characters:
            parts.append("the same characters in another order")
        if self.fold_case != other.fold_case:
            parts.append(f"fold_case {self.fold_case} here, {other.fold_case} there")
        return "; ".join(parts)

    def get_config(self):
        """Plain dict from which `CharDict(**config)` makes this dictionary again."""
        return {"characters": self.characters, "fold_case": self.fold_case}

    def save(self, path):
        """Writes the dictionary to one readable JSON file, whole or not at all.

        Args:
            path: file to write.
        """
        content = {"format": _SAVED_AS, **self.get_config()}
        files.write_atomic(path, json.dumps(content, ensure_ascii=False, indent=1).encode())

    @classmethod
    def load(cls, path):
        """Reads a dictionary that `save` wrote.

        Args:
            path: JSON file.

        Returns:
            `CharDict`.

        Raises:
            ValueError: the file is something else.
        """
        content = files.read_json(path)
        if not isinstance(content, dict) or content.get("format") != _SAVED_AS:
            raise ValueError(
                f"{path} is not a char dict saved by crnn_keras. For a list of characters use "
                "CharDict.from_file, for the old project's json files CharDict.from_old_json."
            )
        with files.blame(path):
            if not {"characters", "fold_case"} <= content.keys():
                raise ValueError(
                    "'characters' or 'fold_case' is missing. Save the dictionary again."
                )
            return cls(content["characters"], content["fold_case"])

    @classmethod
    def find(cls, source, texts=()):
        """A dictionary from whatever a person names.

        Args:
            source: name of a preset; `"labels"` for every character that `texts` use; a text file
                of characters; a dictionary that `save` wrote; or the old project's json files.
            texts: labels, for `"labels"`.

        Returns:
            `CharDict`.

        Raises:
            ValueError: it is none of these.
        """
        path = pathlib.Path(source)
        if source == "labels":
            return cls.from_labels(texts)
        if source in PRESETS:
            return cls.from_preset(source)
        if path.is_file() and path.suffix != ".json":
            return cls.from_file(path)
        if path.is_file() and "format" in files.read_json(path):
            return cls.load(path)
        if path.exists():
            return cls.from_old_json(path)
        raise ValueError(
            f"{source!r} is no char dict. Expected a file, a folder of the old project's json "
            f"files, 'labels', or a preset: {', '.join(PRESETS)}."
        )

    @classmethod
    def from_preset(cls, name):
        """One of the ready dictionaries.

        Args:
            name: `"digits"` (10), `"alphanumeric36"` (digits and letters, case folded), `"ascii"`
                (95 printable characters, space included) or `"gb2312_level1"` (3,755 Chinese
                characters).

        Returns:
            `CharDict`.

        Raises:
            ValueError: no such preset.
        """
        if name not in PRESETS:
            raise ValueError(f"No preset {name!r}. Expected one of {', '.join(PRESETS)}.")
        return cls(PRESETS[name](), fold_case=name == "alphanumeric36")

    @classmethod
    def from_labels(cls, texts, fold_case=False):
        """Every character that the labels use, in the order of their code points.

        Args:
            texts: iterable of strings.
            fold_case: see the class.

        Returns:
            `CharDict`.
        """
        counts = collections.Counter()
        for text in texts:
            counts.update(text.lower() if fold_case else text)
        return cls("".join(sorted(counts)), fold_case)

    @classmethod
    def from_file(cls, path, fold_case=False):
        """A text file of characters: one a line (as the old `chinese_dict.txt`), or all in one.

        A line that is one space is the space character; an empty line is skipped.

        Args:
            path: text file in UTF-8 or, failing that, GB18030.
            fold_case: see the class.

        Returns:
            `CharDict`.

        Raises:
            ValueError: the file is empty, or a character stands twice.
        """
        text, _ = files.read_text(path)
        lines = [line for line in text.split("\n") if line]
        seen = {}
        for number, line in enumerate(text.split("\n"), start=1):
            for character in line:
                if character in seen:
                    raise ValueError(
                        f"{path}, line {number}: character {character!r} "
                        f"(U+{ord(character):04X}) stands twice, first in line "
                        f"{seen[character]}. Remove one of them."
                    )
                seen[character] = number
        with files.blame(path):
            return cls("".join(lines), fold_case)

    @classmethod
    def from_old_json(cls, path):
        """A dictionary of CRNN_Tensorflow or its Chinese branch.

        Args:
            path: its folder, or one of its files, see `old_dictionaries.read_characters`.

        Returns:
            `CharDict` with the characters in the old order. The old ids began at 0 and put the
            blank last: id `i` is now `i + 1`.

        Raises:
            ValueError: no such file, or a file that does not hold what its name says.
        """
        path, characters = old_dictionaries.read_characters(path)
        with files.blame(path):
            return cls(characters)


def frames_needed(ids):
    """Frames that CTC needs for a label: one for each character, one more between two equal ones.

    Args:
        ids: sequence of ids, without padding.

    Returns:
        Number of frames.

    Reference:
        Graves et al., 2006, Connectionist Temporal Classification, section 3.
    """
    return len(ids) + sum(a == b for a, b in itertools.pairwise(ids))
