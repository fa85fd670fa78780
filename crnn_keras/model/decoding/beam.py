"""Prefix beam search over a batch of images, with a language model and with a pattern.

A hypothesis is a text that was begun. Its mass is the probability of all paths that have spelled it
so far; in each frame it stays, by a blank or by its last character again, or it is extended. All
hypotheses of all images are rows of the same arrays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crnn_keras.char_dict import BLANK
from crnn_keras.model.decoding.language_model import BoundLanguageModel
from crnn_keras.model.decoding.pattern import Pattern, completions
from crnn_keras.utils.checks import COUNT, check_arguments

# Hypotheses that are kept of each image, and likeliest classes that each is extended by.
WIDTH, CLASSES = 12, 8
# Two odd numbers of 64 bits that make a text's number of that of its beginning.
_MULTIPLIER, _INCREMENT = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)
_NO_CLASS = -1
# Logarithms: the smallest of a probability in a frame, and one that stands for none.
_FAINTEST, _LOWEST = -50.0, -1e300


class Beam(NamedTuple):
    """The texts that a beam search kept.

    Args:
        ids: int32 array of shape `(batch, width, longest)`: ids of each text, padded with 0.
        lengths: Integer array of shape `(batch, width)`.
        log_weights: Float array of shape `(batch, width)`: what the language model gives to each
            text, in nats; 0 without one.
        is_used: bool array of shape `(batch, width)`: False where fewer texts were found.
    """

    ids: np.ndarray
    lengths: np.ndarray
    log_weights: np.ndarray
    is_used: np.ndarray


@check_arguments(width=COUNT, classes=COUNT)
def beam_search(
    log_probabilities: np.ndarray,
    language_model: BoundLanguageModel | None = None,
    pattern: Pattern | None = None,
    *,
    width: int = WIDTH,
    classes: int = CLASSES,
) -> Beam:
    """Finds the likeliest texts of each image.

    A text's score is its log CTC likelihood and, with a language model, what
    `BoundLanguageModel.weigh` gives to it. With a pattern only matching texts are found, and a
    hypothesis is kept by how likely the frames that follow complete it to one.

    Args:
        log_probabilities: Float array of shape `(batch, frames, num_classes)`, in nats. Class 0 is
            the blank.
        language_model: A `BoundLanguageModel`. Defaults to `None`.
        pattern: A `Pattern`. Defaults to `None`.
        width: Number of texts to keep of each image. Defaults to `12`.
        classes: Number of classes that a text is extended by in a frame: the likeliest of those
            that may follow. Defaults to `8`.

    Returns:
        `Beam`. The texts of an image differ. They are in no order.

    Raises:
        ValueError: The log probabilities have other classes than the language model or the pattern,
            or are not numbers.

    Example:

        >>> import numpy as np
        >>> from crnn_keras.model.decoding import beam_search
        >>> frame = np.log([0.6, 0.4])  # blank, a: three of four paths spell "a"
        >>> beam = beam_search(np.array([[frame, frame]]), width=2)
        >>> beam.ids[0].tolist(), beam.lengths[0].tolist()
        ([[0], [1]], [0, 1])

    Reference:
        Hannun et al., 2014, First-Pass Large Vocabulary Continuous Speech Recognition using
        Bi-Directional Recurrent DNNs (arXiv 1408.2873), algorithm 1.
    """
    _check_classes(log_probabilities, language_model, pattern)
    search = _Search(log_probabilities, language_model, pattern, width=width, classes=classes)
    for frame in range(log_probabilities.shape[1]):
        search.read_frame(frame)
    return search.finish()


class _AnyText:
    """What follows a hypothesis without a pattern: any class, and nothing else to reach."""

    def __init__(self, num_classes):
        self.allowed = np.ones((1, num_classes), bool)
        self.groups = np.zeros(1, np.intp)

    def follow(self, states, classes):
        return np.zeros(np.broadcast_shapes(states.shape, classes.shape), np.intp)

    def rest_after_blank(self, frame, states):
        return np.zeros((1, 1))

    def rest_after_class(self, frame, states, classes):
        return np.zeros((1,) * classes.ndim)

    def may_end(self, states):
        return np.ones(states.shape, bool)


class _MatchingText:
    """What follows a hypothesis with a pattern: its states, and how likely it is completed."""

    def __init__(self, log_probabilities, pattern):
        self.pattern = pattern
        # States that allow the same classes have the same likeliest ones.
        is_allowed = pattern.transitions >= 0
        self.allowed, groups = np.unique(is_allowed, axis=0, return_inverse=True)
        self.groups = groups.ravel()
        self.completions = completions(log_probabilities, pattern)
        self.images = np.arange(len(log_probabilities))

    def follow(self, states, classes):
        return self.pattern.transitions[states, classes]

    def rest_after_blank(self, frame, states):
        return self.completions.after_blank[frame][self._images(states), states]

    def rest_after_class(self, frame, states, classes):
        """Minus infinity too for the start, which no class leads to."""
        nodes = self.pattern.lattice.node_of[states, classes]
        rest = self.completions.after_node[frame][self._images(nodes), nodes]
        return np.where(nodes >= 0, rest, -np.inf)

    def may_end(self, states):
        return self.pattern.accepting[states]

    def _images(self, values):
        return self.images.reshape(-1, *(1,) * (values.ndim - 1))


class _Extensions(NamedTuple):
    """Hypotheses with one more character: arrays of shape `(batch, width, classes)`."""

    classes: np.ndarray
    states: np.ndarray
    masses: np.ndarray


class _Search:
    """The hypotheses of a beam search: arrays of shape `(batch, width)`.

    `after_blank` and `after_class` are the masses of the paths that end in a blank and in the last
    character. Both are up to one factor for each image.
    """

    def __init__(self, log_probabilities, language_model, pattern, *, width, classes):
        batch, frames, num_classes = log_probabilities.shape
        self.language_model = language_model
        self.texts = (
            _AnyText(num_classes) if pattern is None else _MatchingText(log_probabilities, pattern)
        )
        allowed = self.texts.allowed.copy()
        allowed[:, BLANK] = False
        # Relative to the likeliest class that may come at all, and not so faint that a mass gets 0.
        usable = [BLANK, *np.flatnonzero(allowed.any(0))]
        logs = log_probabilities - log_probabilities[..., usable].max(-1, keepdims=True)
        self.probabilities = np.exp(np.clip(logs, _FAINTEST, 0.0), dtype=np.float64)
        self.candidates = _likeliest(self.probabilities, allowed, classes)
        shape = batch, width
        self.rows = np.arange(batch)[:, None]
        self.after_blank, self.after_class = np.zeros(shape), np.zeros(shape)
        self.after_blank[:, 0] = 1
        # What the language model gives to the characters of each text, and how many they are.
        self.log_priors, self.lengths = np.zeros(shape), np.zeros(shape, np.intp)
        self.log_weights = self._weigh(self.log_priors, self.lengths)
        self.last, self.states = np.zeros(shape, np.intp), np.zeros(shape, np.intp)
        start = 0 if language_model is None else language_model.start
        self.contexts = np.full(shape, start, np.intp)
        # Numbers that tell texts apart, and that of the text without its last character. Rows
        # that hold no text yet have numbers too.
        self.numbers = np.tile(np.arange(1, 1 + width, dtype=np.uint64), (batch, 1))
        self.beginnings = np.zeros(shape, np.uint64)
        self.parents = np.tile(np.arange(width), (frames, batch, 1))
        self.added = np.zeros((frames, batch, width), np.int32)

    def read_frame(self, frame):
        """Lets the hypotheses stay and be extended, and keeps the best."""
        probabilities = self.probabilities[:, frame]
        both = self.after_blank + self.after_class
        own = probabilities[self.rows, self.last]
        stays = [both * probabilities[:, :1], self.after_class * own]
        following = self.candidates[frame][self.rows, self.texts.groups[self.states]]
        masses = np.take_along_axis(probabilities[:, None], np.maximum(following, 0), axis=2)
        # The same character again needs a blank before it.
        is_same = following == self.last[:, :, None]
        masses *= np.where(is_same, self.after_blank[:, :, None], both[:, :, None])
        masses[following == _NO_CLASS] = 0
        # A text is also reached from its beginning, if the beam has that too.
        is_beginning = self.numbers[:, :, None] == self.beginnings[:, None, :]
        images, longer = np.nonzero(is_beginning.any(1))
        shorter = is_beginning.argmax(1)[images, longer]
        last = self.last[images, longer]
        is_double = last == self.last[images, shorter]
        reached = np.where(is_double, self.after_blank[images, shorter], both[images, shorter])
        stays[1][images, longer] += reached * own[images, longer]
        found, places = np.nonzero(following[images, shorter] == last[:, None])
        masses[images[found], shorter[found], places] = 0
        states = self.texts.follow(self.states[:, :, None], following)
        self._select(frame, stays, _Extensions(following, states, masses))

    def _select(self, frame, stays, extensions):
        """Keeps the best of the hypotheses that stay and of those that are extended."""
        ranks, bounds = self._rank(frame, stays, extensions)
        for stay, rank in zip(stays, ranks, strict=True):
            # What cannot be completed is no measure of the others' masses.
            stay[rank == 0] = 0
        ranks = ranks[0] + ranks[1]
        # Where an extension can come before the last of those that stay.
        where = np.nonzero(bounds > ranks.min(1)[:, None, None])
        if not len(where[0]):
            self._scale(*stays)
            return
        images, sources, _ = where
        classes = extensions.classes[where]
        log_priors, contexts = self.log_priors[images, sources], self.contexts[images, sources]
        lengths = self.lengths[images, sources] + 1
        extended = bounds[where]
        if self.language_model is not None:
            scores, contexts = self.language_model.advance(contexts, classes)
            log_priors = log_priors + scores
            gains = self._weigh(log_priors, lengths) - self.log_weights[images, sources]
            extended *= np.exp(gains - self.language_model.settings.length_bonus)
        is_new, kept = _find_best(ranks, images, extended)
        # Of the extensions, which; of the hypotheses, which stays or is extended.
        new = np.where(is_new, kept, 0)
        parents = np.where(is_new, sources[new], kept)
        self.parents[frame] = parents
        self.added[frame] = np.where(is_new, classes[new], BLANK)

        def choose(extensions, own):
            return np.where(is_new, extensions[new], own[self.rows, parents])

        numbers = self.numbers[self.rows, parents]
        longer = numbers * _MULTIPLIER ^ classes.astype(np.uint64)[new] * _INCREMENT
        self.beginnings = np.where(is_new, numbers, self.beginnings[self.rows, parents])
        self.numbers = np.where(is_new, longer, numbers)
        self.last = choose(classes, self.last)
        self.states = choose(extensions.states[where], self.states)
        self.contexts = choose(contexts, self.contexts)
        self.lengths = choose(lengths, self.lengths)
        self.log_priors = choose(log_priors, self.log_priors)
        self.log_weights = self._weigh(self.log_priors, self.lengths)
        blanks = np.where(is_new, 0.0, stays[0][self.rows, parents])
        self._scale(blanks, choose(extensions.masses[where], stays[1]))

    def _rank(self, frame, stays, extensions):
        """Multiplies masses by what the language model and the frames that follow give to them.

        Returns:
            Tuple of the products for both kinds of `stays`, and an upper bound of those for the
            extensions, whose characters the language model has not yet seen.
        """
        rests = [
            self.texts.rest_after_blank(frame + 1, self.states),
            self.texts.rest_after_class(frame + 1, self.states, self.last),
            self.texts.rest_after_class(frame + 1, extensions.states, extensions.classes),
        ]
        weights = [self.log_weights, self.log_weights, self.log_weights[:, :, None]]
        logs = [rest + weight for rest, weight in zip(rests, weights, strict=True)]
        masses = [*stays, extensions.masses]
        # The largest of those that have a mass becomes 1, so that one rank at least is not 0.
        largest = _LOWEST
        for log, mass in zip(logs, masses, strict=True):
            own = np.where(mass > 0, log, -np.inf).max(tuple(range(1, log.ndim)))
            largest = np.maximum(largest, own)
        *ranks, bounds = [
            mass * np.exp(np.minimum(log - largest.reshape(-1, *(1,) * (log.ndim - 1)), 0.0))
            for log, mass in zip(logs, masses, strict=True)
        ]
        if self.language_model is not None:
            # Even a certain language model gives no more than the bonus.
            bounds *= np.exp(self.language_model.settings.length_bonus)
        return ranks, bounds

    def _weigh(self, log_priors, lengths, **options):
        """Returns what the language model adds to the scores of texts; nothing without one."""
        if self.language_model is None:
            return np.zeros(np.shape(lengths))
        return self.language_model.weigh(log_priors, lengths, **options)

    def _scale(self, after_blank, after_class):
        """Sets the masses, so that the largest of each image is 1."""
        largest = np.maximum(after_blank, after_class).max(1, keepdims=True)
        largest[largest == 0] = 1
        self.after_blank, self.after_class = after_blank / largest, after_class / largest

    def finish(self):
        """Returns the `Beam` behind the last frame."""
        log_weights = self.log_weights
        if self.language_model is not None:
            ends = np.full(self.contexts.size, BLANK)
            scores, _ = self.language_model.advance(self.contexts.ravel(), ends)
            log_priors = self.log_priors + scores.reshape(log_weights.shape)
            log_weights = self._weigh(log_priors, self.lengths, is_ended=True)
        ids = np.empty(self.added.shape[1:] + self.added.shape[:1], np.int32)
        rows = np.tile(np.arange(log_weights.shape[1]), (len(log_weights), 1))
        for frame in reversed(range(len(self.added))):
            ids[:, :, frame] = self.added[frame][self.rows, rows]
            rows = self.parents[frame][self.rows, rows]
        lengths = np.count_nonzero(ids, axis=2)
        order = np.argsort(ids == BLANK, axis=2, kind="stable")[:, :, : lengths.max(initial=1)]
        is_used = (self.after_blank + self.after_class > 0) & self.texts.may_end(self.states)
        return Beam(np.take_along_axis(ids, order, axis=2), lengths, log_weights, is_used)


def _find_best(ranks, images, extended):
    """Finds the best of each image's hypotheses and extensions.

    Args:
        ranks: Float array of shape `(batch, width)`: those of the hypotheses.
        images: Integer array of shape `(n,)`: the image of each extension, in ascending order.
        extended: Float array of shape `(n,)`: the ranks of the extensions.

    Returns:
        Tuple of a bool array of shape `(batch, width)`, whether it is an extension, and an integer
        array: which of the extensions, or which of the image's hypotheses.
    """
    counts = np.bincount(images, minlength=len(ranks))
    first = np.cumsum(counts) - counts
    width = ranks.shape[1]
    # Where an image has fewer extensions than another stands -1.
    table = np.full((len(ranks), width + counts.max()), -1.0)
    table[:, :width] = ranks
    table[images, width + np.arange(len(images)) - first[images]] = extended
    # Of equal ones the first, and in their order: so an image is read alike in any batch.
    kept = np.sort(np.argsort(-table, axis=1, kind="stable")[:, :width], axis=1)
    is_new = kept >= width
    return is_new, np.where(is_new, first[:, None] + kept - width, kept)


def _check_classes(log_probabilities, language_model, pattern):
    """Raises a ValueError unless all that a search is given has the same classes."""
    if log_probabilities.ndim != 3 or np.isnan(log_probabilities).any():
        raise ValueError(
            "Expected log probabilities of shape (batch, frames, num_classes) without nan, got "
            f"shape {log_probabilities.shape} with {np.isnan(log_probabilities).sum()} nan."
        )
    for given in (language_model, pattern):
        if given is not None and given.char_dict.num_classes != log_probabilities.shape[2]:
            raise ValueError(
                f"There are {log_probabilities.shape[2]} classes, but "
                f"{given.char_dict.num_classes} of {given.char_dict!r}. Take the char dict of the "
                "reader."
            )


def _likeliest(probabilities, allowed, count):
    """Finds the likeliest classes of each frame, for each row of a mask `(groups, num_classes)`.

    Returns:
        Integer array of shape `(frames, batch, groups, count)`, -1 where fewer are allowed.
    """
    batch, frames, _ = probabilities.shape
    found = np.full((frames, batch, len(allowed), count), _NO_CLASS, np.intp)
    for group, mask in enumerate(allowed):
        classes = np.flatnonzero(mask)
        own = min(count, len(classes))
        if not own:
            continue
        values = -probabilities[:, :, classes]
        order = np.argpartition(values, own - 1, axis=2)[:, :, :own]
        found[:, :, group, :own] = classes[order].swapaxes(0, 1)
    return found
