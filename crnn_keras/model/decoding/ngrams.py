"""Counts n-grams of characters and makes a language model of them."""

from __future__ import annotations

import collections
import itertools
import random
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from crnn_keras.char_dict import CharDict
from crnn_keras.model.decoding.language_model import (
    BOUNDARY,
    LanguageModel,
    LanguageModelSettings,
    Ngrams,
    fold,
    quantize,
)
from crnn_keras.model.decoding.trie import Trie
from crnn_keras.utils.checks import TEXT, Number, check_arguments, check_value
from crnn_keras.utils.limits import MAX_NGRAM_LENGTH, MAX_NGRAMS

# Witten-Bell: a character that was not yet seen in a context counts as so many that were.
_UNSEEN = 5.0
# Drawn codes: how many, their mean length and the longest.
_CODES, _MEAN_LENGTH, _LONGEST = 40_000, 4.0, 12
_DIGIT = "0"
# Bounds far from those of floats, whatever they are divided by and raised to.
_FREQUENCY = Number(1e-50, 1e50)
# A probability below it counts as none.
_SMALLEST = 1e-7


class _Counts(NamedTuple):
    """N-grams level by level, each with the index of the one that it extends; the root first."""

    symbols: np.ndarray
    parents: np.ndarray
    counts: np.ndarray


@check_arguments(
    order=Number(1, MAX_NGRAM_LENGTH, is_whole=True),
    max_ngrams=Number(1, MAX_NGRAMS, is_whole=True),
    power=Number(0, 2),
    codes=Number(0, 0.9),
    source=TEXT,
)
def train_language_model(
    texts: Iterable[str] | Mapping[str, float],
    char_dict: CharDict,
    *,
    order: int = 6,
    max_ngrams: int = 200_000,
    power: float = 0.6,
    codes: float = 0.1,
    source: str = "",
    settings: LanguageModelSettings | None = None,
) -> LanguageModel:
    """Makes a language model of a reader's characters from any texts: words, lines, labels.

    N-grams are smoothed by Witten and Bell's interpolation. Those that change the likelihood of the
    texts least are left out until few enough are left.

    Args:
        texts: List or iterator of texts, or a dict of `text: frequency`. Equal texts are counted.
            What the char dict cannot write is left out.
        char_dict: The reader's `CharDict`. Texts are written as it writes them.
        order: Length of the longest n-grams. Defaults to `6`.
        max_ngrams: Number of n-grams to keep; a saved one takes about a byte and a half.
            Defaults to `200_000`.
        power: Frequencies are raised to it, from 0 to 2, so that rare texts count too. Defaults
            to `0.6`.
        codes: Part of the counts that drawn numbers and codes have, from 0 to 0.9, if the char dict
            has digits. Without it a reader would take digits for letters. Defaults to `0.1`.
        source: Where the texts are from, and their licence; it is kept in the model. Defaults to
            `""`.
        settings: `LanguageModelSettings`. Defaults to `None`: its defaults.

    Returns:
        `LanguageModel`.

    Raises:
        ValueError: No text is left, one is no string, a frequency is not above 0, or a number is
            out of range.

    Example:

        >>> from crnn_keras import CharDict, train_language_model
        >>> train_language_model({"the": 9.0, "then": 2.0}, CharDict("ehnt"), order=3)
        LanguageModel(17 n-grams up to 3 of 4 characters)

    Reference:
        Witten and Bell, 1991, The Zero-Frequency Problem; Stolcke, 1998, Entropy-based Pruning of
        Backoff Language Models (arXiv cs/0006025).
    """
    weights = _weigh(texts, char_dict, power)
    own = set(map(fold, char_dict.characters))
    if _DIGIT in own and codes:
        drawn = _draw_codes(sorted(c for c in own if c.isascii() and c.isalpha()))
        scale = codes / (1 - codes) * sum(weights.values()) / _CODES
        for code, count in drawn.items():
            weights[code] = weights.get(code, 0.0) + scale * count
    characters = sorted(set(itertools.chain(*weights)))
    counts = _count(weights, {c: index for index, c in enumerate(characters, 1)}, order)
    ngrams = _estimate(counts, max_ngrams)
    return LanguageModel(characters, ngrams, order=order, settings=settings, source=source)


def _weigh(texts, char_dict, power):
    """Returns a dict of the folded texts, each a tuple, with what it counts."""
    if isinstance(texts, str):
        raise ValueError(f"Expected a list of texts, got the text {texts[:40]!r}.")
    if not isinstance(texts, Mapping):
        texts = collections.Counter(texts)
    frequencies = collections.defaultdict(float)
    for text, frequency in texts.items():
        check_value("A text", text, TEXT)
        if not _FREQUENCY.accepts(frequency):
            check_value(f"The frequency of {text!r}", frequency, _FREQUENCY)
        if not char_dict.unknown(text):
            ids = char_dict.encode(text)
            frequencies[tuple(fold(char_dict.characters[i - 1]) for i in ids)] += frequency
    frequencies.pop((), None)
    if not frequencies:
        raise ValueError(
            f"No text is left to count: {char_dict!r} can write none of {len(texts):,}. Expected "
            "texts of its characters."
        )
    rarest = min(frequencies.values())
    return {text: (frequency / rarest) ** power for text, frequency in frequencies.items()}


def _draw_codes(letters):
    """Draws numbers, numbers with letters before them, and mixtures; counts them."""
    rng = random.Random(0)
    drawn = collections.Counter()
    for _ in range(_CODES):
        length = min(1 + int(rng.expovariate(1 / _MEAN_LENGTH)), _LONGEST)
        kind = rng.random()
        if kind < 0.6 or not letters:
            code = _DIGIT * length
        elif kind < 0.8:
            before = rng.randint(0, min(3, length))
            code = [rng.choice(letters) for _ in range(before)] + [_DIGIT] * (length - before)
        else:
            code = [rng.choice(letters) if rng.random() < 0.5 else _DIGIT for _ in range(length)]
        drawn[tuple(code)] += 1
    return drawn


def _count(weights, symbols, order):
    """Counts the n-grams of all texts at once, up to a length.

    The texts stand in one array, a boundary before, between and behind them.
    """
    lengths = np.fromiter(map(len, weights), np.intp, len(weights))
    ends = np.cumsum(lengths + 1)
    row = np.full(int(ends[-1]) + 1, BOUNDARY, np.intp)
    is_character = np.ones(len(row), bool)
    is_character[[0, *ends]] = False
    row[is_character] = [symbols[c] for c in itertools.chain(*weights)]
    own = np.zeros(len(row))
    own[1:] = np.repeat(np.fromiter(weights.values(), float, len(weights)), lengths + 1)
    # How many symbols stand before each one, with the boundary.
    before = np.zeros(len(row), np.intp)
    before[ends] = ends
    before = np.arange(len(row)) - np.concatenate([[0], np.maximum.accumulate(before)[:-1]])
    kinds = len(symbols) + 1
    # The node of the n-gram that ends at each position, where it would cross no boundary.
    nodes = 1 + row
    levels = [_Counts([0], [0], [0.0])]
    counted = np.bincount(row, own, minlength=kinds)
    levels.append(_Counts(np.arange(kinds), np.zeros(kinds, np.intp), counted))
    size = 1 + kinds
    for length in range(2, order + 1):
        positions = np.flatnonzero(before >= length - 1)
        keys = nodes[positions - 1] * kinds + row[positions]
        found, inverse = np.unique(keys, return_inverse=True)
        counted = np.bincount(inverse, own[positions])
        levels.append(_Counts(found % kinds, found // kinds, counted))
        nodes[positions] = size + inverse
        size += len(found)
    return _Counts(*map(np.concatenate, zip(*levels, strict=True)))


def _estimate(counted, max_ngrams):
    """Estimates the probabilities of the n-grams that matter most.

    Returns:
        `Ngrams`.
    """
    symbols, parents, counts = counted
    trie = Trie(symbols, np.bincount(parents[1:], minlength=len(symbols)))
    totals = np.bincount(parents[1:], counts[1:], minlength=len(symbols))
    unseen = _UNSEEN * trie.child_counts
    # What is left of a context for shorter ones.
    left = unseen / np.maximum(totals + unseen, 1e-300)
    probabilities = np.zeros(len(symbols))
    gains = np.full(len(symbols), np.inf)
    for level, (start, end) in enumerate(trie.levels[1:]):
        above = parents[start:end]
        # Unigrams are mixed with evenly likely symbols.
        shorter = probabilities[trie.suffixes[start:end]] if level else 1 / trie.child_counts[0]
        backed_off = left[above] * shorter
        probabilities[start:end] = counts[start:end] / (totals + unseen)[above] + backed_off
        if level:
            ratios = np.log(probabilities[start:end] / backed_off)
            gains[start:end] = counts[start:end] * ratios
    # An n-gram stays if a longer one does.
    for start, end in reversed(trie.levels[2:]):
        np.maximum.at(gains, parents[start:end], gains[start:end])
    is_kept = np.ones(len(symbols), bool)
    is_kept[np.argsort(-gains, kind="stable")[max(max_ngrams, trie.levels[1][1]) :]] = False
    parents = (np.cumsum(is_kept) - 1)[parents[is_kept]]
    kept = Trie(symbols[is_kept], np.bincount(parents[1:], minlength=is_kept.sum()))
    return _back_off(kept, probabilities[is_kept])


def _back_off(trie, probabilities):
    """Computes how contexts back off, so that the probabilities behind each of them sum to 1.

    Args:
        trie: The `Trie` of the n-grams that are kept.
        probabilities: Float array: that of each n-gram's last symbol after the others.

    Returns:
        `Ngrams`.
    """
    size = len(trie)
    logs = np.log(np.maximum(probabilities, _SMALLEST))
    backoffs = np.zeros(size)
    counted = np.bincount(trie.parents[1:], probabilities[1:], minlength=size)
    for start, end in trie.levels[2:]:
        # What the shorter contexts, whose backoffs are known, give to the same symbols.
        above = trie.parents[start:end]
        found, tried = trie.find(trie.suffixes[above], trie.symbols[start:end])
        scores = logs[found]
        for places, contexts in tried:
            scores[places] += backoffs[contexts]
        shorter = np.bincount(above, np.exp(scores), minlength=size)
        own = np.unique(above)
        ratios = np.maximum(1 - counted[own], _SMALLEST) / np.maximum(1 - shorter[own], _SMALLEST)
        backoffs[own] = np.log(ratios)
    costs, offsets = quantize(logs, backoffs)
    stored = trie.symbols.astype(np.uint16), trie.child_counts.astype(np.uint16)
    return Ngrams(*stored, costs, offsets)
