"""`CharDict` turns text into ids and ids into text.

Id 0 is the blank of CTC and the padding of labels, so the first character has id 1.
"""

import itertools
import json

from crnn_keras.char_dict import checks, corpus
from crnn_keras.char_dict import normalization as forms
from crnn_keras.char_dict.sources import Sources
from crnn_keras.utils import files

BLANK = 0

_SAVED_AS = "crnn_keras.CharDict"
# Characters of a dictionary that its repr shows, and of a difference.
_SHOWN = 40


class CharDict(Sources):
    """Maps each character to an id, 1 to `len(characters)`; id 0 is the blank.

    Args:
        characters: string of distinct characters in the order of their ids.
        fold_case: read and write lower case only: `encode("Ab")` equals `encode("ab")`.
        normalization: the form in which text is written before it becomes ids. `"none"`: as it is.
            `"nfc"`: Unicode's composed form, one code point for `é`. `"half_width"`: NFC, and the
            full-width forms of ASCII (`Ａ１！`, the ideographic space) as ASCII. None of them is
            NFKC, which would also change what looks different: `²`, `㎏`, `①`.

    Raises:
        ValueError: no characters, a character twice, a line break, an upper-case letter with
            `fold_case`, or a character that the normalization would write otherwise.

    Example:

        >>> char_dict = CharDict("abc")
        >>> char_dict.encode("cab")
        [3, 1, 2]
        >>> char_dict.decode([3, 1, 2])
        'cab'
    """

    def __init__(self, characters, fold_case=False, normalization="nfc"):
        self._ids = checks.number(characters, fold_case, normalization)
        self.characters = "".join(characters)
        self.fold_case = fold_case
        self.normalization = normalization

    @property
    def num_classes(self):
        """Number of classes a model needs: the characters and the blank."""
        return len(self.characters) + 1

    def __len__(self):
        return len(self.characters)

    def __contains__(self, character):
        return self.normalize(character) in self._ids

    def __eq__(self, other):
        return isinstance(other, CharDict) and self.get_config() == other.get_config()

    def __hash__(self):
        return hash((self.characters, self.fold_case, self.normalization))

    def __repr__(self):
        return (
            f"CharDict({len(self)} characters, {_shortened(self.characters)!r}, "
            f"fold_case={self.fold_case}, normalization={self.normalization!r})"
        )

    def normalize(self, text):
        """The text as this dictionary writes it: in its normalization, then in its case."""
        return forms.normalize_text(text, self.normalization, self.fold_case)

    def coverage(self, counts):
        """Share of a corpus that this dictionary can write.

        Args:
            counts: `collections.Counter` of characters, such as `corpus_counts` gives. Count with
                this dictionary's normalization and case.

        Returns:
            From 0 to 1; white space but the plain space, and control characters, do not count.
        """
        return corpus.coverage(counts, self._ids)

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
            String such as `"only here: 'xy'; only there: '省'"`. Of more than 40 characters it
            gives the first and the number.
        """
        here, there = set(self.characters), set(other.characters)
        parts = []
        for place, characters, elsewhere in (
            ("here", self.characters, there),
            ("there", other.characters, here),
        ):
            only = "".join(c for c in characters if c not in elsewhere)
            count = f" ({len(only):,})" if len(only) > _SHOWN else ""
            parts += [f"only {place}: {_shortened(only)!r}{count}"] if only else []
        if not parts and self.characters != other.characters:
            parts.append("the same characters in another order")
        for name in ("fold_case", "normalization"):
            mine, theirs = getattr(self, name), getattr(other, name)
            parts += [f"{name} {mine} here, {theirs} there"] if mine != theirs else []
        return "; ".join(parts)

    def get_config(self):
        """Plain dict from which `CharDict.from_config` makes this dictionary again."""
        return {
            "characters": self.characters,
            "fold_case": self.fold_case,
            "normalization": self.normalization,
        }

    @classmethod
    def from_config(cls, config):
        """A dictionary from the config of any release, in a saved reader or beside records.

        Before there was a normalization, text became ids as it was. A config without one gets
        `"nfc"`, as `CharDict(**config)` does, unless NFC would lose a text that the dictionary
        could write (it has `e` and an accent, but no `é`; or one of CJK's doublets): then `"none"`.

        Args:
            config: what `get_config` gave.

        Returns:
            `CharDict`.
        """
        if "normalization" not in config:
            lost = forms.lost_in_nfc(config["characters"])
            config = {**config, "normalization": "none" if lost else "nfc"}
        return cls(**config)

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
        with files.prefix_errors(path):
            if not {"characters", "fold_case"} <= content.keys():
                raise ValueError(
                    "'characters' or 'fold_case' is missing. Save the dictionary again."
                )
            known = ("characters", "fold_case", "normalization")
            return cls.from_config({key: content[key] for key in known if key in content})


def _shortened(characters):
    return characters if len(characters) <= _SHOWN else f"{characters[: _SHOWN - 3]}..."


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
