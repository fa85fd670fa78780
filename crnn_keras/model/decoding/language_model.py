"""An n-gram model of characters: how likely each character is after the ones before it.

What was never counted in a context backs off to a shorter one. All lookups are of whole arrays.
"""

from __future__ import annotations

import base64
import functools
import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from crnn_keras.model.decoding.trie import Trie, check_trie
from crnn_keras.utils import files
from crnn_keras.utils.checks import FRACTION, TEXT, Number, Of, check_value
from crnn_keras.utils.limits import MAX_METADATA_BYTES, MAX_NGRAM_LENGTH, MAX_NGRAMS

if TYPE_CHECKING:
    from crnn_keras.char_dict import CharDict

# The symbol before and behind each text. Those of the characters follow from 1.
BOUNDARY = 0
# Stored logarithms are quarters of a nat, from what one byte can hold.
_STEPS = 4.0
_LARGEST_BACKOFF = 2.0
# The part of the probability that all characters share evenly: names and codes are in no list.
_FLOOR = 0.03
# The part of the characters that the language model does not know, at most.
_UNKNOWN = 0.25
# The part of texts that are codes rather than of the language. It is large, so that a text gains
# only if it is of the language without a doubt.
_CODE = 0.9
_LOG_CODE, _LOG_LANGUAGE = np.log(_CODE), np.log(1 - _CODE)
# With weights and bonuses up to it the exponential of one gain is neither 0 nor infinite.
_LARGEST_SETTING = 10.0
# Lookups are kept in a table if it has no more places: eight bytes each.
_LARGEST_TABLE = 2**23
# Symbols are stored in two bytes, and one of them is the boundary.
_MOST_CHARACTERS = 2**16 - 2
_ARRAYS = {"symbols": "<u2", "child_counts": "<u2", "log_probabilities": "u1", "backoffs": "u1"}
_SETTINGS = "settings"
# Bytes of what stands before an entry of a zip file.
_ZIP_HEADER = 30
_ADVICE = "Expected a language model that crnn_keras saved."
_TOO_MANY = f"it has more than {MAX_NGRAMS:,} n-grams."


@dataclass(frozen=True)
class LanguageModelSettings:
    """How much a language model decides; chosen for a reader, see `tune_language_model`.

    Args:
        weight: Factor of the language model's log probability, from 0 to 10. With 0 it decides
            nothing. Defaults to `0.6`.
        length_bonus: Added for each character, in nats, from -10 to 10: a language model prefers
            short texts. Defaults to `1.8`.
        threshold: An image is read with the language model if the probability of its text without
            it is lower, from 0 to 1. Defaults to `0.98`.
    """

    weight: float = 0.6
    length_bonus: float = 1.8
    threshold: float = 0.98

    def __post_init__(self) -> None:
        check_value("The weight", self.weight, Number(0, _LARGEST_SETTING))
        bonus = Number(-_LARGEST_SETTING, _LARGEST_SETTING)
        check_value("The length bonus", self.length_bonus, bonus)
        check_value("The threshold", self.threshold, FRACTION)


class Ngrams(NamedTuple):
    """The n-grams of a language model, one element for each; the first is the empty one.

    Args:
        symbols: uint16 array, see `Trie`.
        child_counts: uint16 array, see `Trie`.
        log_probabilities: uint8 array: minus the log probability of the last symbol after the
            others, in quarters of a nat.
        backoffs: uint8 array: what is added where the next symbol was not counted, as
            `2 - backoff / 4` nats.
    """

    symbols: np.ndarray
    child_counts: np.ndarray
    log_probabilities: np.ndarray
    backoffs: np.ndarray


class _Table(NamedTuple):
    """All lookups of a language model of few characters.

    Args:
        rows: Integer array of shape `(nodes,)`: the row of each context.
        scores: Float array of shape `(contexts, symbols)`: log probabilities, in nats.
        states: Integer array of shape `(contexts, symbols)`: the states behind the symbols.
    """

    rows: np.ndarray
    scores: np.ndarray
    states: np.ndarray


class LanguageModel:
    """Tells how likely texts are, character by character: an n-gram model with backoff.

    Case and the values of digits are not modelled: every letter counts as its lower case, and all
    digits as `0`, each with a tenth of its probability. A character that the model does not know is
    as likely as if all were equally likely, but all of them together have a quarter at most.
    `train_language_model` makes one of any texts.

    Args:
        characters: Sequence of strings, those that the model knows. Symbol `i + 1` is character i.
        ngrams: The `Ngrams`.
        order: Length of the longest n-grams, from 1.
        settings: `LanguageModelSettings`. Defaults to `None`: its defaults.
        source: What the n-grams were counted from, and its licence. Defaults to `""`.

    Raises:
        ValueError: The arrays are no trie of such symbols, or a number is out of range.

    Example:

        >>> from crnn_keras import CharDict, train_language_model
        >>> model = train_language_model(["door", "floor", "moor"], CharDict("dflmor"))
        >>> model.log_probability("floor") > model.log_probability("flord")
        True

    Reference:
        Katz, 1987, Estimation of Probabilities from Sparse Data; Jurafsky and Martin, 2026, Speech
        and Language Processing, chapter 3.
    """

    def __init__(
        self,
        characters: Sequence[str],
        ngrams: Ngrams,
        *,
        order: int,
        settings: LanguageModelSettings | None = None,
        source: str = "",
    ):
        check_value("The source", source, TEXT)
        check_value("The order", order, Number(1, MAX_NGRAM_LENGTH, is_whole=True))
        self.characters = tuple(characters)
        check_value("The number of characters", len(self.characters), Number(1, _MOST_CHARACTERS))
        for character in self.characters:
            check_value("A character", character, TEXT)
        if len(set(self.characters)) < len(self.characters):
            raise ValueError("Expected characters of a language model, each of them once.")
        self.ngrams, self.order, self.source = ngrams, order, source
        self.settings = LanguageModelSettings() if settings is None else settings
        check_value("The settings", self.settings, Of(LanguageModelSettings))
        _check_arrays(ngrams)
        kinds = len(self.characters) + 1
        check_trie(ngrams.symbols, ngrams.child_counts, kinds=kinds, order=order)
        self._trie = Trie(ngrams.symbols, ngrams.child_counts)
        self._bound: BoundLanguageModel | None = None
        self._packed = ""

    def __len__(self) -> int:
        return len(self.ngrams.symbols)

    def __reduce__(self):
        # Without what is made for lookups, which is fifty times as large.
        return type(self).from_config, (self.get_config(),)

    def __repr__(self) -> str:
        return (
            f"LanguageModel({len(self):,} n-grams up to {self.order} of "
            f"{len(self.characters):,} characters)"
        )

    def log_probability(self, text: str) -> float:
        """Computes the log probability of a text, with its end, in nats.

        Args:
            text: Text of characters that the model knows, in the order of their image.

        Returns:
            Float, at most 0.

        Raises:
            ValueError: The model does not know a character.
        """
        symbols = {character: index for index, character in enumerate(self.characters, 1)}
        try:
            row = [symbols[fold(character)] for character in text]
        except KeyError as error:
            raise ValueError(f"{self!r} does not know {error} of {text!r}.") from None
        states, total = np.full(1, self.start), 0.0
        for symbol in (*row, BOUNDARY):
            found, states = self.advance(states, np.full(1, symbol))
            total += float(found[0])
        return total

    @functools.cached_property
    def start(self) -> int:
        """The state before the first character."""
        return int(self._trie.contexts[1 + BOUNDARY])

    def advance(self, states: np.ndarray, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Looks up the probabilities of next symbols.

        Args:
            states: Integer array of shape `(n,)`: the nodes of the contexts.
            symbols: Integer array of shape `(n,)`.

        Returns:
            Tuple of a float array of shape `(n,)`, the log probabilities in nats, and an integer
            array, the states behind the symbols. There are none after `BOUNDARY`.
        """
        if (table := self._table) is not None:
            rows = table.rows[states]
            return table.scores[rows, symbols], table.states[rows, symbols]
        found, tried = self._trie.find(states, symbols)
        scores = self.ngrams.log_probabilities[found] / -_STEPS
        for places, contexts in tried:
            scores[places] += _LARGEST_BACKOFF - self.ngrams.backoffs[contexts] / _STEPS
        # What is nearly certain may exceed 1 by the rounding.
        return np.minimum(scores, 0.0), self._trie.contexts[found]

    @functools.cached_property
    def _table(self) -> _Table | None:
        """What `advance` returns for each context and symbol; None where that would be large.

        Contexts are filled level by level: as the shorter context that they back off to, but for
        the symbols that were counted in them.
        """
        trie, ngrams = self._trie, self.ngrams
        nodes = np.flatnonzero(ngrams.child_counts)
        kinds = len(self.characters) + 1
        if len(nodes) * kinds > _LARGEST_TABLE:
            return None
        rows = np.zeros(len(self), np.int32)
        rows[nodes] = np.arange(len(nodes))
        scores = np.zeros((len(nodes), kinds), np.float32)
        states = np.zeros((len(nodes), kinds), np.int32)
        backoffs = _LARGEST_BACKOFF - ngrams.backoffs / _STEPS
        for start, end in trie.levels[:-1]:
            own = nodes[slice(*np.searchsorted(nodes, (start, end)))]
            if start:  # The root has all symbols.
                shorter = rows[trie.contexts[trie.suffixes[own]]]
                scores[rows[own]] = scores[shorter] + backoffs[own, None]
                states[rows[own]] = states[shorter]
            children = np.arange(trie.first_children[start], trie.first_children[end])
            places = rows[trie.parents[children]], ngrams.symbols[children]
            scores[places] = ngrams.log_probabilities[children] / -_STEPS
            states[places] = trie.contexts[children]
        # What is nearly certain may exceed 1 by the rounding.
        return _Table(rows, np.minimum(scores, 0.0), states)

    def bind(self, char_dict: CharDict) -> BoundLanguageModel:
        """Returns the model over the classes of a reader.

        Args:
            char_dict: The reader's `CharDict`.

        Returns:
            `BoundLanguageModel`; the last one if it is of this char dict.
        """
        # Other threads may bind it to other char dicts meanwhile.
        bound = self._bound
        if bound is None or bound.char_dict is not char_dict:
            bound = self._bound = BoundLanguageModel(self, char_dict)
        return bound

    def with_settings(self, settings: LanguageModelSettings) -> LanguageModel:
        """Returns the same n-grams with other settings."""
        check_value("The settings", settings, Of(LanguageModelSettings))
        # It shares the lookups, which take longer to make than to use.
        model = object.__new__(type(self))
        model.__dict__.update(self.__dict__, settings=settings, _bound=None)
        return model

    def get_config(self) -> dict[str, Any]:
        """Returns plain data from which `from_config` makes the model again."""
        if not self._packed:  # It takes a second.
            packed = zlib.compress(b"".join(array.tobytes() for array in self._stored()), 9)
            self._packed = base64.b64encode(packed).decode()
        return {**self._facts(), "ngrams": self._packed}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LanguageModel:
        """Makes a model from what `get_config` returned.

        Args:
            config: Dict, possibly of a stranger.

        Returns:
            `LanguageModel`.

        Raises:
            ValueError: The data is no language model.
        """
        try:
            facts = dict(config)
            packed = facts.pop("ngrams")
            check_value("Its text", packed, TEXT)
            model = cls._from_facts(facts, _unpack(base64.b64decode(packed, validate=True)))
            model._packed = packed
            return model
        # What base64, zlib and NumPy raise on damaged data has no class in common.
        except Exception as error:
            raise ValueError(f"The language model is damaged: {error} {_ADVICE}") from error

    def save(self, path: str | os.PathLike) -> None:
        """Saves the model as arrays of NumPy, which `load` maps into memory.

        Args:
            path: File to write, named `.npz`. It is replaced only when the new one is complete.

        Raises:
            OSError: The file cannot be written.
        """
        buffer = io.BytesIO()
        arrays = dict(zip(_ARRAYS, self._stored(), strict=True))
        settings = np.frombuffer(json.dumps(self._facts()).encode(), np.uint8)
        np.savez(buffer, **arrays, **{_SETTINGS: settings})
        files.write_atomic(path, buffer.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike) -> LanguageModel:
        """Loads a model that `save` wrote.

        Processes that load the same file share its arrays, which are mapped into memory.

        Args:
            path: Path of the file. It must not change while the model is used.

        Returns:
            `LanguageModel`.

        Raises:
            ValueError: The file does not exist or holds something else. Nothing is unpickled.
        """
        try:
            with zipfile.ZipFile(path) as archive:
                _check_sizes(archive)
                entries = [archive.getinfo(f"{name}.npy") for name in _ARRAYS]
            with np.load(path, allow_pickle=False) as stored:
                facts = json.loads(stored[_SETTINGS].tobytes())
            return cls._from_facts(facts, Ngrams(*(_map_array(path, own) for own in entries)))
        except Exception as error:
            raise ValueError(f"{path} cannot be loaded: {error} {_ADVICE}") from error

    @classmethod
    def _from_facts(cls, facts, ngrams):
        settings = LanguageModelSettings(**facts.pop("settings"))
        characters = facts.pop("characters")
        return cls(characters, ngrams, settings=settings, **facts)

    def _facts(self):
        return {
            "characters": list(self.characters),
            "order": self.order,
            "settings": asdict(self.settings),
            "source": self.source,
        }

    def _stored(self):
        return [a.astype(kind) for a, kind in zip(self.ngrams, _ARRAYS.values(), strict=True)]


class BoundLanguageModel:
    """A language model over the classes of a reader, with an even share for each of them.

    Args:
        model: The `LanguageModel`.
        char_dict: The reader's `CharDict`.

    Attributes:
        start: The state before the first character.
        settings: The `LanguageModelSettings`.
    """

    def __init__(self, model: LanguageModel, char_dict: CharDict):
        self.char_dict, self._model = char_dict, model
        self.start, self.settings = model.start, model.settings
        symbols = {character: index for index, character in enumerate(model.characters, 1)}
        own = [symbols.get(fold(character), -1) for character in char_dict.characters]
        self._symbols = np.array([BOUNDARY, *own], np.intp)
        # Several classes of one symbol (`A` and `a`, the digits) share its probability.
        _, inverse, counts = np.unique(self._symbols, return_inverse=True, return_counts=True)
        is_unknown = self._symbols < 0
        even = 1 / char_dict.num_classes
        # Punctuation that no list of words has is no reason to read another text, and thousands of
        # characters of another script are none to take the language for a rare one.
        count = max(is_unknown.sum(), 1)
        unknown = min(even * count, _UNKNOWN)
        known = (1 - _FLOOR) * (1 - unknown * is_unknown.any())
        self._shares = np.where(is_unknown, 0.0, known / counts[inverse])
        self._evenly = np.where(is_unknown, unknown / count, _FLOOR * even)
        self._is_whole = not is_unknown.any()
        self._log_classes = np.log(char_dict.num_classes)

    def weigh(
        self, log_probabilities: np.ndarray, lengths: np.ndarray, *, is_ended: bool = False
    ) -> np.ndarray:
        """Computes what the language model adds to the score of texts.

        A text may be of the language, or a code of evenly likely characters: the probabilities of
        both are mixed. So no text gains from being a little less unlike the language than another.

        Args:
            log_probabilities: Float array: the sums of what `advance` gave for their characters.
            lengths: Integer array: their numbers of characters.
            is_ended: Whether the end of the texts is among the sums. Defaults to `False`.

        Returns:
            Float array, in nats: the weighted log probability and the length bonuses.
        """
        even = _LOG_CODE - self._log_classes * (lengths + is_ended)
        mixed = np.logaddexp(_LOG_LANGUAGE + log_probabilities, even)
        return self.settings.weight * mixed + self.settings.length_bonus * lengths

    def advance(self, states: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Looks up the log probabilities of next classes, in nats, and the states behind them.

        Args:
            states: Integer array of shape `(n,)`.
            classes: Integer array of shape `(n,)`.

        Returns:
            Tuple of a float array and an integer array of shape `(n,)`.
        """
        symbols = self._symbols[classes]
        if self._is_whole:
            found, states = self._model.advance(states, symbols)
            return np.log(np.exp(found) * self._shares[classes] + self._evenly[classes]), states
        known = symbols >= 0
        gains = np.zeros(len(states))
        # Behind a character that the model does not know there is no context: the root.
        following = np.zeros(len(states), np.intp)
        found, following[known] = self._model.advance(states[known], symbols[known])
        gains[known] = np.exp(found) * self._shares[classes[known]]
        return np.log(gains + self._evenly[classes]), following


def fold(character: str) -> str:
    """Returns what counts as the same character for a language model."""
    return "0" if character in "0123456789" else character.lower()


def _check_sizes(archive):
    """Raises a ValueError if what a zip file holds is larger than any language model."""
    for entry in archive.infolist():
        # An array has a header of less than that.
        most = MAX_METADATA_BYTES
        if entry.filename != f"{_SETTINGS}.npy":
            most += MAX_NGRAMS * np.dtype(np.uint16).itemsize
        if entry.file_size > most:
            raise ValueError(f"{entry.filename} has {entry.file_size:,} bytes.")


def _map_array(path, entry):
    """Maps an array of a zip file that does not compress it into memory."""
    if entry.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{entry.filename} is compressed.")
    with open(path, "rb") as file:
        file.seek(entry.header_offset)
        header = file.read(_ZIP_HEADER)
        # What follows: the entry's name and its extra field, whose lengths end the header.
        lengths = np.frombuffer(header, "<u2")[-2:]
        file.seek(int(lengths.sum()), os.SEEK_CUR)
        np.lib.format.read_magic(file)
        shape, _, kind = np.lib.format.read_array_header_1_0(file)
        if kind.hasobject:
            raise ValueError(f"{entry.filename} has objects, which would have to be unpickled.")
        return np.memmap(file, kind, "r", offset=file.tell(), shape=shape)


def _unpack(packed):
    """Returns the `Ngrams` whose compressed arrays stand one behind the other."""
    size = sum(np.dtype(kind).itemsize for kind in _ARRAYS.values())
    unpacking = zlib.decompressobj()
    content = unpacking.decompress(packed, MAX_NGRAMS * size + 1)
    if len(content) > MAX_NGRAMS * size:
        raise ValueError(_TOO_MANY)
    if not unpacking.eof:
        raise ValueError("its end is missing.")
    count, rest = divmod(len(content), size)
    if rest or not count:
        raise ValueError(f"it has {len(content):,} bytes, no multiple of {size}.")
    arrays, start = [], 0
    for kind in _ARRAYS.values():
        arrays.append(np.frombuffer(content, kind, count, start))
        start += arrays[-1].nbytes
    return Ngrams(*arrays)


def _check_arrays(ngrams):
    """Raises a ValueError unless the arrays are of one length and of the types of `Ngrams`."""
    count = len(ngrams.symbols)
    types = [np.dtype(kind).newbyteorder("=") for kind in _ARRAYS.values()]
    if [a.dtype.newbyteorder("=") for a in ngrams] != types:
        raise ValueError(f"its arrays are not of the types {', '.join(map(str, types))}.")
    if not count or any(a.shape != (count,) for a in ngrams):
        raise ValueError("its arrays are not of one length.")
    if count > MAX_NGRAMS:
        raise ValueError(_TOO_MANY)


def quantize(log_probabilities: np.ndarray, backoffs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rounds logarithms to what `Ngrams` store, one byte each.

    Args:
        log_probabilities: Float array, in nats.
        backoffs: Float array, in nats.

    Returns:
        Tuple of two uint8 arrays.
    """
    costs = np.clip(np.rint(-_STEPS * log_probabilities), 0, 255)
    offsets = np.clip(np.rint(_STEPS * (_LARGEST_BACKOFF - backoffs)), 0, 255)
    return costs.astype(np.uint8), offsets.astype(np.uint8)
