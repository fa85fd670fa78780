"""From logits to texts with all that decoding knows: language model, patterns, lexicons.

An image is searched by a beam only where that can change something: its best path does not match
the pattern, the language model might prefer another text, or alternatives are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import NamedTuple

import numpy as np

from crnn_keras.char_dict import BLANK, CharDict
from crnn_keras.model.decoding.alignment import align_labels
from crnn_keras.model.decoding.beam import WIDTH, beam_search
from crnn_keras.model.decoding.best_path import Decoded, best_path
from crnn_keras.model.decoding.forward import likelihoods, log_likelihoods_of_each, log_softmax
from crnn_keras.model.decoding.language_model import LanguageModel
from crnn_keras.model.decoding.lexicon import Lexicon, LexiconChoice
from crnn_keras.model.decoding.pattern import Pattern, pattern_log_likelihoods
from crnn_keras.utils.checks import NATURAL, check_arguments

# A text that is more likely than all others together is the likeliest.
_CERTAIN = 0.5
# So many images are searched at once, or fewer, of many classes, with so many numbers.
_CHUNK, _MOST_NUMBERS = 128, 2**22
# Texts that a beam keeps for each alternative that is asked for.
_WIDTH_PER_ALTERNATIVE = 3


class Constraint(NamedTuple):
    """What is known of the text of one image.

    Args:
        lexicon: A `Lexicon`. Defaults to `None`.
        pattern: A `Pattern`. Defaults to `None`.
    """

    lexicon: Lexicon | None = None
    pattern: Pattern | None = None


@dataclass(frozen=True)
class DecodedText:
    """What was decoded from one image.

    Args:
        text: The likeliest text, in the order of reading; None if no text matches the pattern.
        raw_confidence: Its probability, from 0 to 1, see `decode_texts`.
        spans: See `Decoded.spans` and `Aligned.spans`.
        alternatives: The likeliest texts with their probabilities, the likeliest first; at most as
            many as were asked for. The probabilities sum to at most 1. Defaults to `()`.
        choice: The `LexiconChoice`. Defaults to `None`: there was no lexicon.
        error: Why there is no text. Defaults to `None`.
    """

    text: str | None
    raw_confidence: float
    spans: tuple[tuple[int, int, float], ...]
    _: KW_ONLY
    alternatives: tuple[tuple[str, float], ...] = ()
    choice: LexiconChoice | None = None
    error: str | None = None


@check_arguments(delta=NATURAL.or_none(), alternatives=NATURAL)
def decode_texts(
    logits: np.ndarray,
    char_dict: CharDict,
    constraints: Sequence[Constraint] | None = None,
    *,
    language_model: LanguageModel | None = None,
    delta: int | None = None,
    alternatives: int = 0,
) -> list[DecodedText]:
    """Decodes the logits of a batch.

    The probability of a text is that of all CTC paths that spell it. With a pattern it is divided
    by that of all paths that spell a matching text: it is the probability given that the text
    matches. With a language model, the probability that the texts of a beam have together is
    divided between them by their scores, see `beam_search`.

    Args:
        logits: Float array of shape `(batch, frames, num_classes)`, not normalized.
        char_dict: The `CharDict` of the classes.
        constraints: A `Constraint` for each image. With a lexicon, its words near the text that
            match the pattern are candidates; the language model does not choose between them.
            Defaults to `None`: no constraints.
        language_model: A `LanguageModel`. It is asked where the probability of a text is under its
            threshold. Defaults to `None`.
        delta: See `Lexicon.choose`. Defaults to `None`.
        alternatives: How many of the likeliest texts to return. Defaults to `0`.

    Returns:
        List of `DecodedText`, one for each image.

    Raises:
        ValueError: The logits are not finite, or have other classes than char dict or pattern.

    Example:

        >>> import numpy as np
        >>> from crnn_keras import CharDict
        >>> from crnn_keras.model.decoding import decode_texts
        >>> logits = np.eye(11)[[5, 5, 0, 5, 3]][None] * 9  # frames 4, 4, blank, 4, 2
        >>> decode_texts(logits, CharDict.from_preset("digits"))[0].text
        '442'
    """
    logits = np.asarray(logits)
    best_paths = best_path(logits, char_dict)
    if not best_paths:
        return []
    constraints = constraints or [Constraint()] * len(best_paths)
    masses = likelihoods(logits, [best.ids for best in best_paths])
    if language_model is not None and not language_model.settings.weight:
        language_model = None
    decoding = _Decoding(logits, char_dict, language_model, best_paths=best_paths, masses=masses)
    for pattern, positions in _group(constraints):
        is_any = pattern is None or _allows_everything(pattern)
        decoding.read(positions, None if is_any else pattern, alternatives)
    decoding.align()
    for position, (lexicon, pattern) in enumerate(constraints):
        if lexicon is not None and not decoding.texts[position].error:
            decoding.choose(position, lexicon, pattern, delta=delta, alternatives=alternatives)
    decoding.align()
    return decoding.texts


class _Decoding:
    """The texts of a batch, while they are decoded.

    Attributes:
        texts: List of `DecodedText`, of the best paths at first.
        ids: List of their ids; None where there is no text.
        log_allowed: Float array: the log likelihood of each image's pattern; 0 without one.
    """

    def __init__(self, logits, char_dict, language_model, *, best_paths, masses):
        self.logits, self.char_dict = logits, char_dict
        self.language_model = language_model and language_model.bind(char_dict)
        self.best_paths = best_paths
        self.ids = [best.ids for best in best_paths]
        # What the spans belong to.
        self.aligned = list(self.ids)
        self.texts = [
            DecodedText(best.text, mass, best.spans)
            for best, mass in zip(best_paths, masses.tolist(), strict=True)
        ]
        self.log_allowed = np.zeros(len(best_paths))

    def read(self, positions, pattern, alternatives):
        """Finds the likeliest texts of images with one pattern, or with none."""
        if pattern is not None:
            self._apply(pattern, positions)
        threshold = self.language_model.settings.threshold if self.language_model else 0.0
        least = math.inf if alternatives else 0.0 if pattern is None else _CERTAIN
        asked, searched = [], []
        for position in positions:
            confidence = self.texts[position].raw_confidence
            # Where nothing matches, nothing is to be found.
            if self.log_allowed[position] == -np.inf:
                continue
            # Where the image shows no text, a language model would see one.
            if confidence < threshold and self.texts[position].text != "":
                asked.append(position)
            elif confidence < least:
                searched.append(position)
        self._search(asked, pattern, self.language_model, alternatives=alternatives)
        self._search(searched, pattern, None, alternatives=alternatives)

    def _search(self, positions, pattern, language_model, *, alternatives):
        """Reads images by a beam."""
        width = max(WIDTH, _WIDTH_PER_ALTERNATIVE * alternatives)
        _, frames, numbers = self.logits.shape
        if pattern is not None:
            numbers += len(pattern.lattice.node_states)
        size = min(_CHUNK, max(_MOST_NUMBERS // (frames * numbers), 1))
        for start in range(0, len(positions), size):
            chunk = positions[start : start + size]
            logits = self.logits[chunk]
            beam = beam_search(log_softmax(logits), language_model, pattern, width=width)
            ranked = _rank(beam, logits, self.log_allowed[chunk])
            for position, likeliest in zip(chunk, ranked, strict=True):
                if not likeliest:
                    continue
                self.ids[position], probability = likeliest[0]
                listed = likeliest[: max(alternatives, 1)]
                found = [(self.char_dict.decode(ids), chance) for ids, chance in listed]
                self.texts[position] = replace(
                    self.texts[position],
                    text=found[0][0],
                    raw_confidence=probability,
                    alternatives=tuple(found[:alternatives]),
                    error=None,
                )

    def _apply(self, pattern, positions):
        """Keeps the best paths that match a pattern, with their probabilities given that."""
        self.log_allowed[positions] = pattern_log_likelihoods(self.logits[positions], pattern)
        for position in positions:
            own, allowed = self.texts[position], self.log_allowed[position]
            if allowed > -np.inf and own.raw_confidence and pattern.matches(own.text):
                given = math.exp(min(math.log(own.raw_confidence) - allowed, 0.0))
                self.texts[position] = replace(own, raw_confidence=given)
                continue
            error = (
                f"no text that matches {pattern.expression!r:.80} fits: the shortest needs "
                f"{pattern.shortest} frames, the image has {self.logits.shape[1]}. Read it with "
                "another pattern, or with a reader of a wider canvas"
            )
            self.texts[position] = DecodedText(None, 0.0, (), error=error)
            self.ids[position] = self.aligned[position] = None

    def choose(self, position, lexicon, pattern, *, delta, alternatives):
        """Chooses a word of a lexicon, if one is near."""
        found, best = self.texts[position], self.best_paths[position]
        if self.ids[position] != best.ids:
            best = Decoded(found.text, self.ids[position], best.confidence, found.spans)
        count = max(alternatives, 1)
        choice = lexicon.choose(self.logits[position], best, delta, pattern=pattern, count=count)
        self.texts[position] = replace(found, choice=choice)
        if not choice.candidates:
            return
        allowed = self.log_allowed[position]
        likeliest = [
            (text, math.exp(min(score - allowed, 0.0))) for text, score in choice.likeliest
        ]
        self.ids[position] = tuple(self.char_dict.encode(choice.text))
        self.texts[position] = DecodedText(
            choice.text,
            likeliest[0][1],
            found.spans,
            alternatives=tuple(likeliest[:alternatives]),
            choice=choice,
        )

    def align(self):
        """Finds the spans of the texts that are other than those that were aligned."""
        changed = [
            n
            for n, (ids, aligned) in enumerate(zip(self.ids, self.aligned, strict=True))
            if ids != aligned
        ]
        ids_list = [self.ids[n] for n in changed]
        found = align_labels(self.logits[changed], ids_list, self.char_dict)
        for position, (_, aligned) in zip(changed, found, strict=True):
            self.texts[position] = replace(self.texts[position], spans=aligned.spans)
            self.aligned[position] = self.ids[position]


def _group(constraints) -> Iterator[tuple[Pattern | None, list[int]]]:
    """Returns pairs of a pattern, or None, and of the positions that have it."""
    groups = {}
    for position, (_, pattern) in enumerate(constraints):
        groups.setdefault(id(pattern), (pattern, []))[1].append(position)
    return iter(groups.values())


def _allows_everything(pattern):
    """Tells whether all texts match: from the only state every character leads back to it."""
    return len(pattern.accepting) == 1 and bool((pattern.transitions[0, BLANK + 1 :] == 0).all())


def _rank(beam, logits, log_allowed):
    """Sorts the texts of a beam by their scores.

    Args:
        beam: The `Beam`.
        logits: Those of its images.
        log_allowed: Float array of shape `(batch,)`: the log likelihood of what may be found.

    Returns:
        For each image a list of pairs of ids and their probability, the likeliest first.
    """
    scores = log_likelihoods_of_each(logits, beam.ids, beam.lengths)
    # Texts that were not found have no likelihood.
    scores[~beam.is_used] = -1e300
    total = np.minimum(np.exp(np.logaddexp.reduce(scores, axis=1) - log_allowed), 1.0)
    scores += beam.log_weights
    shares = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
    probabilities = shares * total[:, None]
    order = np.argsort(-probabilities, axis=1, kind="stable")
    counts = beam.is_used.sum(1).tolist()
    rows = zip(
        np.take_along_axis(beam.ids, order[:, :, None], axis=1).tolist(),
        np.take_along_axis(beam.lengths, order, axis=1).tolist(),
        np.take_along_axis(probabilities, order, axis=1).tolist(),
        strict=True,
    )
    return [
        [(tuple(ids[:length]), probability) for ids, length, probability in zip(*row, strict=True)][
            :count
        ]
        for row, count in zip(rows, counts, strict=True)
    ]
